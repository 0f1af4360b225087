"""pip, npm and cargo, against registries on loopback that serve nobody without a token."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import VALUE
from tests.clients.site import Asked, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.conftest import Desk
    from tests.clients.site import Application, Site

pytestmark = pytest.mark.needs("bubblewrap")

HOST = "registry.example"
PIP = """
sandbox: {env: {set: {PIP_INDEX_URL: "https://registry.example/simple/"}}}
"""
NPM = """
sandbox: {env: {set: {npm_config_registry: "https://registry.example/"}}}
"""
PIP_INSTALL = "pip install --quiet --target lib greeting && PYTHONPATH=lib python -c 'import greeting'"
NPM_INSTALL = "npm install --silent greeting && node -e 'require(\"greeting\")'"
NPM_PUBLISH = """\
mkdir published && cd published
echo '{"name": "published", "version": "1.0.0"}' >package.json
echo "//registry.example/:_authToken=$SERVICE_TOKEN" >~/.npmrc
npm publish
"""
CARGO = """
sandbox: {env: {set: {CARGO_REGISTRIES_COMPANY_INDEX: "sparse+https://registry.example/index/"}}}
"""
CARGO_FETCH = """\
mkdir -p src && : >src/lib.rs
printf '[package]\\nname = "mine"\\nversion = "1.0.0"\\nedition = "2021"\\n[dependencies]\\n' >Cargo.toml
echo 'greeting = { version = "1", registry = "company" }' >>Cargo.toml
cargo fetch --quiet && cat ~/.cargo/registry/src/*/greeting-1.0.0/src/lib.rs
"""
READ_ONLY = "GET,HEAD /**"


def wheel() -> bytes:
    """``greeting`` 1.0, as pip wants it."""
    info = "greeting-1.0.dist-info"
    files = {
        "greeting.py": "print('hello from the wheel')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


PACKAGE = {
    "package/package.json": '{"name": "greeting", "version": "1.0.0", "main": "index.js"}',
    "package/index.js": "console.log('hello from the tarball')\n",
}
CRATE = {
    "greeting-1.0.0/Cargo.toml": '[package]\nname = "greeting"\nversion = "1.0.0"\nedition = "2021"\n',
    "greeting-1.0.0/src/lib.rs": "// hello from the crate\n",
}


def tarball(files: dict[str, str]) -> bytes:
    """As npm and cargo want them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def registry(host: str = HOST) -> Application:
    """A simple index (PEP 503), an npm and a cargo registry in one; takes what is published with PUT."""
    packed, crate = tarball(PACKAGE), tarball(CRATE)
    digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
    dist = {"tarball": f"https://{host}/greeting/-/greeting-1.0.0.tgz", "integrity": f"sha512-{digest}"}
    version = {"name": "greeting", "version": "1.0.0", "dist": dist}
    document = {"name": "greeting", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    line = {"name": "greeting", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
    line["cksum"] = hashlib.sha256(crate).hexdigest()
    link = '<!DOCTYPE html><a href="/files/greeting-1.0-py3-none-any.whl">greeting-1.0-py3-none-any.whl</a>'
    pages = {
        "/simple/greeting/": (link.encode(), "text/html"),
        "/files/greeting-1.0-py3-none-any.whl": (wheel(), "application/octet-stream"),
        "/greeting": (json.dumps(document).encode(), "application/json"),
        "/greeting/-/greeting-1.0.0.tgz": (packed, "application/octet-stream"),
        "/index/config.json": (json.dumps({"dl": f"https://{host}/crates"}).encode(), "application/json"),
        "/index/gr/ee/greeting": (json.dumps(line).encode(), "text/plain"),
        "/crates/greeting/1.0.0/download": (crate, "application/octet-stream"),
    }

    def answer(asked: Asked) -> Reply:
        if asked.method == "PUT":
            return Reply(201, b'{"ok": true}', (("content-type", "application/json"),))
        if asked.path not in pages:
            return Reply(404, b"{}", (("content-type", "application/json"),))
        body, kind = pages[asked.path]
        return Reply(200, body, (("content-type", kind),))

    return answer


@pytest.fixture
def packages(site: Callable[..., Site]) -> Site:
    return site(HOST, registry())


@pytest.fixture(autouse=True)
def _cargo_s_own_directory(desk: Desk) -> None:
    """What rustup would start needs rustup's home; the program itself needs only itself."""
    if (rustup := shutil.which("rustup")) is not None:
        found = subprocess.run([rustup, "which", "cargo"], capture_output=True, text=True, timeout=60)
        desk.caller.environment["PATH"] += f":{Path(found.stdout.strip()).parent}" if found.returncode == 0 else ""


NEEDS = {
    "pip": pytest.mark.needs("python-clients"),
    "npm": pytest.mark.needs("npm24"),
    "cargo": pytest.mark.needs("cargo"),
}
INSTALLERS = pytest.mark.parametrize(
    ("line", "more", "said"),
    [
        pytest.param(PIP_INSTALL, PIP, "hello from the wheel\n", id="pip", marks=NEEDS["pip"]),
        pytest.param(NPM_INSTALL, NPM, "hello from the tarball\n", id="npm", marks=NEEDS["npm"]),
        pytest.param(CARGO_FETCH, CARGO, "// hello from the crate\n", id="cargo", marks=NEEDS["cargo"]),
    ],
)


@INSTALLERS
def test_it_installs_with_a_token_that_it_does_not_have(desk, packages, line, more, said):
    desk.allow(packages, READ_ONLY, more=more)
    done = desk.inside(line)
    assert (done.stdout.splitlines()[-1:], done.returncode) == ([said.strip()], 0), done.stderr
    assert {asked.headers["authorization"] for asked in packages.asked} == {f"Bearer {VALUE}"}
    desk.assert_recorded(HOST)


@INSTALLERS
def test_without_the_injection_there_is_nothing(desk, packages, line, more, said):
    desk.allow(packages, READ_ONLY, inject="", more=more)
    done = desk.inside(line)
    assert done.returncode != 0
    assert said not in done.stdout
    assert packages.turned_away
    assert not packages.asked


@INSTALLERS
def test_what_the_policy_does_not_allow_is_not_installed(desk, packages, line, more, said):
    desk.allow(packages, "GET /simple/**", "GET /greeting", "GET /index/**", more=more)
    done = desk.inside(line)
    assert done.returncode != 0
    assert said not in done.stdout
    assert packages.asked
    assert not [asked for asked in packages.asked if asked.path.startswith(("/files/", "/greeting/-/", "/crates/"))]
    assert "path_not_allowed" in {record.get("code") for record in desk.caller.journal()}


@pytest.mark.parametrize(
    ("variables", "line", "more"),
    [
        # requests is inside of pip, and its variable goes before pip's own.
        pytest.param(("PIP_CERT", "REQUESTS_CA_BUNDLE"), PIP_INSTALL, PIP, id="pip", marks=NEEDS["pip"]),
        pytest.param(("npm_config_cafile",), NPM_INSTALL, NPM, id="npm", marks=NEEDS["npm"]),
        pytest.param(("CARGO_HTTP_CAINFO",), CARGO_FETCH, CARGO, id="cargo", marks=NEEDS["cargo"]),
    ],
)
def test_it_trusts_the_gateway_by_the_variables_that_we_set(desk, packages, variables, line, more):
    desk.allow(packages, READ_ONLY, more=more)
    desk.caller.file(desk.caller.workspace / "other.pem", desk.ca.read_text(), 0o644)
    others = " ".join(f"{variable}=$PWD/other.pem" for variable in variables)
    done = desk.inside(f"export {others} PIP_RETRIES=0 npm_config_fetch_retries=0 CARGO_NET_RETRY=0\n{line}")
    assert done.returncode != 0
    assert not packages.asked


@NEEDS["npm"]
def test_publishing_is_not_possible_through_a_policy_that_reads(desk, packages):
    desk.allow(packages, READ_ONLY, more=NPM)
    done = desk.inside(NPM_PUBLISH)
    assert done.returncode != 0
    assert "403" in done.stderr
    assert "PUT" not in {asked.method for asked in packages.asked}
    (refused,) = [r for r in desk.caller.journal() if r.get("method") == "PUT"]
    assert (refused["verdict"], refused["code"]) == ("deny", "method_not_allowed")


@NEEDS["npm"]
def test_publishing_is_possible_where_the_policy_says_so(desk, packages):
    desk.allow(packages, READ_ONLY, "PUT /published", more=NPM)
    done = desk.inside(NPM_PUBLISH)
    assert done.returncode == 0, done.stderr
    (put,) = [asked for asked in packages.asked if asked.method == "PUT"]
    assert put.headers["authorization"] == f"Bearer {VALUE}"
    desk.assert_recorded(HOST)
