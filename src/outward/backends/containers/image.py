"""A usable image made from this machine's own package sources, without a registry."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.backends.containers import engine as engines
from outward.core import HostError
from outward.isolation import images, programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAME: Final = images.BUILT
ENGINES: Final = ("docker", "podman", "gvisor", "microvm")
"""Who it can be built for. The first two keep images of their own."""
_OWN_STORE: Final = ENGINES[:2]

PACKAGES: Final = ("bash", "ca-certificates", "curl", "git", "less", "nodejs", "npm", "procps", "python3", "ripgrep")
"""What agents call, besides a minimal system."""

_APT: Final = Path("/etc/apt")
_INSTALL: Final = "Install mmdebstrap with the system's package manager (package `mmdebstrap`)."


def build(
    engine: str, packages: Iterable[str], cache: Path, environment: Mapping[str, str], watch: Callable[[str], None]
) -> str:
    """Builds the image for ``engine``, one of :data:`ENGINES`: its name. The file system is kept in the directory ``cache`` for
    the next engine and the next time; ``watch`` is told what is being done. Raises :class:`HostError` with the way out.
    """
    client = engines.find(engine, environment) if engine in _OWN_STORE else None
    archive = _archive(tuple(sorted({*PACKAGES, *packages})), cache, watch)
    if client is None:
        watch("unpacking")
        with images.find(NAME, cache).unpacked():
            return NAME
    watch(f"importing into {engine}")
    with archive.open("rb") as file:
        client.ask("import", "-", NAME, stdin=file.fileno())
    return NAME


def _archive(packages: tuple[str, ...], cache: Path, watch: Callable[[str], None]) -> Path:
    """The tar file of a system with these packages; made when it is not there, or is of other packages or sources."""
    sources = _sources()
    recipe = f"{' '.join(packages)}\n{sources}"
    archive, made_of = cache / images.ARCHIVE, cache / "image.recipe"
    with suppress(OSError):
        if made_of.read_text() == recipe and archive.is_file():
            return archive
    tool = programs.installed("mmdebstrap")
    if tool is None:
        raise HostError("mmdebstrap is not installed, and no image can be built without it", hint=_INSTALL)
    draft = cache / f".image.tar.{os.getpid()}"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        made_of.unlink(missing_ok=True)
        argv = [tool, "--variant=essential", "--format=tar", f"--include={','.join(packages)}", "", str(draft), "-"]
        _run(argv, sources, watch)
        draft.replace(archive)
        made_of.write_text(recipe)
    except OSError as error:
        raise HostError(f"cannot write to {cache}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return archive


def _sources() -> str:
    """The package sources of this machine, of one of apt's two formats."""
    texts = [path.read_text() for path in sorted(_APT.glob("sources.list.d/*.sources"))]
    if not texts:
        lists = (_APT / "sources.list", *sorted(_APT.glob("sources.list.d/*.list")))
        texts = [path.read_text() for path in lists if path.is_file()]
    if not "".join(texts).strip():
        raise HostError(
            "this machine has no package sources of apt, from which an image could be built",
            hint="Give an image of your own with --image.",
        )
    return "\n".join(texts)


def _run(argv: list[str], sources: str, watch: Callable[[str], None]) -> None:
    """Runs the tool; what it reports as progress goes to ``watch``."""
    said: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={"PATH": f"{programs.SYSTEM_PATH}:/usr/sbin:/sbin", "LANG": "C.UTF-8"},
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        with suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(sources)
        for line in map(str.strip, process.stderr):
            said.append(line)
            if line.startswith("I: "):
                watch(line.removeprefix("I: "))
    if process.returncode != 0:
        reason = next((line for line in reversed(said) if line.startswith("E: ")), said[-1] if said else "nothing")
        raise HostError(
            f"mmdebstrap says: {reason.removeprefix('E: ')}", hint="Do `apt-get update` and its sources work?"
        )
