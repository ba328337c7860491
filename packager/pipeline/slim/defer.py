"""Have modules that serving never uses loaded when they are first asked for.

Most of a start is the import of modules that some other module names at its top and this model
never calls. Their imports are moved to where the names are used
(packager/workers/defer_imports), in the
bytecode alone: the sources stay as they are. No hook and no stand-in object ships.

What is moved is found by watching and by trial. One run tells what uses what (workers/watch.py);
what nothing that is needed uses is moved. The function is traced again, and each import whose
module was loaded after all is put back, until nothing changes. Then each deferred module is loaded
in a fork of the started function: one that does not load there, that gives other names than before,
or that changes anything outside itself, is put back too.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from packager.errors import ToolError
from packager.pipeline.answers.spread import answers_agree
from packager.pipeline.slim.import_deferral import Name, Sinking
from packager.pipeline.slim.passes import Pass, account_for
from packager.pipeline.slim.storing import compressed_store
from packager.pipeline.slim.tracing import kept_deferral, reachable_modules, side_effects, trace
from packager.pipeline.slim.tracing.import_tree import list_modules
from packager.pipeline.slim.tracing.kept_deferral import Deferral
from packager.pipeline.slim.tracing.trace import UntraceableError
from packager.types import BuildPlan, Bundle, PassName, Trace

_LOG = logging.getLogger(__name__)


_ROUNDS: Final = 30
_GROWING: Final = 15
_LISTED: Final = 6
_FAILURES: Final = 2
"""Of a package, before nothing is moved in it any more."""
_NOT_IMPORTED: Final = re.compile(r"cannot import name '?(\w+)")


class GivenUpError(Exception):
    """Reason why nothing is deferred: for the ledger."""


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Defer what can be; a function without a trace, or that does not settle, is left as it is."""
    if bundle.trace is None:
        return account_for(bundle, PASS, proof=f"nothing deferred: {bundle.untraced}")
    try:
        attempt = Attempt(bundle, plan, bundle.trace)
    except ToolError as error:
        return account_for(bundle, PASS, proof=f"nothing deferred: {error}")
    key = kept_deferral.make_key(bundle, plan, bundle.trace)
    try:
        traced = attempt.settle_again(kept_deferral.recall_deferral(key))
        if traced is None:
            with compressed_store.compressing_ahead(bundle, plan):
                traced = attempt.settle()
            kept_deferral.keep_deferral(key, attempt.deferral)
    except (GivenUpError, ToolError) as error:
        attempt.undo()
        return account_for(bundle, PASS, proof=f"nothing deferred: {error}")
    after = account_for(
        bundle,
        PASS,
        proof=attempt.proof(traced),
        reverted=attempt.list_reverted(),
        cpu_ms_saved=attempt.sum_spared(traced),
    )
    imports = {"before": list_modules(bundle.trace), "after": list_modules(traced)}
    return replace(after, trace=traced, imports=imports if traced.own_cpu_ms else {})


