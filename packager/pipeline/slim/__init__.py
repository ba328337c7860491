"""Stage 3: install what is locked, add the model and the handlers, and take out what is idle."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from packager.errors import ConfigurationError
from packager.pipeline.slim import defer, prune, unused_distributions, weights
from packager.pipeline.slim.native import libraries, library_loaders, strip_libraries
from packager.pipeline.slim.passes import Pass, UnwantedError, check_wanted, working_while
from packager.pipeline.slim.stage import describe_answers, stage
from packager.pipeline.slim.storing import archive, bytecode, compressed_store, outside_weights
from packager.pipeline.slim.tracing import trace
from packager.pipeline.slim.tracing.trusted_types import (
    list_trusted_types,
    measure_unpacked,
    recall_trusted_types,
)
from packager.system import file_tree, sandbox
from packager.types import BuildPlan, Bundle, PassName

__all__ = [
    "PASSES",
    "Begun",
    "UnwantedError",
    "begin_slimming",
    "has_same_tree",
    "leaves_memory",
    "slim",
]

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


_SHARE: Final = 0.05
"""Of the machine's memory, that a model, or the libraries of its tree, may have as files while
slimming runs beside the asking: the asking itself may take almost all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A tree whose slimming was begun."""

    bundle: Bundle
    left: tuple[str, ...]
    """Passes that it has not come to, in their order."""
    has_types: bool
    """Whether its manifest lists the types of its skops file; True where it has none."""


def leaves_memory(plan: BuildPlan) -> bool:
    """Tell whether the model is so small that slimming may begin while it is asked."""
    root = plan.model.root
    return _is_small(root / relative for relative in file_tree.walk(root))


def begin_slimming(
    plan: BuildPlan, work: Path, is_wanted: Callable[[], bool] = lambda: True
) -> Begun:
    """Stage the function's folder under `work`, and run passes until one hangs on an answer.

    None is run that loads the model, or libraries of more than a share of the machine's memory.
    Nor is any before the types of a skops file are known, which are asked of the whole tree: here
    where that takes little memory.
    `slim` goes on from there. `is_wanted` is asked all the time. Raises what `slim` raises, and
    UnwantedError.
    """
    with working_while(is_wanted):
        _check_passes(plan)
        staged, left = stage(plan, work / "function"), [*PASSES]
        bundle = _list_types_ahead(staged, plan)
        if bundle is None:
            return Begun(bundle=staged, left=tuple(left), has_types=False)
        while left[0] in _AHEAD and not _takes_memory(left[0], bundle, plan):
            check_wanted()
            bundle = _run_pass(left.pop(0), bundle, plan)
    return Begun(bundle=bundle, left=tuple(left), has_types=True)


def _list_types_ahead(bundle: Bundle, plan: BuildPlan) -> Bundle | None:
    """The tree with the types of its skops file; None where asking for them takes memory.

    The audit reads the file's arrays, and imports the libraries of the tree.
    """
    recalled = recall_trusted_types(bundle, plan)
    if recalled is not None:
        return recalled
    if _has_small_libraries(bundle) and _fits(measure_unpacked(bundle, plan)):
        return list_trusted_types(bundle, plan)
    return None


def _is_small(files: Iterable[Path]) -> bool:
    """Tell whether the files take little of this machine's memory."""
    return _fits(sum(path.stat().st_size for path in files if path.is_file()))


def _fits(size_bytes: int) -> bool:
    return size_bytes <= sandbox.machine_memory_bytes() * _SHARE


def _has_small_libraries(bundle: Bundle) -> bool:
    return _is_small(bundle.root / file.path for file in bundle.files if ".so" in file.path.name)


def _takes_memory(name: str, bundle: Bundle, plan: BuildPlan) -> bool:
    """Tell whether a pass loads the model, or large libraries."""
    if name not in plan.passes:
        return False
    if name == weights.PASS.name:
        return weights.loads_model(bundle, plan)
    return name == strip_libraries.PASS.name and not _has_small_libraries(bundle)


def _run_pass(name: str, bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Run a pass, where it is one of the plan's, and what has to come before it in any case."""
    if name == prune.PASS.name:
        # sources are read, so before they go; what `libraries` supplied is not missing
        loaders = library_loaders.find_loaders(bundle.root, plan.runtime.libraries)
        bundle = replace(bundle, loaders=loaders)
    if name in plan.passes:
        bundle = PASSES[name].apply(bundle, plan)
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


def slim(plan: BuildPlan, work: Path, begun: Begun | None = None) -> Bundle:
    """Stage the function's folder under `work`, then run the plan's passes over it.

    Last of all the weights are moved out, where the plan has them outside. A tree that is too large
    with what the plan spares is made anew without that, where it may fit then.

    `begun` is the tree that `begin_slimming` made there by the same plan (`has_same_tree`).
    What a pass took out and the trace saw asked for is kept: the tree is then made anew.
    Raises ConfigurationError for a pass that does not exist, ToolError or StorageError where
    installing fails, ModelFormatError for a model that would load types that nobody trusted.
    """
    if begun is None:
        _check_passes(plan)
        bundle, left = stage(plan, work / "function"), tuple(PASSES)
    else:
        bundle, left = _add_answers(begun.bundle, plan), begun.left
    if begun is None or not begun.has_types:
        bundle = list_trusted_types(bundle, plan)
    for name in left:
        bundle = _run_pass(name, bundle, plan)
        if name == trace.PASS.name and (missed := trace.missed_files(bundle)):
            _LOG.info("Needed after all, so kept: %s", ", ".join(missed))
            shutil.rmtree(bundle.root)
            return slim(replace(plan, keep=(*plan.keep, *missed)), work)
    bundle = outside_weights.move_out(bundle, plan)
    if not _fits_without_spared(bundle, plan):
        return bundle
    names = bundle.spared.keys() - plan.runtime.provides
    _LOG.info("Too large, so made once more without %s", ", ".join(sorted(names)))
    for folder in filter(None, (bundle.root, bundle.weights_root)):
        shutil.rmtree(folder)
    bundle = slim(replace(plan, spared=frozenset()), work)
    return replace(bundle, left_out=unused_distributions.list_gone(names, bundle))


def _fits_without_spared(bundle: Bundle, plan: BuildPlan) -> bool:
    """Tell whether the tree is too large, and not for certain so without what the plan spares."""
    over = bundle.size_bytes - plan.target.limits.unzipped_bytes
    return 0 < over <= sum(bundle.spared.values())


def _add_answers(begun: Bundle, plan: BuildPlan) -> Bundle:
    """The tree with what the answers decide, accounted for as if it had been there all along."""
    bundle = describe_answers(begun, plan)
    size, count = bundle.size_bytes - begun.size_bytes, len(bundle.files) - len(begun.files)
    ledger = tuple(
        replace(
            entry,
            bytes_before=entry.bytes_before + size,
            bytes_after=entry.bytes_after + size,
            files_before=entry.files_before + count,
            files_after=entry.files_after + count,
        )
        for entry in bundle.ledger
    )
    return replace(bundle, ledger=ledger)


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
