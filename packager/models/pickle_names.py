"""Names in a pickle's opcodes; nothing of it is run.

https://docs.python.org/3/library/pickletools.html
"""

from __future__ import annotations

import pickletools
from collections import deque
from dataclasses import dataclass, field
from typing import IO, Final

_DEPTH: Final = 4096
"""Of what was pushed that is remembered: no tuple of names is longer."""


@dataclass(slots=True)
class PickleNames:
    """The globals that a pickle names, words, and tuples of words.

    Functions that are pickled by value carry the names that their code uses as a tuple.
    """

    globals: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    tuples: list[tuple[str, ...]] = field(default_factory=list)


def read_pickle(file: IO[bytes], into: PickleNames | None = None) -> PickleNames:
    """Read to the pickle's end. Raises ValueError for what is no pickle.

    What was read up to there is in `into`.
    """
    seen = PickleNames() if into is None else into
    memo = dict[int, str | None]()
    stack = deque[str | None](maxlen=_DEPTH)
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in {"GLOBAL", "INST", "STACK_GLOBAL"}:
            text = _join_last(stack) if argument is None else str(argument)
            seen.globals.add(text.replace(" ", "."))
            stack.append(None)
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1] if stack else None
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            memo[int(argument or 0)] = stack[-1] if stack else None
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(memo.get(int(argument or 0)))
        elif name.startswith("TUPLE"):
            if words := _last_words(stack):
                seen.tuples.append(words)
            stack.clear()
            stack.append(None)
        elif isinstance(argument, str):
            stack.append(argument)
            seen.words.add(argument)
        elif name not in {"PROTO", "FRAME"}:
            stack.append(None)
    return seen


def _join_last(stack: deque[str | None]) -> str:
    """The two texts pushed last; `None` stands for one that only running it would tell."""
    module = stack[-2] if len(stack) > 1 else None
    attribute = stack[-1] if stack else None
    return f"{module}.{attribute}"


def _last_words(stack: deque[str | None]) -> tuple[str, ...]:
    """The run of words at the end of what was pushed."""
    words: list[str] = []
    for each in reversed(stack):
        if each is None:
            break
        words.append(each)
    return tuple(reversed(words))
