from __future__ import annotations

from pathlib import Path

import pytest

from outward.workspace.toolchains import Toolchains, discover, interpreter, is_below


class Machine:
    """A home and a system in a temporary directory."""

    def __init__(self, root: Path) -> None:
        self.system = root / "usr"
        self.home = root / "home" / "me"
        self.program(self.system / "bin" / "env")
        self.home.mkdir(parents=True)

    def program(self, path: Path, text: str = "\x7fELF") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def link(self, path: Path, target: str | Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def discover(self, *directories: Path | str) -> Toolchains:
        path = ":".join(map(str, directories))
        return discover(path, str(self.home), covered=lambda path: is_below(path, str(self.system)))

    def roots(self, *directories: Path | str) -> set[str]:
        found = self.discover(*directories).roots
        return {str(Path(root).relative_to(self.home)) for root in found}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_directory_beside_lib_brings_its_prefix(machine):
    """nvm, and every other installation with the classic layout."""
    bin_ = machine.program(machine.home / ".nvm/versions/node/v20/bin/node").parent
    (bin_.parent / "lib").mkdir()
    assert machine.roots(bin_) == {".nvm/versions/node/v20"}


def test_a_plain_directory_brings_itself_only(machine):
    bin_ = machine.program(machine.home / "bin" / "tool").parent
    machine.program(machine.home / "private")
    assert machine.roots(bin_) == {"bin"}


def test_pyenv_shims_bring_pyenv(machine):
    shims = machine.program(machine.home / ".pyenv/shims/python", "#!/usr/bin/env bash\n").parent
    (machine.home / ".pyenv/versions").mkdir()
    assert machine.roots(shims) == {".pyenv"}


@pytest.mark.parametrize("directory", [".", "..", "../..", ".local", ".config"])
def test_a_home_or_anything_as_wide_is_never_shown(machine, directory):
    wide = (machine.home / directory).resolve()
    wide.mkdir(exist_ok=True)
    found = machine.discover(wide)
    assert found.roots == ()
    assert found.path == ()


def test_local_bin_does_not_bring_all_of_local(machine):
    """`~/.local` has `bin` beside `lib`, but also `share` with everything that programs keep."""
    bin_ = machine.program(machine.home / ".local/bin/tool").parent
    machine.program(machine.home / ".local/lib/python3.11/site-packages/tool.py")
    machine.program(machine.home / ".local/share/keyrings/login.keyring")
    found = machine.discover(bin_)
    assert set(found.roots) == {str(machine.home / ".local/bin"), str(machine.home / ".local/lib")}
    assert found.variables == {"PYTHONUSERBASE": str(machine.home / ".local")}


def test_claude_s_own_installation(machine):
    version = machine.program(machine.home / ".local/share/claude/versions/2.1.329")
    machine.program(machine.home / ".local/share/other/secret")
    bin_ = machine.link(machine.home / ".local/bin/claude", version).parent
    assert machine.roots(bin_) == {".local/bin", ".local/share/claude/versions/2.1.329"}


def test_a_link_into_node_modules_brings_all_of_them(machine):
    modules = machine.home / ".npm-global/lib/node_modules"
    machine.program(modules / "@anthropic-ai/claude-code/cli.js", "#!/usr/bin/env node\n")
    bin_ = machine.link(
        machine.home / "bin/claude", "../.npm-global/lib/node_modules/@anthropic-ai/claude-code/cli.js"
    ).parent
    assert machine.roots(bin_) == {"bin", ".npm-global/lib/node_modules"}


def test_a_uv_tool_brings_its_environment_and_that_its_interpreter(machine):
    python = machine.program(machine.home / ".local/share/uv/python/cpython-3.12/bin/python3.12")
    (python.parents[1] / "lib").mkdir()
    environment = machine.home / ".local/share/uv/tools/ruff"
    machine.link(environment / "bin/python", python)
    (environment / "pyvenv.cfg").write_text("")
    machine.program(environment / "bin/ruff", f"#!{environment}/bin/python\n")
    bin_ = machine.link(machine.home / ".local/bin/ruff", environment / "bin/ruff").parent
    assert machine.roots(bin_) == {".local/bin", ".local/share/uv/tools/ruff", ".local/share/uv/python/cpython-3.12"}


def test_an_interpreter_named_in_a_script_is_brought(machine):
    python = machine.program(machine.home / "venvs/x/bin/python")
    (machine.home / "venvs/x/pyvenv.cfg").write_text("")
    bin_ = machine.program(machine.home / "bin/tool", f"#!{python}\nprint()\n").parent
    assert machine.roots(bin_) == {"bin", "venvs/x"}


def test_rustup_is_found_and_told_where_it_is(machine):
    bin_ = machine.program(machine.home / ".cargo/bin/cargo").parent
    machine.program(machine.home / ".cargo/credentials.toml")
    machine.program(machine.home / ".rustup/toolchains/stable/bin/cargo")
    found = machine.discover(bin_)
    assert set(found.roots) == {str(machine.home / ".cargo/bin"), str(machine.home / ".rustup")}
    assert found.variables == {"RUSTUP_HOME": str(machine.home / ".rustup")}


def test_links_on_the_way_are_made_again(machine):
    """`current -> v20`: the name on PATH must lead to the prefix inside as well."""
    bin_ = machine.program(machine.home / "node/v20/bin/node").parent
    (bin_.parent / "lib").mkdir()
    current = machine.link(machine.home / "node/current", "v20")
    found = machine.discover(current / "bin")
    assert found.path == (f"{current}/bin",)
    assert found.roots == (str(bin_.parent),)
    assert found.links == {str(current): "v20"}


def test_a_chain_of_links_is_kept_whole(machine):
    program = machine.program(machine.home / "apps/tool-1")
    middle = machine.link(machine.home / "alternatives/tool", program)
    bin_ = machine.link(machine.home / "bin/tool", middle).parent
    found = machine.discover(bin_)
    assert set(found.roots) == {str(bin_), str(program)}
    assert found.links == {str(middle): str(program)}


def test_the_system_is_there_anyway(machine):
    found = machine.discover(machine.system / "bin")
    assert found == Toolchains(path=(str(machine.system / "bin"),))


@pytest.mark.parametrize("entry", ["", ".", "relative/bin", "/nonexistent/bin"])
def test_entries_that_mean_nothing_are_dropped(machine, entry):
    assert machine.discover(entry) == Toolchains()


def test_endless_links_end(machine):
    bin_ = machine.home / "bin"
    machine.link(bin_ / "a", "b")
    machine.link(bin_ / "b", "a")
    assert machine.roots(bin_) == {"bin"}


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("#!/bin/sh\n", "/bin/sh"),
        ("#! /usr/bin/env python\n", "/usr/bin/env"),
        ("#!\n", None),
        ("\x7fELF", None),
        ("", None),
    ],
)
def test_interpreters(tmp_path, text, program):
    file = tmp_path / "script"
    file.write_text(text)
    assert interpreter(str(file)) == program
