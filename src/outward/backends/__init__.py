"""What a sandbox is built with: one module a *backend*.

A backend takes a *spec* (what is to be started, and how it is wired to its caller), builds a sandbox in a cage, and gives it as
a running *sandbox*: the cage's sockets for the gateway, its end, and the way for signals. ``probe`` says what it can do on this
machine. All see the same view: the operations are values, and each backend reads them in its own way.

A new one is a module here and a line in :mod:`outward.backends.registry`.
"""

from outward.backends.protocol import Backend, Capabilities, Place, Sandbox, Spec
from outward.backends.registry import BACKENDS, find

__all__ = ["BACKENDS", "Backend", "Capabilities", "Place", "Sandbox", "Spec", "find"]
