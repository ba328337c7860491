"""Check that the target's dynamic loader would load every shared library of the tree."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from handlers.importer import bytecode_importer
from handlers.importer.compressed_store import CompressedStore
from packager.system import elf as _elf
from packager.system.elf import Elf
from packager.types import BuildPlan, Bundle, Check, Finding

_FOREIGN: Final = frozenset({".dylib", ".dll", ".pyd"})
_NAMED: Final = 3
"""Files that a message names."""


def check(bundle: Bundle, plan: BuildPlan) -> tuple[list[Finding], dict[str, str]]:
    """All findings together, and each result in a sentence."""
    libraries, findings = _read(bundle)
    libraries |= _cold(bundle)
    findings += _foreign(bundle, libraries, plan.request.target.architecture)
    lacking, preloaded = _find_unsatisfied(bundle, libraries, plan)
    missing = {
        name: used
        for name, files in lacking.items()
        if (used := [path for path in files if _is_used(path, bundle)])
    }
    idle = {
        name: unused
        for name, files in lacking.items()
        if (unused := [path for path in files if path not in missing.get(name, ())])
    }
    findings += [_missing(name, files, bundle, plan) for name, files in sorted(missing.items())]
    highest = max((elf.glibc for elf in libraries.values() if elf.glibc), default=None)
    findings += _too_new(libraries, plan)
    known = f", {len(preloaded)} of them only when another library is loaded first"
    sentences = {
        "linkage": f"{len(libraries)} shared libraries for {plan.request.target.architecture}; "
        f"what they need is in the tree or in {plan.runtime.os}{known if preloaded else ''}."
        + "".join(
            f" {_some(files)} would need {name}, which is not there; serving does not load it."
            for name, files in sorted(idle.items())
        ),
        "glibc": "No library asks for a GLIBC version."
        if highest is None
        else f"The newest symbol is of GLIBC {_join_version(highest)}; {plan.runtime.os} has "
        f"{_join_version(plan.runtime.glibc)}.",
    }
    return findings, sentences


def _read(bundle: Bundle) -> tuple[dict[PurePosixPath, Elf], list[Finding]]:
    libraries: dict[PurePosixPath, Elf] = {}
    findings = []
    for file in bundle.files:
        path = bundle.root / file.path
        if file.path.suffix in {".py", ".pyc"} or file.path.parts[0] == "model":
            continue
        named = _is_shared(file.path)
        if not _elf.is_elf(path):
            if named:
                findings.append(_not_elf(file.path, bundle.root))
            continue
        try:
            libraries[file.path] = _elf.read(path)
        except ValueError as error:
            findings.append(
                Finding(
                    check=Check.LINKAGE,
                    message=f"{file.path} is damaged: {error}.",
                    hint="Clear uv's cache (uv cache clean) and build again.",
                )
            )
    return libraries, findings


def _cold(bundle: Bundle) -> dict[PurePosixPath, Elf]:
    """Read the libraries in the compressed store, as they were when they lay in the tree.

    One that cannot be read was not read before either, and is never loaded but on a miss.
    """
    path = bundle.root / "handlers" / bytecode_importer.COLD_FILE
    if not path.is_file():
        return {}
    cold = CompressedStore(str(bundle.root), str(path))
    found = {}
    for name in sorted(cold.files, key=cold.files.__getitem__):
        content = cold.read(name) if _is_shared(PurePosixPath(name)) else None
        if content is not None:
            with contextlib.suppress(ValueError):
                found[PurePosixPath(name)] = _elf.parse(content, name)
    return found


def _is_shared(path: PurePosixPath) -> bool:
    return path.suffix == ".so" or ".so." in path.name


def _not_elf(path: PurePosixPath, root: Path) -> Finding:
    with (root / path).open("rb") as file:
        start = file.read(8)
    return Finding(
        check=Check.LINKAGE,
        message=f"{path} is named like a Linux shared library and is not one "
        f"(it starts with {start!r}).",
        hint="Its wheel was made for another system. List a version with a wheel for Linux.",
    )


def _foreign(
    bundle: Bundle, libraries: Mapping[PurePosixPath, Elf], architecture: str
) -> list[Finding]:
    findings = []
    other = sorted(path for path, elf in libraries.items() if elf.architecture != architecture)
    if other:
        found = ", ".join(sorted({libraries[path].architecture for path in other}))
        findings.append(
            Finding(
                check=Check.LINKAGE,
                message=f"{_some(other)}: built for {found}, not for {architecture}.",
                hint=f"List versions that have wheels for {architecture}, or change --arch.",
            )
        )
    system = sorted(file.path for file in bundle.files if file.path.suffix in _FOREIGN)
    if system:
        findings.append(
            Finding(
                check=Check.LINKAGE,
                message=f"{_some(system)}: libraries of another operating system.",
                hint="List versions that have wheels for Linux.",
            )
        )
    return findings


def _find_unsatisfied(
    bundle: Bundle, libraries: Mapping[PurePosixPath, Elf], plan: BuildPlan
) -> tuple[dict[str, list[PurePosixPath]], set[str]]:
    """Libraries that are nowhere, each with who needs it; and those that no search path leads to.

    The second kind loads all the same where something loaded it before, by its SONAME, as wheels
    that preload their libraries do: whether it does is for replay to show.
    """
    paths = {*libraries, *(file.path for file in bundle.files)}
    names = {path.name for path in paths} | {elf.soname for elf in libraries.values()}
    provided, searched = plan.runtime.libraries, plan.target.tree.library_path
    missing: dict[str, list[PurePosixPath]] = {}
    preloaded: set[str] = set()
    for path, elf in sorted(libraries.items()):
        folders = (*(_elf.expand_folder(folder, path) for folder in elf.search), *searched)
        for name in elf.needed:
            if name in provided or any(folder / name in paths for folder in folders):
                continue
            if name in names:
                preloaded.add(name)
            else:
                missing.setdefault(name, []).append(path)
    return missing, preloaded


def _is_used(path: PurePosixPath, bundle: Bundle) -> bool:
    """Tell whether serving loads a library, or may reach an import that must not fail.

    Without a trace whatever imports it may be reached. A plugin that is tried, fails and is gone
    without was opened all the same, so that of an extension module it counts that it was imported.
    """
    loaders = bundle.loaders.get(path)
    trace = bundle.trace
    if loaders is None:
        return True
    if trace is None:
        return bool(loaders)
    extension = path.suffix == ".so" and not path.name.startswith("lib")
    if path in (trace.files.values() if extension else trace.opened):
        return True
    return any(name in trace.modules or name.startswith("model/") for name in loaders)


def _missing(name: str, files: Sequence[PurePosixPath], bundle: Bundle, plan: BuildPlan) -> Finding:
    taken_out = (each.path.as_posix() for each in bundle.removed if each.path.name == name)
    return Finding(
        check=Check.LINKAGE,
        message=f"{name} is neither in the tree nor in {plan.runtime.os}; needed by "
        f"{_some(files)}.",
        hint="Name a wheel that carries it in libraries.toml (--facts-dir), or put a copy for "
        f"{plan.platform} into the model's requirements as a wheel.",
        missing=next(taken_out, None),
    )


def _too_new(libraries: Mapping[PurePosixPath, Elf], plan: BuildPlan) -> list[Finding]:
    runtime = plan.runtime
    newer = {
        path: elf.glibc
        for path, elf in sorted(libraries.items())
        if elf.glibc is not None and elf.glibc > runtime.glibc
    }
    if not newer:
        return []
    return [
        Finding(
            check=Check.LINKAGE,
            message=f"{_some(tuple(newer))}: needs GLIBC {_join_version(max(newer.values()))}, and "
            f"{runtime.os} ({runtime.name}) has {_join_version(runtime.glibc)}.",
            hint="Take an older version that has a wheel for "
            f"{plan.platform}, a newer --python, or --target {plan.target.way_out}.",
        )
    ]


def _join_version(version: tuple[int, int]) -> str:
    return ".".join(str(part) for part in version)


def _some(paths: Sequence[PurePosixPath]) -> str:
    more = len(paths) - _NAMED
    listed = ", ".join(path.as_posix() for path in paths[:_NAMED])
    return f"{listed} and {more} more" if more > 0 else listed
