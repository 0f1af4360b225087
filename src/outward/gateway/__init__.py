"""The gateway: accepts, terminates TLS, decides, injects, forwards, redacts and records.

* A *listener* accepts; its *front* is what is spoken before there is HTTP: explicit proxy, SOCKS5, transparent, reverse.
* A *route* knows where a connection leads and turns a request's target into one destination.
* A *client connection* makes an *exchange* of each request. The exchange follows the steps of the design: one canonical
  request, ``decide``, the journal, the credentials, an *upstream connection* from the *pool* or the *dialler*, the
  scrubbed answer, the journal.
* A *denial* is the typed refusal that the client sees.
* A *tunnel* is a connection whose octets are not ours to read.
"""

from outward.gateway.denial import Denial
from outward.gateway.fronts import ProxyFront, ReverseFront, SocksFront, TransparentFront
from outward.gateway.gateway import Gateway
from outward.gateway.routes import ReverseRoute

__all__ = ["Denial", "Gateway", "ProxyFront", "ReverseFront", "ReverseRoute", "SocksFront", "TransparentFront"]
