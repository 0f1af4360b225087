"""The network of a sandbox: a namespace with nothing in it but sockets of ours.

A *cage* is a network namespace in which only ``lo`` exists. A child of ours enters it, opens the *listeners* inside, and
passes their descriptors out (unix(7), SCM_RIGHTS); then it becomes the sandbox. The gateway accepts outside what was dialled
inside. There is no route, no bridge, no relay process and no socket file: the descriptor is the only connection, and a
gateway that is gone means ECONNREFUSED.
"""

from outward.cage.cage import Cage
from outward.cage.command import Command
from outward.cage.inside import PORT

__all__ = ["PORT", "Cage", "Command"]
