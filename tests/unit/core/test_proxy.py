"""Proxies of others: their addresses, and which hosts go around them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError, Proxy
from outward.core.proxy import bypassed, host_and_port, parse_proxy_url, split_no_proxy

NO_PROXY = [
    # NO_PROXY, host, whether the proxy is left aside; as curl 7.88 does, see tests/integration/test_no_proxy.py
    ("", "a.example", False),
    ("*", "a.example", True),
    (" * ", "10.1.2.3", True),
    ("x, *", "a.example", False),
    ("*.example", "a.example", False),
    ("example", "example", True),
    ("example", "a.example", True),
    ("example", "b.a.example", True),
    ("example", "aexample", False),
    ("a.example", "example", False),
    (".example", "a.example", True),
    (".example", "example", True),
    ("example.", "a.example", True),
    ("..example", "a.example", False),
    ("EXAMPLE", "a.example", True),
    (".", "a.example", False),
    ("a.example:9", "a.example", False),
    ("b.example a.example", "a.example", True),
    ("b.example\ta.example", "a.example", True),
    (",,b.example , ,a.example,", "a.example", True),
    ("b.example;a.example", "a.example", False),
    ("10.1.2.3", "10.1.2.3", True),
    ("10.1.2.3", "10.1.2.4", False),
    ("10.1.2.3:9", "10.1.2.3", False),
    ("2.3", "10.1.2.3", False),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.9.9.9/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.1.2.3/32", "10.1.2.3", True),
    ("10.0.0.0/33", "10.0.0.0", False),
    ("0.0.0.0/0", "10.1.2.3", False),
    ("10.0.0.0/8", "a.example", False),
    ("10.0.0.0/8", "fd00::1", False),
    ("::1", "::1", True),
    ("0:0::1", "::1", True),
    ("[::1]", "::1", False),
    ("fd00::/8", "10.1.2.3", False),
    ("fd00::/16", "fd00::1", True),
    ("fd00::/16", "fd01::1", False),
    ("::1/200", "::1", False),
]


@pytest.mark.parametrize(("no_proxy", "host", "expected"), NO_PROXY)
def test_no_proxy(no_proxy: str, host: str, expected: bool) -> None:
    assert bypassed(host, split_no_proxy(no_proxy)) is expected


labels = st.text("abc", min_size=1, max_size=3)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@given(st.lists(names, max_size=5), names)
def test_a_name_is_bypassed_by_itself_and_what_it_is_below(patterns: list[str], host: str) -> None:
    above = {host.split(".", n)[n] for n in range(host.count(".") + 1)}
    assert bypassed(host, patterns) is bool(above & set(patterns))


@given(st.ip_addresses(), st.ip_addresses(), st.integers(1, 128))
def test_a_network_bypasses_what_is_in_it(network, address, bits: int) -> None:
    whole = min(bits, network.max_prefixlen)
    expected = address.version == network.version and address in ip_network(f"{network}/{whole}", strict=False)
    assert bypassed(str(address), (f"{network}/{whole}",)) is expected


@given(st.text(max_size=30), st.one_of(names, st.ip_addresses().map(str)))
def test_whatever_no_proxy_says_there_is_an_answer(text: str, host: str) -> None:
    assert bypassed(host, split_no_proxy(text)) in {True, False}


def test_an_address() -> None:
    assert parse_proxy_url("HTTP://u:p%40@Proxy.Example.:3128/") == ("http", "proxy.example", 3128, "u:p%40")
    assert parse_proxy_url("https://[::1]") == ("https", "::1", 443, None)
    assert str(Proxy("socks5h", "::1", 1080, "user", "secret")) == "socks5h://[::1]:1080"
    assert host_and_port("a.example", 443) == "a.example:443"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a:1",
        "http://",
        "http://:1",
        "http://a",
        "http://a:0",
        "http://a:65536",
        "http://a:1/x",
        "http://a:1?x",
        "socks4://a:1",
        "ftp://a:1",
        "http://127.1:1",
        "http://a b:1",
        "http://a:1\r\n",
        "http://a\x00:1",
        "http://[::1:1",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ClientError):
        parse_proxy_url(url)


@given(st.text(max_size=40))
def test_no_error_repeats_what_may_be_a_password(rest: str) -> None:
    secret = "sk-ant-test-1234"
    for url in (
        f"http://u:{secret}{rest}@a:x",
        f"http://{secret}{rest}",
        f"{secret}://{rest}",
        f"ftp://{secret}@{rest}",
    ):
        said = ""
        try:
            parse_proxy_url(url)
        except ClientError as error:
            said = error.message
        assert secret not in said


@given(st.text(max_size=40))
def test_what_is_accepted_is_one_canonical_place(text: str) -> None:
    try:
        scheme, host, port, _ = parse_proxy_url(f"http://{text}")
    except ClientError:
        return
    assert 0 < port < 65536
    assert parse_proxy_url(str(Proxy(scheme, host, port))) == (scheme, host, port, None)
    if ":" in host:
        assert str(ip_address(host)) == host
