"""What ``inject`` of a destination means: its injections, one by one and together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from outward.core import Injection
from outward.core.canonical import folded_name
from outward.policy.texts import SecretName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from outward.policy.shapes import Reading, Value

_SIGNED: Final = {
    # By form: what it writes besides `authorization`.
    "sigv4": {"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"},
}
_PARAMETERS_OF: Final = {"sigv4": "x-amz-", "oauth1": "oauth_"}
"""By form: how the names of parameters begin that are its own."""


def build(items: Iterable[Value], refer: Callable[[str, Value], None], reading: Reading) -> tuple[Injection, ...]:
    """The injections of a destination. ``refer`` is told of each secret that one names, and where."""
    injections: list[Injection] = []
    written: set[str] = set()
    for item in items:
        injection = _injection(item, refer)
        for thing in _written(injection, injections) & written:
            reading.problem(item.node, item.path, f"another injection of this destination sets {thing} already")
        written |= _written(injection, injections)
        injections.append(injection)
        if (injection.signs or "body" in injection.places) and _sign_what_is_swapped(injections):
            message = "a body that is signed cannot be changed: no placeholder is swapped in it"
            reading.problem(item.node, item.path, message, accepted="in: [header, basic, query]")
    return tuple(injections)


def _sign_what_is_swapped(injections: Iterable[Injection]) -> bool:
    return {True, False} <= {
        injection.signs for injection in injections if injection.signs or "body" in injection.places
    }


def replaces(injections: Iterable[Injection], parameter: str) -> bool:
    """Whether one of them writes, or takes away, what the client sends under this name in the query."""
    folded = folded_name(parameter)
    return any(
        folded == folded_name(injection.name)
        if injection.form == "query"
        else injection.signs and folded.startswith(_PARAMETERS_OF[injection.form])
        for injection in injections
    )


def _injection(item: Value, refer: Callable[[str, Value], None]) -> Injection:
    if "placeholder" in item.data:
        refer(item.get("placeholder"), item.data["placeholder"])
        given = (place.data for place in item.data["in"].data) if "in" in item.data else ("header", "basic")
        return Injection("placeholder", (item.get("placeholder"),), places=frozenset(given))
    if "basic" in item.data:
        basic = item.data["basic"]
        refer(basic.get("secret"), basic.data["secret"])
        return Injection("basic", (basic.get("secret"),), username=basic.get("username"))
    if "sigv4" in item.data:
        return _signing("sigv4", item.data["sigv4"], refer)
    if "oauth1" in item.data:
        return _signing("oauth1", item.data["oauth1"], refer)
    if "value" in item.data:
        text, names = item.get("value")
        for name in names:
            refer(name, item.data["value"])
        return Injection("header", names, name=item.get("header"), template=text)
    secret = item.get("secret")
    refer(secret, item.data["secret"])
    if "query" in item.data:
        return Injection("query", (secret,), name=item.get("query"))
    if "cookie" in item.data:
        return Injection("cookie", (secret,), name=item.get("cookie"))
    return Injection("header", (secret,), name=item.get("header"), template=f"{{{secret}}}")


def _signing(form: Literal["sigv4", "oauth1"], value: Value, refer: Callable[[str, Value], None]) -> Injection:
    named = [key for key, item in value.data.items() if isinstance(item.data, SecretName)]
    for key in named:
        refer(str(value.get(key)), value.data[key])
    settings = tuple((key, str(value.get(key))) for key in sorted(value.data))
    secrets = tuple(dict.fromkeys(str(value.get(key)) for key in named))
    return Injection(form, secrets, settings=settings)


def _written(injection: Injection, others: Sequence[Injection]) -> set[str]:
    """What an injection puts into a request, and no other can put there as well. Cookies share a header among them."""
    if injection.form == "query":
        return {f"the parameter {folded_name(injection.name)!r}"}
    if injection.form == "cookie" and all(other.form == "cookie" for other in others if other.sets == "cookie"):
        return {f"the cookie {folded_name(injection.name)!r}"}
    if injection.sets == "cookie":
        return {"'cookie'", *(f"the cookie {folded_name(other.name)!r}" for other in others if other.form == "cookie")}
    also = _SIGNED.get(injection.form, set())
    return set() if injection.sets is None else {repr(name) for name in {injection.sets, *also}}
