"""The home is the agent's: whatever it plants there must lead nowhere."""

from __future__ import annotations

import json
import os
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.agents.seeds import Seed, Seeding, merge, merge_toml, plant
from outward.core import HostError

SEEDING = Seeding("/work", {})
SEED = Seed(".agent/settings.json", lambda _: {"wanted": True})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(existing=OBJECTS, wanted=OBJECTS)
def test_merging_twice_is_merging_once(existing, wanted):
    once = merge(existing, wanted)
    assert merge(once, wanted) == once


@given(existing=OBJECTS, wanted=OBJECTS)
def test_merging_keeps_every_other_key(existing, wanted):
    merged = merge(existing, wanted)
    assert set(merged) == set(existing) | set(wanted)
    assert all(merged[key] == existing[key] for key in set(existing) - set(wanted))


def test_a_planted_link_is_replaced_and_not_followed(tmp_path):
    home, victim = tmp_path / "home", tmp_path / "bashrc"
    (home / ".agent").mkdir(parents=True)
    victim.write_text("{}")
    (home / ".agent/settings.json").symlink_to(victim)
    plant(home, [SEED], SEEDING)
    assert victim.read_text() == "{}"
    assert not (home / ".agent/settings.json").is_symlink()
    assert json.loads((home / ".agent/settings.json").read_text()) == {"wanted": True}


def test_a_planted_link_of_a_directory_is_refused(tmp_path):
    home, victim = tmp_path / "home", tmp_path / "victim"
    home.mkdir()
    victim.mkdir()
    (home / ".agent").symlink_to(victim)
    with pytest.raises(HostError, match="cannot write"):
        plant(home, [SEED], SEEDING)
    assert list(victim.iterdir()) == []


def test_a_planted_pipe_does_not_make_us_wait(tmp_path):
    (tmp_path / ".agent").mkdir()
    os.mkfifo(tmp_path / ".agent/settings.json")
    plant(tmp_path, [SEED], SEEDING)
    assert json.loads((tmp_path / ".agent/settings.json").read_text()) == {"wanted": True}


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '"text"', "\x00"])
def test_what_is_no_object_is_replaced(tmp_path, content):
    (tmp_path / ".agent").mkdir()
    (tmp_path / ".agent/settings.json").write_text(content)
    plant(tmp_path, [SEED], SEEDING)
    assert json.loads((tmp_path / ".agent/settings.json").read_text()) == {"wanted": True}


@pytest.mark.parametrize("depth", [900, 990, 2_000, 100_000])
@pytest.mark.parametrize(("name", "beginning", "end"), [("a.json", '{"a": ', "}"), ("a.toml", "a = ", "")])
def test_what_is_nested_too_deep_stops_no_start(tmp_path, depth, name, beginning, end):
    (tmp_path / name).write_text(f"{beginning}{'[' * depth}{']' * depth}{end}")
    plant(tmp_path, [Seed(name, lambda _: {"wanted": "yes"})], SEEDING)
    assert "wanted" in (tmp_path / name).read_text()


def test_a_file_that_says_it_already_is_left_alone(tmp_path):
    plant(tmp_path, [SEED], SEEDING)
    file = tmp_path / ".agent/settings.json"
    before = file.stat().st_ino
    plant(tmp_path, [SEED], SEEDING)
    assert file.stat().st_ino == before


def test_files_are_for_their_owner_only(tmp_path):
    plant(tmp_path, [SEED], SEEDING)
    assert (tmp_path / ".agent/settings.json").stat().st_mode & 0o777 == 0o600


# -- TOML

TOML = Seed(".agent/config.toml", lambda _: {"mode": "free", "projects": {"/my work": {"trust": "yes"}}})
WANTED = TOML.content(SEEDING)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
TABLES = st.recursive(TEXTS, lambda inner: st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6)


@given(wanted=st.dictionaries(TEXTS, TABLES, max_size=3))
def test_what_is_written_is_read_again(wanted):
    def without_empty(value: Any) -> Any:
        if isinstance(value, str):
            return value
        kept = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner != {}}

    assert tomllib.loads(merge_toml("", wanted)) == without_empty(wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", WANTED),
        ("not toml", WANTED),
        ("a = [" * 50_000, WANTED),
        ("# mine\nmode = 'careful'", WANTED | {"mode": "careful"}),
        (
            "[projects.'/other']\ntrust = 'no'",
            {**WANTED, "projects": {"/other": {"trust": "no"}, **WANTED["projects"]}},
        ),
        ("[projects.'/my work']\ntrust = 'no'", {**WANTED, "projects": {"/my work": {"trust": "no"}}}),
        ("[projects.'/my work']\nx = 1", {**WANTED, "projects": {"/my work": {"x": 1}}}),
        ("projects = {}", {"projects": {}}),
        ("projects = 'none'", {"projects": "none"}),
    ],
)
def test_what_a_file_of_toml_says_itself_stays(text, expected):
    merged = merge_toml(text, WANTED)
    assert tomllib.loads(merged) == expected
    assert merge_toml(merged, WANTED) == merged
    if "# mine" in text:
        assert "# mine" in merged


def test_toml_is_planted_like_json(tmp_path):
    plant(tmp_path, [TOML], SEEDING)
    file = tmp_path / ".agent/config.toml"
    assert tomllib.loads(file.read_text()) == WANTED
    before = file.stat().st_ino
    plant(tmp_path, [TOML], SEEDING)
    assert file.stat().st_ino == before
    file.write_bytes(b"\xff")
    plant(tmp_path, [TOML], SEEDING)
    assert tomllib.loads(file.read_text()) == WANTED
