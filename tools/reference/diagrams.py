"""Pictures of docs/concepts.md, drawn as SVG from `diagrams.toml`.

A picture asks nothing of another host, and has its own ground, so that it can be read on a light
and on a dark page.
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

_SPEC: Final = Path(__file__).with_name("diagrams.toml")
_WIDTH: Final = 640
_BOX_X, _BOX_WIDTH, _BOX_HEIGHT = 26, 168, 40
_STEP: Final = 84
_TOP: Final = 64
_NOTE_X: Final = _BOX_X + _BOX_WIDTH + 16
MOST_LETTERS: Final = 56
"""In a line beside a box: more would leave the picture."""
_STYLE: Final = (
    "text{font:15px system-ui,sans-serif;fill:#22252e}"
    ".title{font-weight:600;font-size:17px}"
    ".name{font-weight:600;text-anchor:middle}"
    ".note{fill:#3f4454}"
    ".aside{fill:#8a2f12}"
    ".frame{fill:#eef7f0;stroke:#3c7a50;stroke-dasharray:5 4}"
    ".framed{fill:#2c5c3c;font-size:13px}"
    ".box{fill:#e4e8fd;stroke:#4553b8}"
    ".line{fill:none;stroke:#4553b8;stroke-width:1.6}"
)


class Step(NamedTuple):
    """One box with what is said beside it."""

    box: str
    note: str
    aside: str = ""
    inside: str = ""


class Diagram(NamedTuple):
    """Steps from top to bottom under a title."""

    title: str
    steps: Sequence[Step]


def read_diagrams() -> Mapping[str, Diagram]:
    """Return the diagrams of `diagrams.toml` by name."""
    spec = tomllib.loads(_SPEC.read_text(encoding="utf-8"))
    return {
        name: Diagram(each["title"], [Step(**step) for step in each["steps"]])
        for name, each in spec.items()
    }


def list_pictures() -> Mapping[str, Callable[[], str]]:
    """Return what draws each picture, by its path in docs/."""
    return {
        f"concepts/{name}.svg": partial(draw, diagram) for name, diagram in read_diagrams().items()
    }


def draw(diagram: Diagram) -> str:
    """Draw a diagram; its description has the steps in words."""
    height = _TOP + _STEP * len(diagram.steps) - 20
    words = "; ".join(f"{each.box}: {each.note}" for each in diagram.steps)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{html.escape(diagram.title)}</title>',
        f'<desc id="d">{html.escape(words)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" rx="10" fill="#fbfbfe"/>',
        f'<text class="title" x="{_BOX_X}" y="34">{html.escape(diagram.title)}</text>',
        *_draw_frames(diagram.steps),
        *_draw_arrows(len(diagram.steps)),
    ]
    for number, step in enumerate(diagram.steps):
        lines += _draw_step(step, _find_top(number))
    return "\n".join([*lines, "</svg>", ""])


def _find_top(number: int) -> int:
    return _TOP + _STEP * number


def _draw_frames(steps: Sequence[Step]) -> Iterator[str]:
    numbered = enumerate(steps)
    for name, group in groupby(numbered, key=lambda each: each[1].inside):
        numbers = [number for number, _ in group]
        if name:
            top = _find_top(numbers[0]) - 28
            height = _find_top(numbers[-1]) + _BOX_HEIGHT + 12 - top
            place = f'x="14" y="{top}" width="{_WIDTH - 28}" height="{height}"'
            yield f'<rect class="frame" {place} rx="8"/>'
            yield _write("framed", _NOTE_X, top + 18, name)


def _draw_arrows(steps: int) -> Iterator[str]:
    middle = _BOX_X + _BOX_WIDTH // 2
    for number in range(steps - 1):
        start, end = _find_top(number) + _BOX_HEIGHT, _find_top(number + 1)
        yield (f'<path class="line" d="M{middle} {start}V{end}m-5 -8l5 8l5 -8"/>')


def _draw_step(step: Step, top: int) -> Iterator[str]:
    yield (
        f'<rect class="box" x="{_BOX_X}" y="{top}" width="{_BOX_WIDTH}" '
        f'height="{_BOX_HEIGHT}" rx="6"/>'
    )
    yield _write("name", _BOX_X + _BOX_WIDTH // 2, top + 25, step.box)
    yield _write("note", _NOTE_X, top + (18 if step.aside else 25), step.note)
    if step.aside:
        yield _write("aside", _NOTE_X, top + 38, f"↳ {step.aside}")


def _write(kind: str, x: int, y: int, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{html.escape(text)}</text>'
