"""Where the policy file is, and whether it can be trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from outward.cli.saying import say
from outward.core import OutwardError, PolicyError, Problem

if TYPE_CHECKING:
    from outward.policy import Policy, Sources


def default_policy_file() -> Path:
    """``~/.config/outward/policy.yaml``, whether it is there or not."""
    return Path.home() / ".config" / "outward" / "policy.yaml"


def find_policy(option: Path | None) -> Path | None:
    """The policy file: ``--policy``, else ``$OUTWARD_POLICY``, else the default one if it is there.

    A file that was named must exist. The workspace is never looked at: what the agent can write must not widen what the
    agent may do. Raises :class:`PolicyError`.
    """
    configured = os.environ.get("OUTWARD_POLICY")
    named = option if option is not None else Path(configured).expanduser() if configured else None
    if named is None:
        default = default_policy_file()
        return default if os.path.lexists(default) else None
    if not named.exists():
        origin = "--policy" if option is not None else "$OUTWARD_POLICY"
        problem = Problem(str(named), 1, 1, "", f"the policy file that {origin} names does not exist")
        raise PolicyError([problem], hint="`outward init` writes a starter policy.")
    return named.absolute()


def load_policy(option: Path | None, *, agent_preset: str | None = None, workspace: Path | None = None) -> Policy:
    """The policy that is in force; with no file the preset of the agent, and with none an empty policy: nothing allowed.

    ``workspace`` is where the agent may write (default: here): no program is taken from there to find registries. Raises
    :class:`PolicyError` with every problem.
    """
    from outward.cli.registries import ClientRegistries
    from outward.policy import load

    file = find_policy(option)
    presets = (agent_preset,) if file is None and agent_preset is not None else ()
    if presets:
        say(f"no policy file; using the preset {agent_preset!r} (outward policy show {agent_preset})")
    registries = ClientRegistries(avoid=(Path.cwd(), *((workspace,) if workspace else ())))
    return load(file, presets=presets, registries=registries, home=Path.home(), files=read_trusted)


def gather_policy(option: Path | None) -> Sources:
    """What :func:`load_policy` would make the policy from, all of it good. Raises :class:`PolicyError`."""
    from outward.cli.registries import ClientRegistries
    from outward.policy import gather

    registries = ClientRegistries(avoid=(Path.cwd(),))
    return gather(find_policy(option), registries=registries, home=Path.home(), files=read_trusted)[1]


def read_trusted(path: Path) -> str:
    """The text of a file that nobody else can change. Raises :class:`OutwardError` with what to do.

    Owner and mode are asked of the open file, so that what was checked is what is read.
    """
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            _check_directory(path.resolve().parent)
            return file.read().decode("utf-8")
    except OSError as error:
        raise OutwardError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise OutwardError(f"{path} is not UTF-8") from None


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OutwardError(f"{path} is not a file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise OutwardError(f"{path} belongs to somebody else", hint="a file that you or root own")
    if status.st_mode & 0o022:
        raise OutwardError(f"{path} can be written by others", hint=f"chmod go-w {path}")


def _check_directory(directory: Path) -> None:
    mode = directory.stat().st_mode
    if mode & 0o002 and not mode & stat.S_ISVTX:
        raise OutwardError(f"everybody can replace files in {directory}", hint=f"chmod o-w {directory}")
