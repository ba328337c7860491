"""Runs of the registered model's process: what it is given, what it wrote, how it ended."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from handlers.loaders import _threads
from packager.environments import kept_bytecode
from packager.errors import SandboxError, ToolError, UnprovenError
from packager.models import registered_model
from packager.models.registered_model import WaitingRun
from packager.pipeline.verify.missing import explain_unlogged
from packager.probes import Probe
from packager.system import process, sandbox
from packager.system.resources import WORKERS
from packager.system.sandbox import endings, faults, read_result
from packager.system.sandbox.faults import AUTHOR
from packager.system.sandbox.level_faults import explain_level
from packager.system.scratch import make_scratch
from packager.types import Interpreter

_LOG = logging.getLogger(__name__)
_COUNTED: Final = {"counted": True}
_TOLD_SECONDS: Final = 1.0
WORKER: Final = WORKERS / "oracle.py"
THREADS: Final = Path(_threads.__file__)
ANSWERS: Final = "answers.jsonl"
FIRST: Final = "first.jsonl"
"""One line: of a start with its bytecode in place, up to the first answer."""
_REST: Final = "rest.jsonl"
_SECONDS: Final = 900
_RAISED: Final = 1
"""Python's exit code where an exception escapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A model in its environment, and what it is asked."""

    python: Path
    interpreter: Interpreter
    root: Path
    flavors: tuple[str, ...]
    probes: tuple[Probe, ...]
    options: tuple[str, ...] = ()
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Folders that the registered model's process is given."""

    readable: tuple[Path, ...]
    """The model's own goes first."""
    writable: tuple[Path, ...] = ()
    bytecode: Path
    """Where its bytecode is read from, and written to where it may be."""


class EarlyAnswers(WaitingRun):
    """A run that begins before all requests are known: it loads the model, and answers some."""

    def __init__(self, folder: Path, prepare: Callable[[], Asked]) -> None:
        self._folder = folder
        self._prepare = prepare
        self._asked: Asked | None = None
        self._every: list[Probe] = []
        self._rest: tuple[Probe, ...] | None = None
        self._is_begun = threading.Event()
        told = folder / "told"
        told.mkdir()
        super().__init__(self._answer, told / _REST, "asking")

    def ask_rest(self, rest: Sequence[Probe]) -> None:
        """Have it answer these too, and nothing after them."""
        self._is_begun.wait()
        self._rest = tuple(rest)
        self._every += rest
        # an empty file would end it
        self.tell("".join(map(write_probe, rest)) or "\n")

    def take(self, asked: Asked, folder: Path) -> bool:
        """Have it answer the rest, and write ANSWERS and FIRST into `folder`.

        False, and nothing is written, where it was asked anything else, or where it failed: it had
        less of the machine than a run alone, whose failure counts.
        """
        self._is_begun.wait()
        early, self._asked = self._asked, None
        at_last = None if early is None else _find_rest(early, asked)
        if at_last is None:
            return False
        rest = tuple(asked.probes[at] for at in at_last)
        if self._rest is None:
            self.ask_rest(rest)
        if self._rest != rest:
            return False
        try:
            self.join()
        except UnprovenError as error:
            _LOG.debug("Asked again, alone: %s", error)
            return False
        at_first = [at for at in range(len(asked.probes)) if at not in {*at_last}]
        _move_answers(self._folder, folder, [*at_first, *at_last])
        return True

    def _answer(self) -> None:
        try:
            asked = self._prepare()
            self._asked, self._every = asked, [*asked.probes]
        finally:
            self._is_begun.set()
        write_answers(asked, self._folder, _Rest(self._told, self._every))


@dataclass(frozen=True, slots=True)
class _Rest:
    """The file with the rest of the requests, and all of them once it is there."""

    file: Path
    every: Sequence[Probe]


def _find_rest(early: Asked, asked: Asked) -> list[int] | None:
    """Find the requests that are not among the early ones; None where something else differs."""
    if replace(early, probes=asked.probes) != asked:
        return None
    waiting = [*reversed(early.probes)]
    rest = []
    for at, probe in enumerate(asked.probes):
        if waiting and waiting[-1] == probe:
            waiting.pop()
        else:
            rest.append(at)
    return None if waiting else rest


def _move_answers(source: Path, target: Path, told: Sequence[int]) -> None:
    """Move what a run wrote, its answers in the requests' own order: they came as `told`."""
    with contextlib.suppress(FileNotFoundError):  # who reads them says what it means
        shutil.move(source / FIRST, target / FIRST)
        run, *lines = (source / ANSWERS).read_text(encoding="utf-8").splitlines(keepends=True)
        if len(lines) == len(told):
            lines = [line for _, line in sorted(zip(told, lines, strict=True))]
        (target / ANSWERS).write_text("".join((run, *lines)), encoding="utf-8")


