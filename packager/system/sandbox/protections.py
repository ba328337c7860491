"""Levels of the wall that this machine can build: the first that it lets us try out.

https://man7.org/linux/man-pages/man7/user_namespaces.7.html
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

from packager.system.sandbox.confinement import Confinement

_LOG = logging.getLogger(__name__)

Features: TypeAlias = frozenset[str]

_NAMESPACES: Final = frozenset({"mount", "pid", "proc", "ipc", "net", "seccomp"})
LEVELS: Final[tuple[tuple[str, Features], ...]] = (
    ("namespaces", _NAMESPACES | {"user"}),
    ("privileged", _NAMESPACES),
    ("shared-proc", frozenset({"user", "mount", "ipc", "net", "seccomp"})),
    ("shared-network", frozenset({"user", "mount", "ipc", "seccomp"})),
    ("landlock", frozenset({"landlock", "seccomp"})),
    ("seccomp", frozenset({"seccomp"})),
    ("process", frozenset()),
)
"""Strongest first. `process` is a process with limits, and can always be had on Linux."""
LEVEL_VARIABLE: Final = "PACKAGER_SANDBOX"
"""The strongest level to try, for tests of the weaker ones."""
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108
_LOST: Final = {
    "mount": "its files can be read and, where you may write, written",
    "pid": "it sees your other processes",
    "net": "it can reach the network",
}
_SERVERS: Final = "a booted function can reach the network"
_ONLY_ITS_OWN: Final = (
    "of this machine's programs and libraries those that the platform has too, and what this "
    "machine's Python is linked to"
)
_LANDLOCK: Final = "what fails in the cloud for want of a writable folder may pass here"


def strongest(try_out: Callable[[Features], bool]) -> Features:
    """Return the first of the levels that `try_out` says yes to; () where this is not Linux."""
    if not sys.platform.startswith("linux"):
        return frozenset()
    asked = os.environ.get(LEVEL_VARIABLE)
    names = [name for name, _ in LEVELS]
    start = names.index(asked) if asked in names else 0
    for name, features in LEVELS[start:]:
        if name == "privileged" and os.geteuid() != 0:
            continue
        if try_out(features):
            _say_what_is_lost(name, features)
            return features
    return frozenset()


def name_weak_level(features: Features) -> str:
    """The level's name where it gives a program no root of its own, else ""."""
    return next((name for name, has in LEVELS if has == features and "mount" not in has), "")


def name_level(features: Features) -> str:
    return next((name for name, has in LEVELS if has == features), "")


@functools.cache
def _say_what_is_lost(name: str, features: Features) -> None:
    """Once a command."""
    if name in {"namespaces", "privileged"}:
        return
    lost = [words for each, words in _LOST.items() if each not in features]
    if "landlock" in features:
        lost = [_LANDLOCK, _LOST["pid"], _SERVERS]
    _LOG.warning(
        "This machine does not let the packager run a model's code in namespaces of its own, so it "
        "runs at the level %r: %s. Build on Linux with unprivileged user namespaces (sysctl "
        "user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0; in "
        "Docker, --security-opt seccomp=unconfined --security-opt systempaths=unconfined).",
        name,
        "; ".join(lost),
    )


def describe(features: Features, inside: Confinement) -> tuple[str, ...]:
    """Describe what holds, for evidence.json: a sentence each, in a fixed order."""
    room = ", ".join(f"{path} ({size >> 20} MB)" for path, size in inside.scratch.items())
    held: list[tuple[bool, str]] = [
        ("user" in features, "a user namespace of its own, without any capability"),
        ("mount" in features, f"a read-only root of its own; what can be written: {room}"),
        ("mount" in features and SHARED_MEMORY not in inside.scratch, "no /dev/shm"),
        ("pid" in features, "a process namespace of its own"),
        ("proc" in features, "a read-only /proc of its own"),
        (inside.system is not None and bool(features & {"mount", "landlock"}), _ONLY_ITS_OWN),
        ("ipc" in features, "IPC and a host name of its own"),
        ("landlock" in features, "Landlock: nothing else can be read or written"),
        ("seccomp" in features, "system calls that change or look into the machine are refused"),
        (_cuts_network(features, inside), "no network"),
        (inside.network, "the network is allowed: --allow-network"),
        (True, "an environment without this machine's secrets"),
        (True, f"at most {inside.processes} processes and threads"),
    ]
    if inside.memory_bytes is not None:
        held.append((True, f"at most {inside.memory_bytes >> 20} MB of memory"))
    return tuple(words for holds, words in held if holds)


def _cuts_network(features: Features, inside: Confinement) -> bool:
    return "net" in features and not inside.network