class Attempt:
    """The tree, what is moved in it at the moment, and what may not be moved again."""

    def __init__(self, bundle: Bundle, plan: BuildPlan, before: Trace) -> None:
        self._bundle, self._plan, self._before = bundle, plan, before
        self._banned: set[Name] = set()
        self._why: dict[str, str] = {}
        self._failed: Counter[str] = Counter()
        """How often a package at the top kept the function from starting."""
        self._moved: frozenset[Name] = frozenset()
        self._loaded: frozenset[str] | None = None
        """What was loaded, as far as it was known when this was moved."""
        self._is_known = False
        self._sinking = Sinking(bundle, plan, before)

    @property
    def deferral(self) -> Deferral:
        return Deferral(
            moved=self._moved,
            banned=frozenset(self._banned),
            loaded=self._loaded,
            why=dict(self._why),
        )

    def settle_again(self, known: Deferral | None) -> Trace | None:
        """Move what an earlier build found; None, and nothing moved, where it does not hold now."""
        if known is None or not known.moved <= self._sinking.movable():
            return None
        self._write(known.moved, known.loaded)
        _LOG.info("Deferring imports: trying the %d of an earlier build", len(known.moved))
        traced = self._trace_known(known)
        if traced is None:
            self.undo()
            return None
        self._banned, self._why, self._is_known = {*known.banned}, {**known.why}, True
        self._sinking.rewrite()
        return traced

    def _trace_known(self, known: Deferral) -> Trace | None:
        """None where it does not start, loads other modules, or answers otherwise."""
        try:
            traced = trace.record(self._bundle, self._plan)
        except UntraceableError as error:
            _LOG.debug("What was deferred in an earlier build is not: %s", error)
            return None
        same = traced.modules <= self._before.modules and all(
            answers_agree(each, other, self._plan.spread)
            for each, other in zip(self._before.answers, traced.answers, strict=True)
        )
        if same and self._worth(known.moved, traced.modules, _serving(traced)) == known.moved:
            return traced
        return None

    def settle(self) -> Trace:
        """Move, trace and put back until neither changes. Raises GivenUpError."""
        movable = self._sinking.movable()
        ordered = [each for each in sorted(movable) if "." not in each[1]]
        expected = self._load_groups([ordered])[0][0]
        if "error" in expected:
            raise GivenUpError(f"the function does not fork: {expected['error']}")
        names = dict(zip(ordered, expected["names"], strict=True))
        moved, loaded = self._foreseen(movable)
        for turn in range(_ROUNDS):
            _LOG.info(
                "Deferring imports: round %d of at most %d, %d of %d imports moved",
                *(turn + 1, _ROUNDS, len(moved), len(movable)),
            )
            self._write(moved, loaded)
            traced = self._trace_deferred()
            if traced is None or self._strangers(traced):
                moved -= self._banned
                continue
            loaded = traced.modules
            # what was not worth it may be now, as other modules are loaded; in the end no more
            allowed = movable - self._banned if turn < _GROWING else moved
            kept = self._worth(allowed, loaded, _serving(traced))
            _LOG.debug("%d imports moved, %d modules loaded", len(kept), len(traced.modules))
            if kept == moved:
                self._banned |= self._find_disproved(moved, traced, names)
                kept -= self._banned
            if kept == moved:
                self._banned |= self._differing(moved, traced)
                kept -= self._banned
            if kept == moved:
                self._sinking.rewrite()
                return traced
            moved = kept
        raise GivenUpError(f"it did not settle in {_ROUNDS} rounds")

    def _foreseen(self, movable: frozenset[Name]) -> tuple[frozenset[Name], frozenset[str] | None]:
        """Choose what to begin with: all that may be moved, where watching the uses fails."""
        self._sinking.watch(movable)
        _LOG.info("Deferring imports: watching which of %d are used", len(movable))
        try:
            uses = trace.watch(self._bundle, self._plan)
        except UntraceableError as error:
            _LOG.debug("No uses: %s", error)
            return movable, None
        loaded = reachable_modules.find_needed(uses, self._sinking, movable, self._before.modules)
        return self._worth(movable, loaded, loaded), loaded

    def _worth(
        self, moved: frozenset[Name], loaded: frozenset[str], serving: frozenset[str]
    ) -> frozenset[Name]:
        """Select those that spare a module that serving does not need."""
        return frozenset(
            each
            for each in moved
            if each[0] in loaded and self._sinking.needs(each, moved) - serving
        )

    def undo(self) -> None:
        self._write(frozenset(), None)

    def _write(self, moved: frozenset[Name], loaded: frozenset[str] | None) -> None:
        self._moved, self._loaded = moved, loaded
        self._sinking.write(moved, loaded)

    def _strangers(self, traced: Trace) -> bool:
        """Ban imports that led to modules that were not there before; tell whether any came.

        They were moved out of a setting that was made for them: a stand-in in sys.modules, say.
        """
        causes = {
            traced.asked[name]
            for name in traced.modules - self._before.modules
            if name in traced.asked
        }
        for module, name in sorted(causes):
            if module not in self._sinking.modules:
                raise GivenUpError(f"{module}.{name} loads what was not loaded before")
            origins = self._sinking.modules[module].moved.get(name)
            same = {
                (module, other)
                for other, each in self._sinking.modules[module].moved.items()
                if origins is None or {m for m, _ in each} & {m for m, _ in origins}
            }
            self._banned |= same
            self._why[module] = f"{name} must be imported when {module} is"
        return bool(causes)

    def _trace_deferred(self) -> Trace | None:
        """None where it does not start: what the traceback names is then banned.

        Where a package was to blame before, all of it is; where nothing is named, everything.
        """
        try:
            return trace.record(self._bundle, self._plan)
        except UntraceableError as error:
            culprits = self._culprits(error)
            for top in {each.partition(".")[0] for each in culprits}:
                self._failed[top] += 1
            spent = {top for top, times in self._failed.items() if times > _FAILURES}
            banned = {each for each in self._moved if each[0] in culprits or _top(each) in spent}
            _LOG.debug("Imports of %s stay: %s", ", ".join(sorted(culprits | spent)), error)
            self._banned |= banned or self._moved
            self._why |= dict.fromkeys(culprits, str(error))
            return None

    def _culprits(self, error: UntraceableError) -> set[str]:
        """Modules with moved imports that the failure is laid to.

        Those that moved the very name that could not be imported (extension modules import it and
        leave no frame), else the last one in the traceback.
        """
        missing = _NOT_IMPORTED.search(str(error))
        named = {module for module, name in self._moved if missing and name == missing[1]}
        if named:
            return named
        at = {
            name: error.log.rfind(f'/{self._sinking.modules[name].path}"')
            for name in {owner for owner, _ in self._moved}
        }
        last = max(at, key=lambda name: at[name], default="")
        return {last} if at.get(last, -1) >= 0 else set()

    def _load_groups(self, groups: Sequence[Sequence[Name]]) -> list[list[side_effects.Loaded]]:
        try:
            return side_effects.of_loading(groups, self._bundle, self._plan)
        except ToolError as error:
            raise GivenUpError(str(error)) from error

    def _find_disproved(
        self, moved: frozenset[Name], traced: Trace, names: Mapping[Name, str]
    ) -> set[Name]:
        """Those that do not load, turn out to be something else, or change what is there."""
        started = frozenset(traced.init)
        groups: dict[frozenset[str], list[Name]] = {}
        for each in sorted(moved):
            key = frozenset({each[0], *self._sinking.needs(each, moved)} - started)
            groups.setdefault(key, []).append(each)
        ordered = sorted(groups, key=sorted)
        _LOG.info("Deferring imports: loading %d groups of them in the function", len(groups))
        asked = [
            [
                *(each for each in groups[key] if "." not in each[1]),
                *self._as_attributes(key, started),
            ]
            for key in ordered
        ]
        failed: dict[frozenset[str], str] = {}
        for answers in self._load_groups(asked):
            for key, group, found in zip(ordered, asked, answers, strict=True):
                if why := side_effects.wrong(group, found, names):
                    failed.setdefault(key, why)
        bad: set[Name] = set()
        for key, why in failed.items():
            if any(other < key for other in failed):
                continue  # the smaller may be to blame alone: the next round tells
            bad |= set(groups[key])
            self._note_reason(key, groups[key], why)
        return bad

    def _note_reason(self, key: frozenset[str], group: Iterable[Name], why: str) -> None:
        named = sorted(key) or [".".join(each) for each in group]
        self._why[named[0]] = why
        _LOG.debug("%s stays: %s", ", ".join(named), why)

    def _as_attributes(self, modules: Iterable[str], loaded: frozenset[str]) -> list[Name]:
        """Deferred modules as code may have them: as attributes of the packages that are loaded."""
        pairs = (each.rpartition(".") for each in sorted(modules))
        return [
            (base, last) for base, _, last in pairs if base in loaded and base in self._before.files
        ]

    def _differing(self, moved: frozenset[Name], traced: Trace) -> frozenset[Name]:
        """Find what is moved in the package for which an answer differs; usually nothing is."""
        spread, before = self._plan.spread, self._before.answers
        if all(
            answers_agree(each, other, spread)
            for each, other in zip(before, traced.answers, strict=True)
        ):
            return frozenset()
        loaded = traced.modules
        again = self._answers(frozenset(), None)
        if again is None:
            raise GivenUpError("it does not start twice")
        stable = [at for at, each in enumerate(before) if answers_agree(each, again[at], spread)]

        def wrong(answers: Sequence[str] | None) -> bool:
            return answers is None or not all(
                answers_agree(before[at], answers[at], spread) for at in stable
            )

        tops = sorted({_top(each) for each in moved}) if wrong(traced.answers) else []
        while len(tops) > 1:
            half = tops[: len(tops) // 2]
            some = frozenset(each for each in moved if _top(each) in half)
            tops = half if wrong(self._answers(some, loaded)) else tops[len(half) :]
        self._why |= dict.fromkeys(tops, "an answer was another one")
        self._write(moved, loaded)
        return frozenset(each for each in moved if _top(each) in tops)

    def _answers(
        self, moved: frozenset[Name], loaded: frozenset[str] | None
    ) -> tuple[str, ...] | None:
        self._write(moved, loaded)
        try:
            return trace.record(self._bundle, self._plan).answers
        except UntraceableError:
            return None

    def measure_spared(self, traced: Trace) -> dict[str, float]:
        """The CPU in ms that each deferred module took to import when it was not."""
        gone = self._before.modules - traced.modules
        return {name: self._before.own_cpu_ms.get(name, 0.0) for name in sorted(gone)}

    def sum_spared(self, traced: Trace) -> float | None:
        """Sum up that CPU; None where no import was timed."""
        return sum(self.measure_spared(traced).values()) if self._before.own_cpu_ms else None

    def proof(self, traced: Trace) -> str:
        gone = self.measure_spared(traced)
        parts: dict[str, float] = {}
        for name, spent in sorted(gone.items()):
            part = ".".join(name.split(".")[:2])
            parts[part] = parts.get(part, 0.0) + spent
        most = sorted(parts, key=lambda part: -parts[part])[:_LISTED]
        largest = ", ".join(f"{part} {parts[part]:.0f}" for part in most)
        spared = f", {sum(gone.values()):.0f} ms of CPU here ({largest})"
        if not self._before.own_cpu_ms:
            spared = ""
        before = " (as found in an earlier build on the same packages)" if self._is_known else ""
        return (
            f"{len(gone)} modules are loaded when first used{spared}; "
            f"{len(self._moved)} imports moved in "
            f"{len({module for module, _ in self._moved})} modules; each of the deferred loads by "
            "itself in the started function and changes nothing else, all load together in two "
            f"orders{before}, and {len(traced.answers)} answers are the same"
        )

    def list_reverted(self) -> tuple[str, ...]:
        return tuple(sorted(f"{module}: {why}" for module, why in self._why.items()))


def _top(name: Name) -> str:
    return name[0].partition(".")[0]


def _serving(traced: Trace) -> frozenset[str]:
    """List what an answered request needs: it is paid for at the start."""
    return frozenset((*traced.init, *traced.answering))


PASS: Final = Pass(
    name=PassName.DEFER,
    reason="modules that serving never uses need not be imported to start",
    apply=apply,
)
