"""Line charts as SVG, by hand: small files, the same octets for the same numbers, readable on light and on dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH: Final = 640
_HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 24, 64, 56
_COLOURS: Final = (("#0b6bcb", "#6cb6ff"), ("#b4541a", "#f0a366"), ("#4d7c0f", "#a3d977"), ("#7c3aed", "#c4a7ff"))
"""For each line, on light and on dark. Each line has a mark of its own shape as well."""

_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.line { fill: none; stroke-width: 2; }
"""
_DARK: Final = "text { fill: #f0f6fc; } .grid { stroke: #3d444d; }"


@dataclass(frozen=True, slots=True)
class Chart:
    """``lines`` maps a name to its points; both axes say what they are, with the unit. Axes are logarithmic on request."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = False
    log_y: bool = False


class _Axis:
    """From values to positions between ``start`` and ``end``. A linear axis begins at nothing."""

    def __init__(self, values: Sequence[float], start: float, end: float, *, log: bool) -> None:
        self._log, self._start, self._end = log, start, end
        if log:
            self._low, self._high = math.log10(min(values)), math.log10(max(values))
            decades = range(math.floor(self._low), math.ceil(self._high) + 1)
            steps = (1,) if self._high - self._low > 2 else (1, 2, 5)
            candidates = [step * 10.0**decade for decade in decades for step in steps]
            if (padding := (self._high - self._low) * 0.05) == 0:
                padding = 0.5
            self._low, self._high = self._low - padding, self._high + padding
            self.ticks = [value for value in candidates if self._low <= math.log10(value) <= self._high]
        else:
            step = _round_step(max(values) / 5)
            count = math.ceil(max(values) / step)
            self._low, self._high = 0.0, count * step
            self.ticks = [index * step for index in range(count + 1)]

    def at(self, value: float) -> float:
        position = math.log10(value) if self._log else value
        share = (position - self._low) / (self._high - self._low)
        return round(self._start + share * (self._end - self._start), 1)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, and not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def svg(chart: Chart) -> str:
    """The picture."""
    points = [point for line in chart.lines.values() for point in line]
    across = _Axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT, log=chart.log_x)
    up = _Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP, log=chart.log_y)
    dark = _DARK + "".join(f" .c{index} {{ color: {colour}; }}" for index, (_, colour) in enumerate(_COLOURS))
    light = "".join(f".c{index} {{ color: {colour}; }}\n" for index, (colour, _) in enumerate(_COLOURS))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
            f'role="img" aria-label="{escape(chart.title)}">'
        ),
        f"<style>{_STYLE}{light}@media (prefers-color-scheme: dark) {{ {dark} }}</style>",
        _text(_LEFT, 22, chart.title, "title", anchor="start"),
        *_grid(chart, across, up),
    ]
    for index, (name, line) in enumerate(chart.lines.items()):
        parts += _line(index, name, [(across.at(x), up.at(y)) for x, y in line])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(chart: Chart, across: _Axis, up: _Axis) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in up.ticks:
        y = up.at(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}"/>')
        parts.append(_text(_LEFT - 8, y + 4, _short(value), anchor="end"))
    for value in across.ticks:
        x = across.at(value)
        parts.append(f'<line class="grid" x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 18, _short(value)))
    middle = (_TOP + bottom) / 2
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 12, chart.x))
    parts.append(f'<g transform="translate(16 {middle}) rotate(-90)">{_text(0, 0, chart.y)}</g>')
    return parts


def _line(index: int, name: str, points: Sequence[tuple[float, float]]) -> list[str]:
    colour = index % len(_COLOURS)
    joined = " ".join(f"{x},{y}" for x, y in points)
    begin = _LEFT + index * 150
    return [
        f'<g class="c{colour}" stroke="currentColor">',
        f'<polyline class="line" points="{joined}"/>',
        *(_mark(index, x, y) for x, y in points),
        f'<polyline class="line" points="{begin},44 {begin + 24},44"/>',
        _mark(index, begin + 12, 44),
        "</g>",
        _text(begin + 32, 48, name, anchor="start"),
    ]


def _mark(index: int, x: float, y: float) -> str:
    if index % 2:
        return f'<rect x="{round(x - 3.5, 1)}" y="{round(y - 3.5, 1)}" width="7" height="7" fill="currentColor"/>'
    return f'<circle cx="{x}" cy="{y}" r="4" fill="currentColor"/>'


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "middle") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{attribute}>{escape(text)}</text>'


def _short(value: float) -> str:
    """``1k``, ``2M``, ``0.5``."""
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{sign}"
    return f"{value:g}"
