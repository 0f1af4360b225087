"""The table of fields: the schema that follows from it is in step with the loader, and the reference is complete."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from outward.core import PolicyError
from outward.policy.fields import POLICY, json_schema
from outward.policy.load import PRESETS
from outward.policy.shapes import ByKey, ByKind, List, Record, Table
from tests.unit.policy.conftest import make_policy
from tests.unit.policy.schema_check import valid
from tests.unit.policy.test_load import DOCUMENTED, MISTAKES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.policy.shapes import Shape

REFERENCE = Path(__file__).parents[3] / "docs" / "policy.md"

BEYOND_SHAPES = re.compile(
    # Problems of fields together, of other files or of meanings that no pattern can express.
    "twice|one document|every host|passthrough|needs TLS|no secret|defined|sets ('|the )|looks at|no certificate|"
    "registry's|no preset|uses itself|another user|'ex|not a host|star|address|ambiguous|no query|percent|dot segment|"
    "needed to fetch|goes with|log-in by|empty or dot segments|cannot be (read:|told)|"
    "needs its secret|there is none|an id and a key|a JSON object|for one value|cannot be changed|"
    "printable|brace|go together|no TLS with|dialled directly|byte order|belongs|colon|no port|NUL|anchors|tags|merge"
)


def plain(text: str) -> object:
    """The YAML as an editor's schema checker sees it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    return json.loads(json.dumps(yaml.load(text)))


def test_the_schema_takes_the_documented_example_and_every_preset():
    assert valid(json_schema(), plain(DOCUMENTED))
    for preset in PRESETS.glob("*.yaml"):
        assert valid(json_schema(), plain(preset.read_text())), preset


@pytest.mark.parametrize("name", MISTAKES)
def test_the_schema_refuses_what_the_loader_refuses_for_its_shape(name):
    text = MISTAKES[name][0]
    with pytest.raises(PolicyError) as caught:
        make_policy(text)
    try:
        document = plain(text)
    except (YAMLError, TypeError):
        return  # not YAML, or nothing that JSON can say
    messages = [problem.message for problem in caught.value.problems]
    beyond = all(BEYOND_SHAPES.search(message) for message in messages)
    assert valid(json_schema(), document) is beyond, messages


def test_the_schema_is_json():
    assert json.loads(json.dumps(json_schema()))["$schema"].endswith("2020-12/schema")


def every_field(shape: Shape) -> Iterator[str]:
    match shape:
        case Record():
            for name, known in shape.fields.items():
                yield name
                yield from every_field(known.shape)
        case List():
            yield from every_field(shape.item)
        case Table():
            yield from every_field(shape.value)
        case ByKind():
            for inner in shape.shapes.values():
                yield from every_field(inner)
        case ByKey():
            for record in shape.records.values():
                yield from every_field(record)


@pytest.mark.parametrize("name", sorted(set(every_field(POLICY))))
def test_the_reference_names_every_field(name):
    assert re.search(rf"`{re.escape(name)}\b", REFERENCE.read_text()), f"docs/policy.md does not say what {name} is"
