"""A Confinement written out for packager/workers/confine, which knows paths and numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.system.sandbox import endings
from packager.system.sandbox.confinement import Confinement, program_paths
from packager.system.sandbox.protections import Features
from packager.system.sandbox.system_files import interpreter_paths

if TYPE_CHECKING:
    from packager.workers.confine.spec import Spec

_LANDLOCK_SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"),
    *("/etc/localtime", "/etc/mime.types", "/etc/fonts"),
)
_LANDLOCK_READABLE: Final = (
    *("/proc", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl"),
    *("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf"),
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
)
_LANDLOCK_CPUS: Final = ("/sys/devices/system", "/sys/fs/cgroup")
"""Libraries that count CPUs see that these are there, and expect that they can be read."""
_LANDLOCK_WRITABLE: Final = ("/dev/null", "/dev/zero", "/dev/full")


def make_spec(
    has: Features,
    argv: Sequence[str | Path],
    inside: Confinement,
    cwd: Path,
    env: Mapping[str, str],
    scratch: Path | None,
    *,
    listens: bool,
) -> Spec:
    """The program and what it may reach.

    With `scratch`, a folder for where nothing can be mounted, the places of its own lie in that.
    """
    program = Path(argv[0])
    paths_of = program_paths if inside.system is None else interpreter_paths
    readable = [str(path.absolute()) for path in (*inside.readable, *paths_of(program))]
    system = None if inside.system is None else [str(path) for path in inside.system]
    writable = [str(path.absolute()) for path in inside.writable]
    variables, places = dict(inside.variables), dict(inside.scratch)
    if scratch is not None:
        variables = {name: find_below(scratch, value) for name, value in variables.items()}
        variables.setdefault("TMPDIR", str(scratch))
        cwd = Path(find_below(scratch, str(cwd))) if str(cwd) in places else cwd
        writable += [str(scratch), *_LANDLOCK_WRITABLE]
        places = {}
    return {
        "argv": [str(each) for each in argv],
        "env": {**endings.FAULT_HANDLER, **env, **variables},
        "cwd": str(cwd),
        "features": sorted(has),
        "uid": inside.uid,
        "gid": inside.gid,
        "user": inside.user,
        "home": inside.home,
        "readable": [path for path in dict.fromkeys(readable) if Path(path).exists()],
        "writable": writable,
        "system": system,
        "landlock_readable": _list_landlock_readable(system, readable, inside),
        "scratch": places,
        "devices": list(inside.devices),
        "cpu_files": inside.cpu_files,
        "network": inside.network,
        "listens": listens,
        "memory_bytes": inside.memory_bytes,
        "processes": inside.processes,
        "open_files": inside.open_files,
    }


def _list_landlock_readable(
    system: Sequence[str] | None, readable: Sequence[str], inside: Confinement
) -> list[str]:
    return [
        *_LANDLOCK_READABLE,
        *(_LANDLOCK_SYSTEM if system is None else _leave_out_ldconfig(system)),
        *readable,
        *(_LANDLOCK_CPUS if inside.cpu_files else ()),
    ]


def _leave_out_ldconfig(system: Sequence[str]) -> list[str]:
    """Leave it out where none can be made that lists the platform's libraries alone."""
    return [path for path in system if not path.endswith("/ldconfig")]


def find_below(scratch: Path, place: str) -> str:
    """The folder that stands for `place`, made where it is not there."""
    folder = scratch / place.strip("/").replace("/", "-")
    folder.mkdir(exist_ok=True)
    return str(folder)
