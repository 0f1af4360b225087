"""The authority's files: made once, and refused when anything about them is wrong."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest

from outward.core import HostError
from outward.pki import Authority, minting, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_key_is_ours_alone(authority: Authority) -> None:
    directory = authority.certificate_file.parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "ca.key").stat().st_mode) == 0o600


def test_the_key_is_ours_alone_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Authority.open(tmp_path / "pki")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "pki" / "ca.key").stat().st_mode) == 0o600


def test_opening_again_gives_the_same_authority(authority: Authority) -> None:
    before = authority.certificate_file.read_bytes()
    again = Authority.open(authority.certificate_file.parent)
    assert again.certificate_file.read_bytes() == before


def _expire(directory: Path) -> None:
    pair = minting.create_authority(minting.utc(time.time() - minting.AUTHORITY_LIFETIME.total_seconds() - 10))
    (directory / "ca.key").write_bytes(pair.key)
    (directory / "ca.pem").write_bytes(pair.certificate)


def _other_key(directory: Path) -> None:
    (directory / "ca.key").write_bytes(minting.create_authority(minting.utc(time.time())).key)


def _leaf_for_authority(directory: Path) -> None:
    pair = minting.Pair((directory / "ca.pem").read_bytes(), (directory / "ca.key").read_bytes())
    leaf = minting.Minter(pair).mint("a.example", minting.utc(time.time()))
    (directory / "ca.pem").write_bytes(leaf.certificate)
    (directory / "ca.key").write_bytes(leaf.key)


def _symlink_key(directory: Path) -> None:
    (directory / "ca.key").rename(directory / "elsewhere")
    (directory / "ca.key").symlink_to("elsewhere")


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / "ca.key").chmod(0o640),
        lambda directory: (directory / "ca.key").chmod(0o604),
        lambda directory: directory.chmod(0o770),
        lambda directory: (directory / "ca.key").unlink(),
        lambda directory: (directory / "ca.key").write_bytes(b""),
        lambda directory: (directory / "ca.key").write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"),
        lambda directory: (directory / "ca.pem").write_bytes(b"not a certificate"),
        lambda directory: (directory / "ca.pem").write_bytes((directory / "ca.pem").read_bytes()[:-100]),
        _symlink_key,
        _expire,
        _other_key,
        _leaf_for_authority,
    ],
)
def test_what_is_wrong_is_refused_with_a_way_out(authority: Authority, damage: Callable[[Path], object]) -> None:
    directory = authority.certificate_file.parent
    Authority.open(directory)
    damage(directory)
    with pytest.raises(HostError) as caught:
        Authority.open(directory)
    assert str(directory) in caught.value.hint


def test_what_was_found_good_is_not_examined_again(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(directory: Path) -> object:
        raise AssertionError(directory)

    monkeypatch.setattr(store, "_examine", examine)
    Authority.open(authority.certificate_file.parent)
    (authority.certificate_file.parent / "ca.pem").write_bytes(authority.certificate_file.read_bytes() + b"\n")
    with pytest.raises(AssertionError):
        Authority.open(authority.certificate_file.parent)


@pytest.mark.parametrize("kept", [b"", b"0 0 9999999999", b"{digest} 0", b"{digest} a b", b"\xff"])
def test_what_was_kept_and_cannot_be_read_is_found_out_again(authority: Authority, kept: bytes) -> None:
    examined = authority.certificate_file.parent / "examined"
    before = examined.read_bytes()
    examined.write_bytes(kept.replace(b"{digest}", before.split()[0]))
    Authority.open(authority.certificate_file.parent)
    assert examined.read_bytes() == before


def test_an_authority_that_ends_meanwhile_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = int((authority.certificate_file.parent / "examined").read_bytes().split()[2])
    monkeypatch.setattr(time, "time", lambda: ends - 1.0)
    Authority.open(authority.certificate_file.parent)
    monkeypatch.setattr(time, "time", lambda: float(ends))
    with pytest.raises(HostError, match="is valid from"):
        Authority.open(authority.certificate_file.parent)


def test_a_first_use_that_was_cut_short_is_made_whole(authority: Authority) -> None:
    authority.certificate_file.unlink()
    again = Authority.open(authority.certificate_file.parent)
    again.server_context("a.example")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(HostError, match="No space left") as raised:
            Authority.open(tmp_path / "pki")
    assert "Remove" not in raised.value.hint  # the authority is not to blame
    assert {path.name for path in (tmp_path / "pki").iterdir()} == {"lock"}
    Authority.open(tmp_path / "pki").server_context("a.example")


def _open(directory: Path, results: multiprocessing.Queue[bytes]) -> None:
    results.put(Authority.open(directory).certificate_file.read_bytes())


def test_processes_that_start_together_share_one_authority(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[bytes] = context.Queue()
    processes = [context.Process(target=_open, args=(tmp_path / "pki", results)) for _ in range(4)]
    for process in processes:
        process.start()
    certificates = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(certificates) == 1


def test_the_bundle_holds_both(authority: Authority, system_roots: Path) -> None:
    content = authority.bundle_file.read_bytes()
    assert content.startswith(system_roots.read_bytes())
    assert content.endswith(authority.certificate_file.read_bytes())


def test_the_bundle_follows_the_system(authority: Authority, system_roots: Path) -> None:
    first = authority.bundle_file.stat().st_ino
    newer = system_roots.with_name("new")
    newer.write_text("# other roots\n")
    os.utime(newer, (0, 0))  # packages bring files that look old
    newer.rename(system_roots)
    assert b"other roots" in authority.bundle_file.read_bytes()
    assert authority.bundle_file.stat().st_ino != first


def test_the_bundle_is_not_written_without_need(authority: Authority, system_roots: Path) -> None:
    bundle = authority.bundle_file
    while bundle.stat().st_ctime_ns <= system_roots.stat().st_ctime_ns:  # made within one tick of the clock
        bundle = authority.bundle_file
    assert authority.bundle_file.stat().st_ino == bundle.stat().st_ino


def test_no_system_roots_is_an_error(authority: Authority, system_roots: Path) -> None:
    assert authority.bundle_file.is_file()
    system_roots.unlink()
    with pytest.raises(HostError, match="roots") as caught:
        _ = authority.bundle_file
    assert "ca-certificates" in caught.value.hint


def test_this_system_is_known() -> None:
    assert any(path.is_file() for path in store.SYSTEM_BUNDLES)
