"""Package managers are asked, and nothing that a sandbox can write takes part in the answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from outward.cli.registries import ClientRegistries

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A home, programs that answer from files, and a workspace; nothing of the real machine's package managers."""
    for name in ("home", "tools", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")
    monkeypatch.delenv("CARGO_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "work")
    directory: Path = tmp_path
    return directory


def program(directory: Path, name: str, script: str) -> None:
    file = directory / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def registries(machine: Path) -> ClientRegistries:
    return ClientRegistries(avoid=(machine / "work",))


NPM = """echo '{"registry": "https://npm.example/r/", "@acme:registry": "https://acme.example/", "cache": "/x", "n": null}'"""


def test_npm_is_asked_for_its_registries(machine):
    program(machine / "tools", "npm", NPM)
    assert registries(machine).urls("npm") == ("https://npm.example/r/", "https://acme.example/")
    assert registries(machine).variables("npm") == {"npm_config_registry": "https://npm.example/r/"}


def test_the_variables_for_the_sandbox_hold_no_password(machine):
    program(machine / "tools", "npm", """echo '{"registry": "https://me:secret-1@npm.example:8443/r/"}'""")
    assert registries(machine).variables("npm") == {"npm_config_registry": "https://npm.example:8443/r/"}
    assert registries(machine).variables("cargo") == {}


@pytest.mark.parametrize("registry", ["http://[/", "me:secret-1@npm.example/r/", "//me:secret-1@npm.example/", ""])
def test_what_is_no_address_is_not_shown_to_the_sandbox(machine, registry):
    program(machine / "tools", "npm", f"""echo '{{"registry": "{registry}"}}'""")
    assert registries(machine).variables("npm") == {}


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "echo '[]'", "kill -9 $$", "printf '\\377'"])
def test_a_client_that_gives_no_answer_gives_no_registry(machine, script):
    program(machine / "tools", "npm", script)
    assert registries(machine).urls("npm") == ()


def test_a_client_that_is_not_here_gives_no_registry(machine, monkeypatch):
    monkeypatch.setenv("PATH", str(machine / "tools"))
    assert registries(machine).urls("npm") == ()


def test_each_client_is_asked_once(machine):
    program(machine / "tools", "npm", f"echo >> {machine}/asked; {NPM}")
    asked = registries(machine)
    asked.urls("npm")
    asked.urls("npm")
    assert (machine / "asked").read_text() == "\n"


def test_a_program_of_the_workspace_is_not_run(machine, monkeypatch):
    """An agent that writes `node_modules/.bin/npm` must not have it run outside the sandbox next time."""
    planted = machine / "work" / "bin"
    planted.mkdir()
    program(planted, "npm", f"touch {machine}/escaped; {NPM}")
    monkeypatch.setenv("PATH", f"{planted}:bin:.:{os.defpath}")
    assert ClientRegistries(avoid=()).urls("npm") != (), "it would be run if nothing were avoided"
    (machine / "escaped").unlink()
    registries(machine).urls("npm")
    assert not (machine / "escaped").exists()


def test_a_link_into_the_workspace_is_not_followed(machine):
    program(machine / "work", "npm", NPM)
    (machine / "tools" / "npm").symlink_to(machine / "work" / "npm")
    assert registries(machine).urls("npm") == ()
    assert ClientRegistries(avoid=()).urls("npm") != ()


def test_what_a_client_runs_is_not_found_in_the_workspace_either(machine, monkeypatch):
    program(machine / "tools", "npm", f"node; {NPM}")
    program(machine / "work", "node", f"touch {machine}/escaped")
    monkeypatch.setenv("PATH", f"{machine / 'work'}:{machine / 'tools'}:/bin")
    registries(machine).urls("npm")
    assert not (machine / "escaped").exists()
    ClientRegistries(avoid=()).urls("npm")
    assert (machine / "escaped").exists(), "it is what would happen"


def test_a_client_is_asked_where_no_project_configures_it(machine):
    program(machine / "tools", "npm", """printf '{"registry": "https://x.example%s"}' "$PWD" """)
    assert registries(machine).urls("npm") == ("https://x.example/",)


PIP = """
case "$*" in
  *"config list"*) cat {answers}/config ;;
  *) cat {answers}/default ;;
esac
"""

