"""What is said of a function that does not start, ends, or is refused something by its platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from packager.errors import EmulatorError
from packager.pipeline.verify.missing import keep_rules
from packager.system.sandbox import endings, faults
from packager.system.sandbox.faults import FUNCTION
from packager.targets.hosts import Answered, Host
from packager.types import Bundle, Finding

_LOG_TAIL: Final = 2500
_MORE: Final = (
    "Give it more with --memory where it is memory that was short; else take what takes so much "
    "out of the model's code."
)


def explain_stop(answer: Answered, name: str, function: Host, bundle: Bundle) -> list[Finding]:
    """Of a function that did not start, or ended; `name` is the request's."""
    log = function.log()
    text = f"{answer.failure}\n{log}"
    rules = keep_rules(text, bundle.removed, bundle.root)
    refused = () if rules else faults.explain(text, FUNCTION)
    limit = function.exceeded()
    what, hint = _describe(answer, name, limit, log)
    late = answer.ending is not None and answer.ending.timed_out
    if refused or limit or late:
        # no other tree would be allowed more
        return [Finding(check="platform", message=what, hint=" ".join(refused) or hint)]
    found = Finding(
        check="boot" if answer.ending is None or answer.loading else "replay",
        message=what,
        hint=f"{hint} Its log ends:\n{log.strip()[-_LOG_TAIL:]}".strip(),
        missing=rules[0] if rules else None,
    )
    return [found, *map(name_removed, rules[1:])]


def _describe(answer: Answered, name: str, limit: str, log: str) -> tuple[str, str]:
    """The sentence and the hint."""
    step = "loaded the model" if answer.loading else f"answered {name}"
    if limit:
        place = endings.name_place(log)
        return f"While it {step}, the function's process was ended{place}: {limit}.", _MORE
    if answer.ending is None:
        return f"The function does not start: {answer.failure}", ""
    return f"While it {step}, the function's process {answer.ending.cause}.", answer.ending.hint


def name_refused(answer: Answered) -> tuple[str, ...]:
    """What the platform refused the model while it answered, a sentence each."""
    if answer.status == 200:
        return ()
    told = answer.body if isinstance(answer.body, dict) else {}
    return faults.explain(f"{told.get('stack_trace') or answer.text}", FUNCTION)


def blame_platform(finding: Finding, refused: Sequence[str]) -> Finding:
    """The finding as the platform's, where it refused something: no other tree is allowed more."""
    return replace(finding, check="platform", hint=" ".join(refused)) if refused else finding


def name_removed(rule: str) -> Finding:
    return Finding(
        check="replay",
        message=f"{rule} was taken out, and the model asks for it.",
        hint=f"Keep it with --keep '{rule}'.",
        missing=rule,
    )


def name_gone(name: str, error: EmulatorError) -> Finding:
    return Finding(
        check="replay",
        message=f"{name}: the function was gone. {error}",
        hint="Where it ran out of memory, give it more with --memory.",
    )


def name_limit(limit: str) -> Finding:
    return Finding(
        check="platform", message=f"A process of the function was killed: {limit}.", hint=_MORE
    )
