"""What the benchmark writes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from bench import plot, report
from bench.suite.part import Settings, in_turns
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def chart(points: list[tuple[float, float]], *, log: bool = False) -> ET.Element:
    picture = plot.svg(plot.Chart("a < b", "things", "ms & more", {"one": points, "two": points}, log_x=log, log_y=log))
    return ET.fromstring(picture)  # noqa: S314 (our own)


def test_a_picture_says_what_its_axes_and_lines_are():
    texts = [element.text for element in chart([(1, 2), (10, 20)]).iter(f"{SVG}text")]
    assert {"a < b", "things", "ms & more", "one", "two"} <= set(texts)
    assert {"0", "2", "4", "6", "8", "10", "5", "15", "20"} <= set(texts)


def test_a_picture_is_for_light_and_for_dark():
    style = chart([(1, 1)]).find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in str(style.text)


@given(
    st.lists(st.tuples(st.floats(1e-3, 1e9), st.floats(1e-3, 1e9)), min_size=1, max_size=8, unique_by=lambda p: p[0]),
    st.booleans(),
)
def test_points_lie_within_the_picture(points: list[tuple[float, float]], log: bool):
    circles = list(chart(points, log=log).iter(f"{SVG}circle"))
    assert len(circles) == len(points) + 1  # one of them in the legend
    assert all(0 <= float(each.attrib["cx"]) <= 640 and 0 <= float(each.attrib["cy"]) <= 360 for each in circles)


def test_a_part_is_written_in_its_place(tmp_path: Path):
    document = tmp_path / "d.md"
    document.write_text(
        "a\n<!-- start: begin -->\nold\n<!-- start: end -->\nb\n<!-- rules: begin -->\n<!-- rules: end -->\n"
    )
    report.write("start", "new", document)
    report.write("rules", "more", document)
    assert document.read_text() == (
        "a\n<!-- start: begin -->\nnew\n<!-- start: end -->\nb\n<!-- rules: begin -->\nmore\n<!-- rules: end -->\n"
    )
    with pytest.raises(ValueError, match="no place"):
        report.write("other", "x", document)


def test_every_second_round_goes_the_other_way():
    assert in_turns(["a", "b"], 3) == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("name", "expected"), [("Outward, unprivileged", True), ("Outward", True), ("srt 0.0.83", False)]
)
def test_contenders_are_named_by_their_first_word(name: str, expected: bool):
    assert Settings(1, 1.0, frozenset({"outward"})).wants(name) is expected
