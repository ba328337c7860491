"""Run a function under a recorder: what it imports, opens and maps while it starts and answers.

    python trace.py FOLDER HANDLER EVENTS TRACE

EVENTS has a JSON list: for each event `event`, and `refused`, whether it is one that a function is
expected to turn down; these are sent last. TRACE becomes a JSON object; paths in it are relative to
FOLDER. Run by the target's Python, as the function would start.
"""

from __future__ import annotations

import base64
import ctypes
import importlib
import json
import os
import struct
import sys
import time
from importlib.machinery import (
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

# of inotify(7)
_IN_OPEN, _IN_Q_OVERFLOW, _IN_ISDIR = 0x20, 0x4000, 0x4000_0000
_EVENT = struct.Struct("iIII")
_LOADERS = (SourceFileLoader, ExtensionFileLoader, SourcelessFileLoader)


class Context:
    """As awslambdaric's LambdaContext."""

    function_name = "function"
    function_version = "$LATEST"
    memory_limit_in_mb = "1024"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    log_group_name = "/aws/lambda/function"
    log_stream_name = "2026/01/01/[$LATEST]0"

    def __init__(self, number: int) -> None:
        self.aws_request_id = f"00000000-0000-4000-8000-{number:012d}"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Opened:
    """Every file below a folder that this process opened, native code's own included.

    inotify(7) tells of each; `read` must be called now and then, as the kernel queues a limited
    number of events. Raises OSError where the kernel does not watch, or has lost some.
    """

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._queue = self._check_call(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._folders: dict[int, Path] = {}
        self._paths: set[Path] = set()
        for name in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            watch = self._libc.inotify_add_watch(self._queue, os.fsencode(name), _IN_OPEN)
            self._folders[self._check_call(watch)] = name.relative_to(folder)

    def _check_call(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify: {os.strerror(number)}")
        return result

    def read(self) -> None:
        while True:
            try:
                told = os.read(self._queue, 1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at < len(told):
                watch, mask, _, length = _EVENT.unpack_from(told, at)
                at += _EVENT.size + length
                if mask & _IN_Q_OVERFLOW:
                    raise OSError("inotify: events were lost")
                if not mask & _IN_ISDIR:
                    name = told[at - length : at].rstrip(b"\0")
                    self._paths.add(self._folders[watch] / os.fsdecode(name))

    def paths(self) -> list[str]:
        self.read()
        return sorted(path.as_posix() for path in self._paths)


class Absent:
    """Names asked for below a folder and not there: files that Python opens, and modules."""

    def __init__(self, folder: Path) -> None:
        self._start = f"{folder}/"
        self.files: set[str] = set()
        self.modules: set[str] = set()
        sys.addaudithook(self._watch)

    def _watch(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            path = arguments[0]
            ours = path.startswith(self._start) and not path.endswith(".pyc")
            if ours and not Path(path).exists():
                start = self._start
                self.files.add(path[len(start) :] if path.startswith(start) else path)


class Timer:
    """A finder that finds nothing itself: it has the loaders of those after it timed.

    A module's own time is what its import took less what the imports inside it took. Its importer
    is the module that was running when it was imported, "" where none was.
    """

    def __init__(self, opened: Opened, absent: Absent) -> None:
        self.own_ns: dict[str, int] = {}
        self.asked: dict[str, tuple[str, str]] = {}
        self.importers: dict[str, str] = {}
        self._opened = opened
        self._absent = absent
        self._inner_ns = [0]
        self._running = [""]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        self._opened.read()
        if asked := deferred_import():
            self.asked[name] = asked
        self.importers.setdefault(name, self._running[-1])
        begun = time.process_time_ns()
        for finder in sys.meta_path[sys.meta_path.index(cast(Any, self)) + 1 :]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            self._absent.modules.add(name)
            return None
        self._count(name, time.process_time_ns() - begun)
        if type(spec.loader) in _LOADERS:
            self._time(name, spec.loader, "create_module")
            self._time(name, spec.loader, "exec_module")
        return spec

    def _time(self, name: str, loader: object, step: str) -> None:
        run = getattr(loader, step)

        def run_timed(argument: ModuleSpec | ModuleType) -> object:
            self.importers[name] = self._running[-1]
            self._running.append(name)
            begun = time.process_time_ns()
            self._inner_ns.append(0)
            try:
                return run(argument)
            finally:
                taken = time.process_time_ns() - begun
                inner = self._inner_ns.pop()
                self._running.pop()
                self._count(name, taken - inner, taken)

        setattr(loader, step, run_timed)

    def _count(self, name: str, own: int, taken: int | None = None) -> None:
        self.own_ns[name] = self.own_ns.get(name, 0) + own
        self._inner_ns[-1] += own if taken is None else taken


def deferred_import() -> tuple[str, str] | None:
    """The module and name of the outermost import on the stack that workers/sink had moved."""
    found, frame = None, sys._getframe(1)  # noqa: SLF001 - nothing else is as quick
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "__getattr__" and "_name" in frame.f_code.co_varnames:
            found = frame.f_globals["__name__"], frame.f_locals["_name"]
    return found


def found_in(folder: Path) -> dict[str, str]:
    """The file of every module that lies below the folder."""
    found = {}
    for name, module in list(sys.modules.items()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(origin, str) and origin.startswith(f"{folder}/"):
            found[name] = origin[len(f"{folder}/") :]
    return found


def called_as_lambda_s(entry: Any) -> Any:
    """The entry point; of a function app's blueprint, what calls the function that an event names.

    A trigger's message is anything that has what its reader asks of it: what the worker's own
    classes import lies in place in any case.
    """
    if not hasattr(entry, "route"):
        return entry
    import inspect

    import azure.functions

    app = azure.functions.FunctionApp()
    app.register_functions(entry)
    functions = {f.get_function_name(): f.get_user_function() for f in app.get_functions()}

    def call(event: dict[str, Any], context: Context) -> Any:
        function, body = functions[event["function"]], base64.b64decode(event["body"])
        if event["function"] == "http":
            asked = azure.functions.HttpRequest(
                method=event["method"],
                url=f"https://function-app.azurewebsites.net{event['path']}",
                headers=event["headers"],
                body=body,
            )
            answer = function(req=asked, context=SimpleNamespace(trace_context=None))
            return [answer.status_code, answer.get_body().decode()]
        sent: list[str] = []
        out = SimpleNamespace(set=lambda value: sent.append(str(value)))
        message = SimpleNamespace(
            **dict.fromkeys(("id", "message_id", "name", "sequence_number"), "1"),
            metadata={},
            get_body=lambda: body,
            get_json=lambda: json.loads(body),
            read=lambda: body,
        )
        wanted = inspect.signature(function).parameters
        given = {
            "event": [message] if event["function"] == "eventhubs" else message,
            "request": message,
            "context": SimpleNamespace(invocation_id=context.aws_request_id),
            "out": out,
            "failed": out,
            "part": json.loads(body or b"{}"),
        }
        function(**{name: given[name] for name in wanted})
        return sent

    return call


def main(root: str, entry: str, asked: str, answered: str) -> None:
    folder = Path(root)
    events = json.loads(Path(asked).read_text(encoding="utf-8"))
    opened = Opened(folder)
    absent = Absent(folder)
    timer = Timer(opened, absent)
    sys.meta_path.insert(0, cast(Any, timer))
    module, _, name = entry.rpartition(".")
    handler = called_as_lambda_s(getattr(importlib.import_module(module), name))
    init, importers = list(sys.modules), dict(timer.importers)
    answers: dict[int, str] = {}
    loaded = {}
    for refused in (False, True):
        for number, each in enumerate(events):
            if each["refused"] is not refused:
                continue
            try:
                answers[number] = json.dumps(handler(each["event"], Context(number)))
            except Exception as error:  # noqa: BLE001 - the runtime catches all
                answers[number] = f"{type(error).__name__}: {error}"
            opened.read()
        loaded[refused] = list(sys.modules)
    trace = {
        "init": init,
        "answering": [name for name in loaded[False] if name not in set(init)],
        "refusing": [name for name in loaded[True] if name not in {*init, *loaded[False]}],
        "files": found_in(folder),
        "opened": opened.paths(),
        "absent_files": sorted(absent.files),
        "absent_modules": sorted(absent.modules),
        "answers": [answers[number] for number in range(len(events))],
        "asked": timer.asked,
        "importers": importers,
        "own_cpu_ms": {name: taken / 1e6 for name, taken in timer.own_ns.items()},
    }
    Path(answered).write_text(json.dumps(trace), encoding="utf-8")


if __name__ == "__main__":
    # this folder: its files are not for the function to import
    del sys.path[0]
    main(*sys.argv[1:5])
