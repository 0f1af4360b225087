"""git over HTTPS, against git's own server program behind Basic authentication."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import VALUE, basic
from tests.clients.site import Asked, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clients.site import Application

pytestmark = pytest.mark.needs("bubblewrap", "git", "git-http-backend")

CLONE = "git clone -q https://git.test/project.git clone"
COMMIT = """\
cd clone
head -c 3000000 /dev/urandom >large
git add large
git -c user.name=Somebody -c user.email=somebody@example.com commit -q -m 'Something large'
"""
READ = ("GET /project.git/info/refs", "POST /project.git/git-upload-pack")
WRITE = (*READ, "POST /project.git/git-receive-pack")
BASIC = "{basic: {username: builder, secret: service}}"
SWAP = "{placeholder: service}"


def backend(root: Path) -> Application:
    """``git http-backend`` (RFC 3875) for the repositories in ``root``."""

    def answer(asked: Asked) -> Reply:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "builder",
            "REQUEST_METHOD": asked.method,
            "PATH_INFO": asked.path,
            "QUERY_STRING": asked.query,
            "CONTENT_TYPE": asked.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(asked.body)),
            "HTTP_CONTENT_ENCODING": asked.headers.get("content-encoding", ""),
            "HTTP_GIT_PROTOCOL": asked.headers.get("git-protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=asked.body, stdout=subprocess.PIPE, env=environment, timeout=60, check=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return Reply(status, body, tuple(fields.items()))

    return answer


def git(*arguments: str | Path, cwd: Path) -> str:
    """Outside, without anybody's configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository with one commit."""
    work, bare = tmp_path / "work", tmp_path / "repositories" / "project.git"
    work.mkdir()
    git("init", "-q", "-b", "main", cwd=work)
    (work / "README").write_text("A project\n")
    git("add", "README", cwd=work)
    git("-c", "user.name=Author", "-c", "user.email=author@example.com", "commit", "-q", "-m", "Start", cwd=work)
    git("clone", "-q", "--bare", str(work), str(bare), cwd=tmp_path)
    git("config", "http.receivepack", "true", cwd=bare)
    return bare


@pytest.fixture
def forge(site: Callable[..., object], repository: Path) -> object:
    return site("git.test", backend(repository.parent), credential=basic("builder"))


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_clone_and_push_with_a_credential_that_it_does_not_have(desk, forge, repository):
    desk.allow(forge, *WRITE, inject=BASIC)
    done = desk.inside(f"set -e\n{CLONE}\n{COMMIT}git push -q origin main\ngit rev-parse HEAD; cat README")
    assert done.returncode == 0, done.stderr
    commit, readme = done.stdout.splitlines()
    assert readme == "A project"
    assert git("rev-parse", "main", cwd=repository) == commit
    assert "chunked" in [asked.headers.get("transfer-encoding") for asked in forge.asked]
    assert not forge.turned_away
    desk.assert_recorded("git.test")
    assert VALUE not in (desk.caller.workspace / "clone" / ".git" / "config").read_text()


def test_a_placeholder_that_git_sends_itself_is_swapped_inside_basic(desk, forge, repository):
    desk.allow(forge, *WRITE, inject=SWAP)
    url = '"https://builder:$SERVICE_TOKEN@git.test/project.git"'
    clone = CLONE.replace("https://git.test/project.git", url)
    done = desk.inside(f"set -e\n{clone}\n{COMMIT}git push -q origin main\ngit rev-parse HEAD")
    assert done.returncode == 0, done.stderr
    assert git("rev-parse", "main", cwd=repository) == done.stdout.strip()
    # It waits to be asked, so the first request came without: the gateway did not put anything in by itself.
    assert {asked.headers.get("authorization") for asked in forge.turned_away} == {None}
    desk.assert_recorded("git.test")


def test_any_other_password_is_not_swapped_and_does_not_go_out(desk, forge):
    desk.allow(forge, *READ, inject=SWAP)
    done = desk.inside(CLONE.replace("https://", "https://builder:attackers-own@"))
    assert done.returncode != 0
    assert forge.turned_away
    assert {asked.headers.get("authorization") for asked in forge.turned_away} == {None}
    assert not forge.asked


def test_without_the_injection_there_is_no_clone(desk, forge):
    desk.allow(forge, *READ, inject="")
    done = desk.inside(f"GIT_TERMINAL_PROMPT=0 {CLONE}")
    assert done.returncode != 0
    assert "terminal prompts disabled" in done.stderr
    assert not forge.asked


def test_who_may_only_read_cannot_push(desk, forge, repository):
    before = git("rev-parse", "main", cwd=repository)
    desk.allow(forge, *READ, inject=BASIC)
    done = desk.inside(f"set -e\n{CLONE}\n{COMMIT}git push -q origin main")
    assert done.returncode != 0
    assert "403" in done.stderr
    assert git("rev-parse", "main", cwd=repository) == before
    assert {r["path"] for r in desk.caller.journal() if r["verdict"] == "deny"} == {"/project.git/git-receive-pack"}


@pytest.mark.parametrize("ours", [True, False])
def test_it_trusts_the_gateway_by_the_variable_that_we_set(desk, forge, ours):
    desk.allow(forge, *READ, inject=BASIC)
    desk.caller.file(desk.caller.workspace / "other.pem", desk.ca.read_text(), 0o644)
    # Debian's git reads all of a directory of the system as well, where our bundle lies inside.
    elsewhere = "GIT_SSL_CAPATH=$PWD" if ours else "GIT_SSL_CAPATH=$PWD GIT_SSL_CAINFO=$PWD/other.pem"
    done = desk.inside(f"export {elsewhere}\n{CLONE}")
    assert (done.returncode == 0) is ours
    assert ("certificate" in done.stderr) is not ours
    assert bool(forge.asked) is ours
