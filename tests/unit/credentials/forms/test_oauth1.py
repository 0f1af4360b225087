"""Signatures of OAuth 1.0a, against the published examples and against a check of our own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError, Injection, Secret
from outward.credentials.forms.oauth1 import MAX_FORM, MAX_PARAMETERS, OAuth1
from outward.credentials.forms.signing import Signed, Unsigned
from tests.support.oauth1 import parameters_of, signature

VALUES = {
    "key": Secret("key", b"dpf43f3p2l4k3l03"),
    "secret": Secret("secret", b"kd94hf93k423kf44"),
    "token": Secret("token", b"nnch734d00sl2jdk"),
    "token-secret": Secret("token-secret", b"pfkkdhi9sl3r4s00"),
}
SETTINGS = {"consumer_key": "key", "consumer_secret": "secret", "token": "token", "token_secret": "token-secret"}
FORM = ("content-type", "application/x-www-form-urlencoded")


def oauth1(**settings: str) -> OAuth1:
    return OAuth1(Injection("oauth1", tuple(SETTINGS.values()), settings=tuple((SETTINGS | settings).items())))


def sign(form: OAuth1, method: str, target: str, *fields: tuple[str, str], body: bytes | None = None) -> Signed:
    path, _, query = target.partition("?")
    request = Unsigned(method, "http", "photos.example.net", path, query, fields, not body, body)
    return form.read(request).sign(request, VALUES)


def check(signed: Signed, method: str, path: str, body: bytes = b"") -> dict[str, str]:
    """What the header says, if the signature is good."""
    (value,) = [value for name, value in signed.fields if name == "authorization"]
    said = parameters_of(value)
    base = f"http://photos.example.net{path}"
    good = signature(method, base, signed.query, body.decode(), said, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
    assert said["oauth_signature"] == good
    return said


def test_the_check_agrees_with_rfc_5849() -> None:
    """§1.2: both of its examples with a query."""
    said = {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131202",
        "oauth_nonce": "chapoH",
    }
    where = "http://photos.example.net/photos", "file=vacation.jpg&size=original", ""
    good = signature("GET", *where, said, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
    assert good == "MdpQcU8iPSUjWoN/UDMsK2sui9I="
    assert good != signature("GET", *where, said, "kd94hf93k423kf44", "pfkkdhi9sl3r4s01")


def test_the_example_of_oauth_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """OAuth Core 1.0a, appendix A.5: it states the version, as the library does and RFC 5849's examples do not."""
    monkeypatch.setattr("oauthlib.oauth1.rfc5849.generate_nonce", lambda: "kllo9940pd9333jh")
    monkeypatch.setattr("oauthlib.oauth1.rfc5849.generate_timestamp", lambda: "1191242096")
    signed = sign(oauth1(), "GET", "/photos?file=vacation.jpg&size=original")
    assert check(signed, "GET", "/photos") == {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1191242096",
        "oauth_nonce": "kllo9940pd9333jh",
        "oauth_version": "1.0",
        "oauth_signature": "tR3+Ty81lMeYAr/Fid0kMTYa/WM=",
    }


CLIENTS_OWN = (
    "authorization",
    'OAuth oauth_consumer_key="mine", oauth_signature_method="HMAC-SHA256", oauth_signature="mine"',
)


@pytest.mark.parametrize(
    ("settings", "fields", "method"),
    [
        ({}, (), "HMAC-SHA1"),
        ({}, (CLIENTS_OWN,), "HMAC-SHA256"),
        ({"method": "HMAC-SHA1"}, (CLIENTS_OWN,), "HMAC-SHA1"),
        ({"method": "HMAC-SHA256"}, (), "HMAC-SHA256"),
        ({}, (("authorization", 'OAuth oauth_signature_method="PLAINTEXT"'),), "HMAC-SHA1"),
    ],
)
def test_the_method(settings: dict[str, str], fields: tuple[tuple[str, str], ...], method: str) -> None:
    signed = sign(oauth1(**settings), "GET", "/x", *fields)
    assert check(signed, "GET", "/x")["oauth_signature_method"] == method
    assert "mine" not in str(signed.fields)


def test_what_the_client_says_in_oauths_name_is_gone() -> None:
    signed = sign(oauth1(), "GET", "/x?a=1&oauth_signature=mine&%6Fauth_token=mine;OAUTH.nonce=mine&b=2")
    assert signed.query == "a=1&b=2"
    check(signed, "GET", "/x")
    for body in (b"a=1&oauth_token=mine", b"%6fauth%5Ftoken=mine", b"a=1&OAuth_Signature=x"):
        with pytest.raises(ClientError, match="of the client's own"):
            sign(oauth1(), "POST", "/x", FORM, body=body)


def test_a_form_is_signed_and_anything_else_is_not() -> None:
    body = b"status=a+b%26c&x="
    signed = sign(oauth1(), "POST", "/x?y=z", FORM, body=body)
    check(signed, "POST", "/x", body)
    with pytest.raises(AssertionError):
        check(signed, "POST", "/x", b"status=another")
    json = ("content-type", "application/json")
    check(sign(oauth1(), "POST", "/x", json, body=b'{"a": 1}'), "POST", "/x")
    with pytest.raises(ClientError, match="must be encoded"):
        sign(oauth1(), "POST", "/x", FORM, body=b"a=b c\xff")
    with pytest.raises(ClientError, match="octets"):
        sign(oauth1(), "POST", "/x", FORM, body=b"a" * (MAX_FORM + 1))
    with pytest.raises(ClientError, match="parameters"):
        sign(oauth1(), "POST", "/x", FORM, body=b"a&" * MAX_PARAMETERS)
    with pytest.raises(ClientError, match="parameters"):
        sign(oauth1(), "GET", "/x?" + "a&" * MAX_PARAMETERS)
    with pytest.raises(ClientError, match="several content types"):
        sign(oauth1(), "POST", "/x", FORM, json, body=b"a=b")


@given(
    st.lists(st.tuples(st.text("ab%é&= +", min_size=1), st.text("ab%é&=; +")), max_size=4),
    st.lists(st.tuples(st.text("ab%é&= +", min_size=1), st.text("ab%é&=; +")), max_size=4),
)
def test_whatever_is_sent_a_server_agrees(query: list[tuple[str, str]], form: list[tuple[str, str]]) -> None:
    from urllib.parse import urlencode

    body = urlencode(form).encode()
    signed = sign(oauth1(), "POST", f"/x?{urlencode(query)}", FORM, body=body)
    check(signed, "POST", "/x", body)
