"""A target, a flavor, a source, a trigger and an engine are one file each, and a line in one index.

An index is a file of the code that names every part of a kind. Another than those listed here means
that adding a part has become more work.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from handlers.events import aws_sources, azure_triggers
from packager import engines, targets
from packager.models.flavors import FLAVORS
from packager.types import Engine

ROOT: Final = Path(targets.__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file of the code names."""

    words: frozenset[str]
    engines: frozenset[str]
    compares_target: bool
    """A target's name is compared, or is a key or an element to look one up by."""


@functools.cache
def read_facts(path: Path) -> Facts:
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    lookups = (ast.Compare, ast.Dict, ast.Set, ast.Tuple)
    return Facts(
        words=frozenset(
            node.value
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ),
        engines=frozenset(
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute)
            if isinstance(node.value, ast.Name) and node.value.id == "Engine"
        ),
        compares_target=any(
            isinstance(word, ast.Constant) and word.value in {*targets.TARGETS}
            for node in nodes
            if isinstance(node, lookups)
            for word in ast.iter_child_nodes(node)
        ),
    )


def list_indexes(names: Collection[str]) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for tree in ("packager", "handlers")
        for path in (ROOT / tree).rglob("*.py")
        if {*names} <= read_facts(path).words
    }


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("names", "folder", "indexes"),
    [
        (
            targets.TARGETS,
            "packager/targets",
            # by the names in the targets' files
            set(),
        ),
        (FLAVORS, "packager/models/flavors", {"packager/models/flavors/__init__.py"}),
        (
            aws_sources.SOURCES,
            "handlers/events/aws_sources",
            {"handlers/events/aws_sources/__init__.py"},
        ),
        (
            azure_triggers.TRIGGERS,
            "handlers/events/azure_triggers",
            {"handlers/events/azure_triggers/__init__.py"},
        ),
        (
            # what a built function is proven with
            aws_sources.SOURCES,
            "packager/probes/aws_source_events",
            {"handlers/events/aws_sources/__init__.py"},
        ),
        (
            azure_triggers.TRIGGERS,
            "packager/probes/azure_trigger_messages",
            {"handlers/events/azure_triggers/__init__.py"},
        ),
        (engines.COMPILERS, "packager/engines", {"packager/types/_choices.py"}),
    ],
)
def test_a_part_is_a_file_and_a_line_in_each_index(
    names: Collection[str], folder: str, indexes: set[str]
) -> None:
    assert list_indexes(names) == indexes
    for name in names:
        module = name.replace("-", "_")
        # what only its package calls has a name of its own there
        assert any((ROOT / folder / f"{each}.py").is_file() for each in (module, f"_{module}"))


def test_the_index_of_targets_has_a_line_for_each() -> None:
    text = (ROOT / "packager/targets/__init__.py").read_text(encoding="utf-8")
    for name in targets.TARGETS:
        module = name.replace("-", "_")
        assert text.count(f"{module}.NAME: {module}.target,") == 1


def test_an_engine_is_named_in_its_index_alone() -> None:
    compiled = {each.name for each in engines.COMPILERS}
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "packager").rglob("*.py")
        if read_facts(path).engines & compiled
    }
    assert {*engines.COMPILERS} == {*Engine} - {Engine.NATIVE}
    assert naming == {"packager/engines/__init__.py"}


def test_no_code_asks_which_target_it_is_for() -> None:
    """What differs between targets is a field of each; a name is compared where it is typed in."""
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "packager").rglob("*.py")
        if read_facts(path).compares_target
    }

    # the demo has two of them, and "Did you mean" knows what people call them
    assert naming == {"packager/commands/demo.py", "packager/errors.py"}
