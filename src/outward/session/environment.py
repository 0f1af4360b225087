"""The environment inside, made from scratch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from outward.cage import PORT
from outward.core import HostError
from outward.isolation import system
from outward.pki import proxy_variables, trust_file_variables, trust_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.session.options import Options
    from outward.workspace import View

PROXY: Final = f"http://127.0.0.1:{PORT}"
_SHELLS: Final = ("/bin/bash", "/bin/sh")


def build(options: Options, view: View, placeholders: Mapping[str, str]) -> dict[str, str]:
    """Every variable that the command sees; nothing of the caller's unless the policy lists it.

    Later groups win: a policy may change what an agent is told, but not where the gateway is, nor put a value where a
    placeholder belongs. Raises :class:`HostError` for a policy that would pass the variable a secret is read from.
    """
    policy = options.policy
    sources = {spec.argument: spec.name for spec in policy.secrets.values() if spec.source == "env"}
    for name in policy.sandbox.env_pass:
        if name in sources and name not in placeholders:
            raise HostError(
                f"the policy passes {name} into the sandbox, and reads the secret {sources[name]!r} from it",
                hint=f"Remove {name} from sandbox.env.pass; `expose: {name}` gives the sandbox a placeholder.",
            )
    passed = {name: options.environment[name] for name in policy.sandbox.env_pass if name in options.environment}
    return {
        **_basics(options, view),
        **view.variables,
        **options.profile.environment,
        **policy.registry_variables,
        **passed,
        **policy.sandbox.env_set,
        **proxy_variables(PROXY),
        **trust_variables(system.BUNDLE, system.CA),
        **trust_file_variables(system.OWN),
        **placeholders,
    }


def _basics(options: Options, view: View) -> dict[str, str]:
    return {
        "PATH": ":".join(view.path),
        "HOME": system.HOME,
        "USER": system.USER,
        "LOGNAME": system.USER,
        "SHELL": next(filter(os.path.exists, _SHELLS), _SHELLS[-1]),
        "LANG": "C.UTF-8",
        "TERM": options.environment.get("TERM", "dumb") if options.terminal else "dumb",
        "TMPDIR": "/tmp",  # noqa: S108 (the sandbox's own)
        "PWD": view.workspace,
    }
