"""Landlock: what a process may open, where no mount namespace can be had.

https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable

from . import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_TRUNCATE, _DEVICE = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE
_LIBC = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of the kernel's interface; 0 where there is none."""
    found: int = _LIBC.syscall(ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(0, found)


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Nothing else can be opened from here on. Raises OSError where it cannot be had."""
    handled = (1 << 13) - 1
    if (abi := version()) == 0:
        raise OSError(38, "this kernel has no Landlock")
    handled |= (1 << 13) * (abi >= 2) | _TRUNCATE * (abi >= 3)
    attributes = struct.pack("=Q", handled)
    rules = _LIBC.syscall(ctypes.c_long(_CREATE), attributes, ctypes.c_size_t(8), ctypes.c_uint(0))
    if rules < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for paths, allowed in ((readable, _EXECUTE | _READ | _LIST), (writable, handled)):
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                _allow(rules, path, allowed & handled)
    kernel.control(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if _LIBC.syscall(ctypes.c_long(_RESTRICT), ctypes.c_int(rules), ctypes.c_uint(0)) < 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(rules)


def _allow(rules: int, path: str, allowed: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            allowed &= _OF_FILES
        rule = struct.pack("=Qi", allowed, parent)
        done = _LIBC.syscall(
            ctypes.c_long(_ADD), ctypes.c_int(rules), ctypes.c_int(1), rule, ctypes.c_uint(0)
        )
        if done < 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(parent)
