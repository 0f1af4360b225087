"""What ``outward secret list`` shows: the policy, the local store and the journal, put together by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from outward.audit.reading import Reader
from outward.audit.usage import Usage, usage
from outward.core.display import printable
from outward.credentials.captured import PREFIX
from outward.credentials.store import CAPTURED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from outward.credentials.local.store import Entry
    from outward.policy import Policy

_COLUMNS: Final = "{name:<20} {kept:<32} {set:<11} {last:<17} {destinations}"
_SHOWN_LEAKS: Final = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One secret. ``source`` is that of the policy, empty for what no policy uses; ``local`` what it is called in the store,
    ``home`` where that keeps it, ``set`` since when.
    """

    name: str
    source: str = ""
    local: str = ""
    home: str = ""
    set: str = ""
    usage: Usage = field(default_factory=Usage)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "source": self.source or None,
            "local_name": self.local or None,
            "kept": self.home or None,
            "set": self.set or None,
            "last_use": self.usage.last or None,
            "destinations": self.usage.destinations,
            "leaks": [asdict(leak) for leak in self.usage.leaks],
        }


def rows(policy: Policy, entries: Mapping[str, Entry], journal: Path) -> list[Row]:
    """By name: those of the policy, then what else is kept here, then what only the journal still knows."""
    used = usage(Reader(journal).read())
    found: list[Row] = []
    for name, spec in sorted(policy.secrets.items()):
        if spec.source == CAPTURED and (own := captured_as(name, entries)):
            use = used.pop(name, Usage())
            found += [Row(name, spec.source, entry.name, entry.home, entry.set, use) for entry in own]
            continue
        local = str(spec.argument) if spec.source == "keyring" and isinstance(spec.argument, str) else ""
        entry = entries.get(local)
        kept = (entry.home, entry.set) if entry else ("", "")
        found.append(Row(name, spec.source, local, *kept, used.pop(name, Usage())))
    taken = {row.local for row in found}
    for entry in entries.values():
        if entry.name not in taken:
            found.append(Row(entry.name, "", entry.name, entry.home, entry.set, used.pop(entry.name, Usage())))
    found += [Row(name, usage=one) for name, one in sorted(used.items())]
    return found


def captured_as(name: str, entries: Mapping[str, Entry]) -> list[Entry]:
    """What agents have captured under this name."""
    return [
        entry for entry in entries.values() if entry.name.startswith(PREFIX) and entry.name.rpartition("/")[2] == name
    ]


def table(found: Iterable[Row]) -> str:
    """For people; each leak on a line of its own below its secret."""
    lines = [_COLUMNS.format(name="NAME", kept="KEPT", set="SET", last="LAST USE", destinations="WENT TO")]
    for row in found:
        hosts = sorted(row.usage.destinations, key=lambda host: -row.usage.destinations[host])
        text = _COLUMNS.format(
            name=row.name,
            kept=_kept(row),
            set=row.set[:10] or "-",
            last=row.usage.last[:16].replace("T", " ") or "never",
            destinations=", ".join(hosts) or "-",
        )
        lines.append(printable(text.rstrip()))
        lines += _leaks(row.usage)
    return "\n".join(lines)


def _kept(row: Row) -> str:
    if row.source == CAPTURED and not row.local:
        return "nothing yet: log in inside"
    if row.local and not row.home:
        return f"nowhere: outward secret set {row.local}"
    if row.home:
        return row.home + (f" as {row.local}" if row.local != row.name else "") + ("" if row.source else " (unused)")
    return row.source or "(not in the policy)"


def _leaks(one: Usage) -> Iterable[str]:
    for leak in one.leaks[-_SHOWN_LEAKS:]:
        moment = leak.time[:16].replace("T", " ")
        yield printable(
            f"  LEAK {'passed' if leak.passed else 'refused'} {moment}: {leak.agent or 'a client'} sent its placeholder"
            f" to {leak.host or 'somewhere'}"
        )
    if (more := len(one.leaks) - _SHOWN_LEAKS) > 0:
        yield f"  and {more} more: outward log --denied"
