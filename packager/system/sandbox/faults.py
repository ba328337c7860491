"""Name what a model's code tried and could not do inside a sandbox, and what to do about it.

Read from a traceback: the call, the path and the fix. Nothing of a request is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from packager.system.sandbox.protections import SHARED_MEMORY

_FRAME: Final = re.compile(r'File \\?"([^"\\]+)\\?", line (\d+), in ([\w.<>]+)')
_LIBRARIES: Final = re.compile(
    r"/(lib|lib64)/python3\.\d+/|<frozen |/handlers/|awslambdaric|/packager/workers/|^<string>$"
)


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

_FOLDERS: Final = "home|root|var|opt|mnt|srv|data|media|usr|etc|run|Users|dbfs|databricks|Volumes"
"""At the top of an author's machine, at most a few of which a function has."""
_OWN_FOLDERS: Final = "var/(?:task|lang|runtime)/|home/site/wwwroot/|opt/model/"
"""Of a function: what is missing there was taken out of it."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """A fault's marks in a log, and the sentences for it."""

    pattern: re.Pattern[str]
    """Its group `what` is named in the sentences, and `reason` in small letters."""
    words: str
    unnamed: str | None = None
    """In the place of `what` where the log has none; None takes the last line of the match."""
    allowed_with_shared_memory: bool = False

    def describe(self, found: re.Match[str], call: str, place: Place) -> str:
        """Return the sentences, "" for what is no fault in this place."""
        if self.allowed_with_shared_memory and place.shared_memory:
            return ""
        groups = found.groupdict()
        unnamed = found[0].splitlines()[-1].strip() if self.unnamed is None else self.unnamed
        return self.words.format(
            call=call,
            place=place.name,
            writable=place.writable,
            what=groups.get("what") or unnamed,
            reason=(groups.get("reason") or "").lower(),
        )


_FAULTS: Final = (
    _Fault(
        re.compile(
            r"multiprocessing/synchronize\.py|multiprocessing/shared_memory\.py"
            r"|_multiprocessing\.SemLock|/dev/shm|\[Errno 38\] Function not implemented"
        ),
        "{call} makes a lock, queue, pool or shared memory of multiprocessing, which needs "
        f"{SHARED_MEMORY}, and the platform has none (there: OSError 38, Function not "
        "implemented). Use threads: threading.Lock, ThreadPoolExecutor, "
        "multiprocessing.pool.ThreadPool, joblib with prefer='threads'.",
        allowed_with_shared_memory=True,
    ),
    _Fault(
        re.compile(
            r"in _execute_child(?:(?!Traceback)[\s\S]){0,1500}?"
            r"(?:FileNotFoundError|PermissionError): "
            r"\[Errno (?:2|13)\][^\n:]*: \\?['\"](?P<what>[^'\"\\/]+)\\?['\"]"
        ),
        "{call} starts {what!r}, and {place} has no such program. Do it in Python, "
        "or require a package whose wheel brings the program, and start it by its path.",
    ),
    _Fault(
        re.compile(
            r"(?P<what>[\w.+-]+\.so[\w.]*): cannot open shared object file: "
            r"(?:No such|Permission denied)"
        ),
        "{call} loads {what}, which {place} does not have: a library of this "
        "machine's system is not shipped. Require a package whose wheel brings it, or log the "
        "file with the model (artifacts=) and load it by its path.",
    ),
    _Fault(
        re.compile(
            r"\[Errno (?:30|13|1(?=\][^:\n]*: ))\] "
            r"(?P<reason>Read-only file system|Permission denied|Operation not permitted)"
            r"(?:: \\?['\"](?P<what>[^'\"\\]+))?"
        ),
        "{call} writes {what}: {reason}. In {place} only {writable} can be "
        "written: write there (tempfile.gettempdir()), or log the finished file with the model.",
        unnamed="a file outside /tmp",
    ),
    _Fault(
        re.compile(
            r"FileNotFoundError: \[Errno 2\][^\n:]*: b?\\?['\"]"
            rf"(?P<what>/(?!{_OWN_FOLDERS})(?:{_FOLDERS})/[^'\"\\]*)"
        ),
        "{call} opens {what}, which is not there: {place} has none of the author's folders. Log "
        "the file with the model (artifacts=), or write below /tmp.",
    ),
    _Fault(
        re.compile(
            r"OperationalError: "
            r"(?P<what>unable to open database file|attempt to write a readonly database)"
        ),
        "{call} writes an SQLite database: {what}. In {place} only {writable} can "
        "be written: copy it to /tmp first, or open it with mode=ro and immutable=1.",
    ),
    _Fault(
        re.compile(r"\[Errno 28\] No space left on device(?:: \\?['\"](?P<what>[^'\"\\]+))?"),
        "{call} writes more to {what} than there is room for in {place}. Write less, or "
        "clear up what is no longer needed.",
        unnamed=_TMP,
    ),
    _Fault(
        re.compile(
            r"\b(?P<what>gaierror|NameResolutionError|ConnectionError|ConnectError|ConnectTimeout"
            r"|MaxRetryError|ConnectionRefusedError|URLError|LocalEntryNotFoundError"
            r"|EndpointConnectionError)\b"
            r"|Network is unreachable|Temporary failure in name resolution"
            r"|socket\.py\\?\", line \d+(?:(?!Traceback)[\s\S]){0,300}?\[Errno 1\]"
        ),
        "{call} needs the network ({what}), which a model does not have while it is proven. Log "
        "the files that it fetches with the model (artifacts=), or pass --allow-network.",
    ),
    _Fault(
        re.compile(r"can't start new thread|\[Errno 11\] Resource temporarily unavail"),
        "{call} starts more processes and threads than {place} may have.",
    ),
    _Fault(
        re.compile(r"\[Errno 24\] Too many open files"),
        "{call} holds more files open than {place} may. Close each file after its use (with open).",
    ),
    _Fault(
        re.compile(
            r"\b(?:_Array)?MemoryError\b|std::bad_alloc|DefaultCPUAllocator"
            r"|\[Errno 12\] Cannot allocate memory"
        ),
        "{call} asks for more memory than {place} has. Give it more with --memory where the "
        "target has it, or load and compute less at a time.",
    ),
    _Fault(
        re.compile(r"No usable temporary (?:file|directory)[^\n]*"),
        "{call} makes a temporary file where none can be made. In {place} only "
        "{writable} can be written: leave out dir=, or give tempfile.gettempdir().",
    ),
)


def explain(text: str, place: Place) -> tuple[str, ...]:
    """A sentence or two for each thing that `text`, a log with tracebacks, says was refused."""
    return tuple(dict.fromkeys(_explain_faults(text, place)))


def _explain_faults(text: str, place: Place) -> Iterator[str]:
    for fault in _FAULTS:
        found = fault.pattern.search(text)
        if found is None:
            continue
        if words := fault.describe(found, name_call(text[: found.start()], text), place):
            yield words


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
