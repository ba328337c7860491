"""Boot a function's folder as Lambda would: the real runtime client under the real emulator."""

from packager.targets.lambda_emulator.events import EventKind, http_event
from packager.targets.lambda_emulator.function import Emulator, Invocation
from packager.targets.lambda_emulator.parts import (
    choose_interpreter,
    run_script,
    why_not_bootable,
    why_not_provable,
)

__all__ = [
    "Emulator",
    "EventKind",
    "Invocation",
    "choose_interpreter",
    "http_event",
    "run_script",
    "why_not_bootable",
    "why_not_provable",
]
