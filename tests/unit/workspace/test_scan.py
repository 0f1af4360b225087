from __future__ import annotations

import os
import signal
import socket
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.workspace import scan
from outward.workspace.beside import beside
from outward.workspace.scan import INSTALLED, Found, Hidden, Scanner

PEM_KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
PEM_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def make(root: Path, *paths: str, text: str = "x") -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def hidden(root: Path, found: Found) -> set[str]:
    return {str(Path(each.path).relative_to(root)) for each in found.hidden}


def test_secrets_are_found_at_any_depth_and_nothing_else(tmp_path):
    make(tmp_path, ".env", "a/b/c/.env.local", ".env.example", "src/main.py", ".ssh/id_rsa", "a/id_rsa.pub")
    found = Scanner().scan(str(tmp_path))
    assert hidden(tmp_path, found) == {".env", "a/b/c/.env.local", ".ssh"}


def test_a_directory_is_hidden_as_one(tmp_path):
    make(tmp_path, ".aws/credentials", ".aws/config")
    assert Scanner().scan(str(tmp_path)).hidden == [Hidden(f"{tmp_path}/.aws", directory=True)]


def test_certificates_are_hidden_only_with_a_key_inside(tmp_path):
    make(tmp_path, "ca.pem", text=PEM_CERTIFICATE)
    make(tmp_path, "server.pem", "server.crt", text=PEM_CERTIFICATE + PEM_KEY)
    assert hidden(tmp_path, Scanner().scan(str(tmp_path))) == {"server.pem", "server.crt"}


def test_a_certificate_too_large_to_look_through_is_hidden(tmp_path):
    make(tmp_path, "huge.pem", text=" " * (1 << 20) + PEM_KEY)
    assert hidden(tmp_path, Scanner().scan(str(tmp_path))) == {"huge.pem"}


def test_the_policy_adds_and_excepts(tmp_path):
    make(tmp_path, "secrets/a", "secrets/deep/b", "notes.txt", "keep/.env")
    scanner = Scanner(hide=["secrets/**", "*.txt"], show=["keep/.env"])
    assert hidden(tmp_path, scanner.scan(str(tmp_path))) == {"secrets", "notes.txt"}


def test_an_exception_inside_a_hidden_directory_leaves_the_rest_hidden(tmp_path):
    make(tmp_path, "secrets/a", "secrets/deep/b", "secrets/deep/public")
    scanner = Scanner(hide=["secrets/**"], show=["secrets/deep/public"])
    assert hidden(tmp_path, scanner.scan(str(tmp_path))) == {"secrets/a", "secrets/deep/b"}


def test_a_hidden_link_hides_what_it_points_at_inside_the_tree_only(tmp_path):
    tree = tmp_path / "tree"
    make(tmp_path, "tree/settings/prod", "outside")
    (tree / ".env").symlink_to("settings/prod")
    (tree / ".npmrc").symlink_to(tmp_path / "outside")
    (tree / ".netrc").symlink_to("missing")
    assert Scanner().scan(str(tree)).hidden == [Hidden(f"{tree}/settings/prod", directory=False)]


def test_links_are_not_followed(tmp_path):
    make(tmp_path, "outside/.env")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("../outside")
    (tmp_path / "tree" / "loop").symlink_to(".")
    assert Scanner().scan(str(tmp_path / "tree")).hidden == []


