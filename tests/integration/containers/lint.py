"""What no image of ours may hold or be: read from the image itself, not from its Dockerfile."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from tests.integration.containers.engine import Engine

_COMPILERS: Final = frozenset({"cc", "gcc", "g++", "c++", "clang", "nvcc", "rustc", "ld", "as"})
_CUDA_RUNTIME: Final = re.compile(r"libcudart[-.0-9a-f]*\.so[.0-9]*")


@dataclass(frozen=True, slots=True)
class Layer:
    made_by: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Linted:
    findings: tuple[str, ...]
    layers: tuple[Layer, ...]
    """The base's first."""


def lint(engine: Engine, image: str) -> Linted:
    config = engine.inspect(image)["Config"]
    user = str(config.get("User", "")).partition(":")[0]
    findings = [] if user not in {"", "0", "root"} else [f"it runs as root: USER is {user!r}"]
    findings.extend(_in_files(_files(engine, image)))
    history = engine.run("history", "--no-trunc", "--human=false", "--format", "{{json .}}", image)
    layers = [json.loads(line) for line in history.splitlines()]
    return Linted(
        tuple(findings),
        tuple(Layer(str(each["CreatedBy"]), int(each["Size"])) for each in reversed(layers)),
    )


def _in_files(files: dict[PurePosixPath, bool]) -> list[str]:
    """`files`: whether each may be executed."""
    found = [
        f"a compiler: {path}" for path, runs in files.items() if runs and path.name in _COMPILERS
    ]
    runtimes = sorted(str(path) for path in files if _CUDA_RUNTIME.fullmatch(path.name))
    if len(runtimes) > 1:
        found.append(f"CUDA's runtime more than once: {', '.join(runtimes)}")
    return found


def _files(engine: Engine, image: str) -> dict[PurePosixPath, bool]:
    name = engine.run("create", image)
    try:
        path = engine.socket.with_name("export.tar")
        engine.run("export", "--output", path, name)
        with tarfile.open(path) as archive:
            found = {
                PurePosixPath(entry.name): bool(entry.mode & 0o111)
                for entry in archive
                if entry.isfile()
            }
        path.unlink()
    finally:
        engine.run("rm", name)
    return found
