"""What the gateway shows to clients, checked by clients that verify."""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from outward.core import HostError
from outward.pki import Authority
from outward.pki import authority as module
from tests.unit.pki.conftest import client_context, handshake

if TYPE_CHECKING:
    from pathlib import Path


def leaf(server: ssl.SSLContext, authority: Authority, host: str) -> x509.Certificate:
    der = handshake(server, client_context(authority), host).getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize(
    "host", ["api.example.com", "under_score.example.com", "127.0.0.1", "::1", "x" * 63 + ".example"]
)
def test_a_client_that_trusts_the_authority_accepts_the_host(authority: Authority, host: str) -> None:
    handshake(authority.server_context(host), client_context(authority), host)


@pytest.mark.parametrize("other", ["api.example.org", "a.api.example.com", "example.com", "127.0.0.2", "::2"])
def test_a_leaf_is_good_for_its_host_alone(authority: Authority, other: str) -> None:
    for host in ("api.example.com", "127.0.0.1", "::1"):
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            handshake(authority.server_context(host), client_context(authority), other)


def test_a_client_that_does_not_trust_the_authority_refuses(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority.server_context("api.example.com"), client_context(stranger), "api.example.com")


def test_leaf_contents(authority: Authority) -> None:
    first = leaf(authority.server_context("api.example.com"), authority, "api.example.com")
    second = leaf(authority.server_context("b.example.com"), authority, "b.example.com")
    now = datetime.now(UTC)
    ca = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    assert first.not_valid_before_utc < now - timedelta(hours=23)
    assert first.not_valid_after_utc - first.not_valid_before_utc <= timedelta(days=7)
    assert first.not_valid_after_utc > now + timedelta(days=5)
    assert first.serial_number != second.serial_number
    assert list(first.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert not first.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    key_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert first.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    assert first.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest != key_id


def test_an_authority_signs_leaves_and_no_authorities(authority: Authority) -> None:
    ca = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)


def test_the_leaf_key_is_on_no_disk(authority: Authority) -> None:
    authority.server_context("api.example.com")
    files = {path.name for path in authority.certificate_file.parent.iterdir()}
    assert files == {"ca.pem", "ca.key", "examined", "lock"}


def test_alpn_is_what_the_caller_asks_for(authority: Authority) -> None:
    client = client_context(authority, ("h2", "http/1.1"))
    one = handshake(authority.server_context("a.example"), client, "a.example")
    two = handshake(authority.server_context("a.example", ("h2", "http/1.1")), client, "a.example")
    assert (one.selected_alpn_protocol(), two.selected_alpn_protocol()) == ("http/1.1", "h2")


def test_old_tls_is_refused(authority: Authority) -> None:
    server, client = authority.server_context("a.example"), client_context(authority)
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(server, client, "a.example").version() == "TLSv1.2"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        handshake(server, client, "a.example")


def test_contexts_are_cached_and_bounded(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONTEXTS", 2)
    a = authority.server_context("a.example")
    b = authority.server_context("b.example")
    assert authority.server_context("a.example") is a
    authority.server_context("c.example")  # b goes: a was used since
    assert authority.server_context("a.example") is a
    assert authority.server_context("b.example") is not b


@pytest.mark.parametrize(("shift", "same"), [(-1, False), (0, True), (2 * 86_400, True), (4 * 86_400, False)])
def test_a_leaf_is_renewed_before_it_ends(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, shift: float, same: bool
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    first = authority.server_context("a.example")
    monkeypatch.setattr(time, "time", lambda: now + shift)
    assert (authority.server_context("a.example") is first) is same


def test_a_leaf_never_outlives_its_authority(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    monkeypatch.setattr(time, "time", lambda: ca.not_valid_after_utc.timestamp() - 3600)
    context = authority.server_context("a.example")
    client = client_context(authority)
    client.check_hostname, client.verify_mode = False, ssl.VerifyMode(0)  # today it is not yet valid
    der = handshake(context, client, "a.example").getpeercert(binary_form=True)
    assert der is not None
    assert x509.load_der_x509_certificate(der).not_valid_after_utc == ca.not_valid_after_utc


@pytest.mark.parametrize("host", ["ä.example", "a" * 300 + "\ud800"])
def test_a_host_that_is_not_canonical_is_an_error_of_ours(authority: Authority, host: str) -> None:
    with pytest.raises(HostError):
        authority.server_context(host)


def test_opening_does_not_load_the_library_that_signs(authority: Authority) -> None:
    program = (
        "import sys; from pathlib import Path; from outward.pki import Authority;"
        f"Authority.open(Path({str(authority.certificate_file.parent)!r}));"
        "assert not [m for m in sys.modules if m.startswith('cryptography')], 'loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
