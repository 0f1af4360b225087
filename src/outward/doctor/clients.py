"""Whether clients reach the gateway and trust its certificates: each makes a request from inside a sandbox."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.doctor.finding import Finding
from outward.doctor.standin import DOMAIN, stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from outward.doctor.standin import StandIn
    from outward.doctor.trial import Trial, Trials

PATIENCE: Final = 45.0
"""Seconds for one request. Some clients are slow to start, and some try again before they give up."""

_NODE: Final = (
    "const url = process.argv[1]; require(url.split(':')[0]).get(url, () => process.exit(0))"
    ".on('error', error => { console.error(error.message); process.exit(1) })"
)
_PYTHON: Final = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"
_JAVA: Final = """\
public class Doctor {
    public static void main(String[] words) throws Exception {
        new java.net.URI(words[0]).toURL().openStream().close();
    }
}
"""
_STANDS_FOR: Final = re.compile(r"\b(?:URL|HOST)\b", re.ASCII)  # a whole word: not the end of GH_HOST
_ABOUT_TRUST: Final = re.compile(r"certificate|certification|self.signed|x509", re.IGNORECASE)
_DOCUMENT: Final = "See docs/clients.md for what makes it use the gateway and trust its certificates."


class Client(NamedTuple):
    """A program and the ``words`` that make it fetch something: ``URL`` and ``HOST`` stand for where from, ``files`` lie in its
    directory. ``remedy`` is for those that need more than variables."""

    name: str
    words: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    remedy: str = _DOCUMENT


def _words(line: str) -> tuple[str, ...]:
    return tuple(line.split())


CLIENTS: Final = (
    # The shortest command with which each makes a request of its own kind. What it gets back need not please it.
    Client("curl", ("curl", "--silent", "--show-error", "URL/")),
    Client("git", ("git", "ls-remote", "URL/repository")),
    Client("pip", _words("pip download --no-deps --no-cache-dir --retries 0 --index-url URL/simple outward-doctor")),
    Client("npm", _words("npm view outward-doctor --registry URL/ --fetch-retries 0")),
    Client("node", ("node", "-e", _NODE, "URL/")),
    Client("python", ("python3", "-c", _PYTHON, "URL/")),
    Client("go", _words("env GO111MODULE=on GONOSUMDB=* GOPROXY=URL/ go list -m -versions example.test/doctor")),
    Client(
        "java",
        ("java", "Doctor.java", "URL/"),
        (("Doctor.java", _JAVA),),
        "Java takes roots from a file of its own: see docs/clients.md, “Java”.",
    ),
    Client("cargo", _words("env CARGO_REGISTRIES_DOCTOR_INDEX=sparse+URL/ cargo search --registry doctor outward")),
    Client(
        "gcloud",
        (
            *(
                "env",
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=token",
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER=URL/",
            ),
            *("gcloud", "projects", "list", "--quiet"),
        ),
        (("token", "ya29.test-synthetic\n"),),
    ),
    Client("gh", _words("env GH_HOST=HOST GH_ENTERPRISE_TOKEN=ghp_test_synthetic gh api meta")),
)


def try_clients(
    clients: Iterable[Client],
    search_path: str,
    trials: Trials,
    directory: Path,
    backend: str,
    watch: Callable[[str], None],
) -> Iterator[Finding]:
    """Tries those that are on ``search_path``. ``watch`` is told which is being tried."""
    with stand_in(directory) as server:
        for client in clients:
            program = "python3" if client.name == "python" else client.name
            if shutil.which(program, path=search_path) is not None:
                watch(client.name)
                yield _try(client, server, trials, backend)


def _try(client: Client, server: StandIn, trials: Trials, backend: str) -> Finding:
    for name, text in client.files:
        (trials.workspace / name).write_text(text)
    host = f"{client.name}.{DOMAIN}"
    secure = _ask(client, host, "https", server, trials, backend)
    if ("https", host) in server.seen:
        return Finding(client.name, True, "reaches the gateway and trusts its certificates")
    if secure.status in {126, 127}:
        return Finding(client.name, False, *secure.complaint)
    _ask(client, host, "http", server, trials, backend)
    if ("http", host) in server.seen:
        found = f"reaches the gateway, but does not trust its certificates: {_last(secure)}"
    else:
        found = f"nothing of it arrives: {_last(secure)}"
    return Finding(client.name, False, found, client.remedy)


def _ask(client: Client, host: str, scheme: str, server: StandIn, trials: Trials, backend: str) -> Trial:
    url = f"{scheme}://{host}"
    meant = {"URL": url, "HOST": host}
    words = [_STANDS_FOR.sub(lambda match: meant[match[0]], word) for word in client.words]
    return trials.run(_policy(host, server), words, backend=backend, seconds=PATIENCE)


def _policy(host: str, server: StandIn) -> str:
    return f"""\
version: 1
proxy: none
destinations:
  - {{host: {host}, connect_to: "127.0.0.1:{server.ports["https"]}", ca: "{server.ca}", allow: ["* /**"]}}
  - {{host: {host}, scheme: http, name: plain, connect_to: "127.0.0.1:{server.ports["http"]}", allow: ["* /**"]}}
"""


def _last(trial: Trial) -> str:
    """What a client said about it: about certificates, if anything, or last."""
    lines = [line.strip() for line in trial.said.splitlines() if line.strip() and not line.startswith("outward: ")]
    telling = [line for line in lines if _ABOUT_TRUST.search(line)] or lines
    return telling[-1][:200] if telling else "it does not say why"
