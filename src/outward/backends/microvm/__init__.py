"""A virtual machine of QEMU's, which itself runs in the process sandbox, in a cage.

The machine has a kernel of its own, mounts the view by 9p, and reaches the network through QEMU's sockets, which are in the
cage. Whoever breaks out of it is where a command of the bubblewrap backend is.
"""

from outward.backends.microvm.backend import accelerated, find

__all__ = ["accelerated", "find"]
