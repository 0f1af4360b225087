from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.backends.containers import image
from outward.core import HostError
from outward.isolation import programs

if TYPE_CHECKING:
    from pathlib import Path

MMDEBSTRAP = """#!/bin/sh
echo built >>{log}
cat >{log}.sources
echo "I: extracting archives..." >&2
test -e {log}.broken && {{ echo "E: no such package" >&2; exit 1; }}
for word; do case $word in /*) echo tree >"$word";; esac; done
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with package sources, an engine that says what it is told, and what builds."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {
        "mmdebstrap": MMDEBSTRAP.format(log=tmp_path / "log"),
        "podman": f'#!/bin/sh\necho "$@" $(cat) >>{tmp_path}/engine\n',
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "apt" / "sources.list").write_text("deb here\n")
    monkeypatch.setattr(image, "_APT", tmp_path / "apt")
    monkeypatch.setattr(programs, "SYSTEM_PATH", f"{tools}:/usr/bin:/bin")
    return tmp_path


def build(machine: Path, *packages: str) -> list[str]:
    said: list[str] = []
    assert image.build("podman", packages, machine / "cache", {}, said.append) == image.NAME
    return said


def test_it_is_built_from_the_machines_sources_and_imported(machine):
    assert build(machine) == ["extracting archives...", "importing into podman"]
    assert (machine / "log.sources").read_text() == "deb here\n"
    assert (machine / "engine").read_text() == f"import - {image.NAME} tree\n"


def test_where_there_is_no_engine_it_is_unpacked(machine):
    tree = machine / "tree"
    (tree / "usr").mkdir(parents=True)
    tools = machine / "tools" / "mmdebstrap"
    tools.write_text(f'#!/bin/sh\nfor word; do case $word in /*) tar -C {tree} -cf "$word" .;; esac; done\n')
    cache = machine / "cache"
    assert image.build("gvisor", (), cache, {}, lambda _: None) == image.NAME
    (root,) = cache.glob("roots/*/root-*")
    assert [path.name for path in root.iterdir()] == ["usr"]
    assert not (machine / "engine").exists()


def test_what_is_there_is_not_built_again(machine):
    build(machine)
    assert build(machine) == ["importing into podman"]
    assert (machine / "log").read_text() == "built\n"


def test_other_packages_or_sources_build_it_anew(machine):
    build(machine)
    build(machine, "golang")
    (machine / "apt" / "sources.list.d" / "x.sources").write_text("URIs: elsewhere\n")
    build(machine, "golang")
    assert (machine / "log").read_text() == "built\n" * 3
    assert (machine / "log.sources").read_text() == "URIs: elsewhere\n"


def test_what_fails_is_said_and_not_kept(machine):
    (machine / "log.broken").touch()
    with pytest.raises(HostError, match="mmdebstrap says: no such package"):
        build(machine)
    assert list((machine / "cache").iterdir()) == []


def test_without_sources_there_is_none(machine):
    (machine / "apt" / "sources.list").unlink()
    with pytest.raises(HostError, match="no package sources"):
        build(machine)


def test_without_the_tool_there_is_none(machine, monkeypatch):
    (machine / "tools" / "mmdebstrap").unlink()
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(machine / "tools"))
    with pytest.raises(HostError, match="mmdebstrap is not installed"):
        build(machine)
