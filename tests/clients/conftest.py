"""Real clients in the real sandbox, and servers on loopback that demand a credential the sandbox does not have."""

from __future__ import annotations

import base64
import textwrap
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from outward.policy.load import PRESETS
from tests.clients.site import Application, Site
from tests.conftest import CLIENTS
from tests.support.caller import Caller, new_caller

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

VALUE = "ghp_synthetic0123456789abcdefghijklmnop"
"""The secret that the servers want; not one octet of it may be seen inside or on the disk."""

AGENT = "builder"
HEADER = "{header: authorization, value: 'Bearer {service}'}"


@dataclass
class Desk:
    """Somebody with clients, a policy and the servers that it is about."""

    caller: Caller
    ca: Path
    policy: Path

    def allow(self, site: Site, *rules: str, inject: str = HEADER, more: str = "", ca: bool = True) -> None:
        """Writes the policy: ``rules`` at ``site``, with the secret injected as ``inject`` says; then ``more``."""
        trust = f"\n            ca: {self.ca}" if ca else ""
        text = f"""\
        version: 1
        secrets:
          service: {{env: SERVICE_TOKEN, expose: SERVICE_TOKEN}}
        destinations:
          - host: {site.host}
            connect_to: 127.0.0.1:{site.port}{trust}
            allow: [{", ".join(f'"{rule}"' for rule in rules)}]
            inject: [{inject}]
        """
        self.caller.file(self.policy, textwrap.dedent(text) + more)

    def use(self, preset: str, site: Site, *, without: str = "", more: str = "") -> None:
        """Writes the policy: the text of ``preset``, its host being at ``site``; without a line, and with ``more``."""
        text = (PRESETS / f"{preset}.yaml").read_text()
        here = f"    host: {site.host}\n"
        assert here in text
        text = text.replace(here, f"{here}    connect_to: 127.0.0.1:{site.port}\n    ca: {self.ca}\n")
        if without:
            assert without in text
            text = text.replace(without, "      # ")
        self.caller.file(self.policy, text + more)

    def inside(self, line: str, *, stdin: str = "", agent: str = AGENT) -> subprocess.CompletedProcess[str]:
        """A line of shell in the sandbox."""
        return self.caller.inside(line, "--policy", str(self.policy), "--agent", agent, stdin=stdin)

    def assert_recorded(
        self, host: str, *, agent: str = AGENT, credential: str = "service", value: str = VALUE
    ) -> None:
        """Every request to ``host`` has its start and its end, with the agent and the secret's name, and no value."""
        records = [r for r in self.caller.journal() if r.get("host") == host and r["verdict"] == "allow"]
        records = [r for r in records if r["kind"] != "dns"]
        starts = {r["id"]: r for r in records if r["phase"] == "start"}
        ends = {r["id"]: r for r in records if r["phase"] == "end"}
        assert starts
        assert starts.keys() == ends.keys()
        for record in records:
            assert (record["agent"], record["secrets"]) == (agent, [credential])
        self.assert_unseen(value)

    def assert_unseen(self, value: str = VALUE) -> None:
        """The value is nowhere below the state directory: not in the journal, not in the agent's home."""
        files = [path for path in self.caller.state.rglob("*") if path.is_file() and not path.is_symlink()]
        assert files
        for file in files:
            content = file.read_bytes()
            for form in spellings(value):
                assert form not in content, f"{file} holds the secret"


def spellings(value: str) -> list[bytes]:
    """The value as it is, and the parts of its base64 form that do not depend on what stands before or after."""
    raw = value.encode()
    return [raw, *(base64.b64encode(b"x" * before + raw)[4:-4] for before in range(3))]


def basic(username: str, password: str = VALUE) -> str:
    """An ``authorization`` header's value."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def probe(beginning: str) -> str:
    """A line of shell that prints whatever could hold a key that begins like this: the environment, that of every process,
    the files of the home and of the workspace."""
    return "\n".join(
        (
            "env",
            r"cat /proc/*/environ 2>/dev/null | tr '\0' '\n'",
            f'grep -rahs {beginning} ~ "$PWD" /tmp /etc/outward',
            "true",
        )
    )


def assert_only_the_placeholder(seen: str, variable: str, value: str) -> None:
    """``seen`` is what :func:`probe` printed: ``variable`` holds something like ``value``, which is nowhere."""
    assert f"{variable}={value[:3]}" in seen
    for form in spellings(value):
        assert form.decode() not in seen


@pytest.fixture(scope="session")
def server_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def desk(request: pytest.FixtureRequest, server_ca: trustme.CA) -> Iterator[Desk]:
    """Parametrised indirectly with ``unprivileged``, somebody who is not root."""
    with new_caller(Caller, unprivileged=getattr(request, "param", "self") == "unprivileged") as caller:
        caller.environment |= {"PATH": f"{CLIENTS}:/usr/local/bin:/usr/bin:/bin", "SERVICE_TOKEN": VALUE}
        ca = caller.file(caller.home / "servers.pem", server_ca.cert_pem.bytes().decode(), 0o644)
        yield Desk(caller, ca, caller.home / "policy.yaml")


@pytest.fixture
def site(server_ca: trustme.CA) -> Iterator[Callable[..., Site]]:
    """Starts servers: ``site("api.test", application)``."""
    with ExitStack() as stack:

        def start(
            host: str, application: Application, *, credential: str | None = f"Bearer {VALUE}", **options: Any
        ) -> Site:
            return stack.enter_context(Site(server_ca, host, credential, application, **options))

        yield start
