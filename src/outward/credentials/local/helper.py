"""Talks to the system keyring in a process of its own: whatever prompts, hangs or is slow to load can be ended.

Standard input is one JSON object (``do``: get, set or delete; ``service``, ``username``, ``value``), standard output the answer:
``{"value": …}``, ``null`` where there is none, or ``{"trouble": WORD}``. Run with ``python -P``: the current directory may be the
agent's, and no module is taken from there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from outward.credentials.memory import conceal


def answer(request: dict[str, str]) -> dict[str, Any]:
    """Does what is asked. What the keyring itself has to say about a failure is not repeated: it might be anything."""
    try:
        from keyring import core, errors
    except ImportError:
        return {"trouble": "library"}
    service, username = request["service"], request["username"]
    try:
        core.init_backend(limit=core.recommended)
        ring = core.get_keyring()
        if ring.priority < 1:
            return {"trouble": "none"}
        if request["do"] == "set":
            ring.set_password(service, username, request["value"])
        elif request["do"] == "delete":
            ring.delete_password(service, username)
        else:
            return {"value": ring.get_password(service, username)}
        return {"value": None}
    except (errors.KeyringLocked, errors.InitError):
        return {"trouble": "locked"}
    except errors.PasswordDeleteError:
        return {"value": None}
    except errors.NoKeyringError:
        return {"trouble": "none"}
    except RuntimeError:  # what the library says of a keyring that was configured and cannot be used
        return {"trouble": "none"}
    except errors.KeyringError:
        return {"trouble": "refused"}


def main() -> None:
    """One question, one answer."""
    conceal()
    request = json.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(answer(request)))


if __name__ == "__main__":
    main()
