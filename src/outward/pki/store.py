"""The authority's files: made once, whole or not at all, and checked each time they are opened."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.core.fingerprint import fingerprint
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CERTIFICATE: Final = "ca.pem"
KEY: Final = "ca.key"
BUNDLE: Final = "bundle.pem"
EXAMINED: Final = "examined"
"""Which pair was found good, by its digest, and from when to when it is."""
_LOCK: Final = "lock"

_INCOMPLETE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
"""A file is missing, or is none. Of anything else, as a full disk, the authority is not to blame: nobody should remove it."""

SYSTEM_BUNDLES: Final[tuple[Path, ...]] = (
    # Where distributions keep all trusted roots in one PEM file. First found wins.
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Arch, Alpine, Nix
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),  # Fedora, RHEL
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # older Fedora and RHEL
    Path("/etc/ssl/cert.pem"),  # Alpine without ca-certificates, LibreSSL
)


def prepare(directory: Path) -> None:
    """Makes the directory and, on first use, the authority in it; checks what is there. Raises :class:`HostError`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(directory.stat().st_mode) & 0o022:
            raise HostError(f"others can write to {directory}", hint=_start_over(directory))
        with _locked(directory):
            if not (directory / CERTIFICATE).exists():
                _create(directory)
        check(directory)
    except OSError as error:
        raise HostError(
            f"cannot use the certificate authority in {directory}: {error.strerror or error}",
            hint=_start_over(directory) if error.errno in _INCOMPLETE else "",
        ) from error


def check(directory: Path) -> None:
    """Refuses a key that others can read, a pair that does not belong together, and an authority out of its time.

    What was found good is kept in a file beside them and is not examined again: that would take a tenth of the start-up.
    """
    pair = read_key(directory) + (directory / CERTIFICATE).read_bytes()
    digest = fingerprint(pair)
    life = _known(directory, digest)
    if life is None:
        life = _examine(directory)
        _write(directory / EXAMINED, f"{digest} {life.begins} {life.ends}".encode(), mode=0o600)
    if not life.begins <= time.time() < life.ends:
        begins, ends = (time.strftime("%Y-%m-%d", time.gmtime(moment)) for moment in life)
        raise HostError(
            f"the certificate authority in {directory} is valid from {begins} to {ends} only",
            hint=f"If this machine's clock is right: {_start_over(directory)}",
        )


class _Life(NamedTuple):
    """POSIX timestamps."""

    begins: int
    ends: int


def _known(directory: Path, digest: str) -> _Life | None:
    with contextlib.suppress(OSError, ValueError):  # nothing is kept yet, or nothing that can be read
        known, begins, ends = (directory / EXAMINED).read_text().split(" ")
        if known == digest:
            return _Life(int(begins), int(ends))
    return None


def _examine(directory: Path) -> _Life:
    """``ssl`` looks at the files: it takes a hundredth of the time of the library that signs."""
    import ssl  # here: the first use alone, or one after a change, examines

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(directory / CERTIFICATE, directory / KEY, password=_no_password)
        context.load_verify_locations(directory / CERTIFICATE)
    except (ssl.SSLError, ValueError) as error:
        raise HostError(
            f"{directory / CERTIFICATE} and {KEY} are damaged, or do not belong together", hint=_start_over(directory)
        ) from error
    certificates = context.get_ca_certs()
    if len(certificates) != 1:
        raise HostError(
            f"{directory / CERTIFICATE} is not the certificate of one authority", hint=_start_over(directory)
        )
    return _Life(*(ssl.cert_time_to_seconds(str(certificates[0][field])) for field in ("notBefore", "notAfter")))


def read_key(directory: Path) -> bytes:
    """The key, read through the descriptor whose owner and mode were checked."""
    path = directory / KEY
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise HostError(f"{path} is not a file of yours", hint=_start_over(directory))
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise HostError(f"others can read {path}, and may have", hint=_start_over(directory))
        return file.read()


def write_bundle(directory: Path, system_bundles: tuple[Path, ...]) -> Path:
    """The system's roots and our certificate in one file, made anew when either has changed since."""
    system = next((path for path in system_bundles if path.is_file()), None)
    if system is None:
        raise HostError(
            "found no file with this system's trusted roots",
            hint="Install the package ca-certificates.",
        )
    bundle, parts = directory / BUNDLE, (system, directory / CERTIFICATE)
    try:
        # The change time, unlike the modification time, cannot be older than the change.
        if not bundle.exists() or bundle.stat().st_ctime_ns <= max(part.stat().st_ctime_ns for part in parts):
            _write(bundle, b"\n".join(part.read_bytes() for part in parts), mode=0o644)
    except OSError as error:
        raise HostError(f"cannot write {bundle}: {error.strerror or error}") from error
    return bundle


def _create(directory: Path) -> None:
    from outward.pki.minting import create_authority, utc  # here: only the first use ever makes an authority

    pair = create_authority(utc(time.time()))
    # The certificate comes last: as long as it is missing nobody can have trusted the key.
    _write(directory / KEY, pair.key, mode=0o600)
    _write(directory / CERTIFICATE, pair.certificate, mode=0o644)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """All of the content or none of it, also when the machine dies meanwhile."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the caller's umask: other users of a sandbox read the bundle
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _no_password() -> str:
    # Without this, OpenSSL would ask for the password of an encrypted key on the terminal.
    raise ValueError("the key is encrypted")


def _start_over(directory: Path) -> str:
    return (
        f"Remove {directory}; a new authority is made at the next start (what trusts the old one must be told again)."
    )
