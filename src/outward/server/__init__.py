"""One ``serve``: a gateway with listeners of its own, until it is told to stop.

* The *plan* says what to listen on; each *listener* is a socket and the front that knows what its clients speak.
* The *service* is one gateway in one event loop, under orders: to take a policy over, to stop, to hurry.
"""

from outward.server.alone import Server
from outward.server.listening import Plan, Reverse, parse_reverse

__all__ = ["Plan", "Reverse", "Server", "parse_reverse"]
