"""Our named tuples and Python's: whatever is done with them, the outcome is the same."""

from __future__ import annotations

import ast
import copy
import inspect
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from outward.core import records

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def classes(base: Any) -> tuple[Any, Any, Any]:
    class Point(base):  # type: ignore[misc]
        """Two numbers and a name."""

        x: int
        y: int = 2
        name: Nowhere = None  # type: ignore[name-defined]  # noqa: F821 (types are nobody's business)

        @property
        def sum(self) -> int:
            return self.x + self.y

        def __str__(self) -> str:
            return "a point"

    class Empty(base):  # type: ignore[misc]
        pass

    class Box(base, Generic[T]):  # type: ignore[misc]
        content: T

        def __repr__(self) -> str:
            return "a box"

    return Point, Empty, Box


OURS, THEIRS = classes(records.NamedTuple), classes(typing.NamedTuple)
POINT = OURS[0]


def outcome(deed: Callable[..., object], of: tuple[Any, Any, Any]) -> tuple[object, str]:
    try:
        got = deed(*of)
    except (TypeError, ValueError, AttributeError) as error:
        return type(error), str(error)
    return got, ""


@pytest.mark.parametrize(
    "deed",
    [
        lambda point, empty, box: repr(point(1)),
        lambda point, empty, box: str(point(1)),
        lambda point, empty, box: repr(box(1)),
        lambda point, empty, box: (repr(empty()), len(empty())),
        lambda point, empty, box: (point(1).x, point(1).y, point(1, name="n").name, point(1).sum),
        lambda point, empty, box: tuple(point(x=1, y=3)),
        lambda point, empty, box: (point(1) == (1, 2, None), hash(point(1)) == hash((1, 2, None))),
        lambda point, empty, box: (point._fields, point.__match_args__, point.__doc__, point.__name__),
        lambda point, empty, box: tuple(point(1)._replace(y=5)),
        lambda point, empty, box: point(1)._asdict(),
        lambda point, empty, box: tuple(point._make([4, 5, 6])),
        lambda point, empty, box: type(copy.copy(point(1))) is point,
        lambda point, empty, box: repr(copy.deepcopy(point([1]))),
        lambda point, empty, box: box[int](3).content,
        lambda point, empty, box: [*inspect.signature(point).parameters],
        lambda point, empty, box: type(point) is type,
        lambda point, empty, box: isinstance(point(1), tuple),
        lambda point, empty, box: point(),
        lambda point, empty, box: point(1, 2, 3, 4),
        lambda point, empty, box: point(1, z=1),
        lambda point, empty, box: empty(1),
        lambda point, empty, box: setattr(point(1), "x", 2),
        lambda point, empty, box: delattr(point(1), "x"),
    ],
)
def test_they_do_the_same(deed: Callable[..., object]) -> None:
    assert outcome(deed, OURS) == outcome(deed, THEIRS)


@pytest.mark.parametrize("deed", [lambda point: point(1)._replace(z=1), lambda point: point._make([])])
def test_what_python_refuses_is_refused(deed: Callable[..., object]) -> None:
    for point in (OURS[0], THEIRS[0]):
        with pytest.raises((TypeError, ValueError)):
            deed(point)


def test_nothing_can_be_added() -> None:
    for point in (OURS[0], THEIRS[0]):
        with pytest.raises(AttributeError, match="no attribute 'z'"):
            point(1).z = 1


def test_they_match() -> None:
    match POINT(1, 2, "n"):
        case POINT(x, y, name):
            assert (x, y, name) == (1, 2, "n")


def test_nobody_uses_the_slow_ones() -> None:
    sources = sorted((Path(__file__).parents[3] / "src").rglob("*.py"))
    slow = [
        source.name
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "typing"
        and "NamedTuple" in {name.name for name in node.names}
    ]
    assert slow == ["records.py"]
