"""How soon the place of a dead worker is taken: decisions without a clock."""

from __future__ import annotations

from outward.server.backoff import LONGEST, SETTLED, Backoff


def test_the_first_is_replaced_at_once() -> None:
    assert Backoff().after(0.0) == 0.0
    assert Backoff().after(SETTLED * 100) == 0.0


def test_who_keeps_dying_is_waited_for_longer_and_longer() -> None:
    backoff = Backoff()
    assert [backoff.after(1.0) for _ in range(9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST]


def test_it_never_ends() -> None:
    backoff = Backoff()
    assert {backoff.after(0.0) for _ in range(3000)} >= {LONGEST}
    assert backoff.after(0.0) == LONGEST


def test_who_served_for_long_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.0)
    assert backoff.after(SETTLED - 1) > 1.0
    assert backoff.after(SETTLED) == 0.0
    assert backoff.after(0.0) == 0.5
