"""One ``serve``: a gateway with listeners of its own, until it is told to stop.

* The *plan* says what to listen on; each *listener* is a socket and the front that knows what its clients speak.
* The *service* is one gateway in one event loop, under orders: to take a policy over, to stop, to hurry.
* A serve of one process is a :class:`Server`: its service takes its orders from signals.
* A serve of several is a :class:`Supervisor` with *workers*: processes with a service each, which share the listeners. The
  supervisor takes the signals, reads the policy, and takes care that there are always as many workers as were asked for.
"""

from outward.server.alone import Server
from outward.server.listening import Plan, Reverse, parse_reverse

__all__ = ["Plan", "Reverse", "Server", "parse_reverse"]
