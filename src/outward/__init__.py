"""Outward lets AI coding agents work without ever holding your secrets.

The vocabulary, from the inside out:

* A *Request* is one canonical HTTP request: what is matched is what is sent (``outward.core``).
* A *Policy* is the compiled form of the policy file. ``policy.decide(request)`` gives the *Verdict*, and is the only
  semantics: the gateway, ``check`` and everything else call it (``outward.policy``).
* A *Destination* is a host with its *Rules* (allow, ask, deny) and its *Injections* (which secret goes where).
* A *Secret* is a value that never prints itself. A *Placeholder* is its stand-in inside the sandbox: same shape, no
  power; on its way to the right destination it is swapped, anywhere else it is a canary (``outward.credentials``).
* The *Authority* is our own certificate authority; only the sandbox trusts it (``outward.pki``).
* The *Journal* is the truth about what happened: append-only, hash-chained JSON lines (``outward.audit``).
* The *Gateway* accepts, terminates TLS, decides, injects, forwards, redacts and records (``outward.gateway``).
* The *Cage* is a network namespace whose only reachable endpoints are listening sockets handed to the gateway
  outside (``outward.cage``); *isolation* is what confines the processes, *workspace* what they see of the disk.
* A *Session* is one ``outward run``; a *Server* is one ``outward serve``.
"""

from typing import Final

__version__: Final = "0.1.0"
