"""See what the function uses: run it over probes, by every door, under a recorder.

The later passes go by this. It runs once the bytecode is there, so that what is recorded is what a
start in the cloud reads.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from packager.errors import ToolError
from packager.pipeline.slim import imports
from packager.pipeline.slim.passes import Pass, account_for
from packager.pipeline.slim.tracing import trace_requests
from packager.pipeline.slim.tracing.import_tree import list_modules
from packager.pipeline.slim.tracing.trace_requests import TraceRequest
from packager.system.resources import WORKERS
from packager.system.sandbox import read_result
from packager.system.scratch import make_scratch
from packager.targets.lambda_emulator import choose_interpreter, run_script, why_not_provable
from packager.types import BuildPlan, Bundle, PassName, Trace

_LOG = logging.getLogger(__name__)

_WORKERS: Final = WORKERS
_SECONDS: Final = 300


class UntraceableError(Exception):
    """Reason why no recorder can run a function: for the ledger, not for the user to mend."""

    def __init__(self, why: str, log: str = "") -> None:
        super().__init__(why)
        self.log = log


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """The same tree, and what was seen; a function that cannot be traced is left as it is."""
    try:
        found = record(bundle, plan)
    except UntraceableError as error:
        _LOG.info("No trace: %s", error)
        return replace(account_for(bundle, PASS, proof=f"no trace: {error}"), untraced=str(error))
    proof = (
        f"{len(found.answers)} requests: {len(found.modules)} modules loaded, "
        f"{len(found.opened)} of {len(bundle.files)} files opened"
    )
    return replace(
        account_for(bundle, PASS, proof=proof),
        trace=found,
        imports={"after": list_modules(found)} if found.own_cpu_ms else {},
        untraced="",
    )


def record(bundle: Bundle, plan: BuildPlan) -> Trace:
    """Run the function as it stands in `bundle.root`; the folder is not changed.

    Raises UntraceableError where it cannot be run here, does not start, or has no probes.
    """
    found, _ = _run(bundle, plan, "trace.py", _list_trace_requests(plan))
    return found


def missed_files(bundle: Bundle) -> tuple[str, ...]:
    """Keep-rules for what an earlier pass took out and the function was then seen to ask for.

    Where it opened one file of a kind in a package, it will open others: all of that kind stay.
    """
    if bundle.trace is None:
        return ()
    removed = {removal.path for removal in bundle.removed}
    rules = {
        f"{path.parts[0]}/**/*{path.suffix}"
        if path.suffix and len(path.parts) > 1
        else path.as_posix()
        for path in removed.intersection(bundle.trace.absent_files)
    }
    for name in bundle.trace.absent_modules:
        found = imports.files(PurePosixPath(*name.split(".")), removed)
        rules.update(path.as_posix() for path in found)
    return tuple(sorted(rules))


def watch(bundle: Bundle, plan: BuildPlan) -> dict[str, list[tuple[str, str]]]:
    """List what each module's import uses, and under `` what answering does.

    See workers/watch.py.

    The folder's bytecode must be Sinking.watch's. Raises UntraceableError.
    """
    answered = [each for each in _list_trace_requests(plan) if not each["refused"]]
    _, uses = _run(bundle, plan, "watch.py", answered)
    return {name: [(module, used) for module, used in each] for name, each in uses.items()}


def _list_trace_requests(plan: BuildPlan) -> Sequence[TraceRequest]:
    if not trace_requests.are_known(plan):
        raise UntraceableError(f"the recorder does not know the events of {plan.target.name}")
    host, minor = plan.target.program.host, plan.interpreter.minor
    target = plan.request.target
    if why := why_not_provable(target.architecture, host, minor, target.arm64_python):
        raise UntraceableError(why)
    found = trace_requests.events(plan)
    if not found:
        raise UntraceableError("the model has neither a signature nor a saved example")
    return found


def _run(
    bundle: Bundle, plan: BuildPlan, worker: str, questions: Sequence[TraceRequest]
) -> tuple[Trace, dict[str, Any]]:
    target = plan.request.target
    interpreter = choose_interpreter(plan.interpreter, target.architecture, target.arm64_python)
    with make_scratch("trace") as name:
        events, traced, used = (name / each for each in ("events", "trace", "uses"))
        events.write_text(json.dumps(questions), encoding="utf-8")
        try:
            done = run_script(
                bundle.root,
                _WORKERS / worker,
                [bundle.root, plan.target.program.entrypoint, events, traced, used],
                interpreter=interpreter,
                provided=plan.provided,
                brings_client=plan.runtime.brings_client,
                variables=trace_requests.environment(plan),
                writable=(name,),
                timeout_seconds=_SECONDS,
            )
        except ToolError as error:
            raise UntraceableError(str(error)) from error
        if done.returncode != 0 or not traced.is_file():
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise UntraceableError(
                f"it ended with exit code {done.returncode} under the recorder: {' '.join(said)}",
                done.stderr,
            )
        found = json.loads(read_result(traced))
        uses = json.loads(read_result(used)) if used.is_file() else {}
    trace = Trace(
        init=tuple(found["init"]),
        answering=tuple(found["answering"]),
        refusing=tuple(found["refusing"]),
        files={name: PurePosixPath(path) for name, path in found["files"].items()},
        opened=tuple(PurePosixPath(path) for path in found["opened"]),
        # what an emulated processor takes tells nothing of the real one's time
        own_cpu_ms={} if interpreter.emulated else _read_times(found["own_cpu_ms"]),
        importers=_read_importers(found["importers"]),
        answers=tuple(found["answers"]),
        asked={name: (module, wanted) for name, (module, wanted) in found["asked"].items()},
        absent_files=tuple(PurePosixPath(path) for path in found["absent_files"]),
        absent_modules=tuple(found["absent_modules"]),
    )
    return trace, uses


def _read_importers(told: Mapping[str, object]) -> dict[str, str]:
    return {name: str(each) for name, each in told.items()}


def _read_times(told: Mapping[str, object]) -> dict[str, float]:
    """Leave out what is no time: the model's own code runs in the process that writes them."""
    return {
        name: float(each)
        for name, each in told.items()
        if isinstance(each, int | float) and math.isfinite(each)
    }


PASS: Final = Pass(
    name=PassName.TRACE,
    reason="what serving never touches is known by watching it serve",
    apply=apply,
)