def write_answers(asked: Asked, folder: Path, rest: _Rest | None = None) -> None:
    """Write ANSWERS and FIRST into `folder`. Raises UnprovenError.

    With `rest` the model is asked that too, once it is there.
    Where the bytecode is known from an earlier build one run does both: its own start is measured.
    Else the first run writes the bytecode, and a second one is started with it in place.
    """
    use = kept_bytecode.name_use(WORKER.name, asked.flavors)
    store = kept_bytecode.provide_bytecode(asked.python, asked.interpreter, use)
    if store is not None:
        given = Given(readable=(asked.root, store), bytecode=store)
        _ask(asked, (), folder / ANSWERS, given, rest)
        with contextlib.suppress(OSError, IndexError):  # who reads them says what it means
            first = (folder / ANSWERS).read_text(encoding="utf-8").splitlines()[0]
            (folder / FIRST).write_text(f"{first}\n", encoding="utf-8")
        return
    with make_scratch("bytecode") as bytecode:
        kept_bytecode.copy_known(asked.python, asked.interpreter, use, bytecode)
        given = Given(readable=(asked.root,), writable=(bytecode,), bytecode=bytecode)
        _ask(asked, (), folder / ANSWERS, given, rest)
        if not (folder / ANSWERS).exists():
            return  # nobody wants them any more, or who reads them says what it means
        _ask(asked, ("--first",), folder / FIRST, given)
        kept_bytecode.keep_imported(asked.python, asked.interpreter, use, bytecode)


def _ask(
    asked: Asked, options: Sequence[str], answers: Path, given: Given, rest: _Rest | None = None
) -> None:
    """Run the worker once, and take over what it wrote."""
    every = asked.probes if rest is None else rest.every
    more: Sequence[str | Path] = () if rest is None else ("--rest", rest.file)
    told = () if rest is None else (rest.file.parent,)
    with make_scratch("answers") as kept:
        questions, written = kept / "probes.jsonl", kept / answers.name
        questions.write_text("".join(map(write_probe, asked.probes)), encoding="utf-8")
        with _telling_count(kept / f"{answers.name}.at", every):
            run_worker(
                [
                    *(asked.python, "-s", WORKER, asked.root, questions, written),
                    *(*options, *more, *asked.options),
                ],
                replace(
                    given,
                    readable=(*given.readable, *told),
                    writable=(kept, *given.writable),
                ),
                network=asked.network,
                step=functools.partial(name_step, kept / f"{answers.name}.at", every),
            )
        _keep(written, answers)


@contextlib.contextmanager
def _telling_count(written: Path, every: Sequence[Probe]) -> Iterator[None]:
    """Tell how many of its requests the worker has been asked, while the block runs."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(_TOLD_SECONDS):
            with contextlib.suppress(SandboxError, ValueError):
                total = len(every)
                at = min(int(read_result(written)), total)
                _LOG.info("The registered model has answered %d of %d", at, total, extra=_COUNTED)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def write_probe(probe: Probe) -> str:
    """Write a request as a line of the worker's."""
    body = base64.b64encode(probe.body).decode("ascii")
    return json.dumps({"body": body, "content_type": probe.content_type}) + "\n"


def _keep(written: Path, kept: Path) -> None:
    """Take over what the model's process wrote, where it is a plain file."""
    with contextlib.suppress(SandboxError):  # who reads them says what it means where there is none
        kept.write_text(read_result(written), encoding="utf-8")


def run_worker(
    argv: Sequence[str | Path],
    given: Given,
    *,
    network: bool,
    step: Callable[[], str],
) -> None:
    """Run the model's code, apart from everything else, for a limited time.

    `step` says what it was at when it ended. Raises UnprovenError.
    """
    try:
        done = registered_model.run(
            argv,
            readable=(*given.readable, WORKER, THREADS),
            writable=given.writable,
            network=network,
            timeout_seconds=_SECONDS,
            more={"PYTHONPYCACHEPREFIX": str(given.bytecode)},
            check=False,
        )
    except ToolError as error:
        at = f"{step()}: " if step() else ""
        raise UnprovenError(f"There is nothing to compare with. {at}{error}") from error
    unfinished = step()
    if done.returncode != 0 or unfinished:
        at = unfinished or "At its start"
        places = (given.readable[0], Path(argv[0]).parent.parent)
        raise UnprovenError(f"There is nothing to compare with: {_explain(done, at, places)}")


def _explain(done: process.Done, step: str, given: Sequence[Path]) -> str:
    """Name what ended the registered model's process: a signal, a limit, an exit, an exception."""
    said = done.stderr.strip()
    weaker = explain_level(said, AUTHOR, sandbox.weak_level(), given)
    why = "".join(f"\n{each}" for each in weaker or faults.explain(said, AUTHOR))
    tail = f"{said[-3000:]}{why}"
    ending = endings.explain_code(done.returncode, said)
    if done.returncode == _RAISED and not ending.timed_out:
        how = explain_unlogged(said)
        does_not = "the registered model does not load in the environment that it declares.\n"
        return does_not + tail + (f"\n{how}" if how else "")
    return f"{step}, the registered model's process {ending.cause}. {ending.hint}\n{tail}"


def name_step(written: Path, probes: Sequence[Probe]) -> str:
    """Say what the worker was at: the model's load, or a request; "" where it was done."""
    try:
        at = read_result(written).strip()
    except SandboxError:
        return ""
    if at in {"done", "rest"}:
        return ""
    if at.isascii() and at.isdecimal() and int(at) < len(probes):
        return f"While it answered {probes[int(at)].name}"
    return "While it loaded the model"
