"""The agents that are known by name, as data.

A *profile* says how to recognise an agent's command, which preset of the policy fits it, which variables make it behave in
a sandbox, and which *seeds* its home needs so that it starts without asking: files, merged into what is there. *Managed* files
are settings that come from the system, which nothing inside can change. Each agent has a *home* for each project,
into which a *log-in* from outside can be brought along.
"""

from outward.agents.homes import home_of
from outward.agents.logins import bring_along
from outward.agents.managed import managed_files
from outward.agents.profiles import PROFILES, Profile, profile_of
from outward.agents.seeds import Seed, Seeding, plant

__all__ = ["PROFILES", "Profile", "Seed", "Seeding", "bring_along", "home_of", "managed_files", "plant", "profile_of"]
