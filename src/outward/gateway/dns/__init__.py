"""Names in a cage: answered by us, from the policy, without asking anybody.

Whoever resolves a name before it connects would otherwise find nothing, or have to be given a resolver, which is a way out: a
question is a message to whoever serves the name. Here a *question* (RFC 1035) for a name that the policy knows is answered with
an *address* of a private pool, which stands for the name from then on; any other name does not exist. What is dialled then
comes to the transparent front, which turns the address back into the name and has it judged: SSH and everything else that
never says where it is going, too. The real name is resolved by the gateway, when it dials.
"""

from outward.gateway.dns.addresses import Addresses
from outward.gateway.dns.resolver import Resolver
from outward.gateway.dns.serving import DnsFront, Questions

__all__ = ["Addresses", "DnsFront", "Questions", "Resolver"]
