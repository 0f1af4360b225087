"""Adding a rule to the text of a policy file.

The rule is put in where its list ends and nothing else is touched, so that comments, order and layout stay as they are.
The tree says where that is; whether the result is a policy is for the caller to find out, by loading it.
"""

from __future__ import annotations

import json
import re
from typing import Final, Literal

from outward.core import OutwardError, canonical_authority
from outward.core.records import NamedTuple
from outward.policy import texts
from outward.policy.tree import Mapping, Node, Scalar, Sequence, read_tree

_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_TARGET: Final = re.compile(r"(?P<methods>\S+) +(?:(?P<scheme>https?)://)?(?P<authority>[^/\s]+)(?P<path>/\S*)")
_METHODS: Final = re.compile(rf"\*|{texts.METHOD}(?:,{texts.METHOD})*")
_INDENT: Final = "  "


class Target(NamedTuple):
    """What a rule is about: ``METHODS [SCHEME://]HOST[:PORT]/PATH``."""

    scheme: str
    host: str
    port: int
    rule: str


def parse_target(text: str) -> Target:
    """Reads ``POST api.github.com/gists``. Raises :class:`OutwardError` or its kin."""
    match = _TARGET.fullmatch(text.strip())
    if match is None or not _METHODS.fullmatch(match["methods"]):
        raise OutwardError(
            f"{text!r} is not a rule",
            hint="Write METHODS HOST[:PORT]/PATH, for example 'GET,HEAD api.github.com/repos/**'.",
        )
    scheme = match["scheme"] or "https"
    authority = match["authority"]
    try:
        if authority.startswith("*."):
            # The wildcard of a host pattern is no part of an authority.
            host, port = canonical_authority(authority[2:], _DEFAULT_PORT[scheme])
            host = texts.host_pattern(f"*.{host}")
        else:
            host, port = canonical_authority(authority, _DEFAULT_PORT[scheme])
        _, path = texts.rule_line(f"{match['methods']} {match['path']}")
    except ValueError as error:
        raise OutwardError(f"{text!r} is not a rule: {error}") from None
    return Target(scheme, host, port, f"{match['methods']} {path}")


def add_rule(text: str, file: str, action: Literal["allow", "deny"], target: Target) -> str:
    """``text`` with the rule added; unchanged if it stands there already.

    Raises :class:`PolicyError` if ``text`` is not YAML, :class:`OutwardError` where there is no place for the rule.
    """
    root = read_tree(text, file)
    if not isinstance(root, Mapping):
        raise OutwardError(f"{file} is not a policy", hint="Run `outward policy validate`.")
    destinations = _value(root, "destinations")
    found = _destination(destinations, target) if isinstance(destinations, Sequence) else None
    if found is not None:
        return _into_destination(text, found, action, target.rule)
    entry = _new_destination(action, target)
    if destinations is None:
        return _append_block(text, root, f"destinations:\n{_indented(entry, _INDENT)}")
    if not isinstance(destinations, Sequence):
        raise OutwardError(f"the destinations of {file} are not a list", hint="Run `outward policy validate`.")
    if not destinations.flow:
        return _after(text, destinations, _indented(entry, " " * (destinations.start.column - 1)))
    if not destinations.items:
        return _replace(text, destinations, "\n" + _indented(entry, _INDENT).rstrip("\n"))
    fields = f"host: {_quoted(target.host)}{_where(target, ', ')}, {action}: [{_quoted(target.rule)}]"
    return _into_brackets(text, destinations, f"{{{fields}}}")


def _value(mapping: Mapping, key: str) -> Node | None:
    return next((value for name, value in mapping.pairs if name.text == key), None)


def _text(mapping: Mapping, key: str, default: str) -> str:
    value = _value(mapping, key)
    return value.text if isinstance(value, Scalar) else default


def _destination(destinations: Sequence, target: Target) -> Mapping | None:
    """The destination to which the rule belongs: of those at this host, one that injects is the one that is meant."""
    candidates = [item for item in destinations.items if isinstance(item, Mapping) and _is_at(item, target)]
    return next((item for item in candidates if _value(item, "inject") is not None), next(iter(candidates), None))


