"""Named tuples for a program that has to start quickly.

:class:`typing.NamedTuple` takes 0.2 ms for each class: it compiles a constructor, and the type of every field, since types
are strings here. Some sixty classes are made before a sandbox is. These are the same tuples, to those who use them as to a type
checker, which knows no other; but a constructor is compiled once for each number of fields, and types are left alone.
"""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]
from functools import cache
from sys import intern
from types import FunctionType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType

__all__ = ["NamedTuple"]


class _Tuple(tuple[Any, ...]):
    """What all of them can do, as :func:`collections.namedtuple` describes it."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Self:
        return cls(*values)

    def _replace(self, /, **changes: object) -> Self:
        return type(self)(**{**self._asdict(), **changes})

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"


class _Meta(type):
    """Makes the base. What is derived from that is of :class:`type`, and a tuple."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        if not bases:
            return super().__new__(cls, name, bases, namespace)
        fields = tuple(map(intern, namespace.get("__annotations__", ())))
        defaults = tuple(namespace.pop(field) for field in fields if field in namespace)  # of the last: mypy sees to it
        code = _constructor(len(fields)).replace(co_varnames=("_cls", *fields))
        new = FunctionType(code, {"_new": tuple.__new__}, "__new__", defaults)
        new.__qualname__ = f"{name}.__new__"
        namespace.update(zip(fields, map(_getter, range(len(fields))), strict=True))
        namespace.update(__slots__=(), __match_args__=fields, __new__=new, _fields=fields)
        return type(name, (_Tuple, *bases[1:]), namespace)


@cache
def _constructor(fields: int) -> CodeType:
    names = "".join(f" _{number}," for number in range(fields))
    code: CodeType = eval(f"lambda _cls,{names}: _new(_cls, ({names}))").__code__  # noqa: S307 (only numbers are filled in)
    return code


@cache
def _getter(number: int) -> object:
    return _tuplegetter(number, f"Field {number}.")


if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class NamedTuple(metaclass=_Meta):
        """The base of all."""
