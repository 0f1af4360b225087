from __future__ import annotations

import pytest

from outward.backends.microvm import acceleration
from outward.backends.microvm.acceleration import Acceleration, Memory
from outward.core import HostError


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Memory:
    """Where /dev/kvm may be opened, nothing was tried yet."""
    for name in ("kvm", "qemu"):
        (tmp_path / name).touch()
    (tmp_path / "machine").mkdir()
    (tmp_path / "boot").write_text("first\n")
    monkeypatch.setattr(acceleration, "KVM", str(tmp_path / "kvm"))
    monkeypatch.setattr(acceleration, "_BOOT", tmp_path / "boot")
    return Memory(tmp_path, str(tmp_path / "qemu"))


def never() -> str:
    raise AssertionError("it was tried again")


@pytest.mark.parametrize("obstacle", ["", "it hung"])
def test_it_is_tried_once(memory, obstacle):
    assert memory.known() is None
    assert memory.ask(lambda: obstacle) == Acceleration(not obstacle, obstacle)
    assert memory.ask(never) == memory.known() == Acceleration(not obstacle, obstacle)


def test_it_is_tried_again_after_a_start_of_the_host(memory, tmp_path):
    memory.ask(lambda: "it hung")
    (tmp_path / "boot").write_text("second\n")
    assert memory.ask(lambda: "").kvm


def test_it_is_tried_again_with_another_qemu(memory, tmp_path):
    memory.ask(lambda: "it hung")
    (tmp_path / "qemu").write_text("another")
    assert memory.known() is None


def test_what_may_not_be_opened_is_not_kept(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(acceleration, "KVM", str(tmp_path / "nowhere"))
    assert memory.ask(never).obstacle == f"there is no {tmp_path}/nowhere"
    monkeypatch.setattr(acceleration, "KVM", str(tmp_path / "kvm"))
    assert memory.known() is None


@pytest.mark.parametrize("text", ["", "first", "\n", "\xff", "a\nb\nc"])
def test_what_cannot_be_read_is_nothing(memory, tmp_path, text):
    (tmp_path / "machine" / "kvm").write_bytes(text.encode("latin-1"))
    assert memory.known() is None


def test_what_cannot_be_written_is_an_error(memory, tmp_path):
    (tmp_path / "machine").rmdir()
    with pytest.raises(HostError):
        memory.ask(lambda: "")


def test_it_says_how():
    assert str(Acceleration(True)) == "with KVM"
    assert str(Acceleration(False, "it hung")) == "without KVM, some ten times slower: it hung"
