"""What the caller's environment says about proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.cli.proxies import announcement, caller_proxies
from outward.core import Destination, HostError, Proxy
from outward.policy import Policy

PASSWORD = "corp-test-Passw0rd-0123456789"


def policy(*schemes: str, **fields: object) -> Policy:
    return Policy(
        destinations=tuple(Destination("a", "a.example", 1, scheme, (), **fields) for scheme in schemes)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("environment", "https", "http"),
    [
        ({}, None, None),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "a", None),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, "b", None),
        ({"HTTP_PROXY": "http://a:1"}, None, None),
        ({"http_proxy": "http://a:1"}, None, "a"),
        ({"ALL_PROXY": "http://a:1"}, "a", "a"),
        ({"all_proxy": "http://a:1", "ALL_PROXY": "http://b:1"}, "a", "a"),
        ({"ALL_PROXY": "http://a:1", "http_proxy": "http://b:1"}, "a", "b"),
        ({"Https_Proxy": "http://a:1"}, None, None),
    ],
)
def test_which_variable_counts(environment: dict[str, str], https: str | None, http: str | None) -> None:
    found = caller_proxies(environment).by_scheme
    assert {scheme: proxy.host for scheme, proxy in found.items()} == {
        scheme: host for scheme, host in (("https", https), ("http", http)) if host
    }


def test_no_scheme_is_http_and_no_proxy_counts_for_all() -> None:
    found = caller_proxies({"ALL_PROXY": "proxy.example:3128", "no_proxy": "a, .b", "NO_PROXY": "c"})
    assert found.by_scheme["https"] == Proxy("http", "proxy.example", 3128, no_proxy=("a", ".b"))
    assert found.secrets == ()


@pytest.mark.parametrize(
    ("userinfo", "username", "password"),
    [
        (f"agent:{PASSWORD}", "agent", PASSWORD),
        ("a%40b:p%3A%2F%25", "a@b", "p:/%"),
        ("agent:a:b", "agent", "a:b"),
        ("token", "token", ""),
        ("%C3%A9:%C3%A9", "é", "é"),
    ],
)
def test_a_login(userinfo: str, username: str, password: str) -> None:
    found = caller_proxies({"HTTPS_PROXY": f"http://{userinfo}@proxy.example:3128"})
    proxy, (secret,) = found.by_scheme["https"], found.secrets
    assert (proxy.username, proxy.secret) == (username, secret.name)
    assert secret.reveal() == password.encode()
    assert str(proxy) == "http://proxy.example:3128"


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{PASSWORD}@a",
        f"socks4://u:{PASSWORD}@a:1",
        f"http://u:{PASSWORD}/@a:1",
        f"http://u%0a:{PASSWORD}@a:1",
        f"http://%ff:{PASSWORD}@a:1",
        f"http://u:{PASSWORD}@a:1/path",
        f"{PASSWORD}",
    ],
)
def test_what_cannot_be_read_is_an_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(HostError) as caught:
        caller_proxies({"https_proxy": url})
    assert "$https_proxy" in caught.value.message
    assert "proxy: none" in caught.value.hint
    assert PASSWORD not in caught.value.message + caught.value.hint


@given(st.text(max_size=20))
def test_nothing_that_is_shown_holds_the_login(userinfo: str) -> None:
    try:
        found = caller_proxies({"https_proxy": f"http://{PASSWORD}{userinfo}:{PASSWORD}@a:1"})
    except HostError as error:
        assert PASSWORD not in error.message + error.hint  # noqa: PT017 (either way nothing is shown)
        return
    assert PASSWORD not in f"{found!r}{announcement(found, policy('https'))}"


def test_the_announcement() -> None:
    one = caller_proxies({"ALL_PROXY": "http://a:1"})
    two = caller_proxies({"HTTPS_PROXY": "http://a:1", "http_proxy": "socks5://b:2"})
    assert announcement(one, policy("https", "http")) == "requests go out through the proxy http://a:1 (ALL_PROXY)"
    assert announcement(two, policy("https")) == "requests go out through the proxy http://a:1 (HTTPS_PROXY)"
    assert announcement(two, policy("https", "http")) == (
        "https requests go out through the proxy http://a:1 (HTTPS_PROXY); "
        "http requests go out through the proxy socks5://b:2 (http_proxy)"
    )
    https = caller_proxies({"HTTPS_PROXY": "http://a:1"})
    assert (
        announcement(https, policy("https", "http"))
        == "https requests go out through the proxy http://a:1 (HTTPS_PROXY)"
    )


def test_nothing_is_announced_that_has_no_effect() -> None:
    one = caller_proxies({"ALL_PROXY": "http://a:1"})
    assert announcement(one, policy()) is None
    assert announcement(one, policy("https", proxy="none")) is None
    assert announcement(one, policy("https", proxy=Proxy("http", "b", 1))) is None
    assert announcement(one, policy("https", connect_to=("10.0.0.1", 1))) is None
    assert announcement(caller_proxies({}), policy("https")) is None
