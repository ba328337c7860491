"""Name what a model's code tried and could not do inside a sandbox, and what to do about it.

Read from a traceback: the call, the path and the fix. Nothing of a request is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from packager.system.sandbox.protections import SHARED_MEMORY

_FRAME: Final = re.compile(r'File \\?"([^"\\]+)\\?", line (\d+), in ([\w.<>]+)')
_LIBRARIES: Final = re.compile(
    r"/(lib|lib64)/python3\.\d+/|<frozen |/handlers/|awslambdaric|/packager/workers/|^<string>$"
)
_REFUSED: Final = re.compile(
    r"\[Errno (?:30|13|1(?=\][^:\n]*: ))\] "
    r"(Read-only file system|Permission denied|Operation not permitted)"
    r"(?:: \\?['\"]([^'\"\\]+))?"
)
_ABSENT: Final = re.compile(
    r"FileNotFoundError: \[Errno 2\][^\n:]*: \\?['\"]((?:/home|/root)[^'\"\\]*)"
)
_NETWORK: Final = re.compile(
    r"\b(gaierror|NameResolutionError|ConnectionError|ConnectError|ConnectTimeout|MaxRetryError"
    r"|ConnectionRefusedError|URLError|LocalEntryNotFoundError|EndpointConnectionError)\b"
    r"|Network is unreachable|Temporary failure in name resolution"
    r"|socket\.py\\?\", line \d+(?:(?!Traceback)[\s\S]){0,300}?\[Errno 1\]"
)
_LOCK: Final = re.compile(
    r"multiprocessing/synchronize\.py|multiprocessing/shared_memory\.py|_multiprocessing\.SemLock"
    r"|/dev/shm|\[Errno 38\] Function not implemented"
)
_SQLITE: Final = re.compile(
    r"OperationalError: (unable to open database file|attempt to write a readonly database)"
)
_FULL: Final = re.compile(r"\[Errno 28\] No space left on device(?:: \\?['\"]([^'\"\\]+))?")
_LIBRARY: Final = re.compile(
    r"(?P<name>[\w.+-]+\.so[\w.]*): cannot open shared object file: (?:No such|Permission denied)"
)
_COMMAND: Final = re.compile(
    r"in _execute_child(?:(?!Traceback)[\s\S]){0,1500}?(?:FileNotFoundError|PermissionError): "
    r"\[Errno (?:2|13)\][^\n:]*: \\?['\"](?P<name>[^'\"\\/]+)\\?['\"]"
)
_MEMORY: Final = re.compile(r"\b(?:_Array)?MemoryError\b|std::bad_alloc|DefaultCPUAllocator")
_PLACELESS: Final = re.compile(r"No usable temporary (?:file|directory)[^\n]*")
_PROCESSES: Final = re.compile(r"can't start new thread|\[Errno 11\] Resource temporarily unavail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Place where the code ran: what is writable there, and how it is called."""

    name: str
    writable: str
    own: tuple[str, ...]
    """Folders that it has to itself, and can write."""

    @property
    def shared_memory(self) -> bool:
        return SHARED_MEMORY in self.own


_TMP: Final = "/tmp"  # noqa: S108 - the program's own, never this machine's
AUTHOR: Final = Place(
    name="the sandbox that the registered model is loaded in",
    writable="its home and /tmp",
    own=(_TMP, SHARED_MEMORY),
)
FUNCTION: Final = Place(name="the function", writable=_TMP, own=(_TMP,))
SHARING_FUNCTION: Final = replace(FUNCTION, own=(_TMP, SHARED_MEMORY))
"""Of a platform that has shared memory."""

_Rule: TypeAlias = tuple[re.Pattern[str], Callable[[re.Match[str], str, Place], str]]


def _explain_read_only(found: re.Match[str], call: str, place: Place) -> str:
    path = found[2] or "a file outside /tmp"
    return (
        f"{call} writes {path}: {found[1].lower()}. In {place.name} only {place.writable} can be "
        "written: write there (tempfile.gettempdir()), or log the finished file with the model."
    )


def _absent(found: re.Match[str], call: str, place: Place) -> str:
    return (
        f"{call} opens {found[1]}, which is not there: {place.name} has no such home folder. Log "
        "the file with the model (artifacts=), or write below /tmp."
    )


