"""Clients that fetch a page: each works with no flag of its own, and each is stopped by what should stop it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.clients.conftest import VALUE, basic
from tests.clients.site import Asked, Reply

PYTHON = "python - <<'END'\n{}\nEND"
NODE = 'node --input-type=module -e "{}"'


class Client(NamedTuple):
    """``line`` fetches https://api.test/page, prints what comes and ends with 0 only after a 200. ``trust`` is the variable
    that makes it trust the gateway."""

    line: str
    trust: str
    needs: tuple[str, ...]


CLIENTS = {
    # Real programs, as somebody would type them.
    "curl": Client("curl -sS --fail-with-body https://api.test/page", "CURL_CA_BUNDLE", ("curl",)),
    "wget": Client("wget -nv --content-on-error -O - https://api.test/page", "WGETRC", ("wget",)),
    "requests": Client(
        PYTHON.format(
            "import requests\nanswer = requests.get('https://api.test/page')\nprint(answer.text, end='')\n"
            "answer.raise_for_status()"
        ),
        "REQUESTS_CA_BUNDLE",
        ("python-clients",),
    ),
    "httpx": Client(
        PYTHON.format(
            "import httpx\nanswer = httpx.get('https://api.test/page')\nprint(answer.text, end='')\n"
            "answer.raise_for_status()"
        ),
        "SSL_CERT_FILE",
        ("python-clients",),
    ),
    "urllib": Client(
        PYTHON.format(
            "import urllib.request, urllib.error\n"
            "try:\n    print(urllib.request.urlopen('https://api.test/page').read().decode(), end='')\n"
            "except urllib.error.HTTPError as error:\n    print(error.read().decode())\n    raise"
        ),
        "SSL_CERT_FILE",
        (),
    ),
    "node fetch": Client(
        NODE.format(
            "const answer = await fetch('https://api.test/page');"
            "process.stdout.write(await answer.text()); process.exitCode = answer.ok ? 0 : 1"
        ),
        "NODE_EXTRA_CA_CERTS",
        ("node24",),
    ),
    "node https": Client(
        NODE.format(
            "import https from 'node:https'; https.get('https://api.test/page', answer => {{"
            "process.exitCode = answer.statusCode === 200 ? 0 : 1; answer.pipe(process.stdout) }})"
        ),
        "NODE_EXTRA_CA_CERTS",
        ("node24",),
    ),
}


def each(*without: str) -> pytest.MarkDecorator:
    """One test for every client but those."""
    marks = {name: pytest.mark.needs("bubblewrap", *client.needs) for name, client in CLIENTS.items()}
    return pytest.mark.parametrize(
        "client", [pytest.param(CLIENTS[name], marks=marks[name], id=name) for name in CLIENTS if name not in without]
    )


def page(asked: Asked) -> Reply:
    return Reply(body=f"{asked.method} {asked.path} for a friend\n".encode())


@pytest.fixture
def api(site):
    return site("api.test", page)


@each()
def test_it_works_with_a_credential_that_it_does_not_have(desk, api, client):
    desk.allow(api, "GET /page")
    done = desk.inside(client.line)
    assert (done.stdout, done.returncode) == ("GET /page for a friend\n", 0), done.stderr
    assert [asked.headers["authorization"] for asked in api.asked] == [f"Bearer {VALUE}"]
    desk.assert_recorded("api.test")


@each()
def test_without_the_injection_the_server_turns_it_away(desk, api, client):
    desk.allow(api, "GET /page", inject="")
    done = desk.inside(client.line)
    assert done.returncode != 0
    assert not api.asked
    assert api.turned_away


@each()
def test_another_path_is_a_typed_refusal(desk, api, client):
    desk.allow(api, "GET /other")
    done = desk.inside(client.line)
    assert done.returncode != 0
    assert '"code":"path_not_allowed"' in done.stdout.replace(" ", "")
    assert not api.asked + api.turned_away


@each()
def test_another_host_is_refused_before_tls(desk, api, client):
    desk.allow(api, "GET /page")
    done = desk.inside(client.line.replace("api.test", "evil.test"))
    assert done.returncode != 0
    assert "403" in (said := done.stderr + done.stdout) or "Forbidden" in said
    assert [r["code"] for r in desk.caller.journal()] == ["host_not_allowed"]


@each()
def test_a_server_that_the_policy_does_not_vouch_for_gets_nothing(desk, api, client):
    desk.allow(api, "GET /page", ca=False)
    done = desk.inside(client.line)
    assert done.returncode != 0
    assert '"code":"upstream_tls"' in done.stdout.replace(" ", "")
    assert not api.asked + api.turned_away


@each("wget")  # GnuTLS reads the system's bundle as well, which is ours inside
def test_it_trusts_the_gateway_by_the_variable_that_we_set(desk, api, client):
    desk.allow(api, "GET /page")
    desk.caller.file(desk.caller.workspace / "other.pem", desk.ca.read_text(), 0o644)
    done = desk.inside(f"export {client.trust}=$PWD/other.pem\n{client.line}")
    assert done.returncode != 0
    assert "certificate" in done.stderr.lower()
    assert not api.asked + api.turned_away


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize("text", [VALUE, basic("user").removeprefix("Basic ")])
def test_the_search_for_the_value_finds_it_where_it_is(desk, api, text):
    desk.allow(api, "GET /page")
    desk.inside("echo harmless >~/note")
    desk.assert_unseen()
    desk.inside(f"echo 'it is {text}.' >~/note")
    with pytest.raises(AssertionError, match="note holds the secret"):
        desk.assert_unseen()


@pytest.mark.needs("bubblewrap", "node24")
@pytest.mark.parametrize("name", ["node fetch", "node https"])
def test_node_without_its_variable_comes_to_the_gateway_all_the_same(desk, api, name):
    desk.allow(api, "GET /page")
    line = f"unset NODE_USE_ENV_PROXY\n{CLIENTS[name].line}"
    assert desk.inside(line).returncode == 0
    desk.assert_recorded("api.test")
    desk.allow(api, "GET /other")
    assert desk.inside(line).returncode != 0
    assert len(api.asked + api.turned_away) == 1


@pytest.mark.needs("bubblewrap", "curl")
@pytest.mark.parametrize("desk", ["unprivileged"], indirect=True)
def test_somebody_unprivileged(desk, api):
    desk.allow(api, "GET /page")
    done = desk.inside(CLIENTS["curl"].line)
    assert (done.stdout, done.returncode) == ("GET /page for a friend\n", 0), done.stderr
    desk.assert_recorded("api.test")


@pytest.mark.needs("bubblewrap", "openssl")
@pytest.mark.parametrize("ours", [True, False])
def test_openssl_verifies_the_gateway(desk, api, ours):
    desk.allow(api, "GET /page")
    desk.caller.file(desk.caller.workspace / "other.pem", desk.ca.read_text(), 0o644)
    roots = "SSL_CERT_DIR=$PWD" if ours else "SSL_CERT_DIR=$PWD SSL_CERT_FILE=$PWD/other.pem"
    client = "openssl s_client -proxy 127.0.0.1:3128 -connect api.test:443 -verify_return_error -brief"
    done = desk.inside(f"export {roots}\n{client} </dev/null")
    assert (done.returncode == 0) is ours
    assert ("Verification: OK" in done.stderr) is ours
