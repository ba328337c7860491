"""Cached virtual environments: where the registered model answers, where tools live."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from packager import _archive, _cache, _process
from packager.interpreters import uv
from packager.types import Interpreter


def ensure(
    interpreter: Interpreter,
    requirements: Sequence[str],
    *,
    options: Sequence[str] = (),
    constraints: Sequence[str] = (),
    base: Path | None = None,
    label: str = "env",
) -> Path:
    """A virtual environment with exactly these requirements; returns its python.

    `requirements` are PEP 508 lines or paths relative to `base`. Made once per interpreter version
    and set of lines, wherever the paths lie, and reused. Raises ToolError with uv's own words where
    they do not resolve.
    """
    text = "\n".join([*options, *requirements]) + "\n"
    limits = "\n".join(constraints) + "\n"
    wheels = "".join(_digests((*requirements, *constraints), base))
    key = hashlib.sha256(f"{interpreter.version}\0{text}\0{limits}\0{wheels}".encode())

    def make(folder: Path) -> None:
        _process.run(
            [
                uv(),
                "venv",
                "--quiet",
                "--relocatable",
                "--python",
                interpreter.path,
                folder / "venv",
            ]
        )
        listed, limited = folder / "requirements.txt", folder / "constraints.txt"
        listed.write_text(text, encoding="utf-8")
        limited.write_text(limits, encoding="utf-8")
        python = folder / "venv" / "bin" / "python"
        _process.run(
            [uv(), "pip", "install", "--quiet", "--python", python, "-r", listed, "-c", limited],
            cwd=base,
        )

    folder = _cache.ensure("environments", f"{label}-{key.hexdigest()[:20]}", make)
    return folder / "venv" / "bin" / "python"


def _digests(lines: Sequence[str], base: Path | None) -> list[str]:
    """sha256 of each wheel that lies below `base`."""
    found = [base / line for line in lines if line.endswith(".whl")] if base is not None else []
    return [_archive.sha256(path) for path in found if path.is_file()]
