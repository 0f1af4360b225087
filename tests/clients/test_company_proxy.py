"""``outward run`` behind a company's proxy, by the caller's environment."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import HEADER
from tests.clients.site import Reply
from tests.support.company import CompanyProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.conftest import Desk
    from tests.clients.site import Site

pytestmark = pytest.mark.needs("bubblewrap", "curl")

PASSWORD = "corp-test-Passw0rd-0123456789"


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
@pytest.mark.parametrize("password", [PASSWORD, "corp-test-another-0123456789"])
def test_requests_go_through_the_caller_s_proxy_which_nothing_inside_knows(
    desk: Desk, site: Callable[..., Site], password: str
) -> None:
    api = site("api.test", lambda asked: Reply(body=b"hello\n"))
    desk.allow(api, "GET /page", inject=HEADER)
    # The name is known to the proxy alone.
    policy = desk.policy.read_text().replace(f"    connect_to: 127.0.0.1:{api.port}\n", "")
    desk.caller.file(desk.policy, policy)
    with closing(CompanyProxy(hosts={"api.test": api.port}, credentials=f"agent:{PASSWORD}")) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        desk.caller.environment["HTTPS_PROXY"] = f"http://agent:{password}@{address}"
        inside = (
            f"env; curl -sS https://api.test/page; curl -sS --max-time 5 --proxy http://{address} https://api.test/"
        )
        done = desk.inside(inside)
    assert f"outward: requests go out through the proxy http://{address} (HTTPS_PROXY)\n" in done.stderr
    assert proxy.targets == ["CONNECT api.test:443"], "and not by what is inside"
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert variables["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    assert address not in variables.values()
    for text in (done.stdout, done.stderr):
        assert password not in text
    desk.assert_unseen(password)
    if password == PASSWORD:
        assert "hello\n" in done.stdout
        assert len(api.asked) == 1
        desk.assert_recorded("api.test")
    else:
        assert "does not accept the credentials (407)" in done.stdout
        assert api.asked == []


@pytest.mark.parametrize("text", ["http://proxy.corp.example", "socks4://agent:secret@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_read_stops_everything(desk: Desk, site: Callable[..., Site], text: str) -> None:
    desk.allow(site("api.test", lambda asked: Reply()), "GET /page")
    desk.caller.environment["https_proxy"] = text
    done = desk.inside("touch ran")
    assert done.returncode == 125
    assert "$https_proxy is not the address of a proxy" in done.stderr
    assert "secret@" not in done.stderr
    assert not (desk.caller.workspace / "ran").exists()
