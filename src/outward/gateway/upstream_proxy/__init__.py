"""The way out through a proxy of somebody else, a company's for example.

* The *choice* says which proxy leads to a destination, and with which credentials (:mod:`.choice`).
* A *negotiation* is the conversation in which a proxy is asked for a tunnel (:mod:`.negotiation`): by HTTP's CONNECT
  (:mod:`.connect`) or by SOCKS (:mod:`.socks`).
* *Forwarding* is what proxies do with plain HTTP instead: the request names its server, and the proxy sends it on
  (:mod:`.forwarding`).
"""

from outward.gateway.upstream_proxy.choice import Login, ProxyChoice
from outward.gateway.upstream_proxy.forwarding import Forwarding
from outward.gateway.upstream_proxy.negotiation import Negotiation, ask_for_tunnel

__all__ = ["Forwarding", "Login", "Negotiation", "ProxyChoice", "ask_for_tunnel"]
