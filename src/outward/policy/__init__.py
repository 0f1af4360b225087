"""The policy: one YAML file that says what an agent may reach, with which credential, and what it sees of the disk.

* A *policy file* is read into a *tree* of nodes that know their line and column (:mod:`.tree`).
* Each field has a *shape* in one table (:mod:`.fields`): validation, error texts, JSON Schema and reference follow from it.
* *Building* gives meaning to fields together (:mod:`.build`); *loading* follows ``use`` and collects all problems
  (:mod:`.load`); destinations that contradict each other are *conflicts* (:mod:`.conflicts`).
* A :class:`Policy` is compiled once (:mod:`.decide`). ``policy.decide(request)`` is pure and total, and the only
  semantics there is.
* The *sources* of a policy are all that it was made from: from the same sources any process makes the same policy.
* A *preset* is a policy file that comes with the program (``presets/*.yaml``).

Nothing here touches a socket, the clock, the environment or a process; files are read by a function that is passed in.
"""

from outward.policy.load import load, read_text
from outward.policy.model import (
    AgentSpec,
    Policy,
    Registries,
    SandboxSpec,
    SecretSpec,
    WorkspaceSpec,
)
from outward.policy.sources import Sources, gather

__all__ = [
    "AgentSpec",
    "Policy",
    "Registries",
    "SandboxSpec",
    "SecretSpec",
    "Sources",
    "WorkspaceSpec",
    "gather",
    "load",
    "read_text",
]
