"""Making certificates (RFC 5280). Imported only when one has to be made: the library behind it takes long to load."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outward.core import HostError
from outward.core.records import NamedTuple

BACKDATED: Final = timedelta(days=1)
"""Sandboxes and virtual machines have clocks of their own; a certificate from the future is refused by every client."""
AUTHORITY_LIFETIME: Final = timedelta(days=3650)
LEAF_LIFETIME: Final = timedelta(days=7)
"""From the back-dated start to the end."""


class Pair(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def create_authority(now: datetime) -> Pair:
    """A self-signed authority that may sign leaves and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The serial in the name keeps authorities of different machines apart: path building goes by name.
    name = _name(f"Outward local authority {serial:x}"[:40])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(Encoding.PEM), _pem(key))


class Minter:
    """Signs leaves with an authority's key. One leaf key serves all hosts, for the life of the process."""

    def __init__(self, authority: Pair) -> None:
        key = load_pem_private_key(authority.key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise HostError("the certificate authority's key is not an elliptic-curve key")
        self._key: Final = key
        certificate = x509.load_pem_x509_certificate(authority.certificate)
        self._ends: Final = certificate.not_valid_after_utc
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key: Final = _pem(leaf_key)
        # What all leaves share is encoded once.
        self._builder: Final = (
            x509.CertificateBuilder()
            .subject_name(_name("Outward gateway"))
            .issuer_name(certificate.subject)
            .public_key(leaf_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf_key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
        )

    def mint(self, host: str, now: datetime) -> Pair:
        """A leaf for one canonical host: ``iPAddress`` for an address, else ``dNSName`` (RFC 6125 §6.4, RFC 9110 §4.3.4)."""
        certificate = (
            self._builder.serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min(now - BACKDATED + LEAF_LIFETIME, self._ends))
            .add_extension(x509.SubjectAlternativeName([_alternative_name(host)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Pair(certificate.public_bytes(Encoding.PEM), self._leaf_key)


def utc(timestamp: float) -> datetime:
    """The moment of a POSIX timestamp, as certificates want it."""
    return datetime.fromtimestamp(timestamp, UTC)


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
