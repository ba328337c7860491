"""Search for the slimming pass, or its files, behind a failure; and what ships without it.

Where a tree fails a check that it passes unslimmed, the passes are halved until one is left, then
the folders in which it is kept from working, a bounded number of times. Each question is a tree
slimmed and verified anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from packager.errors import VerificationError
from packager.types import BuildPlan, FileRecord, LedgerEntry, PassName, VerifiedBundle

_LOG = logging.getLogger(__name__)

_QUESTIONS: Final = 14
_NEEDED: Final = frozenset({PassName.LIBRARIES})
"""Passes that add what the target lacks: without them nothing is shown."""
_ALL: Final = ("**",)

Prove: TypeAlias = Callable[[BuildPlan], VerifiedBundle]
"""Slim and verify; raises VerificationError. What it returned last is there until it is called."""


class BlamelessError(Exception):
    """The tree fails without slimming too, or nothing was found in the questions that there are."""


class _NoneLeftError(Exception):
    """All questions were asked."""


@dataclass(slots=True)
class _Trials:
    prove: Prove
    left: int = _QUESTIONS
    files: tuple[FileRecord, ...] = ()
    """Of the last tree that passed."""

    def passes(self, plan: BuildPlan) -> bool:
        """Tell whether the tree answers right; its size is not the question."""
        if not self.left:
            raise _NoneLeftError
        self.left -= 1
        try:
            self.files = self.prove(plan).bundle.files
        except VerificationError as error:
            return all(finding.check.about_size for finding in error.findings)
        return True


def without_cause(plan: BuildPlan, prove: Prove, why: str) -> tuple[BuildPlan, VerifiedBundle]:
    """The plan with a keep-rule for the files that make it fail, else without the pass.

    `why` is what was found wrong: the ledger says it. Raises BlamelessError.
    """
    trials = _Trials(prove)
    try:
        guilty, failing = _guilty(plan, trials)
    except _NoneLeftError as error:
        raise BlamelessError from error
    _LOG.info("The slimming pass %s is at fault: %s", guilty, why)
    if kept := _find_keep_rules(failing, trials):
        spared = replace(plan, keep=(*plan.keep, *kept))
        try:
            return spared, _said(prove(spared), guilty, kept, why)
        except VerificationError:
            _LOG.debug("Keeping %s does not do with the passes that follow", ", ".join(kept))
    without = _with(plan, [name for name in plan.passes if name != guilty])
    try:
        verified = prove(without)
    except VerificationError as error:
        # another one too
        without, verified = without_cause(without, prove, error.findings[0].message)
    return without, _said(verified, guilty, _ALL, why)


def _with(plan: BuildPlan, passes: Sequence[str]) -> BuildPlan:
    wanted = {*passes, *_NEEDED}
    return replace(plan, passes=tuple(name for name in plan.passes if name in wanted))


def _guilty(plan: BuildPlan, trials: _Trials) -> tuple[str, BuildPlan]:
    """The first pass with which the tree fails, and the plan that ends with it."""
    optional = [name for name in plan.passes if name not in _NEEDED]
    if not optional or not trials.passes(_with(plan, ())):
        raise BlamelessError
    good, bad = 0, len(optional)
    while bad - good > 1:
        middle = (good + bad) // 2
        if trials.passes(_with(plan, optional[:middle])):
            good = middle
        else:
            bad = middle
    return optional[bad - 1], _with(plan, optional[:bad])


def _find_keep_rules(plan: BuildPlan, trials: _Trials) -> tuple[str, ...]:
    """The narrowest keep-rules found that make the plan pass; () where the pass heeds none."""
    paths = [file.path.as_posix() for file in trials.files]
    group: tuple[str, ...] = ()

    def does(keep: Sequence[str]) -> bool:
        return trials.passes(replace(plan, keep=(*plan.keep, *keep)))

    try:
        if not paths or not does(_ALL):
            return ()
        folder = ""
        while inside := _inside(folder, paths):
            group = inside
            while len(group) > 1:
                half = len(group) // 2
                if does(group[:half]):
                    group = group[:half]
                elif does(group[half:]):
                    group = group[half:]
                else:
                    return group
            (folder,) = group
    except _NoneLeftError:
        _LOG.debug("No question is left; kept: %s", ", ".join(group))
    return group


def _inside(folder: str, paths: Sequence[str]) -> tuple[str, ...]:
    """List what lies directly in the folder, files and folders, sorted; () in a file."""
    start = f"{folder}/" if folder else ""
    names = {path.removeprefix(start).partition("/")[0] for path in paths if path.startswith(start)}
    return tuple(sorted(f"{start}{name}" for name in names))


def _said(verified: VerifiedBundle, guilty: str, kept: tuple[str, ...], why: str) -> VerifiedBundle:
    """The ledger with what the pass had to leave as it was, and why."""
    bundle = verified.bundle
    proof = f"left as it was, because otherwise: {why}"
    entries = [
        replace(
            entry, reverted=(*entry.reverted, *kept), proof=f"{entry.proof}; {proof}".lstrip("; ")
        )
        if entry.name == guilty
        else entry
        for entry in bundle.ledger
    ]
    if guilty not in {entry.name for entry in entries}:
        size, count = bundle.size_bytes, len(bundle.files)
        entries.append(
            LedgerEntry(
                name=guilty,
                bytes_before=size,
                bytes_after=size,
                files_before=count,
                files_after=count,
                reason="the whole pass was taken back",
                proof=proof,
                reverted=kept,
            )
        )
    return replace(verified, bundle=replace(bundle, ledger=tuple(entries)))