def _network(found: re.Match[str], call: str, _: Place) -> str:
    what = found[1] or found[0].splitlines()[-1].strip()
    return (
        f"{call} needs the network ({what}), which a model does not have while it is proven. Log "
        "the files that it fetches with the model (artifacts=), or pass --allow-network."
    )


def _lock(_: re.Match[str], call: str, place: Place) -> str:
    if place.shared_memory:
        return ""
    return (
        f"{call} makes a lock, queue, pool or shared memory of multiprocessing, which needs "
        f"{SHARED_MEMORY}, and the platform has none (there: OSError 38, Function not "
        "implemented). Use threads: threading.Lock, ThreadPoolExecutor, "
        "multiprocessing.pool.ThreadPool, joblib with prefer='threads'."
    )


def _sqlite(found: re.Match[str], call: str, place: Place) -> str:
    return (
        f"{call} writes an SQLite database: {found[1]}. In {place.name} only {place.writable} can "
        "be written: copy it to /tmp first, or open it with mode=ro and immutable=1."
    )


def _full(found: re.Match[str], call: str, place: Place) -> str:
    path = found[1] or "/tmp"  # noqa: S108 - the function's
    return (
        f"{call} writes more to {path} than there is room for in {place.name}. Write less, or "
        "clear up what is no longer needed."
    )


def _library(found: re.Match[str], call: str, place: Place) -> str:
    return (
        f"{call} loads {found['name']}, which {place.name} does not have: a library of this "
        "machine's system is not shipped. Require a package whose wheel brings it, or log the "
        "file with the model (artifacts=) and load it by its path."
    )


def _command(found: re.Match[str], call: str, place: Place) -> str:
    return (
        f"{call} starts {found['name']!r}, and {place.name} has no such program. Do it in Python, "
        "or require a package whose wheel brings the program, and start it by its path."
    )


def _memory(_: re.Match[str], call: str, place: Place) -> str:
    return (
        f"{call} asks for more memory than {place.name} has. Give it more with --memory where the "
        "target has it, or load and compute less at a time."
    )


def _placeless(_: re.Match[str], call: str, place: Place) -> str:
    return (
        f"{call} makes a temporary file where none can be made. In {place.name} only "
        f"{place.writable} can be written: leave out dir=, or give tempfile.gettempdir()."
    )


def _processes(_: re.Match[str], call: str, place: Place) -> str:
    return f"{call} starts more processes and threads than {place.name} may have."


_RULES: Final[tuple[_Rule, ...]] = (
    (_LOCK, _lock),
    (_COMMAND, _command),
    (_LIBRARY, _library),
    (_REFUSED, _explain_read_only),
    (_ABSENT, _absent),
    (_SQLITE, _sqlite),
    (_FULL, _full),
    (_NETWORK, _network),
    (_PROCESSES, _processes),
    (_MEMORY, _memory),
    (_PLACELESS, _placeless),
)


def explain(text: str, place: Place) -> tuple[str, ...]:
    """A sentence or two for each thing that `text`, a log with tracebacks, says was refused."""
    return tuple(dict.fromkeys(_explain_faults(text, place)))


def _explain_faults(text: str, place: Place) -> Iterator[str]:
    for pattern, say in _RULES:
        found = pattern.search(text)
        if found and (said := say(found, name_call(text[: found.start()], text), place)):
            yield said


def is_library(path: str) -> bool:
    """Tell whether a file is Python's, the platform's or ours, and not the model's."""
    return bool(_LIBRARIES.search(path))


def call_of_traceback(text: str) -> str:
    """The function in which the last traceback of a log ends; "" where there is none."""
    _, found, last = text.rpartition("Traceback (most recent call last)")
    return name_call(last, "") if found and _FRAME.search(last) else ""


def _own(frames: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [frame for frame in frames if not is_library(frame[0])]


def name_call(before: str, text: str) -> str:
    """The last function of the model's own, or of its libraries, in the traceback `before`.

    Of all of `text` where that has none.
    """
    frames, every = _FRAME.findall(before), _FRAME.findall(text)
    # in a chain of exceptions the first may lie in libraries alone
    own = _own(frames) or _own(every) or frames or every
    if not own:
        return "The model's code"
    path, line, name = own[-1]
    return f"{name} ({path.rsplit('/', 1)[-1]}, line {line})"
