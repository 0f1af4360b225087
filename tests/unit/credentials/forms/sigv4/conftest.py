"""The keys and the time of AWS's own examples."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from outward.core import Injection, Secret
from outward.credentials.forms.signing import Unsigned
from outward.credentials.forms.sigv4 import SigV4, form

if TYPE_CHECKING:
    from outward.credentials.forms.signing import Signed

VALUES = {
    "id": Secret("id", b"AKIAIOSFODNN7EXAMPLE"),
    "key": Secret("key", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "token": Secret("token", b"session/token+of=some/length"),
}
WHEN = datetime(2013, 5, 24, tzinfo=UTC)
STAMP = "20130524T000000Z"


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "now", lambda: WHEN)


def sigv4(token: bool = False, /, **settings: str) -> SigV4:
    keys = {"access_key": "id", "secret_key": "key"} | ({"session_token": "token"} if token else {})
    return SigV4(Injection("sigv4", tuple(keys.values()), settings=tuple((keys | settings).items())))


def dummy(region: str = "us-east-1", service: str = "s3", covered: str = "host;x-amz-date") -> str:
    """The header of a client with keys that are none."""
    return (
        f"AWS4-HMAC-SHA256 Credential=AKIAPLACEHOLDER/20130524/{region}/{service}/aws4_request, "
        f"SignedHeaders={covered}, Signature={'0' * 64}"
    )


def request(
    line: str, *fields: tuple[str, str], host: str = "examplebucket.s3.amazonaws.com", body: bytes | None = None
) -> Unsigned:
    method, target = line.split(" ")
    path, _, query = target.partition("?")
    return Unsigned(method, "https", host, path, query, fields, not body, body)


def sign(signer: SigV4, unsigned: Unsigned) -> Signed:
    return signer.read(unsigned).sign(unsigned, VALUES)


def field(signed: Signed, name: str) -> str:
    (value,) = [value for key, value in signed.fields if key.lower() == name]
    return value
