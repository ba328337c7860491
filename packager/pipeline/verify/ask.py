"""Ask the registered model before anything hangs on it: does it answer, and twice the same."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from handlers.loaders import _sessions
from packager import engines
from packager.environments.entry_points import list_declaring
from packager.errors import ToolError, UnprovenError
from packager.pipeline.answers.spread import describe_outputs, measure_spread
from packager.pipeline.verify import oracle, replay
from packager.pipeline.verify.missing import explain_unlogged
from packager.pipeline.verify.oracle import Answers, Recorded
from packager.pipeline.verify.oracle_runs import EarlyAnswers
from packager.probes import Probe, of_rows, probes, unseen
from packager.system.scratch import make_scratch
from packager.targets.hosts import fetch_parts
from packager.targets.lambda_emulator import choose_interpreter, why_not_provable
from packager.types import BuildPlan, Engine, Json, Spread

_LOG = logging.getLogger(__name__)

_CATEGORIES: Final = frozenset({"catboost", "lightgbm", "sklearn", "xgboost"})
"""Flavors whose models may have been fitted on a DataFrame's categories."""
_ONE: Final = 1
_LEAST_SECONDS: Final = 120


@contextlib.contextmanager
def asking_early(plan: BuildPlan) -> Iterator[EarlyAnswers | None]:
    """Have the registered model asked, while the block runs, what is known before it is compiled.

    None where it cannot be asked, or where nothing is compiled before it is.
    """
    requests = requests_of(plan) if plan.engine is not Engine.NATIVE else ()
    if not requests or explain_unbootable(plan):
        yield None
        return
    with (
        make_scratch("asking") as folder,
        oracle.begin_recording(
            plan.model,
            requests,
            plan.interpreter,
            plan.platform,
            folder,
            threads=_graph_threads(plan),
            network=plan.request.model.allow_network,
            request_seconds=_request_seconds(plan),
        ) as early,
    ):
        yield early


def ask_rows_early(
    early: EarlyAnswers | None, plan: BuildPlan, rows: Sequence[Mapping[str, Json]]
) -> None:
    """Have the model asked what the proof of what it is compiled to was asked, before that ends."""
    if early is not None:
        early.ask_rest(of_rows(rows, plan.model))


def ask_model(plan: BuildPlan, early: EarlyAnswers | None = None) -> BuildPlan:
    """The plan with how far the model's own answers part, and the threads that it is held to.

    In a function, a model that adds up in several threads is served on one, where its answers are
    then those that it gives on more, but for the last digits. Raises UnprovenError where it refuses
    every request, or cannot be asked, and `request.proof.allow_unproven` is not set. `early` may
    have asked it before.
    """
    requests = requests_of(plan)
    if not requests or _is_unbootable(plan):
        return plan
    try:
        answers = record_answers(plan, requests, early)
    except UnprovenError:
        if not plan.allows_unproven:
            raise
        return plan
    _check_that_it_answers(plan, requests, answers.answers)
    declaring = list_declaring(answers.python, plan.entry_groups) if answers.python else {}
    plan = replace(
        plan,
        spread=answers.spread,
        system_libraries=answers.system_libraries,
        declaring=declaring,
    )
    plan = _hold_to_threads(plan, requests, answers)
    _check_that_it_repeats(plan)
    return plan


def explain_unbootable(plan: BuildPlan, *, fetched: bool = False) -> str | None:
    """Explain why this machine boots no function of the plan's; None where it does.

    With `fetched` what it is booted in is had for the answer, from where it is kept or published.
    """
    architecture, named = plan.request.target.architecture, plan.request.target.arm64_python
    host, interpreter = plan.target.program.host, plan.interpreter
    if why := why_not_provable(architecture, host, interpreter.minor, named):
        return why
    try:
        choose_interpreter(interpreter, architecture, named) if fetched else None
    except ToolError as error:
        return f"The function is for {architecture}, and there is nothing to boot it in. {error}"
    return None


def _is_unbootable(plan: BuildPlan) -> bool:
    """Raises UnprovenError where what it is booted in cannot be had, unless that is allowed.

    That is before anything long begins.
    """
    if explain_unbootable(plan) is not None:
        return True
    why = explain_unbootable(plan, fetched=True)
    if why is not None and not plan.allows_unproven:
        raise UnprovenError(why)
    return why is not None


def _check_that_it_repeats(plan: BuildPlan) -> None:
    """Raises UnprovenError where pins are upgraded and the model's own answers part.

    Of such answers nothing shows whether the newer releases give the same.
    """
    if parted := {**plan.spread.rounding, **plan.spread.chance} if plan.upgraded else {}:
        raise UnprovenError(
            "The registered model answers otherwise each time that it is asked, at "
            f"{describe_outputs(parted)}, so no replay can show that the upgraded pins "
            f"({', '.join(f'{each.name} {each.new}' for each in plan.upgraded)}) answer the same "
            "to the last bit."
        )


def _hold_to_threads(plan: BuildPlan, requests: Sequence[Probe], answers: Answers) -> BuildPlan:
    """The plan on one thread, where the model's answers are the same on it but for last digits."""
    sums = bool(answers.threaded) or bool(plan.spread.rounding)
    if not sums or plan.target.machine.many_cores or _is_graph(plan):
        return plan
    alone = record_answers(replace(plan, threads=_ONE), requests)
    if not _differ_by_rounding(answers, alone):
        _LOG.info("Leaving the model its threads: on one thread it answers differently")
        return plan
    if alone.spread.rounding and not answers.threaded:
        _LOG.info("The model adds up in threads of its own, so their rounding is measured")
        return plan
    _LOG.info("Serving the model on one thread, so that its sums keep one order")
    return replace(plan, threads=_ONE, spread=alone.spread)


