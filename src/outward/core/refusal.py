"""A refused request, and the command that a person could allow it with."""

from __future__ import annotations

from typing import Final

from outward.core.canonical import authority
from outward.core.records import NamedTuple
from outward.core.verdict import Code

_LIFTED_BY_A_RULE: Final = frozenset(
    # Nothing denied these and nothing allowed them. For any other code a rule would be wrong, or would not help.
    {Code.HOST_NOT_ALLOWED, Code.PORT_NOT_ALLOWED, Code.METHOD_NOT_ALLOWED, Code.PATH_NOT_ALLOWED}
)


class Refusal(NamedTuple):
    """What was refused, and why. ``path`` is canonical and without query; empty for a refused CONNECT.

    Of a question for a name the method is ``DNS``, with a type of record where it is not asked for addresses; the port is 0.
    """

    code: str
    method: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """``host[:port]``; empty where the host is not known."""
        return authority(self.host, self.port, self.scheme) if self.port else self.host

    @property
    def allow_command(self) -> str:
        """The command that allows exactly this request; empty where no rule would, or none that is safe to suggest.

        The words come from the sandbox and the person will paste them into a shell. A star would be a pattern in a rule:
        whoever sends one must not get a person to allow more than was asked for. A refused CONNECT has no path, and what
        would be asked through it is not known: reading is the modest guess. Likewise where a name was asked for.
        """
        if self.code not in _LIFTED_BY_A_RULE or not self.host:
            return ""
        if not self.port and self.method != "DNS":
            return ""
        method, path = (self.method, self.path) if self.path else ("GET,HEAD", "/**")
        if "*" in self.path or not self.path.isascii() or not self.path.isprintable():
            return ""
        import shlex  # here: most sessions refuse nothing

        scheme = "http://" if self.scheme == "http" else ""
        return f"outward policy allow {shlex.quote(f'{method} {scheme}{self.authority}{path}')}"
