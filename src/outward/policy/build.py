"""From the checked fields of one file to secrets, destinations and specifications: what fields mean together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from outward.core import Action, ClientError, Destination, Limits, OutwardError, Proxy, Rule, canonical_host
from outward.core.records import NamedTuple
from outward.policy import injections, rules, tree
from outward.policy.model import AgentSpec, SandboxSpec, SecretSpec, WorkspaceSpec
from outward.policy.secret_fields import AWS_STS_PARTS, SOURCES
from outward.policy.texts import FileName, PartName, SecretName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from outward.core import Injection
    from outward.policy.model import Registries
    from outward.policy.shapes import Reading, Value
    from outward.policy.tree import Node

_NOT_WITH_PASSTHROUGH: Final = (
    "ask",
    "deny",
    "inject",
    "ca",
    "client_certificate",
    "redact",
    "canaries",
    "client_credentials",
)
_VAULT_LOG_INS: Final = {
    "role_id": {"approle"},
    "secret_id": {"approle"},
    "role": {"kubernetes"},
    "jwt": {"kubernetes"},
    "mount": {"approle", "kubernetes"},
}
_DEFAULT_PORT: Final = {"https": 443, "http": 80}


class Placed(NamedTuple):
    """Something that was built, and where the file says so."""

    thing: Any
    value: Value
    reading: Reading

    def problem(self, message: str, *, found: str = "", accepted: str = "") -> None:
        """Notes a problem there."""
        self.reading.problem(self.value.node, self.value.path, message, found=found, accepted=accepted)


class Parts:
    """Everything that the files of a policy contribute, in their order."""

    def __init__(self) -> None:
        self.secrets: Final[list[Placed]] = []
        self.secret_names: Final[set[str]] = set()  # also of those that could not be read
        self.agents: Final[list[Placed]] = []
        self.destinations: Final[list[Placed]] = []
        self.references: Final[list[Placed]] = []  # names of secrets
        self.shared: Final[list[Placed]] = []  # those of them that are the same for all agents
        self.captures: Final[list[Placed]] = []  # names of secrets that answers bring
        self.warnings: Final[list[str]] = []
        self.registry_variables: Final[dict[str, str]] = {}
        self.proxies: Final[list[Placed]] = []  # what each file says about the way out as a whole


class Surroundings(NamedTuple):
    """What building may ask of the world outside."""

    home: Path
    registries: Registries
    read: Callable[[Path], str]


class Builder:
    """Builds what one file says into the parts of the policy."""

    def __init__(self, file: Path, reading: Reading, parts: Parts, around: Surroundings) -> None:
        self._base: Final = file.parent
        self._reading: Final = reading
        self._parts: Final = parts
        self._around: Final = around

    def build(self, root: Value) -> None:
        """Adds the secrets, agents and destinations of the file."""
        if "secrets" in root.data:
            for key, node in root.data["secrets"].node.pairs:
                self._parts.secret_names.update(_names(key.text, node))
        for name, value in root.get("secrets", {}).items():
            self._parts.secrets.extend(self._place(spec, value) for spec in self._secret(name, value))
        for name, value in root.get("agents", {}).items():
            self._parts.agents.append(self._place(AgentSpec(name, value.get("secret")), value))
            self._refer(value.get("secret"), value.data["secret"])
        if (value := root.data.get("proxy")) is not None:
            self._parts.proxies.append(self._place(self._proxy(value), value))
        for value in root.get("destinations", ()):
            for destination in self._destinations(value):
                self._parts.destinations.append(self._place(destination, value))

    def _place(self, thing: Any, value: Value) -> Placed:
        return Placed(thing, value, self._reading)

    def _refer(self, name: str, value: Value) -> None:
        self._refer_for_agent(name, value)
        self._parts.shared.append(self._place(name, value))

    def _refer_for_agent(self, name: str, value: Value) -> None:
        """Each agent may have a value of its own there."""
        self._parts.references.append(self._place(name, value))

    def path(self, value: Value) -> Path:
        """A path of the file: ``~`` is the home directory, anything relative is relative to the file."""
        text: str = value.data
        if text == "~" or text.startswith("~/"):
            return self._around.home / text[2:]
        if text.startswith("~"):
            self._place(None, value).problem("only `~/` is understood, not another user's home", found=repr(text))
        return self._base / text

    def paths(self, value: Value | None) -> tuple[Path, ...]:
        """A list of them."""
        return tuple(map(self.path, value.data)) if value is not None else ()

    def _secret(self, name: str, value: Value) -> list[SecretSpec]:
        """The secret, or those that it consists of."""
        source = next(source for source in SOURCES if source in value.data)
        needs: dict[str, None] = {}
        settings = value.data[source]
        argument = self._plain(settings, needs)
        part = None
        if isinstance(settings.data, dict):
            named = [key for key, item in settings.data.items() if isinstance(item.data, PartName)]
            part = str(settings.get(named[0])) if named else None
            argument = tuple(pair for pair in argument if pair[0] not in named)
            self._check_settings(source, settings)
        options = {option: value.get(option) for option in ("ttl", "expose", "placeholder")}
        spec = SecretSpec(name, source, argument, part=part, needs=tuple(needs), **options)
        if source == "captured":
            for option in options.keys() & value.data.keys():
                message = f"{option!r} is not for what is captured, which has a value for each agent, and none before its log-in"
                self._place(None, value.data[option]).problem(message)
        if source != "aws_sts":
            return [spec]
        for option in ("expose", "placeholder"):
            if option in value.data:
                message = f"{option!r} is for one value, and this source gives {len(AWS_STS_PARTS)}"
                self._place(None, value.data[option]).problem(message, accepted="sandbox: {env: {set: …}}")
        bare = spec._replace(expose=None, placeholder=None)
        return [bare._replace(name=f"{name}.{part}", part=part) for part in AWS_STS_PARTS]

    def _check_settings(self, source: str, settings: Value) -> None:
        """What the settings of a source mean together."""
        here = self._place(None, settings)
        given = settings.data.keys()
        if source == "vault":
            auth = settings.get("auth", "token")
            needed = {"approle": "role_id", "kubernetes": "role"}.get(auth)
            if needed is not None and needed not in given:
                here.problem(f"the log-in by {auth} needs {needed!r}")
            for key, allowed in _VAULT_LOG_INS.items():
                if key in given and auth not in allowed:
                    here.problem(f"{key!r} goes with auth: {' or '.join(sorted(allowed))}", found=f"auth: {auth}")

        if source == "oauth":
            if "client_secret" not in given and "refresh_token" not in given:
                here.problem(
                    "a client without a refresh token needs its secret", accepted="client_secret or refresh_token"
                )
            if "auth" in given and "client_secret" not in given:
                here.problem(
                    "'auth' says where the client's secret stands, and there is none", accepted="client_secret"
                )
        if source == "aws_sts":
            if ("access_key" in given) != ("secret_key" in given):
                here.problem("an access key is an id and a key", accepted="access_key and secret_key")
            if "session_token" in given and "access_key" not in given:
                here.problem("'session_token' goes with 'access_key'")

    def _plain(self, value: Value, needs: dict[str, None]) -> Any:
        """What a source is told: nothing but texts, numbers, paths and tuples of them. ``needs`` gets the secrets named."""
        match value.data:
            case dict() as table:
                return tuple((key, self._plain(table[key], needs)) for key in sorted(table))
            case list() as items:
                return tuple(self._plain(item, needs) for item in items)
            case FileName():
                return self.path(value)
            case SecretName() as name:
                needs[name] = None
                self._refer(name, value)
                return str(name)
            case other:
                return other

    def _destinations(self, value: Value) -> Iterator[Destination]:
        self._check_tls(value)
        if "connect_to" in value.data and value.get("proxy", "none") != "none":
            self._place(None, value.data["proxy"]).problem("`connect_to` is dialled directly, never through a proxy")
        settings = {
            "inject": self._injections(value),
            "tls": value.get("tls", "intercept"),
            "connect_to": value.get("connect_to"),
            "proxy": self._proxy(value.data["proxy"]) if "proxy" in value.data else None,
            "ca": self._certificate(value.data.get("ca")),
            "client_certificate": self._client_certificate(value),
            "allow_private": value.get("allow_private", False),
            "client_credentials": value.get("client_credentials", "strip"),
            "redact": value.get("redact", True),
            "body_canaries": value.data["canaries"].get("body", "deny") if "canaries" in value.data else "deny",
            "agents": frozenset(item.data for item in value.data["agents"].data) if "agents" in value.data else None,
        }
        self._refer_to_captures(value)
        for scheme, host, port in self._places(value):
            name = value.get("name", host)
            allowed = tuple(rules.rules(name, value))
            self._check_matched(value, allowed, settings["inject"])
            yield Destination(name, host, port, scheme, allowed, **settings)  # type: ignore[arg-type]
            if scheme == "http" and settings["inject"]:
                self._parts.warnings.append(f"destination {name!r}: secrets go to http://{host} unencrypted")

    def _proxy(self, value: Value) -> Proxy | Literal["none"]:
        """The proxy of the file or of a destination, in its short or its long form."""
        if value.data == "none":
            return "none"
        if not isinstance(value.data, dict):
            scheme, host, port, _ = value.data
            return Proxy(scheme, host, port)
        here = self._place(None, value)
        scheme, host, port, _ = value.get("url")
        if ("username" in value.data) != ("secret" in value.data):
            here.problem("a user and the secret that is the password go together", accepted="username and secret")
        elif "secret" in value.data:
            self._refer(value.get("secret"), value.data["secret"])
        authority = value.data.get("ca")
        if authority is not None and scheme != "https":
            here.problem("there is no TLS with this proxy that `ca` could be about", accepted="url: https://HOST:PORT")
            authority = None
        return Proxy(
            scheme,
            host,
            port,
            username=value.get("username", ""),
            secret=value.get("secret"),
            ca=self._certificate(authority),
            no_proxy=_texts(value, "no_proxy"),
        )

    def _client_certificate(self, value: Value) -> tuple[str, str] | None:
        given = value.data.get("client_certificate")
        if given is None:
            return None
        if value.get("scheme") == "http":
            self._place(None, given).problem("a client certificate needs TLS", accepted="scheme: https")
            return None
        self._refer(given.get("key"), given.data["key"])
        text = self._certificate(given.data["cert"])
        return None if text is None else (text, given.get("key"))

    def _check_tls(self, value: Value) -> None:
        here = self._place(None, value)
        connect = value.get("allow") == "connect"
        if value.get("tls") == "passthrough":
            for key in _NOT_WITH_PASSTHROUGH:
                if key in value.data:
                    here.problem(f"{key!r} is not possible with tls: passthrough, which is not looked into")
            if value.get("allow") and not connect:
                here.problem("a passthrough has no requests to match", accepted="allow: connect")
            if value.get("scheme") == "http":
                here.problem("a passthrough needs TLS", found="scheme: http", accepted="scheme: https")
        elif connect:
            here.problem("allow: connect needs tls: passthrough", accepted='a list of rules, such as ["GET /**"]')
        if value.get("host") == "*" and not value.get("i_understand_this_allows_everything"):
            accepted = "i_understand_this_allows_everything: true"
            here.problem("this matches every host there is", found='host: "*"', accepted=accepted)

    def _places(self, value: Value) -> Iterator[tuple[str, str, int]]:
        """Scheme, host and port: one place for a host, one for each registry."""
        if "host" in value.data:
            scheme = value.get("scheme", "https")
            yield scheme, value.get("host"), value.get("port", _DEFAULT_PORT[scheme])
            return
        for key in ("scheme", "port"):
            if key in value.data:
                self._place(None, value.data[key]).problem(f"{key!r} comes from the registry's address")
        client = value.get("registry")
        if client is None:
            return
        self._parts.registry_variables.update(self._around.registries.variables(client))
        found = sorted({place for url in self._around.registries.urls(client) if (place := _place_of(url)) is not None})
        if not found:
            self._parts.warnings.append(
                f"no registry of {client} was found on this machine: `registry: {client}` allows nothing"
            )
        yield from found

    def _injections(self, value: Value) -> tuple[Injection, ...]:
        return injections.build(value.get("inject", ()), self._refer_for_agent, self._reading)

    def _check_matched(self, value: Value, rules: tuple[Rule, ...], given: tuple[Injection, ...]) -> None:
        """What a rule looks at is what is sent: not replaced afterwards."""
        for rule in rules:
            for name, _ in rule.query:
                if injections.replaces(given, name):
                    problem = f"{rule.name!r} looks at the parameter {name!r}, which `inject` replaces"
                    self._place(None, value.data["inject"]).problem(problem)

    def _refer_to_captures(self, value: Value) -> None:
        for action in Action:
            given = value.get(action.value, ())
            for item in given if given != "connect" else ():
                if not isinstance(item.data, dict) or "capture" not in item.data:
                    continue
                if action is Action.DENY:
                    self._place(None, item.data["capture"]).problem("nothing is captured from what is denied")
                for name in item.get("capture").values():
                    self._refer_for_agent(name.data, name)
                    self._parts.captures.append(self._place(name.data, name))

    def _certificate(self, value: Value | None) -> str | None:
        if value is None:
            return None
        path = self.path(value)
        try:
            text = self._around.read(path)
        except OutwardError as error:
            self._place(None, value).problem(error.message, accepted=error.hint)
            return None
        if "-----BEGIN CERTIFICATE-----" not in text or "-----END CERTIFICATE-----" not in text:
            self._place(None, value).problem("this file holds no certificate", found=str(path), accepted="a PEM file")
            return None
        return text

    def workspace(self, root: Value) -> WorkspaceSpec:
        """What the file says about the workspace."""
        value = root.data.get("workspace")
        if value is None:
            return WorkspaceSpec()
        hide, show, allow_write = (_texts(value, key) for key in ("hide", "show", "allow_write"))
        return WorkspaceSpec(value.get("mode", "write"), hide, show, allow_write)

    def sandbox(self, root: Value) -> SandboxSpec:
        """What the file says about the sandbox."""
        value = root.data.get("sandbox")
        if value is None:
            return SandboxSpec()
        limits, env = value.data.get("limits"), value.data.get("env")
        return SandboxSpec(
            backend=value.get("backend", "bubblewrap"),
            seccomp=value.get("seccomp", "default"),
            limits=Limits(**{key: item.data for key, item in limits.data.items()}) if limits else Limits(),
            read=self.paths(value.data.get("read")),
            write=self.paths(value.data.get("write")),
            tools=value.get("tools", "path"),
            env_set=_set_variables(env),
            env_pass=_texts(env, "pass") if env else (),
        )


def _texts(value: Value, key: str) -> tuple[str, ...]:
    return tuple(item.data for item in value.get(key, ()))


def _set_variables(env: Value | None) -> Mapping[str, str]:
    given = env.get("set", {}) if env is not None else {}
    return MappingProxyType({name: item.data for name, item in given.items()})


def _place_of(url: str) -> tuple[str, str, int] | None:
    from urllib.parse import urlsplit  # here: only for registries

    try:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
            return None
        return parts.scheme, canonical_host(parts.hostname), parts.port or _DEFAULT_PORT[parts.scheme]
    except (ValueError, ClientError):
        return None


def _names(name: str, node: Node) -> list[str]:
    """What the secret is called where it is used, whether it can be read or not."""
    several = isinstance(node, tree.Mapping) and any(key.text == "aws_sts" for key, _ in node.pairs)
    return [f"{name}.{part}" for part in AWS_STS_PARTS] if several else [name]
