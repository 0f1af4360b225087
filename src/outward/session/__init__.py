"""One ``outward run``: from a command and a policy to an exit status.

*Options* say what is wanted. A *preparation* decides everything that can be decided before anything is started: the view,
the environment, the ordered operations; printing it is the dry run. :func:`run` then opens the journal, the cage and the
gateway around the *supervised* command, and gives the *outcome*.
"""

from outward.session.options import Options
from outward.session.preparation import CommandUnavailable, Preparation
from outward.session.running import Outcome, assemble, run

__all__ = ["CommandUnavailable", "Options", "Outcome", "Preparation", "assemble", "run"]
