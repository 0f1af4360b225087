"""Control groups: what the kernel holds a group of processes to, all of them together.

A *place* is where groups can be made on this machine: directories of the control group file systems that we may write (version 1
or 2), or systemd, which makes a transient scope. A *confined* process takes all that it starts with it into its group. The group
is removed at the end; one that was left behind by a process that was killed is removed at the next start.
"""

from outward.isolation.cgroups.groups import CONTROLLERS
from outward.isolation.cgroups.held import lacking
from outward.isolation.cgroups.nowhere import Nowhere
from outward.isolation.cgroups.place import Place, managed, survey

__all__ = ["CONTROLLERS", "Nowhere", "Place", "lacking", "managed", "survey"]
