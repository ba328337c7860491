"""Stage 3: install what is locked, add the model and the handlers, and take out what is idle."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from packager.errors import ConfigurationError
from packager.pipeline.slim import defer, prune, unused_distributions, weights
from packager.pipeline.slim.native import libraries, library_loaders, strip_libraries
from packager.pipeline.slim.passes import Pass
from packager.pipeline.slim.stage import describe_answers, stage
from packager.pipeline.slim.storing import archive, bytecode, compressed_store
from packager.pipeline.slim.tracing import trace
from packager.pipeline.slim.tracing.trusted_types import list_trusted_types
from packager.types import BuildPlan, Bundle, PassName

_LOG = logging.getLogger(__name__)

_EVERY: Final = (
    archive.PASS,
    bytecode.PASS,
    compressed_store.PASS,
    defer.PASS,
    libraries.PASS,
    prune.PASS,
    strip_libraries.PASS,
    trace.PASS,
    unused_distributions.PASS,
    weights.PASS,
)
PASSES: Final[Mapping[str, Pass]] = MappingProxyType(
    {str(name): each for name in PassName for each in _EVERY if each.name == name}
)
"""In the order in which they run, whatever order they are asked for in."""


_AHEAD: Final = frozenset(
    {PassName.WEIGHTS, PassName.LIBRARIES, PassName.PRUNE, PassName.COMPACT, PassName.BYTECODE}
)
"""Passes that hang on nothing that the registered model answers; no other one is before them."""


class UnwantedError(Exception):
    """Nobody waits any more for what was begun."""


def begin_slimming(
    plan: BuildPlan, work: Path, is_wanted: Callable[[], bool] = lambda: True
) -> Bundle:
    """Stage the function's folder under `work`, and run the passes that hang on no answer.

    `slim` goes on from there; `is_wanted` is asked before each pass. Raises what `slim` raises, and
    UnwantedError.
    """
    _check_passes(plan)
    bundle = list_trusted_types(stage(plan, work / "function"), plan)
    for name, each in PASSES.items():
        if not is_wanted():
            raise UnwantedError
        if name == prune.PASS.name:
            # sources are read, so before they go; what `libraries` supplied is not missing
            loaders = library_loaders.find_loaders(bundle.root, plan.runtime.libraries)
            bundle = replace(bundle, loaders=loaders)
        if name in plan.passes and name in _AHEAD:
            bundle = each.apply(bundle, plan)
            _log(bundle)
    return bundle


def has_same_tree(begun: BuildPlan, plan: BuildPlan) -> bool:
    """Tell whether `plan` differs in nothing from the one by which a tree was begun but answers."""
    answers = replace(
        begun,
        threads=plan.threads,
        spread=plan.spread,
        declaring=plan.declaring,
        drift=plan.drift,
        system_libraries=plan.system_libraries,
    )
    return answers == plan


def slim(plan: BuildPlan, work: Path, begun: Bundle | None = None) -> Bundle:
    """Stage the function's folder under `work`, then run the plan's passes over it.

    `begun` is the tree that `begin_slimming` made there by the same plan (`has_same_tree`).
    What a pass took out and the trace saw asked for is kept: the tree is then made anew.
    Raises ConfigurationError for a pass that does not exist, ToolError or StorageError where
    installing fails, ModelFormatError for a model that would load types that nobody trusted.
    """
    bundle = begin_slimming(plan, work) if begun is None else describe_answers(begun, plan)
    for name, each in PASSES.items():
        if name in plan.passes and name not in _AHEAD:
            bundle = each.apply(bundle, plan)
            _log(bundle)
        if name == trace.PASS.name and (missed := trace.missed_files(bundle)):
            _LOG.info("Needed after all, so kept: %s", ", ".join(missed))
            shutil.rmtree(bundle.root)
            return slim(replace(plan, keep=(*plan.keep, *missed)), work)
    return bundle


def _check_passes(plan: BuildPlan) -> None:
    """Raises ConfigurationError for a pass that does not exist."""
    if unknown := sorted(set(plan.passes) - set(PASSES)):
        raise ConfigurationError(
            f"No slimming pass {', '.join(unknown)}. Known passes: {', '.join(PASSES)}."
        )


def _log(bundle: Bundle) -> None:
    entry = bundle.ledger[-1]
    _LOG.info(
        "%s: %.1f -> %.1f MB, %d -> %d files",
        entry.name,
        entry.bytes_before / 1e6,
        entry.bytes_after / 1e6,
        entry.files_before,
        entry.files_after,
    )
