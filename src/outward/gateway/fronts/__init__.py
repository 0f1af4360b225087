"""The fronts: what is spoken on an accepted connection before there is HTTP (docs/architecture.md, steps 1 to 3).

* :class:`ProxyFront` takes CONNECT and absolute-form HTTP, :class:`SocksFront` SOCKS5. Both are told a host.
* :class:`TransparentFront` gets connections that were meant for somebody else, and is told nothing.
* :class:`ReverseFront` stands for one server and speaks plain HTTP.

They share the *identity* of a listener's clients, the *opening* of a connection to a host that was named (decide, then pass
through or intercept), and the *handover* to HTTP.
"""

from outward.gateway.fronts.proxy import ProxyFront
from outward.gateway.fronts.reverse import ReverseFront
from outward.gateway.fronts.socks import SocksFront
from outward.gateway.fronts.transparent import TransparentFront

__all__ = ["ProxyFront", "ReverseFront", "SocksFront", "TransparentFront"]
