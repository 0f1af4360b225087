"""A policy from a text, without a file system."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from outward.core import OutwardError, PolicyError, Problem, Request, canonical_path
from outward.policy import Policy, Registries, load, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

HOME = Path("/home/user")
FILE = Path("/etc/outward/policy.yaml")


class FakeRegistries:
    """Answers from a table, and remembers what it was asked."""

    def __init__(self, **urls: tuple[str, ...]) -> None:
        self.known = urls
        self.asked: list[str] = []

    def urls(self, client: str) -> tuple[str, ...]:
        self.asked.append(client)
        return self.known.get(client, ())

    def variables(self, client: str) -> dict[str, str]:
        return {f"{client}_registry": url for url in self.known.get(client, ())[:1]}


def make_policy(text: str, *, registries: Registries | None = None, **others: str) -> Policy:
    """Loads ``text``; ``others`` are further files, by name without the suffix."""
    files = {FILE: dedent(text)} | {FILE.with_name(f"{name}.yaml"): dedent(other) for name, other in others.items()}

    def read(path: Path) -> str:
        if path.parent.name == "presets":
            return read_text(path)
        if path not in files:
            raise OutwardError(f"{path} cannot be read: No such file or directory")
        return files[path]

    return load(FILE, registries=registries or FakeRegistries(), home=HOME, files=read)


def problems_of(text: str, **others: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as caught:
        make_policy(text, registries=None, **others)
    return caught.value.problems


def make_request(line: str, *, agent: str = "default", headers: Sequence[tuple[str, str]] = ()) -> Request:
    """``GET https://host/path?query`` as a request; the port is the scheme's own unless given."""
    method, _, url = line.partition(" ")
    scheme, _, rest = url.partition("://")
    authority, slash, target = rest.partition("/")
    host, _, port = authority.partition(":")
    path, _, query = target.partition("?")
    canonical, folded = canonical_path(slash + path)
    default = 443 if scheme == "https" else 80
    return Request(agent, method, scheme, host, int(port or default), canonical, folded, query, tuple(headers))


def one_host(**lines: Sequence[str]) -> Policy:
    """A policy of one destination, ``a.example``, with these rules: ``one_host(allow=["GET /x"])``."""
    rules = "".join(f"    {action}: {[*given]!r}\n" for action, given in lines.items())
    return make_policy(f"version: 1\ndestinations:\n  - host: a.example\n{rules}")
