"""Runs of the real command line, each in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward.agents import home_of
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

AGENT: Final = "outward-doctor"
"""Who runs, in the journal; its home is removed afterwards."""


class Trial(NamedTuple):
    """How one went: exit status (nothing where it took too long), and what was said on standard error."""

    status: int | None
    said: str

    @property
    def complaint(self) -> tuple[str, str]:
        """Our own error and its way out, as the command line prints them: ``outward: …`` and an indented line."""
        lines = self.said.splitlines()
        ours = [index for index, line in enumerate(lines) if line.startswith("outward: ")]
        if not ours:
            return (lines[-1] if lines else "it did not say why", "")
        after = lines[ours[-1] + 1 : ours[-1] + 2]
        hint = after[0].strip() if after and after[0].startswith("  ") else ""
        return lines[ours[-1]].removeprefix("outward: "), hint


class Trials:
    """``outward`` is the command line up to the verb; ``state`` its state directory; ``directory`` is ours, for workspace and
    policy."""

    def __init__(self, outward: Sequence[str], environment: Mapping[str, str], state: Path, directory: Path) -> None:
        self._outward: Final = (*outward,)
        self.environment: Final = {**environment, "OUTWARD_HOME": str(state)}
        self.state: Final = state
        self._policy: Final = directory / "policy.yaml"
        self.workspace: Final = directory / "workspace"
        self.workspace.mkdir(exist_ok=True)

    def run(
        self,
        policy: str,
        command: Sequence[str],
        *,
        backend: str = "bubblewrap",
        options: Sequence[str] = (),
        seconds: float = 60,
    ) -> Trial:
        """Runs ``command`` in a sandbox under a policy's text. ``options`` are further ones of ``outward run``."""
        self._policy.write_text(policy)
        ours = ("--quiet", "--agent", AGENT, "--backend", backend, "--policy", str(self._policy))
        words = [*self._outward, "run", *ours, *options, "--workspace", str(self.workspace), "--", *command]
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=seconds,
                env=self.environment,
                cwd=self.workspace,
            )
        except subprocess.TimeoutExpired:  # the sandbox ends with the process that was just killed
            return Trial(None, f"no end within {seconds:g} seconds")
        finally:
            home = home_of(self.state, AGENT, str(self.workspace))
            with suppress(OSError):
                shutil.rmtree(home)
                home.parent.rmdir()
        return Trial(done.returncode, done.stderr)
