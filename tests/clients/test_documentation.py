"""docs/clients.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outward.pki import proxy_variables, trust_file_variables, trust_variables
from tests.clients.test_fetching import page

TEXT = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
VARIABLES = {**proxy_variables("x"), **trust_variables("x", "x"), **trust_file_variables("x")}


def section(title: str) -> str:
    """What stands below a heading."""
    _, found, rest = TEXT.partition(f"# {title}\n")
    assert found
    return rest.partition("\n#")[0]


def blocks(kind: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_every_variable_that_is_set_has_a_row_and_every_row_is_set():
    rows = [row.split("|")[1] for row in section("Inside `outward run`").splitlines() if row.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(VARIABLES)


def test_what_was_tried_names_only_variables_that_are_set():
    named = set(re.findall(r"`(\w+_\w+|WGETRC)`", section("What was tried")))
    assert named
    assert named <= set(VARIABLES)


@pytest.mark.parametrize("text", blocks("yaml"), ids=range(len(blocks("yaml"))))
def test_every_policy_is_valid(desk, text):
    desk.caller.file(desk.policy, text)
    done = desk.caller.outward("policy", "validate", str(desk.policy))
    assert done.returncode == 0, done.stderr
    desk.caller.file(desk.policy, text.replace("version: 1", "version: 1\nanything: else"))
    assert desk.caller.outward("policy", "validate", str(desk.policy)).returncode == 2


@pytest.mark.needs("bubblewrap", "java", "javac", "keytool")
@pytest.mark.parametrize("known", [True, False])
def test_the_recipe_for_java(desk, site, known):
    api = site("api.test", page)
    (policy,), (import_,) = blocks("yaml", section("Java")), blocks("sh", section("Java"))
    desk.allow(api, "GET /page", more=policy.removeprefix("version: 1\n"))
    source = """public class Fetch {
        public static void main(String[] words) throws Exception {
            new java.net.URL("https://api.test/page").openStream().transferTo(System.out);
        }
    }"""
    desk.caller.file(desk.caller.workspace / "Fetch.java", source, 0o644)
    done = desk.inside(f"{import_ if known else ':'}\njava Fetch.java")
    assert (done.stdout == "GET /page for a friend\n") is known, done.stderr
    assert bool(api.asked) is known
