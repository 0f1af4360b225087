"""How long it takes to run ``true`` in a sandbox, and what that costs."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench import report
from bench.contenders import outward, srt
from bench.suite.part import Findings, Part, Settings, in_turns, say
from outward.backends import BACKENDS
from outward.backends.containers.engine import PASSED

TIMES: Final = 5
"""Starts in a row, each round."""

_DIRECTORIES: Final = 1_000
_FILES: Final = 50
"""In each directory of the large workspace."""

_MACHINE: Final = Path.home() / ".local" / "state" / "outward" / "machine"
"""What `outward image kernel` made, if somebody has run it."""

_NOBODY: Final = 61234
_PR_SET_CHILD_SUBREAPER: Final = 36


class Start(NamedTuple):
    """Milliseconds: what a person waits, and what all processes together spent on processors."""

    name: str
    wall_ms: float
    cpu_ms: float


class _Command(NamedTuple):
    argv: list[str]
    directory: Path
    environment: dict[str, str]


def _measure(settings: Settings) -> Findings:
    # Orphans come to us and not to the init process: all their time is counted, and none is left behind.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    root = Path(tempfile.mkdtemp(prefix="outward-bench-"))
    try:
        commands = {name: one for name, one in _commands(root).items() if settings.wants(name)}
        for one in commands.values():
            _start("", one)  # the first makes an authority, and brings programs into memory
        found = []
        for number, name in in_turns(list(commands), settings.rounds):
            starts = [_start(name, commands[name]) for _ in range(TIMES)]
            found += starts
            say(f"start, round {number + 1}: {name:24} {median(one.wall_ms for one in starts):7.1f} ms")
    finally:
        shutil.rmtree(root)
    return Findings(_table(found), [one._asdict() for one in found], {})


def _commands(root: Path) -> dict[str, _Command]:
    root.chmod(0o755)
    run = [str(outward.PROGRAM), "run", "--quiet", "--", "true"]
    commands = {"Outward": _for_user(root / "own", run, os.getuid())}
    for mode in ("write", "review"):
        large = _for_user(root / f"large-{mode}", [*run[:-2], "--mode", mode, *run[-2:]], os.getuid())
        _fill(large.directory)
        commands[f"Outward, 50,000 files, {mode}"] = large
    if os.getuid() == 0 and (setpriv := shutil.which("setpriv")) and _readable_by_all(outward.PROGRAM):
        become = [setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        commands["Outward, unprivileged"] = _for_user(root / "nobody", [*become, *run], _NOBODY)
    commands |= _backends(root)
    if not srt.missing_for_start():
        home = _for_user(root / "srt", [], os.getuid())
        settings = root / "srt.json"
        settings.write_text(
            json.dumps(
                {
                    "network": {"allowedDomains": [], "deniedDomains": []},
                    "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
                }
            )
        )
        commands[srt.CONTENDER.name] = home._replace(argv=[*srt.COMMAND, "--settings", str(settings), "true"])
    return commands


def _backends(root: Path) -> dict[str, _Command]:
    """The other backends, as far as they work here: the first start says so."""
    passed = {name: value for name, value in os.environ.items() if name in PASSED and name != "HOME"}
    found = {}
    for name in sorted(BACKENDS.keys() - {"bubblewrap", "none"}):
        run = [str(outward.PROGRAM), "run", "--quiet", "--backend", name, "--", "true"]
        command = _for_user(root / name, run, os.getuid())
        command = command._replace(environment=passed | command.environment)
        if name == "microvm" and _MACHINE.is_dir():
            shutil.copytree(_MACHINE, root / name / ".local" / "state" / "outward" / "machine")
        try:
            _start("", command)
        except RuntimeError as error:
            say(f"start: {name} is left out: {str(error).splitlines()[-1]}")
        else:
            found[f"Outward, {name}"] = command
    return found


def _for_user(directory: Path, argv: list[str], user: int) -> _Command:
    """Somebody's home with nothing in it but an empty project, where the command is started."""
    project = directory / "project"
    project.mkdir(parents=True)
    for path in (directory, project):
        os.chown(path, user, user)
    return _Command(argv, project, {"HOME": str(directory), "PATH": "/usr/local/bin:/usr/bin:/bin"})


def _fill(project: Path) -> None:
    """A repository of 50,000 files, some of them secrets."""
    for number in range(_DIRECTORIES):
        directory = project / "src" / f"part{number // 50}" / f"module{number}"
        directory.mkdir(parents=True)
        for file in range(_FILES):
            (directory / f"file{file}.py").touch()
        if number % 20 == 0:
            (directory / ".env").touch()
    subprocess.run(["git", "init", "--quiet", project], check=True)


def _readable_by_all(program: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (program, *program.parents))


def _start(name: str, command: _Command) -> Start:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command.argv, cwd=command.directory, env=command.environment, stdin=subprocess.DEVNULL, capture_output=True
    )
    wall = time.perf_counter() - began
    _reap()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command.argv}: status {done.returncode}: {done.stderr.decode(errors='replace')[:500]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Start(name, wall * 1e3, cpu * 1e3)


def _reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _table(found: list[Start]) -> str:
    names = list(dict.fromkeys(one.name for one in found))
    walls = {name: median(one.wall_ms for one in found if one.name == name) for name in names}
    reference = next((walls[name] for name in names if name.startswith("srt")), None)
    rows = [
        [
            name,
            report.number(walls[name]),
            report.number(min(one.wall_ms for one in found if one.name == name)),
            report.number(median(one.cpu_ms for one in found if one.name == name)),
            report.ratio(walls[name] / reference if reference else None),
        ]
        for name in names
    ]
    return report.markdown(["`true` in a sandbox", "median, ms", "fastest, ms", "CPU ms", "of srt's"], rows)


PART: Final = Part("start", "how long `outward run -- true` takes, beside srt", _measure)
