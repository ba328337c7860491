"""Comparison of two artifacts, or of models that are built for it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packager.commands import artifact
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.console.interruption import build_here
from packager.commands.difference.answers import compare_replies
from packager.commands.difference.documents import (
    Compared,
    compare_files,
    compare_package_sizes,
    compare_signatures,
    compare_values,
    list_facts,
    make_amounts,
    read_compared,
)
from packager.commands.difference.limits import check_limits, parse_limits
from packager.commands.difference.requests import make_requests
from packager.commands.difference.result import Amounts, Answers, Comparison, Side
from packager.commands.difference.running import ask_both, check_bootable, is_emulated
from packager.models.registry import ModelRegistry
from packager.pipeline.build import build_or_reuse
from packager.system.scratch import make_scratch
from packager.types import BuildRequest, TargetOptions, change_request

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Way in which the two are compared."""

    rows: int = 200
    seed: int = 0
    is_run: bool = True
    """Whether the artifacts are started and asked."""
    limits: Sequence[str] = ()
    """`NAME=LIMIT` each."""


def compare(
    before: str,
    after: str,
    request: BuildRequest,
    registry: Callable[[], ModelRegistry],
    asking: Asking,
) -> Comparison:
    """Compare what two artifacts hold, how they start, and what they answer to the same rows.

    `before` and `after` are artifacts' folders, or models' addresses: these are built as `request`
    says, or taken from the cache; without a target, for that of the other side. Raises
    ConfigurationError for a limit that cannot be read or an artifact that this machine cannot
    start, ModelFormatError for what is no artifact, EmulatorError for a function that does not
    start, and what a build raises.
    """
    limits = parse_limits(asking.limits, is_run=asking.is_run)
    with _open_sides((before, after), request, registry, is_limited=bool(asking.limits)) as (
        one,
        other,
    ):
        sizes = {
            "zipped_bytes": make_amounts(one.zipped_bytes, other.zipped_bytes),
            "unzipped_bytes": make_amounts(one.unzipped_bytes, other.unzipped_bytes),
        }
        start: dict[str, Amounts] | None = None
        answers: Answers | None = None
        if asking.is_run:
            for side in (one, other):
                check_bootable(side)
            requests = make_requests(one, other, rows=asking.rows, seed=asking.seed)
            network = request.model.allow_network
            *replies, start = ask_both(one, other, requests, network=network)
            answers = compare_replies(requests, *replies, seed=asking.seed)
            start = None if is_emulated(one) or is_emulated(other) else start
        checked = check_limits(limits, sizes=sizes, start=start, answers=answers)
        return {
            "a": _describe_side(one),
            "b": _describe_side(other),
            "same_model": one.manifest.digest == other.manifest.digest,
            "sizes": sizes,
            "package_sizes": compare_package_sizes(one, other),
            "packages": list(compare_values(one.packages, other.packages)),
            "facts": list(compare_values(list_facts(one), list_facts(other))),
            "signature": compare_signatures(one, other),
            "files": compare_files(one, other),
            "start": start,
            "answers": answers,
            "limits": checked,
            "passed": all(each["passed"] for each in checked),
            "notes": list(_list_notes(one, other, answers)),
        }


@contextlib.contextmanager
def _open_sides(
    sources: Sequence[str],
    request: BuildRequest,
    registry: Callable[[], ModelRegistry],
    *,
    is_limited: bool,
) -> Iterator[list[Compared]]:
    """A model that is not built yet is built into a folder that goes away."""
    request = change_request(request, target=_choose_target(sources, request))
    with make_scratch("difference") as folder:
        found = []
        for number, source in enumerate(sources):
            home, made = Path(source), "artifact"
            if artifact.is_artifact(home):
                # a limit that holds of a changed artifact says nothing of what was built
                warn_of_changes(home, is_refused=is_limited)
            elif home.is_dir() and not (home / "MLmodel").is_file():
                artifact.read(home)  # neither an artifact nor a model: it raises, and says so
            else:
                _LOG.info("Building %s, which is no artifact", source)
                wanted = change_request(request, model_uri=source, out_dir=folder / str(number))
                with build_here():
                    provided = build_or_reuse(wanted, registry())
                home, made = provided.folder, "kept build" if provided.reused else "built now"
            found.append(read_compared(home, source, made))
        yield found


def _choose_target(sources: Sequence[str], request: BuildRequest) -> str:
    """Return the target that models are built for: the other side's, if that is an artifact."""
    if request.target.name:
        return request.target.name
    folders = [each for each in map(Path, sources) if artifact.is_artifact(each)]
    return artifact.read(folders[0]).target if folders else TargetOptions().name


def _describe_side(side: Compared) -> Side:
    return {
        "given": side.given,
        "made": side.made,
        "name": side.manifest.model_name,
        "version": side.manifest.model_version or "",
        "target": side.target.name,
        "engine": side.manifest.engine,
        "model_digest": side.manifest.digest,
    }


def _list_notes(one: Compared, other: Compared, answers: Answers | None) -> Iterator[str]:
    if one.manifest.digest == other.manifest.digest:
        yield "Both hold the same registered model."
    drawing = [each.given for each in (one, other) if each.manifest.draws]
    if drawing and answers is not None:
        yield (
            f"{' and '.join(drawing)} draws at random: some differences are chance, and would be "
            "there between two answers of one model."
        )
    emulated = [each.given for each in (one, other) if is_emulated(each)]
    if emulated and answers is not None:
        yield (
            f"The processor of {' and '.join(emulated)} was emulated: what starts take is not "
            "compared."
        )
    if answers is None:
        yield "Nothing was started: what the artifacts answer is not compared."
    elif not answers["requests"]:
        yield (
            "There are no rows to ask: neither model has an example, nor a signature that both "
            "share. Log the models with one to have their answers compared."
        )
