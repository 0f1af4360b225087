"""From the same sources any process makes the same policy, without reading or asking again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from outward.core import OutwardError, PolicyError
from outward.policy import Sources, gather, read_text
from tests.unit.policy.conftest import FILE, HOME, FakeRegistries, make_request

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """
version: 1
use: [npm-install, ./team.yaml]
secrets: {key: {env: KEY}}
destinations: [{host: a.example, ca: ./ca.pem, allow: [GET /x]}]
"""
TEAM = "version: 1\ndestinations: [{host: b.example, allow: [GET /y]}]"


class Disk:
    """Files that count how often they are read."""

    def __init__(self) -> None:
        self.files = {FILE: MAIN, FILE.with_name("team.yaml"): TEAM}
        self.reads: list[Path] = []

    def read(self, path: Path) -> str:
        self.reads.append(path)
        if path.parent.name == "presets":
            return read_text(path)
        try:
            return self.files[path]
        except KeyError:
            raise OutwardError(f"{path} cannot be read: No such file or directory") from None


@pytest.fixture
def disk() -> Disk:
    disk = Disk()
    disk.files[FILE] = MAIN.replace(", ca: ./ca.pem", "")
    return disk


def test_what_was_gathered_makes_the_same_policy_again(disk: Disk) -> None:
    registries = FakeRegistries(npm=("https://registry.example/npm/",))
    policy, sources = gather(FILE, registries=registries, home=HOME, files=disk.read)
    asked, read = list(registries.asked), list(disk.reads)
    disk.files.clear()
    again = Sources.from_json(sources.to_json()).load()
    assert (registries.asked, disk.reads) == (asked, read), "nobody is asked again"
    assert list(map(repr, again.destinations)) == list(map(repr, policy.destinations))
    assert again.secrets == policy.secrets
    assert again.files == policy.files
    assert again.registry_variables == policy.registry_variables == {"npm_registry": "https://registry.example/npm/"}
    for line in ("GET https://a.example/x", "GET https://b.example/y", "GET https://registry.example/npm/left-pad"):
        assert policy.decide(make_request(line)).allowed
        assert again.decide(make_request(line)).allowed
    assert not again.decide(make_request("GET https://c.example/x")).allowed


def test_each_file_is_read_once(disk: Disk) -> None:
    gather(FILE, registries=FakeRegistries(), home=HOME, files=disk.read)
    assert len(disk.reads) == len(set(disk.reads)) == 3


def test_a_broken_policy_gathers_nothing(disk: Disk) -> None:
    disk.files[FILE.with_name("team.yaml")] = "version: 1\ndestinations: [{hots: b.example}]"
    with pytest.raises(PolicyError, match="hots"):
        gather(FILE, registries=FakeRegistries(), home=HOME, files=disk.read)
    disk.files[FILE] = MAIN
    with pytest.raises(PolicyError, match=r"ca\.pem"):
        gather(FILE, registries=FakeRegistries(), home=HOME, files=disk.read)


def test_what_was_not_gathered_is_not_made_up(disk: Disk) -> None:
    _, sources = gather(FILE, registries=FakeRegistries(), home=HOME, files=disk.read)
    shown = json.loads(sources.to_json())
    del shown["texts"][str(FILE.with_name("team.yaml"))]
    with pytest.raises(PolicyError, match="was not read before"):
        Sources.from_json(json.dumps(shown)).load()


def test_without_a_file_there_is_an_empty_policy() -> None:
    policy, sources = gather(None, registries=FakeRegistries(), home=HOME, files=read_text)
    assert policy.destinations == Sources.from_json(sources.to_json()).load().destinations == ()
