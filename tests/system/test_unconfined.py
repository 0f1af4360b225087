"""The backend that is none: only for who says so twice, and told what it is."""

from __future__ import annotations

import pytest

ASKED = ("--backend", "none", "--i-understand-there-is-no-sandbox")


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        (("--backend", "none"), ""),
        ((), "sandbox: {backend: none}\n"),
        (("--i-understand-there-is-no-sandbox",), "sandbox: {backend: none}\n"),
    ],
)
def test_nothing_less_than_both_options_turns_it_off(caller, options, policy):
    file = caller.file(caller.home / "policy.yaml", f"version: 1\n{policy}")
    done = caller.inside("touch ran", "--policy", str(file), *options)
    assert done.returncode == 125
    assert "nothing runs without a sandbox" in done.stderr
    assert not (caller.workspace / "ran").exists()


def test_a_plain_process_that_knows_the_gateway(caller):
    done = caller.inside("echo $HTTPS_PROXY; test -s $SSL_CERT_FILE && touch ran; ls $HOME; exit 4", *ASKED)
    assert done.returncode == 4
    assert "THERE IS NO SANDBOX" in done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
    assert (caller.workspace / "ran").exists()


@pytest.mark.needs("curl")
def test_the_gateway_decides_what_comes_to_it(caller):
    assert "403" in caller.inside("curl -sS https://evil.test/", *ASKED).stderr
    assert {(record["host"], record["verdict"]) for record in caller.journal()} == {("evil.test", "deny")}


def test_without_a_sandbox_no_limit_is_promised(caller):
    file = caller.file(caller.home / "policy.yaml", "version: 1\nsandbox: {limits: {pids: 5}}\n")
    done = caller.inside("true", "--policy", str(file), "--strict", *ASKED)
    assert done.returncode == 125
    assert "limit on pids" in done.stderr
