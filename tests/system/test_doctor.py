"""``outward doctor`` on the real machine, with a few real clients and two that are broken."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.needs("bubblewrap", "curl", "git")


@pytest.fixture
def findings(caller):
    """What it finds about clients."""
    programs = caller.home / "bin"
    programs.mkdir()
    for name in ("curl", "git", "setpriv"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    # One that trusts nobody, one that does nothing.
    caller.file(
        programs / "cargo",
        "#!/bin/sh\nfor word; do :; done\nexec /usr/bin/curl --silent --show-error "
        "--proto-default https --cacert /etc/outward/ca.pem --capath /nowhere --pinnedpubkey sha256//AAAA= "
        '"${CARGO_REGISTRIES_DOCTOR_INDEX#sparse+}"\n',
        0o755,
    )
    caller.file(programs / "gh", "#!/bin/sh\necho nothing for me >&2\nexit 1\n", 0o755)
    caller.own(programs)
    caller.environment["PATH"] = str(programs)
    done = caller.outward("doctor", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_it_finds(caller, findings):
    clients = {each["name"]: each for each in findings["clients"]}
    assert clients.keys() == {"curl", "git", "cargo", "gh"}
    assert (clients["curl"]["good"], clients["git"]["good"]) == (True, True)
    assert "reaches the gateway, but does not trust its certificates" in clients["cargo"]["found"]
    assert clients["gh"]["found"] == "nothing of it arrives: nothing for me"
    assert findings["ok"] is True
    assert {each["name"]: each["good"] for each in findings["backends"]}["bubblewrap"] is True
    assert findings["machine"]
    # It leaves a session in the journal, and nothing else.
    assert list((caller.state / "homes").iterdir()) == []
    assert caller.journal() == []
