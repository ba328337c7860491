"""Progress of a command: a live view on a terminal, plain lines with times in a pipe."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from packager.commands.console import durations
from packager.commands.console.interruption import describe_stopping
from packager.commands.console.printable import escape
from packager.system.redaction import escape_controls, redact
from packager.types import BESIDE, Stage

_ERR: Final = Console(stderr=True, highlight=False, emoji=False)
_COUNT_SECONDS: Final = 5.0
"""Between lines of a pipe that only count on: `512 of 1,013`."""
_REFRESHES: Final = 8
"""A second. A stop is seen in the view, so it has to be well within 300 ms."""
_ORDER: Final = tuple(Stage)


class Timeline:
    """Stages of a build as they begin, and the seconds of each, set against earlier ones."""

    def __init__(self, expected: Mapping[Stage, float]) -> None:
        self._expected = expected
        self.order = _ORDER
        """Stages that the command runs."""
        self.started = self._since = time.monotonic()
        self.current: Stage | None = None
        self.seconds: dict[Stage, float] = {}

    def begin(self, stage: Stage | None) -> None:
        """Count what has passed since the last one began; a stage may come again."""
        now = time.monotonic()
        if self.current is not None:
            self.seconds[self.current] = self.measure(self.current)
        self.current, self._since = stage, now

    def measure(self, stage: Stage) -> float:
        """Return the seconds of a stage so far."""
        running = time.monotonic() - self._since if stage is self.current else 0.0
        return self.seconds.get(stage, 0.0) + running

    def elapse(self) -> float:
        return time.monotonic() - self.started

    def expect(self) -> float | None:
        """Return the seconds in all: as long as the last build took for what is still to come."""
        if self.current is None or not self._expected:
            return None
        left = max(0.0, self._expected.get(self.current, 0.0) - self.measure(self.current))
        later = self.order[self.order.index(self.current) + 1 :]
        return self.elapse() + left + sum(self._expected.get(each, 0.0) for each in later)


def is_watched(console: Console) -> bool:
    """Tell whether somebody reads it on a terminal: FORCE_COLOR makes a pipe none."""
    return console.is_terminal and console.file.isatty()


class View:
    """The stages with their times, what the present one does, and what is left."""

    def __init__(self, timeline: Timeline) -> None:
        self.text = "Starting"
        self.attempt = ""
        self.stopping = threading.Event()
        self._timeline = timeline
        self._spinner = Spinner("dots")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plain = options.ascii_only
        frame = ">" if plain else self._spinner.render(time.monotonic())
        mark = frame.plain if isinstance(frame, Text) else ">"
        if self._timeline.current is None:
            yield self._cut(f"{mark} {self.text}", options)
        else:
            for stage in self._timeline.order:
                yield self._cut(self._describe(stage, mark, "+" if plain else "✓"), options)
        if self.stopping.is_set():
            yield self._cut(describe_stopping(), options)
        elif self._timeline.current is not None:
            more = f"  {self.attempt}" if self.attempt else ""
            yield self._cut(f"{self._describe_time()}{more}", options)

    def _describe(self, stage: Stage, mark: str, done: str) -> str:
        timeline = self._timeline
        if stage is timeline.current:
            return f"{mark} {stage:<8} {write_time(timeline.measure(stage))}  {self.text}"
        if stage in timeline.seconds:
            return f"{done} {stage:<8} {write_time(timeline.seconds[stage])}"
        return f"  {stage}"

    def _describe_time(self) -> str:
        elapsed, expected = self._timeline.elapse(), self._timeline.expect()
        if expected is None:
            return write_time(elapsed)
        return f"{write_time(elapsed)} of about {write_time(expected)}"

    @staticmethod
    def _cut(text: str, options: ConsoleOptions) -> Text:
        """One line, whatever a message holds."""
        line = Text(text.replace("\n", " "), no_wrap=True)
        line.truncate(options.max_width, overflow="ellipsis")
        return line


class _Progress(logging.Handler):
    """Log records of the stages, into the view or as lines."""

    def __init__(self, timeline: Timeline, view: View | None) -> None:
        super().__init__()
        self._view = view
        self._timeline = timeline
        self._counted = timeline.started

    def emit(self, record: logging.LogRecord) -> None:
        text = escape_controls(redact(record.getMessage()))
        stage = getattr(record, "stage", None)
        beside = record.levelno <= logging.INFO and str(record.threadName).startswith(BESIDE)
        if isinstance(stage, Stage):
            self._timeline.order = getattr(record, "stages", _ORDER)
            self._timeline.begin(stage)
            text = text if self._view else f"{_number(stage, self._timeline.order)}: {text}"
        elif beside:
            text = f"Meanwhile: {text}"
        if self._view is not None and record.levelno == logging.INFO:
            if beside:
                return  # the view says what the present stage does
            if getattr(record, "attempt", False):
                self._view.attempt = text
            else:
                self._view.text = text
        elif not self._is_surplus(record):
            elapsed = self._timeline.elapse()
            _ERR.print(f"[dim]{elapsed:6.1f} s[/]  {escape(text)}", soft_wrap=True)

    def _is_surplus(self, record: logging.LogRecord) -> bool:
        """Tell whether this is a count (`counted`) that follows another line too soon."""
        now = time.monotonic()
        if getattr(record, "counted", False) and now - self._counted < _COUNT_SECONDS:
            return True
        self._counted = now
        return False


_shown: Final[list[View]] = []
"""The view that is on the terminal, if any."""


@contextlib.contextmanager
def progress(*, verbose: bool, quiet: bool = False, about: str = "") -> Iterator[None]:
    """Show what the stages say while the block runs; with `quiet` warnings alone.

    `about` names what is built: how long each stage of it took is kept in the cache, and the next
    time is expected to be like it.
    """
    logger = logging.getLogger("packager")
    live = is_watched(_ERR) and _ERR.is_interactive and not (verbose or quiet)
    timeline = Timeline(durations.recall(about) if about and live else {})
    view = View(timeline) if live else None
    with _show_live(view) if view else contextlib.nullcontext():
        handler = _Progress(timeline, view)
        logger.addHandler(handler)
        before = logger.level, logger.propagate
        usual = logging.WARNING if quiet else logging.INFO
        logger.setLevel(logging.DEBUG if verbose else usual)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]
    timeline.begin(None)
    if about and _ORDER[-1] in timeline.seconds:
        durations.keep(about, timeline.seconds)


@contextlib.contextmanager
def _show_live(view: View) -> Iterator[None]:
    with Live(view, console=_ERR, refresh_per_second=_REFRESHES, transient=True):
        _shown.append(view)
        try:
            yield
        finally:
            _shown.remove(view)


def show_stopping() -> bool:
    """Say in the live view that it stops; tell whether there is one."""
    for view in _shown:
        view.stopping.set()
    return bool(_shown)


def write_time(seconds: float) -> str:
    """Minutes and seconds: `1:05`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _number(stage: Stage, order: tuple[Stage, ...]) -> str:
    return f"{order.index(stage) + 1} of {len(order)}"
