"""Say how a program that ran a model's code ended before its time: by what, where, and what to do.

Python's fault handler is on in every sandbox, so that a signal leaves the call and its line in the
log (https://docs.python.org/3/library/faulthandler.html).
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from typing import Final

from packager.system.sandbox.faults import call_of_traceback, is_library

FAULT_HANDLER: Final = {"PYTHONFAULTHANDLER": "1"}

_DUMP: Final = re.compile(r"(Fatal Python error: .*|Timeout \(\d[\d:.]*\)!)")
_THREAD: Final = re.compile(r"^(?:Current thread|Thread) 0x", re.MULTILINE)
_FRAME: Final = re.compile(r'^  File "([^"]+)", line (\d+) in (.+)$', re.MULTILINE)
_SIGNAL: Final = re.compile(r"signal: ([a-z ]+)")
_STATUS: Final = re.compile(r"exit status (\d+)")
_TIMED_OUT: Final = re.compile(r"Task timed out after ([\d.]+) seconds|Timeout \((\d[\d:.]*)\)!")
_ENDED: Final = re.compile(r"^(SystemExit|KeyboardInterrupt)\b", re.MULTILINE)
_BUSY_TIMES: Final = 3
"""Programs that want a processor, for each one, from which on a time limit tells little."""
_RECURSES: Final = 40
"""Frames of one function in a dump, which has a hundred at most."""

_SIGNALS: Final = {
    "aborted": signal.SIGABRT,
    "bad system call": signal.SIGSYS,
    "bus error": signal.SIGBUS,
    "floating point exception": signal.SIGFPE,
    "illegal instruction": signal.SIGILL,
    "interrupt": signal.SIGINT,
    "killed": signal.SIGKILL,
    "segmentation fault": signal.SIGSEGV,
    "terminated": signal.SIGTERM,
}
"""By the words of Go's syscall package, in which Lambda's emulator is written."""
_NATIVE: Final = (
    "Load the model and ask it in its own environment: where it ends there too, look for libraries "
    "whose versions do not fit each other, and log it again with versions that do."
)
_MEANINGS: Final = {
    signal.SIGABRT: ("a native library gave up", _NATIVE),
    signal.SIGBUS: ("a fault in native code", _NATIVE),
    signal.SIGFPE: ("a division by zero in native code", _NATIVE),
    signal.SIGILL: (
        "an instruction that this CPU does not have",
        "Build on a newer CPU, or log the model with a wheel for older ones.",
    ),
    signal.SIGINT: ("KeyboardInterrupt", "Take what raises it out of the model's code."),
    signal.SIGKILL: (
        "killed from outside, as where memory runs out, or by code of the model",
        "Give it more memory (--memory), or load less.",
    ),
    signal.SIGSEGV: ("a fault in native code", _NATIVE),
    signal.SIGSYS: (
        "a system call that the sandbox does not allow",
        "Take the call out of the model's code.",
    ),
    signal.SIGTERM: ("told to end", "Look in the model's code for what ends its own process."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Ending of a process, and what to do about it."""

    cause: str
    """`was ended by SIGSEGV (a fault in native code) at predict (model.py, line 8)`."""
    hint: str
    timed_out: bool = False

    def __str__(self) -> str:
        return f"It {self.cause}. {self.hint}"


def explain_code(code: int, log: str) -> Ending:
    """Explain an exit code as subprocess has it, below zero for a signal, by the log."""
    if _last_dump(log).startswith("Timeout"):
        return explain_timeout(log)
    if code < 0:
        return _explain_signal(-code, log)
    return _explain_exit(code, log)


def explain_words(words: str, log: str) -> Ending | None:
    """Explain the words of Lambda's emulator; None where they tell of no ended process."""
    if _TIMED_OUT.search(words):
        return explain_timeout(log, words)
    if found := _SIGNAL.search(words):
        return _explain_signal(_SIGNALS.get(found[1].strip(), 0), log)
    if found := _STATUS.search(words):
        return _explain_exit(int(found[1]), log)
    return None


def explain_timeout(log: str, words: str = "") -> Ending:
    """Explain the end of a process that was still busy when its time was up."""
    found = _TIMED_OUT.search(words) or _TIMED_OUT.search(log)
    after = f" after {found[1] or found[2]} seconds" if found else ""
    return Ending(
        cause=f"was still busy{after}{name_place(log)}".replace("seconds at", "seconds, at"),
        hint=f"{_describe_load()}If it only needs longer, raise --timeout. If it waits for "
        "something that never comes (a lock, the network, input), take that out of the model's "
        "code.",
        timed_out=True,
    )


def _describe_load() -> str:
    """Say that other programs had the processors; empty where they did not."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load < _BUSY_TIMES * cores:
        return ""
    return (
        f"This machine is busy with other programs ({load:.0f} wait for {cores} processors): build "
        "again once it is not. "
    )


def _explain_signal(number: int, log: str) -> Ending:
    where = name_place(log)
    if number == 0 or number not in _MEANINGS:
        name = f"signal {number}" if number else "a signal"
        return Ending(cause=f"was ended by {name}{where}", hint=_NATIVE)
    kind = signal.Signals(number)
    meaning, hint = _MEANINGS[kind]
    if kind is signal.SIGSEGV and _recurses(log):
        meaning = "its stack ran out, as a function calls itself without end"
        hint = "End the recursion in the model's code, or leave sys.setrecursionlimit alone."
    return Ending(cause=f"was ended by {kind.name} ({meaning}){where}", hint=hint)


def _explain_exit(code: int, log: str) -> Ending:
    call = call_of_traceback(log)
    if call and (ended := _ENDED.search(log)):
        return Ending(
            cause=f"was ended by {ended[1]} at {call}",
            hint="Let the model's code raise an ordinary exception, and leave ending the process "
            "to the platform.",
        )
    if call:
        return Ending(
            cause=f"ended with exit code {code} at {call}",
            hint="Let the model's code raise an ordinary exception, or mend what raised this one.",
        )
    return Ending(
        cause=f"ended itself with exit code {code}",
        hint="The model's code, or a library, called sys.exit() or os._exit(): let it raise an "
        "ordinary exception, and leave ending the process to the platform.",
    )


def _last_dump(log: str) -> str:
    """The fault handler's last words, from their headline on; empty where it wrote none."""
    starts = [found.start() for found in _DUMP.finditer(log)]
    return log[starts[-1] :] if starts else ""


def _stacks(log: str) -> list[list[tuple[str, str, str]]]:
    """Each thread's frames, the innermost call first; that at fault first, else the main one."""
    dump = _last_dump(log)
    threads = [_FRAME.findall(each.split("\n\n")[0]) for each in _THREAD.split(dump)[1:]]
    if "Current thread" in dump:
        at = _THREAD.findall(dump).index("Current thread 0x")
        return [threads[at], *threads[:at], *threads[at + 1 :]]
    # the main thread is listed last
    return threads[::-1]


def name_place(log: str) -> str:
    """` at predict (model.py, line 8)`, of a log with the fault handler's words; else ""."""
    stacks = [each for each in _stacks(log) if each]
    if not stacks:
        return ""
    # a loop's thread may only wait for another, in which the model was asked
    own = next((each for stack in stacks for each in stack if not is_library(each[0])), None)
    path, line, name = own or stacks[0][0]
    return f" at {name} ({path.rsplit('/', 1)[-1]}, line {line})"


def _recurses(log: str) -> bool:
    frames = next(iter(_stacks(log)), [])
    return any(frames.count(each) >= _RECURSES for each in frames[:3])
