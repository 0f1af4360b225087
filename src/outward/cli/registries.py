"""Where the package managers of this machine fetch from, by their own configuration.

So a company mirror just works, and no public registry's name has to be known here. The answers decide what a sandbox may
reach, so nothing that a sandbox can write takes part in them: no configuration and no program from the workspace.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outward.workspace.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

TIME_LIMIT: Final = 20.0
"""Seconds that a package manager has to answer."""

# Both are compiled where they are used: most policies ask for no registry.
_PIP_SETTING: Final = r"(?:[\w.:-]*\.)(?:index-url|extra-index-url)='([^']*)'"
_URL: Final = r"https?://[^\s\"'\]]+"
_PIP_DEFAULT: Final = (
    "from pip._internal.models.index import PyPI as p; print(p.simple_url); print('https://' + p.file_storage_domain)"
)


class ClientRegistries:
    """Asks each package manager once, when a policy that is used needs it."""

    def __init__(self, *, avoid: Sequence[Path], apt: Path = Path("/etc/apt")) -> None:
        """``avoid`` are the directories in which the sandbox may write; the home and what holds it never is one."""
        self._apt_directory: Final = apt
        self._outside: Final = Outside(avoid, Path.home())
        self._known: dict[str, tuple[str, ...]] = {}
        self._variables: dict[str, dict[str, str]] = {}
        self._clients: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
            "npm": self._npm,
            "pip": self._pip,
            "cargo": self._cargo,
            "apt": self._apt,
        }

    def urls(self, client: str) -> tuple[str, ...]:
        """Base URLs; empty where the client is not here or does not answer."""
        if client not in self._known:
            self._known[client] = tuple(dict.fromkeys(self._clients[client]()))
        return self._known[client]

    def variables(self, client: str) -> dict[str, str]:
        """What makes the client in the sandbox use the same: its configuration files are not in view there."""
        self.urls(client)
        return {name: value for name, value in self._variables.get(client, {}).items() if value}

    def _path(self) -> str:
        return self._outside.search_path(os.environ.get("PATH", os.defpath))

    def _program(self, name: str) -> str | None:
        import shutil  # here, as below: for the same reason

        found = shutil.which(name, path=self._path())
        return found if found is not None and self._outside.holds(Path(found)) else None

    def _ask(self, *command: str) -> str:
        """What a command prints; nothing if it fails. Runs at /, where no project configures it."""
        import subprocess

        try:
            answer = subprocess.run(
                command,
                cwd="/",
                env={**os.environ, "PATH": self._path()},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT,
            )
        except (OSError, subprocess.SubprocessError, UnicodeError):
            return ""
        return answer.stdout if answer.returncode == 0 else ""

    def _npm(self) -> Iterator[str]:
        npm = self._program("npm")
        if npm is None:
            return
        try:
            settings = json.loads(self._ask(npm, "config", "list", "--json"))
        except ValueError:
            return
        if not isinstance(settings, dict):
            return
        self._variables["npm"] = {"npm_config_registry": _without_credentials(str(settings.get("registry", "")))}
        for key, value in settings.items():
            if (key == "registry" or key.endswith(":registry")) and isinstance(value, str):
                yield value

    def _pip(self) -> Iterator[str]:
        # -I: neither the working directory nor PYTHON* variables may choose what is imported.
        for python in filter(None, (self._program("python3"), sys.executable)):
            settings = self._ask(python, "-I", "-m", "pip", "config", "list")
            default = self._ask(python, "-I", "-c", _PIP_DEFAULT)
            if not default:
                continue  # this Python has no pip
            configured = [line for line in settings.splitlines() if re.fullmatch(_PIP_SETTING, line)]
            extra = [url for line in configured if "extra-index-url" in line for url in re.findall(_URL, line)]
            index = [url for line in configured if "extra-index-url" not in line for url in re.findall(_URL, line)]
            self._variables["pip"] = {
                "PIP_INDEX_URL": " ".join(map(_without_credentials, index[-1:])),
                "PIP_EXTRA_INDEX_URL": " ".join(map(_without_credentials, extra)),
            }
            yield from (url for line in configured for url in re.findall(_URL, line))
            if not index:
                yield from default.split()
            return

    def _cargo(self) -> Iterator[str]:
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        if not self._outside.holds(home):
            return
        for name in ("config.toml", "config"):
            settings = _toml(home / name)
            for group in (settings.get("source"), settings.get("registries")):
                for table in group.values() if isinstance(group, dict) else ():
                    if isinstance(table, dict):
                        yield from re.findall(_URL, f"{table.get('registry')} {table.get('index')}")
        # The indexes that cargo has used before, its own default among them, and where their crates are.
        for settings_file in sorted((home / "registry" / "index").glob("*/config.json")):
            yield f"https://{settings_file.parent.name.rpartition('-')[0]}/"
            yield from re.findall(_URL, str(_json(settings_file).get("dl", "")))

    def _apt(self) -> Iterator[str]:
        directory = self._apt_directory
        for file in (directory / "sources.list", *sorted((directory / "sources.list.d").glob("*.list"))):
            for line in _lines(file):
                if line.startswith(("deb ", "deb\t", "deb[")):
                    yield from re.findall(_URL, line.partition("#")[0])[:1]
        for file in sorted((directory / "sources.list.d").glob("*.sources")):
            for stanza in "\n".join(_lines(file)).split("\n\n"):
                if not re.search(r"(?im)^enabled:\s*no\s*$", stanza):
                    for uris in re.findall(r"(?im)^uris:((?:.|\n[ \t])*)", stanza):
                        yield from re.findall(_URL, uris)


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    except (OSError, UnicodeError):
        return []


def _toml(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _without_credentials(url: str) -> str:
    """The address alone: a password in it is for the gateway to put in, not for the sandbox to see.

    Nothing for what is no address of a registry: where its password would be, nobody knows.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"}:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
