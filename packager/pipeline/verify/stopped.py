"""Explain why a function does not start, ends, or is refused something by its platform."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.errors import EmulatorError
from packager.facts.modules import module_names
from packager.pipeline.verify.missing import find_absent_modules, keep_rules
from packager.system import sandbox
from packager.system.redaction import take_end
from packager.system.sandbox import endings, faults
from packager.system.sandbox.faults import FUNCTION, SHARING_FUNCTION, Place
from packager.system.sandbox.level_faults import explain_level
from packager.targets.hosts import Answered, Host
from packager.types import BuildPlan, Bundle, Check, Finding

_LOG_TAIL: Final = 2500
_TRACEBACK: Final = "Traceback (most recent call last):\n"
_RAISED: Final = re.compile(r"(?:[ \t].*\n)+([A-Za-z_][\w.]*)(?=:|\n|$)")
"""Frames, which are indented, and the class after them; a text of several lines may follow."""
_STOPS: Final = (".", "!", "?")
_MORE: Final = (
    "Give it more with --memory where it is memory that was short; else take what takes so much "
    "out of the model's code."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Place that the function ran in."""

    place: Place = FUNCTION
    level: str = ""
    """Of the sandbox, where it gave the function no root of its own."""
    given: tuple[Path, ...] = ()
    """What the function can read, and could not write on its target either."""
    unshipped: frozenset[str] = frozenset()
    """Names of the author's distributions that the function does not have, and of their modules, in
    lower case."""


@dataclass(frozen=True, slots=True)
class Refused:
    """By whom a model was refused something, and what, a sentence each."""

    check: Check = Check.PLATFORM
    words: tuple[str, ...] = ()


def describe_where(plan: BuildPlan, given: Sequence[Path]) -> Where:
    """Raises FactsError."""
    around = facts.surroundings(plan.target.name, plan.request.target.facts_dir)
    place = SHARING_FUNCTION if around.shared_memory_bytes else FUNCTION
    modules = module_names(plan.request.target.facts_dir)
    words = {word for name in plan.unshipped for word in (name, *modules.modules_of(name))}
    return Where(
        place=place,
        level=sandbox.weak_level(),
        given=tuple(given),
        unshipped=frozenset(word.lower() for word in words),
    )


def explain_stop(
    answer: Answered, name: str, function: Host, bundle: Bundle, where: Where
) -> list[Finding]:
    """Explain why a function did not start, or ended; `name` is the request's.

    The function's files are named by their paths in it, not by where they lie on this machine.
    """
    found = _list_causes(answer, name, function, bundle, where)
    own = f"{bundle.root}/"
    return [
        replace(each, message=each.message.replace(own, ""), hint=each.hint.replace(own, ""))
        for each in found
    ]


def _list_causes(
    answer: Answered, name: str, function: Host, bundle: Bundle, where: Where
) -> list[Finding]:
    log = function.log()
    text = f"{answer.failure}\n{log}"
    rules = keep_rules(text, bundle.removed, bundle.root)
    refused = Refused() if rules else _find_refused(text, where)
    limit = function.read_exceeded()
    what, hint = _describe(answer, name, limit, log)
    late = answer.ending is not None and answer.ending.timed_out
    if refused.words or limit or late:
        # no other tree would be allowed more
        return [Finding(check=refused.check, message=what, hint=" ".join(refused.words) or hint)]
    found = Finding(
        check=Check.BOOT if answer.ending is None or answer.loading else Check.REPLAY,
        message=what,
        hint=f"{hint} Its log ends:\n{take_end(log.strip(), _LOG_TAIL)}".strip(),
        missing=rules[0] if rules else None,
    )
    absent = find_absent_modules(text, bundle.removed, bundle.root, where.unshipped)
    return [found, *map(name_removed, rules[1:]), *map(name_absent, absent)]


def _describe(answer: Answered, name: str, limit: str, log: str) -> tuple[str, str]:
    """The sentence and the hint."""
    step = "loaded the model" if answer.loading else f"answered {name}"
    if limit:
        place = endings.name_place(log)
        return f"While it {step}, the function's process was ended{place}: {limit}.", _MORE
    if answer.ending is None:
        why = f"{answer.failure}"
        return f"The function does not start: {why}{'' if why.endswith(_STOPS) else '.'}", ""
    return f"While it {step}, the function's process {answer.ending.cause}.", answer.ending.hint


def name_refused(answer: Answered, where: Where) -> Refused:
    """Name what the model was refused while it answered."""
    if answer.status == 200:
        return Refused()
    return _find_refused(read_trace(answer), where)


def read_trace(answer: Answered) -> str:
    """The traceback in an answer; where there is none, its text."""
    told = answer.body if isinstance(answer.body, dict) else {}
    return f"{told.get('stack_trace') or answer.text}"


def name_exception(finding: Finding, text: str) -> Finding:
    """The finding with the class of what the model raised, and where; never with its text."""
    call, raised = faults.call_of_traceback(text), _RAISED.match(text.rpartition(_TRACEBACK)[2])
    if not call or raised is None:
        return finding
    name = raised[1].rpartition(".")[2]
    return replace(finding, hint=f"The model raised {name} in {call}. {finding.hint}")


def _find_refused(text: str, where: Where) -> Refused:
    if weaker := explain_level(text, where.place, where.level, where.given):
        return Refused(Check.SANDBOX, weaker)
    return Refused(Check.PLATFORM, faults.explain(text, where.place))


def blame_place(finding: Finding, refused: Refused) -> Finding:
    """The finding as that of what refused something: no other tree is allowed more."""
    if not refused.words:
        return finding
    return replace(finding, check=refused.check, hint=" ".join(refused.words))


def name_removed(rule: str) -> Finding:
    return Finding(
        check=Check.REPLAY,
        message=f"{rule} was taken out, and the model asks for it.",
        hint=f"Keep it with --keep '{rule}'.",
        missing=rule,
    )


def name_absent(module: str) -> Finding:
    """The finding for a module that the model asks for and nothing installed has."""
    return Finding(
        check=Check.REPLAY,
        message=f"The model asks for the module {module}, which nothing installed has.",
        hint="Add the package that has it: with --keep-package, or to the model's requirements.",
        absent=module,
    )


def name_gone(name: str, error: EmulatorError) -> Finding:
    return Finding(
        check=Check.REPLAY,
        message=f"{name}: the function did not answer. {error}",
        hint="If it ran out of memory, give it more with --memory.",
    )


def name_limit(limit: str) -> Finding:
    return Finding(
        check=Check.PLATFORM, message=f"A process of the function was killed: {limit}.", hint=_MORE
    )