def test_sockets_and_pipes_are_hidden(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("docker.sock")
        assert hidden(tmp_path, Scanner().scan(str(tmp_path))) == {"pipe", "docker.sock"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_looked_at_is_hidden(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    assert hidden(tmp_path, Scanner().scan(str(tmp_path))) == {"closed"}


def test_what_takes_effect_outside_is_fixed_and_its_directory_pinned(tmp_path):
    make(
        tmp_path, ".git/config", ".git/hooks/pre-commit", ".git/HEAD", "sub/.vscode/tasks.json", ".mcp.json", ".bashrc"
    )
    found = Scanner().scan(str(tmp_path), fix=True)
    assert set(found.fixed) == {
        f"{tmp_path}/{path}" for path in (".git/config", ".git/hooks", "sub/.vscode", ".mcp.json", ".bashrc")
    }
    assert found.pinned == [f"{tmp_path}/.git"]


def test_a_bare_repository_is_fixed_whatever_its_name(tmp_path):
    make(
        tmp_path,
        "docs/HEAD",
        "docs/objects/x",
        "docs/refs/x",
        "docs/config",
        "docs/hooks/x",
        "other/HEAD",
        "other/config",
    )
    found = Scanner().scan(str(tmp_path), fix=True)
    assert set(found.fixed) == {f"{tmp_path}/docs/config", f"{tmp_path}/docs/hooks"}
    assert found.pinned == [f"{tmp_path}/docs"]


def test_a_repository_that_is_shown_by_itself_is_fixed(tmp_path):
    root = tmp_path / ".git"
    make(root, "HEAD", "objects/x", "refs/x", "config", "worktrees/a/commondir", "worktrees/a/index")
    found = Scanner().scan(str(root), fix=True)
    assert set(found.fixed) == {f"{root}/config", f"{root}/worktrees/a/commondir"}
    assert found.pinned == [str(root), f"{root}/worktrees", f"{root}/worktrees/a"]


def test_nothing_is_fixed_in_what_is_read_only_anyway(tmp_path):
    make(tmp_path, ".git/config")
    assert Scanner().scan(str(tmp_path)).fixed == []


def test_a_worktree_s_pointer_is_fixed(tmp_path):
    make(tmp_path, ".git", text="gitdir: /elsewhere")
    assert Scanner().scan(str(tmp_path), fix=True).fixed == [f"{tmp_path}/.git"]


def test_installed_files_are_skipped_on_request_but_not_what_lies_beside(tmp_path):
    make(tmp_path, "lib/python/test/server.key", "etc/npmrc", "bin/.env")
    assert hidden(tmp_path, Scanner().scan(str(tmp_path), skip=INSTALLED)) == {"etc/npmrc", "bin/.env"}


@given(
    names=st.lists(st.sampled_from([".env", "a", "b.key", "c.txt", ".ssh", "d"]), min_size=1, max_size=4),
    extra=st.sampled_from(string.ascii_lowercase),
)
def test_no_file_of_a_hidden_name_stays_uncovered(tmp_path_factory, names, extra):
    root = tmp_path_factory.mktemp("tree")
    path = root.joinpath(*names, extra)
    path.parent.mkdir(parents=True)
    path.write_text("x")
    covered = {each.path for each in Scanner().scan(str(root)).hidden}
    secret = any(name in {".env", "b.key", ".ssh"} for name in names)
    assert any(str(parent) in covered for parent in path.parents) is secret


@pytest.mark.parametrize(
    ("path", "by_name", "otherwise"),
    [
        (".env", True, True),
        ("sub/.ENV.local", True, True),
        ("sub/.config/gh", True, True),
        ("id_ed25519", True, True),
        ("server.key", False, True),
        ("cert.pem", False, True),
        ("prod.env", False, True),
        (".env.example", False, False),
        ("plain", False, False),
    ],
)
def test_of_a_new_name_only_the_name_is_known(path, by_name, otherwise):
    scanner = Scanner()
    assert scanner.hides_name("/work", f"/work/{path}", by_name=True, otherwise=False) == by_name
    assert scanner.hides_name("/work", f"/work/{path}", by_name=False, otherwise=False) == otherwise


def test_a_policy_decides_about_new_names_as_about_old_ones():
    scanner = Scanner(hide=["private/**"], show=[".env.test"])
    assert scanner.hides_name("/work", "/work/private/x", by_name=True, otherwise=False)
    assert not scanner.hides_name("/work", "/work/sub/.env.test", by_name=True, otherwise=True)
    assert scanner.hides_name("/work", "/work/x", by_name=True, otherwise=True)


def large(root: Path) -> None:
    """A repository that two processes look through, with something in every corner."""
    make(root, *(f"src/part{number % 9}/module{number}/plain.py" for number in range(400)), ".git/config", ".git/HEAD")
    make(root, *(f"src/part{number % 9}/module{number}/.env" for number in range(0, 400, 7)))
    make(root, *(f"src/part{number % 9}/module{number}/.vscode/tasks.json" for number in range(3, 400, 11)))
    make(root, "src/part1/.ssh/id_rsa", "src/part8/a/b/c/.git/config", os.fsdecode(b"src/part2/\xff\xfe/.env"))
    (root / "src/part3/.mcp.json").symlink_to("../part4/settings")
    (root / "src/part4/settings").write_text("x")


def everything(found: Found) -> list[list[str]]:
    return [sorted(map(str, each)) for each in (found.hidden, found.fixed, found.pinned, found.links)]


def killed() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


@pytest.mark.parametrize("outcome", ["found", "killed"])
def test_two_processes_find_what_one_does(tmp_path, monkeypatch, outcome):
    large(tmp_path)
    shared = []

    def watched(work):
        shared.append(work)
        return beside(work if outcome == "found" else killed)

    monkeypatch.setattr(scan, "beside", watched)
    by_two = everything(Scanner().scan(str(tmp_path), fix=True))
    assert len(shared) == 1
    monkeypatch.setattr(scan, "_LARGE", 1 << 30)
    assert by_two == everything(Scanner().scan(str(tmp_path), fix=True))
    assert len(shared) == 1
    assert min(map(len, by_two)) > 0


def test_without_the_share_of_the_other_something_is_missing(tmp_path, monkeypatch):
    large(tmp_path)
    whole = everything(Scanner().scan(str(tmp_path), fix=True))
    monkeypatch.setattr(scan, "beside", lambda _: beside(lambda: Found().dump()))
    assert everything(Scanner().scan(str(tmp_path), fix=True)) != whole
