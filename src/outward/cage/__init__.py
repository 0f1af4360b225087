"""The network of a sandbox: a namespace with nothing in it but sockets of ours.

A *cage* is a network namespace in which only ``lo`` exists. A child of ours enters it, *plumbs* it (every address leads to
itself, the packet filter brings all TCP and DNS to sockets that it opens there), and passes their descriptors out (unix(7),
SCM_RIGHTS). The gateway accepts outside what was dialled inside. There is no route out, no bridge, no relay process and no
socket file: the descriptors are the only connection, and where nobody has them any more connections are refused.

:class:`Enclosure` makes a namespace; in a :class:`Cage` it has a child that becomes the sandbox's launcher. :func:`enter` makes a
cage of a namespace that somebody else has made. Both give the same :class:`Sockets`.
"""

from outward.cage.cage import Cage
from outward.cage.command import Command
from outward.cage.enclosure import Enclosure
from outward.cage.entering import enter
from outward.cage.handing import obstacles
from outward.cage.ports import DNS_PORT, MODULES, PLAIN_PORTS, PORT
from outward.cage.sockets import Sockets

__all__ = [
    "DNS_PORT",
    "MODULES",
    "PLAIN_PORTS",
    "PORT",
    "Cage",
    "Command",
    "Enclosure",
    "Sockets",
    "enter",
    "obstacles",
]
