"""Loading: the policy file, everything that it uses, and all problems at once."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from outward.core import OutwardError, PolicyError, Problem
from outward.policy.build import Builder, Parts, Placed, Surroundings
from outward.policy.conflicts import find_conflicts
from outward.policy.fields import POLICY
from outward.policy.model import Policy, SandboxSpec, WorkspaceSpec
from outward.policy.shapes import Reading, nearest
from outward.policy.tree import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from outward.core import Proxy
    from outward.policy.model import Registries, SecretSpec
    from outward.policy.shapes import Value

PRESETS: Final = Path(__file__).parent / "presets"


def read_text(path: Path) -> str:
    """The text of a file. Raises :class:`OutwardError`."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise OutwardError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise OutwardError(f"{path} is not UTF-8") from None


def preset_names() -> tuple[str, ...]:
    """The presets that come with this version."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def preset_file(name: str) -> Path | None:
    """Where a preset is, or ``None``."""
    return PRESETS / f"{name}.yaml" if name in preset_names() else None


def load(
    file: Path | None,
    *,
    presets: Sequence[str] = (),
    registries: Registries,
    home: Path,
    files: Callable[[Path], str] = read_text,
) -> Policy:
    """Loads ``file`` and what it uses, and the ``presets``.

    ``file`` is ``None`` where only the presets count. ``files`` reads a file or raises :class:`OutwardError`. ``home``
    is what ``~`` means. Raises :class:`PolicyError` with every problem of all files.
    """
    loader = _Loader(Surroundings(home, registries, files))
    if file is not None:
        loader.read(file.absolute())
    for name in presets:
        preset = preset_file(name)
        if preset is None:
            loader.problems.append(_unknown_preset(name))
        else:
            loader.read(preset)
    return loader.finish()


def _unknown_preset(name: str) -> Problem:
    message = f"there is no preset {name!r}{nearest(name, preset_names())}"
    return Problem("", 1, 1, "", message, accepted=", ".join(preset_names()))


class _Loader:
    def __init__(self, around: Surroundings) -> None:
        self._around: Final = Surroundings(around.home, around.registries, self._read)
        self._given: Final = around
        self._parts: Final = Parts()
        self._readings: Final[list[Reading]] = []
        self._stack: Final[list[Path]] = []
        self._read_files: Final[dict[Path, None]] = {}
        self._workspace = WorkspaceSpec()
        self._sandbox = SandboxSpec()
        self.problems: Final[list[Problem]] = []

    def _read(self, path: Path) -> str:
        self._read_files[path] = None
        return self._given.read(path)

    def read(self, file: Path) -> None:
        """Reads the file that was named, and what it uses."""
        try:
            text = self._read(file)
        except OutwardError as error:
            self.problems.append(Problem(str(file), 1, 1, "", error.message, accepted=error.hint))
            return
        self._include(file, text)

    def _include(self, file: Path, text: str) -> None:
        reading = Reading(str(file))
        self._readings.append(reading)
        try:
            tree = read_tree(text, str(file))
        except PolicyError as error:
            reading.problems.extend(error.problems)
            return
        root = POLICY.read_what_is_there(tree, "", reading)
        if root is None:
            return
        # What a file uses comes first: a conflict is then shown where the user wrote.
        self._stack.append(file.resolve())
        for value in root.get("use", ()):
            self._use(value, file, reading)
        self._stack.pop()
        builder = Builder(file, reading, self._parts, self._around)
        builder.build(root)
        if self._stack:
            self._refuse_own(root, reading)
        else:
            self._workspace, self._sandbox = builder.workspace(root), builder.sandbox(root)

    def _use(self, value: Value, file: Path, reading: Reading) -> None:
        here = Placed(None, value, reading)
        name: str = value.data
        is_path = "/" in name or name.endswith((".yaml", ".yml"))
        used = Builder(file, reading, self._parts, self._around).path(value) if is_path else preset_file(name)
        if used is None:
            message = f"there is no preset of this name{nearest(name, preset_names())}"
            here.problem(
                message, found=repr(name), accepted=", ".join(preset_names()) + ", or a path such as ./team.yaml"
            )
        elif used.resolve() in self._stack:
            here.problem("this file uses itself", found=repr(name))
        elif all(used.resolve() != known.resolve() for known in self._read_files):
            try:
                text = self._read(used)
            except OutwardError as error:
                here.problem(error.message, found=repr(name), accepted=error.hint)
                return
            self._include(used, text)

    def _refuse_own(self, root: Value, reading: Reading) -> None:
        for key in ("workspace", "sandbox"):
            if key in root.data:
                here = Placed(None, root.data[key], reading)
                here.problem(f"{key!r} belongs in the file that outward is started with, not in one that it uses")

    def finish(self) -> Policy:
        """The policy, or all problems."""
        secrets = self._secrets()
        agents = self._unique(self._parts.agents)
        for reference in self._parts.references:
            if reference.thing not in self._parts.secret_names:
                message = f"there is no secret {reference.thing!r}{nearest(reference.thing, secrets)}"
                reference.problem(message, accepted=", ".join(secrets) or "a name under secrets")
        self._check_captured({name for name, spec in secrets.items() if spec.source == "captured"})
        proxy = self._proxy()
        destinations = [_sent_through(proxy, placed) for placed in self._parts.destinations]
        find_conflicts(destinations)
        problems = [*self.problems, *(problem for reading in self._readings for problem in reading.in_order())]
        if problems:
            raise PolicyError(problems)
        return Policy(
            secrets=MappingProxyType(secrets),
            destinations=tuple(placed.thing for placed in destinations),
            agents=MappingProxyType(agents),
            workspace=self._workspace,
            sandbox=self._sandbox,
            proxy=proxy,
            files=tuple(self._read_files),
            warnings=tuple(dict.fromkeys(self._parts.warnings)),
            registry_variables=self._parts.registry_variables,
        )

    def _check_captured(self, captured: set[str]) -> None:
        """What log-ins bring belongs to one agent each, and nothing else may be overwritten by it."""
        for placed in self._parts.captures:
            if placed.thing in self._parts.secret_names and placed.thing not in captured:
                placed.problem(
                    f"the secret {placed.thing!r} has a source of its own",
                    accepted=f"{placed.thing}: {{captured: true}}",
                )
        for placed in self._parts.shared:
            if placed.thing in captured:
                placed.problem(
                    f"the secret {placed.thing!r} is captured, for each agent another: only `inject` takes it"
                )

    def _proxy(self) -> Proxy | Literal["none"] | None:
        """The one proxy that the files agree on."""
        if not self._parts.proxies:
            return None
        first, *others = self._parts.proxies
        for other in others:
            if other.thing != first.thing:
                where = f"{first.reading.file}:{first.value.node.start.line}"
                other.problem(f"the proxy is defined differently in {where}")
        proxy: Proxy | Literal["none"] = first.thing
        return proxy

    def _unique(self, parts: Sequence[Placed]) -> dict[str, Any]:
        known: dict[str, Placed] = {}
        for placed in parts:
            other = known.setdefault(placed.thing.name, placed)
            if other.thing != placed.thing:
                where = f"{other.reading.file}:{other.value.node.start.line}"
                placed.problem(f"{placed.thing.name!r} is defined differently in {where}")
        return {name: placed.thing for name, placed in known.items()}

    def _secrets(self) -> dict[str, SecretSpec]:
        known: dict[str, Placed] = {}
        for placed in self._parts.secrets:
            other = known.get(placed.thing.name)
            merged = placed.thing if other is None else _merged(other.thing, placed.thing)
            if merged is None and other is not None:
                where = f"{other.reading.file}:{other.value.node.start.line}"
                placed.problem(f"the secret {placed.thing.name!r} is defined differently in {where}")
            else:
                known[placed.thing.name] = placed._replace(thing=merged)
        _check_distinct(known, "expose")
        _check_distinct(known, "placeholder")
        _check_circles(known)
        return {name: placed.thing for name, placed in known.items()}


def _sent_through(proxy: Proxy | Literal["none"] | None, placed: Placed) -> Placed:
    """The destination with the proxy of the whole policy, unless it has one of its own or is dialled by its address."""
    destination = placed.thing
    if proxy is None or destination.proxy is not None or destination.connect_to is not None:
        return placed
    return placed._replace(thing=destination._replace(proxy=proxy))


def _merged(one: SecretSpec, two: SecretSpec) -> SecretSpec | None:
    """The one secret that both define: an option that only one gives counts; ``None`` if they contradict each other."""
    if (one.source, one.argument, one.part) != (two.source, two.argument, two.part):
        return None
    options: dict[str, Any] = {}
    for option in ("ttl", "expose", "placeholder"):
        a, b = getattr(one, option), getattr(two, option)
        if a is not None and b is not None and a != b:
            return None
        options[option] = a if a is not None else b
    return one._replace(**options)


def _check_circles(secrets: Mapping[str, Placed]) -> None:
    """No secret may be needed to fetch itself: it would wait for ever."""
    for name, placed in secrets.items():
        reached: dict[str, None] = {}
        ahead = list(placed.thing.needs)
        while ahead:
            needed = ahead.pop()
            if needed not in reached and needed in secrets:
                reached[needed] = None
                ahead += secrets[needed].thing.needs
        if name in reached:
            placed.problem(f"the secret {name!r} is needed to fetch itself", found=" and ".join(reached))


def _check_distinct(secrets: Mapping[str, Placed], option: str) -> None:
    """No two secrets may share a variable, and no placeholder may be a part of another: which one would be meant?"""
    seen: dict[str, str] = {}
    for name, placed in secrets.items():
        text = getattr(placed.thing, option)
        if text is None:
            continue
        for other_text, other in seen.items():
            if text == other_text or (option == "placeholder" and (text in other_text or other_text in text)):
                placed.problem(f"{option!r} of {name!r} cannot be told from that of {other!r}")
        seen[text] = name
