"""What a policy is once it has been read: immutable, checked, compiled."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from outward.core import Limits
from outward.core.records import NamedTuple
from outward.policy.decide import Decider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Destination, Proxy, Request, Verdict


class Registries(Protocol):
    """Where the package managers of this machine fetch from."""

    def urls(self, client: str) -> tuple[str, ...]:
        """Base URLs from the configuration of ``npm``, ``pip``, ``cargo`` or ``apt``; empty where none is found."""
        ...

    def variables(self, client: str) -> Mapping[str, str]:
        """What makes the client use the same inside the sandbox, where its configuration is not in view."""
        ...


_LOG_IN_FILES: Final = {"kubernetes": "kubeconfig", "vault": "jwt"}
"""By source: the setting that names a file with a log-in in it."""


class SecretSpec(NamedTuple):
    """Where a secret comes from; never its value.

    ``argument`` belongs to ``source``: a variable's name (``env``), an absolute path (``file``), an argument list
    (``command``), and for sources with settings the pairs of them, sorted (:attr:`settings`); it says all of what is asked
    for, so that two secrets with the same source and argument are fetched together. ``part`` names the field that this one
    is of what is fetched, ``None`` where it is the whole. ``needs`` are the other secrets that the source needs for it.

    ``ttl`` is in seconds, ``None`` for the source's own. ``expose`` is the variable of the sandbox that receives the
    placeholder, ``placeholder`` its fixed text.
    """

    name: str
    source: str
    argument: str | Path | tuple[Any, ...]
    ttl: float | None = None
    expose: str | None = None
    placeholder: str | None = None
    part: str | None = None
    needs: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a source that has some, by name: texts, numbers, paths; lists are tuples, mappings pairs."""
        assert isinstance(self.argument, tuple), "only sources with settings are asked for them"
        return dict(self.argument)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the policy's that hold the value, or the log-in to get it with: nothing for a sandbox."""
        if self.source == "file":
            return (Path(str(self.argument)),)
        named = _LOG_IN_FILES.get(self.source)
        return (self.settings[named],) if named is not None and named in self.settings else ()


class AgentSpec(NamedTuple):
    """An agent that names itself to a gateway: its proxy password is the value of ``secret``."""

    name: str
    secret: str


class WorkspaceSpec(NamedTuple):
    """What the sandbox sees of the workspace. ``hide`` adds globs to the built-in list, ``show`` makes exceptions.

    ``allow_write`` are globs of what the agent may write although it takes effect outside.
    """

    mode: Literal["write", "read", "review"] = "write"
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    allow_write: tuple[str, ...] = ()


class SandboxSpec(NamedTuple):
    """How processes are confined, and what they see besides the workspace. Paths are absolute."""

    backend: Literal["bubblewrap", "docker", "podman", "gvisor", "microvm", "none"] = "bubblewrap"
    seccomp: Literal["default", "nested"] = "default"
    limits: Limits = Limits()
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    tools: Literal["path", "system"] = "path"
    env_set: Mapping[str, str] = MappingProxyType({})
    env_pass: tuple[str, ...] = ()


_WORKSPACE: Final = WorkspaceSpec()
_SANDBOX: Final = SandboxSpec()


class Policy:
    """A policy, compiled once. An empty one denies everything.

    ``proxy`` is what the file says for all destinations; each has been given it, or has its own. ``files`` are all files
    that were read, which no sandbox may see writable. ``warnings`` are for a person to read; none of them makes the policy
    wider. ``registry_variables`` tell the package managers inside where to fetch from. ``decider`` is what :meth:`decide` asks.
    """

    def __init__(
        self,
        *,
        secrets: Mapping[str, SecretSpec] = MappingProxyType({}),
        destinations: tuple[Destination, ...] = (),
        agents: Mapping[str, AgentSpec] = MappingProxyType({}),
        workspace: WorkspaceSpec = _WORKSPACE,
        sandbox: SandboxSpec = _SANDBOX,
        proxy: Proxy | Literal["none"] | None = None,
        files: tuple[Path, ...] = (),
        warnings: tuple[str, ...] = (),
        registry_variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.secrets: Final = secrets
        self.destinations: Final = destinations
        self.agents: Final = agents
        self.workspace: Final = workspace
        self.sandbox: Final = sandbox
        self.proxy: Final = proxy
        self.files: Final = files
        self.warnings: Final = warnings
        self.registry_variables: Final = registry_variables
        self.decider: Final = Decider(destinations)

    def decide(self, request: Request) -> Verdict:
        """The verdict about a request. Pure and total: any request gets one, and nothing matching is a deny."""
        return self.decider.decide(request)

    def knows_host(self, agent: str, host: str) -> bool:
        """Whether some destination covers the host for this agent, at whatever port."""
        return self.decider.knows_host(agent, host)

    def decide_host(self, agent: str, host: str, port: int, scheme: str = "https") -> Verdict:
        """The verdict about a CONNECT, before any TLS: whether some destination covers the host for this agent.

        On allow, ``destination`` says whether to intercept: it is a passthrough destination if the host is passed
        through, else the first that covers it. Never stricter than :meth:`decide`.
        """
        return self.decider.decide_host(agent, host, port, scheme)