def _is_at(item: Mapping, target: Target) -> bool:
    if _value(item, "agents") is not None or _text(item, "tls", "intercept") != "intercept":
        return False
    scheme = _text(item, "scheme", "https")
    try:
        host = texts.host_pattern(_text(item, "host", ""))
    except (ValueError, OutwardError):
        return False
    port = _text(item, "port", str(_DEFAULT_PORT.get(scheme, 0)))
    return (host, scheme, port) == (target.host, target.scheme, str(target.port))


def _into_destination(text: str, destination: Mapping, action: str, rule: str) -> str:
    rules = _value(destination, action)
    if rules is None:
        if destination.flow:
            return _into_brackets(text, destination, f"{action}: [{_quoted(rule)}]")
        return _after(text, destination, f"{' ' * (destination.start.column - 1)}{action}: [{_quoted(rule)}]\n")
    if not isinstance(rules, Sequence):
        raise OutwardError(
            f"{action!r} in line {rules.start.line} is not a list", hint="Run `outward policy validate`."
        )
    if any(isinstance(item, Scalar) and item.text == rule for item in rules.items):
        return text
    if rules.flow:
        return _into_brackets(text, rules, _quoted(rule))
    return _after(text, rules, f"{' ' * (rules.start.column - 1)}- {_quoted(rule)}\n")


def _new_destination(action: str, target: Target) -> str:
    place = f"{_quoted(target.host)}{_where(target, chr(10) + _INDENT)}"
    return f"- host: {place}\n{_INDENT}{action}: [{_quoted(target.rule)}]\n"


def _where(target: Target, separator: str) -> str:
    scheme = f"{separator}scheme: http" if target.scheme == "http" else ""
    port = f"{separator}port: {target.port}" if target.port != _DEFAULT_PORT[target.scheme] else ""
    return scheme + port


def _quoted(text: str) -> str:
    """A YAML text: plain where it can be, for JSON's quotes are YAML's too."""
    return (
        text if re.fullmatch(r"[A-Za-z][\w.\-]*", text) and text not in {"true", "false", "null"} else json.dumps(text)
    )


def _indented(block: str, indent: str) -> str:
    return "".join(indent + line for line in block.splitlines(keepends=True))


def _last_line(node: Node) -> int:
    """The line in which a node really ends. The parser lets a block end where the next thing begins."""
    if isinstance(node, Scalar) or node.flow:
        # A block scalar ends at the start of the line behind it.
        return node.end.line - (node.end.column == 1 and node.end.line > node.start.line)
    inner = node.items if isinstance(node, Sequence) else [value for _, value in node.pairs]
    return _last_line(inner[-1]) if inner else node.start.line


def _after(text: str, block: Node, addition: str) -> str:
    """Puts whole lines behind the last line of a block."""
    lines = text.split("\n")  # as the parser counts, unlike splitlines()
    last = _last_line(block)
    return "\n".join((*lines[:last], addition.removesuffix("\n"), *(lines[last:] or [""])))


def _append_block(text: str, root: Mapping, addition: str) -> str:
    if root.flow:
        raise OutwardError("the policy file is written in braces; give it a list of destinations first")
    return text.rstrip("\n") + "\n\n" + addition


def _into_brackets(text: str, node: Sequence | Mapping, addition: str) -> str:
    """Puts an item behind the last one in brackets or braces, before whatever layout the closing one has."""
    inner = node.items if isinstance(node, Sequence) else [value for _, value in node.pairs]
    if not inner:
        at = node.end.offset - 1
        return text[:at] + addition + text[at:]
    at = inner[-1].end.offset
    return f"{text[:at]}, {addition}{text[at:]}"


def _replace(text: str, node: Node, replacement: str) -> str:
    """Puts a block in place of an empty pair of brackets, and of the spaces before it."""
    return text[: node.start.offset].rstrip(" ") + replacement + text[node.end.offset :]