PIP_ANSWERS = {
    "default": ("", ["https://default.example/simple", "https://files.example"]),
    "mirror": ("global.index-url='https://mirror.example/simple'\n", ["https://mirror.example/simple"]),
    "variable": (":env:.index-url='https://mirror.example/simple'\n", ["https://mirror.example/simple"]),
    "in addition": (
        "global.extra-index-url='https://a.example https://b.example'\nglobal.timeout='5'\n",
        ["https://a.example", "https://b.example", "https://default.example/simple", "https://files.example"],
    ),
    "both": (
        "install.index-url='https://m.example'\ninstall.extra-index-url='https://a.example'\n",
        ["https://m.example", "https://a.example"],
    ),
    "something else": (
        "global.find-links='https://links.example'\n",
        ["https://default.example/simple", "https://files.example"],
    ),
}


@pytest.mark.parametrize("name", PIP_ANSWERS)
def test_pip_is_asked_for_its_indexes(machine, name):
    answer, expected = PIP_ANSWERS[name]
    (machine / "config").write_text(answer)
    (machine / "default").write_text("https://default.example/simple\nhttps://files.example\n")
    program(machine / "tools", "python3", PIP.format(answers=machine))
    assert list(registries(machine).urls("pip")) == expected


def test_the_pip_of_this_machine_answers(machine, monkeypatch):
    """The code that asks for pip's own default knows a module of pip that is not public."""
    monkeypatch.setenv("PATH", os.defpath)
    assert all(url.startswith("https://") for url in registries(machine).urls("pip"))
    assert registries(machine).urls("pip")


def test_cargo_is_read_from_its_home_and_not_from_the_project(machine):
    home, work = machine / "home/.cargo", machine / "work/.cargo"
    for directory, host in ((home, "mirror"), (work, "evil")):
        directory.mkdir()
        (directory / "config.toml").write_text(
            f'[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://{host}.example/index/"\n'
            f'[registries.acme]\nindex = "https://{host}.acme.example/index"\n'
        )
    index = home / "registry/index/index.crates.example-6f17d22bba15001f"
    index.mkdir(parents=True)
    (index / "config.json").write_text(
        '{"dl": "https://static.crates.example/crates", "api": "https://crates.example"}'
    )
    assert registries(machine).urls("cargo") == (
        "https://mirror.example/index/",
        "https://mirror.acme.example/index",
        "https://index.crates.example/",
        "https://static.crates.example/crates",
    )


@pytest.mark.parametrize("text", ["[source", "source = 1", "[source]\nx = 1", "\x00"])
def test_a_cargo_configuration_that_cannot_be_read_names_nothing(machine, text):
    (machine / "home/.cargo").mkdir()
    (machine / "home/.cargo/config.toml").write_text(text)
    assert registries(machine).urls("cargo") == ()


def test_a_cargo_home_in_the_workspace_has_no_say(machine, monkeypatch):
    (machine / "work/config.toml").write_text('[registries.x]\nindex = "https://evil.example"')
    monkeypatch.setenv("CARGO_HOME", str(machine / "work"))
    assert registries(machine).urls("cargo") == ()
    assert ClientRegistries(avoid=()).urls("cargo") == ("https://evil.example",)


def test_apt_sources_of_both_kinds(machine):
    apt = machine / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text(
        "# deb http://commented.example x\ndeb [arch=amd64 signed-by=/k] http://one.example/debian x main # http://no.example\n"
        "deb-src http://source.example x\ndeb cdrom:[x]/ x\ndeb\thttps://two.example x main\n"
    )
    (apt / "sources.list.d/extra.list").write_text("deb http://three.example ./\n")
    (apt / "sources.list.d/new.sources").write_text(
        "Types: deb\nURIs: http://four.example/x\n https://five.example\nSuites: x\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example\n\n# URIs: http://no.example\nTypes: deb\nURIs: https://six.example\n"
    )
    assert ClientRegistries(avoid=(), apt=apt).urls("apt") == (
        "http://one.example/debian",
        "https://two.example",
        "http://three.example",
        "http://four.example/x",
        "https://five.example",
        "https://six.example",
    )


def test_a_home_in_which_one_works_hides_nothing(machine):
    """The home itself is never a workspace; below it are the user's own tool chains."""
    program(machine / "tools", "npm", NPM)
    assert ClientRegistries(avoid=(machine / "home", machine)).urls("npm") != ()
