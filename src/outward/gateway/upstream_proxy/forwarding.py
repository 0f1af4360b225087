"""Plain HTTP through a proxy: requests in absolute-form (RFC 9112 §3.2.2).

Not by CONNECT, which most proxies grant to port 443 alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import UpstreamError
from outward.gateway.upstream_proxy.connect import refused

if TYPE_CHECKING:
    from outward.core import Proxy
    from outward.credentials.scrub import Scrubber
    from outward.gateway.upstream_proxy.choice import Login


class Forwarding:
    """What a request needs in addition on a connection to a proxy that sends it on.

    The credentials are the proxy's, but it may pass them on to a server that shows them: they are scrubbed like any other.
    """

    def __init__(self, proxy: Proxy, login: Login | None) -> None:
        self._proxy: Final = proxy
        self._login: Final = login
        self.lines: Final = () if login is None else (("proxy-authorization", login.basic),)
        self._scrubber: Final = None if login is None else _scrubber(login)
        self._joined: tuple[Scrubber, Scrubber] | None = None

    def unauthorized(self) -> UpstreamError:
        """What an answer of 407 means. It is the proxy's, about us: the client would take it for ours, about itself."""
        error = refused(407, "", self._login)
        return UpstreamError(f"the proxy {self._proxy} {error.message}", hint=error.hint)

    @property
    def scrubs(self) -> bool:
        """Whether answers are scrubbed, whatever the destination says."""
        return self._scrubber is not None

    def scrubber(self, other: Scrubber | None) -> Scrubber | None:
        """What takes the proxy's credentials out of an answer, and what ``other``, the destination's, takes out."""
        if self._scrubber is None or other is None:
            return self._scrubber or other
        if self._joined is None or self._joined[0] is not other:  # to make one takes longer than most answers
            self._joined = other, self._scrubber.joined(other)
        return self._joined[1]


def _scrubber(login: Login) -> Scrubber:
    from outward.credentials.placeholders import make_placeholder  # here: few proxies are logged in to in the clear
    from outward.credentials.scrub import Scrubber

    value = login.password.reveal() or login.username  # a token may stand in either place
    return Scrubber([(value, make_placeholder(value.decode("latin-1")).encode("latin-1"))])
