"""Programs that run outside on their own are taken from where no sandbox may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outward.workspace.outside import Outside


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (path := tmp_path / "project").mkdir()
    (tmp_path / "link").symlink_to(path)
    return path


def test_what_the_agent_may_write_is_no_place_for_programs(project: Path) -> None:
    home = project.parent
    path = f"{project}/.venv/bin:{home}/link/bin:.:bin::{home}/tools:{project}:{home}/project/../project/x:/usr/bin"
    assert Outside((project,), home).search_path(path) == f"{home}/tools:/usr/bin"
    assert Outside((), home).search_path(path).startswith(f"{project}/.venv/bin:"), "it would be one otherwise"
    assert Outside((home, project), home).holds(home / "tools"), "the home is nobody's project"


@pytest.mark.parametrize("path", ["", ".", "{project}:{project}/bin"])
def test_without_any_left_it_is_not_the_current_directory(project: Path, path: str) -> None:
    assert Outside((project,), Path("/")).search_path(path.format(project=project)) == os.defpath
