"""The command ``outward``: has its words done, and turns errors into messages and exit statuses."""

from __future__ import annotations

import os
import sys
from typing import Any

from outward.cli.arguments import read_plainly
from outward.cli.process import (
    EXIT_INTERRUPTED,
    EXIT_SETUP,
    EXIT_USAGE,
    collect_from_here,
    collect_later,
    hold_standard_streams,
    is_read,
    leave,
)
from outward.cli.saying import say, say_error
from outward.core import HostError, OutwardError
from outward.core.shortage import shortage


def main() -> None:
    """Entry point. Exit status: 2 for usage and policy errors, 125 when the machine lacks something, else the verb's."""
    hold_standard_streams()
    collect_later()
    try:
        status = _do(sys.argv[1:])
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)
        status = EXIT_INTERRUPTED
    except OutwardError as error:
        say_error(error)
        status = EXIT_SETUP if isinstance(error, HostError) else EXIT_USAGE
    except BrokenPipeError:
        if is_read():
            say("a process that was started for this has ended before its time")
            status = EXIT_SETUP
        else:
            # The reader of our output is gone (`outward log | head`); Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = 0
    except (OSError, MemoryError) as error:
        if (short := shortage(error)) is None:
            raise
        say_error(short)
        status = EXIT_SETUP
    status = status if isinstance(status, int) else 0
    if sys.argv[1:2] == ["run"]:
        leave(status)
    sys.exit(status)


def _do(words: list[str]) -> Any:
    # `run` is what has to start quickly; either of these takes longer to load than a sandbox to build.
    if words[:1] == ["run"] and (arguments := read_plainly(words[1:])) is not None:
        from outward.cli.starting import start

        collect_from_here()
        return start(arguments)
    from outward.cli.verbs import call

    return call()
