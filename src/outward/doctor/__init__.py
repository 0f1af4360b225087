"""What this machine can do, found out by doing it.

A *finding* is one line: what was looked at, whether it is good, what was found, and the way out where it is not. About the
*machine* they are read from the kernel. A *backend* works if it runs a command. A *client* is run in a sandbox against a
*stand-in*, a server of our own outside: it trusts our certificates if its request arrives over TLS, and reaches the gateway if it
arrives at all.

What is run is the real command line (a *trial*), in a process of its own: what a person would see is what counts.
"""

from outward.doctor.backends import try_backends
from outward.doctor.clients import CLIENTS, Client, try_clients
from outward.doctor.finding import Finding
from outward.doctor.machine import look_at_machine
from outward.doctor.trial import Trials

__all__ = ["CLIENTS", "Client", "Finding", "Trials", "look_at_machine", "try_backends", "try_clients"]
