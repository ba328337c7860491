from __future__ import annotations

import gc
import importlib.util
import logging
import os
import re
import signal
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import examples

# images of Python ask for no bytecode; then each of the interpreters that tests start compiles all
# that it imports anew, and these spend more time in that than in what they are asked
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# a shell has what it starts in the background ignore interrupts, nohup has it ignore hang-ups, and
# programs inherit that
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def _check_address(term: str, value: str) -> object:
    del sys.modules["rfc3987_syntax"]
    return importlib.import_module("rfc3987_syntax").is_valid_syntax(term, value)


# jsonschema imports it, with it cfn-lint, SAM's transform and schemathesis: the grammars that it
# makes of itself take seconds in each worker, and next to no test asks it anything
if importlib.util.find_spec("rfc3987_syntax"):
    _later = types.ModuleType("rfc3987_syntax")
    vars(_later)["is_valid_syntax"] = _check_address
    sys.modules["rfc3987_syntax"] = _later


FAST = ("not slow", "not slow or few")
"""The fast tests; and with them all cases of their tables, as other Pythons are asked."""

LONGEST = (
    "integration/test_end_to_end.py",
    "integration/azure/test_app.py",
    "integration/aws/test_deployments.py",
    "integration/aws/test_events.py",
    "integration/test_slim_verify.py",
    "conformance/test_levels.py",
    "integration/test_awkward_packages.py",
    "integration/test_engine.py",
)
"""Files of minutes. A file is run by one process: the last ones to begin should be short."""


_ALL_SLOW = re.compile(r"^pytestmark = (pytest\.mark\.slow$|\[pytest\.mark\.slow,)", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    examples.choose_number(fast=config.option.markexpr == "not slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One more process than processors for the fast tests, which wait a third of their time."""
    return len(os.sched_getaffinity(0)) + 1 if config.option.markexpr in FAST else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file, in each worker, all of whose tests are slow, where none of these is run."""
    if config.option.markexpr not in FAST or not collection_path.name.startswith("test_"):
        return None
    named = {Path(each.partition("::")[0]).absolute() for each in config.args}
    if collection_path in named or not collection_path.is_file():
        return None
    return True if _ALL_SLOW.search(collection_path.read_text(encoding="utf-8")) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector off what is collected, which is there until the end.

    Going over thousands of tests again and again is a fifth of collecting them, and seconds later.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _mark_most_as_slow(items: list[pytest.Item]) -> None:
    """Of a test that is marked `few`, leave that many cases to the fast tests, from all its table.

    So a test that starts or compiles something real is asked there, and its whole table by CI.
    """
    tables: dict[tuple[Path, str], list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("few"):
            tables.setdefault((item.path, item.originalname), []).append(item)
    for cases in tables.values():
        (count,) = (mark.args[0] for mark in cases[0].iter_markers("few"))
        left = examples.spread(len(cases), count)
        for place, case in enumerate(cases):
            if place not in left:
                case.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which cases are slow, and begin with the longest files."""
    _mark_most_as_slow(items)
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture
def quiet() -> Iterator[None]:
    """MLflow warns of every extra column and parameter, numpy of every time zone."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
