"""``make demo``: an agent that works with a key that it does not have.

Everything is local: a stand-in for the Messages API that accepts only the real (synthetic) key, ``outward run`` with the
policy below, and a small agent (or ``claude`` where it is installed) inside.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from demo.messages_api import Behaviour, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
OUTWARD = Path(sys.executable).with_name("outward")

POLICY = """\
version: 1
secrets:
  anthropic: {{env: ANTHROPIC_API_KEY, expose: ANTHROPIC_API_KEY}}   # inside: a placeholder of the same shape
destinations:
  - host: api.anthropic.com
    connect_to: 127.0.0.1:{port}      # the stand-in; a real policy does not have this line, nor the next
    ca: ca.pem
    allow: [POST /v1/messages, POST /v1/messages/count_tokens]
    inject:
      - {{header: x-api-key, secret: anthropic}}
"""


class Terminal:
    """Colours only where somebody sees them."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colours else text

    def title(self, text: str) -> None:
        print(f"\n{self._paint('1', text)}", flush=True)

    def line(self, ok: bool, what: str, detail: str) -> None:
        mark = self._paint("32", "ok ") if ok else self._paint("31", "BAD")
        print(f"  {mark}  {what}: {detail}", flush=True)

    def text(self, text: str) -> None:
        print("".join(f"  {line}\n" for line in text.splitlines()), end="", flush=True)


@contextmanager
def stand_in(directory: Path, key: str) -> Iterator[int]:
    """The Messages API on a free port of 127.0.0.1; its authority's certificate is ``ca.pem`` in ``directory``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate = directory / "server.pem"
    authority.issue_cert("api.anthropic.com").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    server = serve(Behaviour(key), certificate)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def outward(directory: Path, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ANTHROPIC_API_KEY": key, "OUTWARD_HOME": str(directory / "state")}
    return subprocess.run(
        [OUTWARD, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=directory / "project",
        check=False,
    )


def run_agent(show: Terminal, directory: Path, key: str) -> bool:
    """The small agent: what worked, what was looked for, what was tried. Whether all went as it should."""
    shutil.copy(HERE / "agent.py", directory / "project")
    policy = str(directory / "policy.yaml")
    done = outward(directory, key, "run", "--quiet", "--policy", policy, "--", "python3", "agent.py", key[-12:])
    results = [json.loads(line) for line in done.stdout.splitlines()]
    for result in results:
        show.line(result["ok"], result["what"], result["detail"])
    if done.returncode or len(results) != 8:
        show.text(done.stderr)
        return False
    return all(result["ok"] for result in results)


def run_claude(show: Terminal, directory: Path, key: str) -> bool:
    """The same key, the real program."""
    policy = str(directory / "policy.yaml")
    done = outward(directory, key, "run", "--quiet", "--policy", policy, "--", "claude", "-p", "Say hello.")
    show.line(done.returncode == 0, "claude -p 'Say hello.'", done.stdout.strip() or done.stderr.strip())
    return done.returncode == 0


def main() -> int:
    show = Terminal()
    key = f"sk-ant-test-{secrets.token_hex(24)}"
    with tempfile.TemporaryDirectory(prefix="outward-demo-") as name:
        directory = Path(name).resolve()
        (directory / "project").mkdir()
        with stand_in(directory, key) as port:
            policy = directory / "policy.yaml"
            policy.write_text(POLICY.format(port=port))
            policy.chmod(0o600)
            show.title("The policy: one host, two paths, one credential")
            show.text(policy.read_text())
            show.title("outward run -- python3 agent.py      (works with a key that it does not have)")
            well = run_agent(show, directory, key)
            if shutil.which("claude"):
                show.title("outward run -- claude -p 'Say hello.'")
                well &= run_claude(show, directory, key)
            show.title("outward log      (what happened, outside of the agent's reach)")
            show.text(outward(directory, key, "log").stdout)
            verified = outward(directory, key, "audit", "verify")
            show.line(verified.returncode == 0, "outward audit verify", verified.stdout.strip())
    show.title("Next, with a real key:")
    show.text("export ANTHROPIC_API_KEY=…\n.venv/bin/outward run -- claude\n.venv/bin/outward log --denied")
    return 0 if well and verified.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
