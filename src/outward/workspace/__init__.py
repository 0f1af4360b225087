"""What a sandbox sees of the user's files.

The *view* is made of *exposures* (a path shown at its own place, read-only or writable), *hidden* paths (covered by
something empty), *fixed* paths (shown, but read-only although what surrounds them is writable) and *links*. It holds the
workspace, further paths that the policy names, and the *tool chains* on the caller's PATH. What is hidden and fixed is data
(:mod:`outward.workspace.hidden`, :mod:`outward.workspace.fixed`).

What would take effect outside and does not exist is *guarded*: *stand-ins* keep its place, and what comes into being
elsewhere is *set aside*.

In review mode a *layer* of the session's own lies over the workspace and takes what is written. What is hidden is *masked*
there: it does not exist. The *changes* of a layer are *applied* to the workspace or *discarded* later.
"""

from outward.workspace.guard import Guarded
from outward.workspace.kept import Kept, Masked, Root
from outward.workspace.scan import Hidden
from outward.workspace.view import Exposure, View, Wanted, plan

__all__ = ["Exposure", "Guarded", "Hidden", "Kept", "Masked", "Root", "View", "Wanted", "plan"]
