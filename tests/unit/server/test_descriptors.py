"""The limit of descriptors is raised to what is needed, never lowered, and never past the hard one."""

from __future__ import annotations

import resource

import pytest

from outward.gateway.listeners import MAX_CONNECTIONS
from outward.server.descriptors import allow_descriptors

UNLIMITED = resource.RLIM_INFINITY
NEEDED = 2 * MAX_CONNECTIONS


@pytest.mark.parametrize(("soft", "hard"), [(1024, 4096), (1024, UNLIMITED), (1024, 1 << 20), (4096, 4096)])
def test_the_limit_is_raised(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: limits.append(to))
    allow_descriptors()
    now, kept = limits[-1]
    assert kept == hard
    assert now >= NEEDED or now == hard


@pytest.mark.parametrize("soft", [1 << 20, UNLIMITED])
def test_the_limit_is_not_lowered(monkeypatch: pytest.MonkeyPatch, soft: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, UNLIMITED))
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: pytest.fail(f"set to {to}"))
    allow_descriptors()
