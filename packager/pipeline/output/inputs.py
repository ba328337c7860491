"""The digest of everything that an artifact hangs on: where it is the same, so is the artifact.

These are the request with the files that it names, the plan (the model, its version's metadata,
the locks, the interpreter, facts and reasons), the program itself with what is installed beside
it, variables of the environment, and the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Final

from packager.environments import virtual_environments
from packager.environments.machine.qemu import find_qemu
from packager.system import cache, process, sandbox
from packager.system.file_tree import sha256, walk
from packager.targets.lambda_emulator import why_not_bootable
from packager.targets.processor_emulation.arm64_python import digest_named
from packager.types import (
    BuildPlan,
    BuildRequest,
    ModelOptions,
    ResolvedModel,
    SupplyChainOptions,
    TargetOptions,
)

_PREFIXES: Final = ("PACKAGER_", "MLFLOW_", "UV_", "OPENBLAS_", "OMP_", "MKL_", "BLIS_", "NPY_")
_NAMES: Final = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONHASHSEED", "PYTHONPATH")
_WITHOUT_EFFECT: Final = frozenset(
    {
        *("PACKAGER_CACHE", "PACKAGER_CACHE_MAX_SIZE", "UV_CACHE_DIR"),
        *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"),
    }
)
"""Where things are kept, and where the model is from: its content is what counts."""
_PLACES: Final[Mapping[type, frozenset[str]]] = MappingProxyType(
    {
        ResolvedModel: frozenset({"root"}),
        ModelOptions: frozenset({"tracking_uri", "registry_uri"}),
        BuildRequest: frozenset({"output"}),
        TargetOptions: frozenset({"arm64_python"}),
        SupplyChainOptions: frozenset({"refresh_audit"}),
    }
)
"""Fields that say where something lies, or whom it is asked of: nothing in an artifact does."""


def make_key(attempts: Sequence[BuildPlan]) -> str:
    """Return the digest of what the artifact of these attempts hangs on.

    Raises OSError where a file that the request names cannot be read.
    """
    first = attempts[0]
    author, _ = virtual_environments.interpreter_of(first.model, first.interpreter)
    parts = {
        "attempts": [_describe(attempt) for attempt in attempts],
        "author's interpreter": _describe(author),
        "program": cache.digest_program(),
        "variables": {
            name: value
            for name, value in process.inherit(_NAMES, _PREFIXES).items()
            if name not in _WITHOUT_EFFECT
        },
        "day": _name_day(first.request),
        "emulation": _name_emulation(first.request),
        "machine": [*os.uname()[2:], os.geteuid(), *platform.libc_ver(), sandbox.weak_level()],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _name_emulation(request: BuildRequest) -> str:
    """Name what another processor is emulated by here; "" where none is, or can be."""
    qemu = find_qemu() if why_not_bootable(request.target.architecture) else None
    if qemu is None:
        return ""
    return " ".join((*qemu[1], qemu[2], digest_named(request.target.arm64_python)))


def _name_day(request: BuildRequest) -> str:
    """Return the day, where an audit is wanted: what is known of packages is another tomorrow."""
    if not request.supply_chain.is_audited:
        return ""
    return datetime.now(UTC).date().isoformat()


def describe_request(request: BuildRequest) -> object:
    """Describe what a request asks for, its files by their content; not where anything lies.

    Raises OSError where one of the files cannot be read.
    """
    return _describe(request)


def _describe(value: object) -> object:
    """Return any value of a plan as JSON that is the same whenever the value is.

    Raises TypeError for a value that nothing is known of: it would be left out unseen.
    """
    if isinstance(value, Path):
        return _describe_path(value)
    if isinstance(value, Enum | PurePath | date):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return {"of": [[_describe(key), _describe(item)] for key, item in _sort_items(value)]}
    if isinstance(value, set | frozenset):
        return sorted(map(_describe, value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [*map(_describe, value)]
    return _describe_fields(value)


def _sort_items(value: Mapping[object, object]) -> list[tuple[object, object]]:
    return sorted(value.items(), key=lambda item: json.dumps(_describe(item[0])))


def _describe_fields(value: object) -> object:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"an artifact hangs on a {type(value).__name__}, which has no digest")
    skipped = _PLACES.get(type(value), frozenset())
    return {
        "is": type(value).__name__,
        **{
            each.name: _describe(getattr(value, each.name))
            for each in fields(value)
            if each.name not in skipped
        },
    }


def _describe_path(path: Path) -> object:
    """Describe a file, or each file of a folder, by its digest."""
    if path.is_dir():
        return [[each.as_posix(), sha256(path / each)] for each in walk(path)]
    return [path.name, sha256(path)]
