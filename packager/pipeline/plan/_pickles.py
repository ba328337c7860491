"""Search for compiled code in a pickle, by its opcodes alone; nothing of it is run."""

from __future__ import annotations

import contextlib
import pickletools
from pathlib import Path
from typing import Final

# how cloudpickle and dill write functions and classes by value, and what rebuilds code objects
_MARKS: Final = frozenset(
    {
        "CodeType",
        "FunctionType",
        "LambdaType",
        "_create_code",
        "_create_function",
        "_fill_function",
        "_make_function",
        "_make_skel_func",
        "_make_skeleton_class",
        "_make_skeleton_enum",
        "_builtin_type",
        "marshal",
    }
)


def why_bound(root: Path, unpickled: tuple[str, ...]) -> str | None:
    """Explain why these files hang on the Python that wrote them; None where they need not.

    Pickle's protocols are the same on every Python, but the code objects that cloudpickle embeds
    are not (https://github.com/cloudpipe/cloudpickle, "Cloudpickle can only be used to send objects
    between the exact same version of Python"). A file that is no plain pickle is taken as bound.
    """
    for name in unpickled:
        path = root / name
        if not path.is_file():
            return "what its loader unpickles is not known"
        try:
            if _holds_code(path):
                return f"{name} holds compiled code"
        except (ValueError, OSError, IndexError, UnicodeDecodeError):
            return f"{name} is no plain pickle that could be looked into"
    return None


def find_code(root: Path, unpickled: tuple[str, ...]) -> str | None:
    """The first of these files that is a plain pickle and holds compiled code; None for none."""
    for name in unpickled:
        with contextlib.suppress(ValueError, OSError, IndexError, UnicodeDecodeError):
            if _holds_code(root / name):
                return name
    return None


def _holds_code(path: Path) -> bool:
    with path.open("rb") as file:
        for _opcode, argument, _position in pickletools.genops(file):
            if isinstance(argument, str) and not _MARKS.isdisjoint(argument.split()):
                return True
    return False