def _is_graph(plan: BuildPlan) -> bool:
    """Tell whether a runtime of graphs adds up, which has an order of its own."""
    return plan.compiled is not None and not engines.keeps_order(plan.engine)


def requests_of(plan: BuildPlan) -> tuple[Probe, ...]:
    """All that is asked; () where the model has neither a signature nor a saved example."""
    requests = probes(plan.model, plan.request.proof.rows, plan.request.proof.seed)
    if plan.compiled is not None:
        requests += of_rows(plan.compiled.adversarial, plan.model)
    return (*requests, *unseen(plan.model, plan.request.proof.seed)) if requests else ()


def record_answers(
    plan: BuildPlan, requests: Sequence[Probe], early: EarlyAnswers | None = None
) -> Answers:
    """The registered model's answers, on the threads of the plan. Raises UnprovenError."""
    return oracle.record(
        plan.model,
        requests,
        plan.interpreter,
        plan.platform,
        threads=_graph_threads(plan),
        one_thread=plan.threads == _ONE,
        network=plan.request.model.allow_network,
        request_seconds=_request_seconds(plan),
        early=early,
    )


def work_ahead(plan: BuildPlan) -> None:
    """Fetch what boots the function. Raises ToolError."""
    if explain_unbootable(plan) is None:
        brought = plan.runtime.brings_client
        target = plan.request.target
        interpreter = choose_interpreter(plan.interpreter, target.architecture, target.arm64_python)
        fetch_parts(plan.target.program.host, interpreter, plan.provided, brought=brought)


def work_for_later(plan: BuildPlan) -> None:
    """Have the model's environment as its next version starts in it. Raises ToolError."""
    if requests_of(plan) and explain_unbootable(plan) is None:
        oracle.keep_bytecode(plan.model, plan.interpreter, plan.platform)


def _request_seconds(plan: BuildPlan) -> int | None:
    """Return what a request may take: as the function may take long, so may the model."""
    given = plan.request.target.timeout_seconds
    return None if given is None else max(2 * given, _LEAST_SECONDS)


def _graph_threads(plan: BuildPlan) -> int | None:
    """Return the threads that onnxruntime takes in the function.

    None where no loader of ours opens its session.
    """
    if plan.loader.loader != "onnx":
        return None
    if not plan.target.machine.told_memory:
        return _sessions.threads({})
    return _sessions.threads({_sessions.MEMORY: str(replay.memory_mb(plan))})


def _differ_by_rounding(several: Answers, one: Answers) -> bool:
    """Tell whether one thread answers as several do, where these are not drawn by chance."""
    pairs = list(zip(several.answers, one.answers, strict=True))
    if any(left.status != right.status for left, right in pairs):
        return False
    both: Spread = measure_spread(
        (left.body, *left.again, right.body, *right.again)
        for left, right in pairs
        if left.status == 200
    )
    return both.chance.keys() <= several.spread.chance.keys()


def _check_that_it_answers(
    plan: BuildPlan, requests: Sequence[Probe], answers: Sequence[Recorded]
) -> None:
    """Raises UnprovenError where no request is answered, unless that is allowed."""
    if any(answer.status == 200 for answer in answers):
        if answers[0].status != 200 and plan.model.example is not None:
            _LOG.warning("The registered model refuses its own example with %s.", answers[0].raised)
        return
    if not plan.allows_unproven:
        raise UnprovenError(explain_refusals(plan, requests, answers))


def explain_refusals(
    plan: BuildPlan, requests: Sequence[Probe], answers: Sequence[Recorded]
) -> str:
    """Explain why nothing was compared, where every request was refused, and what to do."""
    own = ", its own example among them" if plan.model.example is not None else ""
    refused = " ".join(dict.fromkeys(words for each in answers for words in each.refused))
    if refused:
        return (
            f"The registered model failed at every one of {len(requests)} requests{own}, so no "
            f"prediction was compared. {list_causes(requests, answers)}{refused}"
        )
    if unlogged := _explain_unlogged(answers):
        return (
            f"The registered model failed at every one of {len(requests)} requests{own}, so no "
            f"prediction was compared. {list_causes(requests, answers)}{unlogged}"
        )
    return (
        f"The registered model refused every one of {len(requests)} requests{own}, so no "
        f"prediction was compared. {list_causes(requests, answers)}Its own MLflow server would "
        "refuse them too. Give a request that it accepts with --example FILE."
        f"{_about_categories(plan)}"
    )


def _explain_unlogged(answers: Sequence[Recorded]) -> str:
    """Explain how to log a module that nothing has, where the model's example fails on one."""
    absent = (each.body for each in answers if each.raised == "ModuleNotFoundError")
    return explain_unlogged(next(absent, ""))


def list_causes(requests: Sequence[Probe], answers: Sequence[Recorded]) -> str:
    """`It raised ValueError (36 requests). ` by class; "" where no fit request was refused."""
    causes = Counter(
        each.raised
        for request, each in zip(requests, answers, strict=True)
        if request.rows and each.status != 200 and each.raised
    )
    if not causes:
        return ""
    listed = ", ".join(f"{name} ({count} requests)" for name, count in causes.most_common())
    return f"It raised {listed.replace('(1 requests)', '(1 request)')}. "


def _about_categories(plan: BuildPlan) -> str:
    if plan.flavor not in _CATEGORIES:
        return ""
    return (
        " A request brings text and numbers, never pandas' categories: where the model was fitted "
        "on a DataFrame's `category` columns, log a PythonModel that first makes them with "
        "`astype(pandas.CategoricalDtype(...))`, or fit it on numbers."
    )
