"""Resolve requirements to a lock (PEP 751), and install a lock into a folder; both by uv."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from packager.environments import resolver_memory, uv_command
from packager.environments.index_failures import is_unknown_package
from packager.environments.install import install_wheels
from packager.errors import DigestError, ToolError, UnresolvableError
from packager.system import process
from packager.system.redaction import drop_users
from packager.system.scratch import make_scratch
from packager.types import Interpreter, Lock, LockedPackage, Requirements

_LOG = logging.getLogger(__name__)

_COMPILE_SECONDS: Final = 600
_INSTALL_SECONDS: Final = 1800
_PACKAGE: Final = "[[packages]]\n"
_PUBLIC_FILES: Final = 'url = "https://files.pythonhosted.org/'
_PUBLIC_INDEX: Final = 'index = "https://pypi.org/simple"\n'
_AT_ONCE: Final = 4
"""Runs of the resolver, which waits for indexes most of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Requirements to lock, and the machine to lock them for."""

    requirements: tuple[str, ...]
    """PEP 508 lines, or paths of wheels relative to `base`."""
    constraints: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    """Pins that hold where all else allows them."""
    overrides: tuple[str, ...] = ()
    """Pins that hold whatever others require."""
    excluded: tuple[str, ...] = ()
    """Distributions that are left out even where another one requires them."""
    options: tuple[str, ...] = ()
    """Index options, as a requirements file has them."""
    digests: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By distribution, what the sha256 of its file must be one of."""
    interpreter: Interpreter
    platform: str | None
    """uv's --python-platform: `x86_64-manylinux_2_34`; None is this machine."""
    python_minor: str | None = None
    """To lock for; None is the interpreter's own."""
    base: Path | None = None


def lock(wanted: Wanted) -> Lock:
    """Resolve to wheels alone; the text holds no path of this machine.

    Raises UnresolvableError with uv's words where no set of wheels satisfies everything,
    DigestError where a package has no file of a digest that is asked for, IndexUnavailableError
    where the package index does not answer, or is none.
    """
    done = _resolve(wanted)
    if done.returncode != 0:
        if is_unknown_package(done.stderr):
            uv_command.check_index(wanted.options)
        raise UnresolvableError(done.stderr.strip())
    text = _hold_digests(drop_users(done.stdout), wanted.digests)
    return Lock(text=text, packages=_packages(text, wanted.base))


def read_digests(requirements: Requirements) -> Mapping[str, frozenset[str]]:
    """By distribution, the sha256 digests that the author gave with --hash."""
    found: dict[str, frozenset[str]] = {}
    for line, hashes in requirements.hashes.items():
        stem = line.rsplit("/", 1)[-1].partition("-")[0] if line.endswith(".whl") else line
        name = canonicalize_name(re.split(r"[^\w.-]", stem.strip(), maxsplit=1)[0])
        digests = frozenset(each.removeprefix("sha256:") for each in hashes)
        found[name] = found.get(name, frozenset()) | digests
    return found


def unavailable(wanted: Wanted) -> tuple[str, ...]:
    """Those requirements that, each taken alone and without its dependencies, have no wheel.

    Many are asked for at once, and halves of those that have none among them.
    """
    groups = [wanted.requirements] if wanted.requirements else []
    gone: set[str] = set()
    while groups:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            fit = list(pool.map(lambda group: _resolves_alone(group, wanted), groups))
        wrong = [group for group, fits in zip(groups, fit, strict=True) if not fits]
        gone |= {group[0] for group in wrong if len(group) == 1}
        groups = [half for group in wrong if len(group) > 1 for half in _halve(group)]
    return tuple(line for line in wanted.requirements if line in gone)


def install(
    lock: Lock,
    target: Path,
    *,
    interpreter: Interpreter,
    platform: str,
    cwd: Path | None = None,
    options: Sequence[str] = (),
) -> None:
    """Install exactly what is locked into `target`, as copies that nothing else shares.

    `cwd` is the folder that the lock's local wheels are relative to (the model's); `options` are
    those of the lock, for the indexes that want a password. Raises ToolError, or StorageError
    where the disk is full.
    """
    machine = _machine(interpreter, platform)
    where = [*machine, "--target", target.absolute()]
    _install(lock, where, target, cwd, options, identity=_identify(lock, machine[1:]))


def install_environment(
    lock: Lock, python: Path, *, cwd: Path | None = None, options: Sequence[str] = ()
) -> Mapping[str, str]:
    """Install exactly what is locked into the virtual environment of `python`, as copies.

    Returns the sha256 of what its wheels list, by the names below the environment. Raises what
    `install` raises.
    """
    venv = python.parent.parent
    site = next(venv.glob("lib/python*/site-packages"))
    below = site.relative_to(venv).as_posix()
    identity = _identify(lock, [below])
    digests = _install(lock, ["--python", python], site, cwd, options, identity=identity)
    return {f"{below}/{name}": digest for name, digest in digests.items()}


def _install(
    lock: Lock,
    where: Sequence[str | Path],
    into: Path,
    base: Path | None,
    options: Sequence[str],
    *,
    identity: str,
) -> Mapping[str, str]:
    _LOG.info("Installing %d packages", len(lock.packages))
    with make_scratch("install") as name:
        written = name / "pylock.toml"
        text = name_public_index(_with_absolute_paths(lock.text, base))
        written.write_text(text, encoding="utf-8")
        return install_wheels(
            [*where, "--no-deps", "-r", written],
            into,
            identity=identity,
            options=options,
            cwd=base or name,
            timeout_seconds=_INSTALL_SECONDS,
        )


def _identify(lock: Lock, machine: Sequence[str | Path]) -> str:
    """The same wheels, by their digests, for the same machine."""
    parts = "\0".join((lock.text, *map(str, machine)))
    return hashlib.sha256(parts.encode()).hexdigest()


def _machine(
    interpreter: Interpreter, platform: str | None, minor: str | None = None
) -> list[str | Path]:
    fits = () if platform is None else ("--python-platform", platform)
    return ["--python", interpreter.path, "--python-version", minor or interpreter.minor, *fits]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _write_option_file(path: Path, option: str, lines: tuple[str, ...]) -> list[str | Path]:
    if not lines:
        return []
    path.write_text(_lines(lines), encoding="utf-8")
    return [option, path]


def _write_preferred(path: Path, pins: tuple[str, ...]) -> Path | None:
    """An earlier lock, whose versions uv takes where it may; None for no pins.

    https://docs.astral.sh/uv/pip/compile/#upgrading-requirements
    """
    if not pins:
        return None
    pairs = [(each.name, str(each.specifier).removeprefix("==")) for each in map(Requirement, pins)]
    packages = (f'\n[[packages]]\nname = "{name}"\nversion = "{at}"\n' for name, at in pairs)
    text = 'lock-version = "1.0"\ncreated-by = "packager"\n' + "".join(packages)
    path.write_text(text, encoding="utf-8")
    return path


def _halve(group: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    middle = len(group) // 2
    return group[:middle], group[middle:]


def _resolves_alone(lines: tuple[str, ...], wanted: Wanted) -> bool:
    alone = replace(
        wanted, requirements=lines, constraints=(), preferred=(), overrides=(), excluded=()
    )
    return _resolve(alone, "--no-deps").returncode == 0


def _resolve(wanted: Wanted, *more: str) -> process.Done:
    """Run the resolver, or take what it said in the last day. Raises IndexUnavailableError."""
    machine = _machine(wanted.interpreter, wanted.platform, wanted.python_minor)

    def ask() -> process.Done:
        with make_scratch("lock") as folder:
            written = _write_preferred(folder / "pylock.toml", wanted.preferred)
            done = uv_command.run_pip(
                "compile",
                [
                    *machine,
                    *("-", "--format", "pylock.toml", "--no-header", *more),
                    *_write_option_file(
                        folder / "constraints.txt", "--constraints", wanted.constraints
                    ),
                    *_write_option_file(folder / "overrides.txt", "--overrides", wanted.overrides),
                    *_write_option_file(folder / "excludes.txt", "--excludes", wanted.excluded),
                    *(("--output-file", written) if written else ()),
                ],
                options=wanted.options,
                cwd=wanted.base or folder,
                timeout_seconds=_COMPILE_SECONDS,
                stdin=_lines(wanted.requirements).encode(),
                check=False,
            )
            if written and done.returncode == 0:
                text = written.read_text(encoding="utf-8")
                return replace(done, stdout=_move_paths(text, folder, wanted.base or folder))
            return done

    if _reads_files(wanted):
        return ask()
    # a platform and a version say all that the interpreter would
    asked = machine[2:] if wanted.platform else [*machine, wanted.interpreter.version]
    held = [wanted.overrides] if wanted.overrides else []
    held += [("preferred", *wanted.preferred)] if wanted.preferred else []
    lines = (wanted.requirements, wanted.constraints, wanted.excluded, wanted.options, more, *held)
    own = tuple(sorted(uv_command.build_environment().items()))
    return resolver_memory.ask_once((*map(str, asked), lines, own), ask)


def _reads_files(wanted: Wanted) -> bool:
    """True where wheels of a folder are asked for: these may be others when asked again."""
    links = any(option.startswith("--find-links") for option in wanted.options)
    links |= "UV_FIND_LINKS" in uv_command.build_environment()
    return links or any(line.endswith(".whl") for line in wanted.requirements)


def _hold_digests(text: str, digests: Mapping[str, frozenset[str]]) -> str:
    """The lock without those wheels of a package whose digest is none of what is asked for."""
    dropped: set[str] = set()
    wrong = []
    for package in tomllib.loads(text).get("packages", ()):
        allowed = digests.get(canonicalize_name(package["name"]))
        if allowed is None:
            continue
        sources = (package.get("archive", {}), *package.get("wheels", ()))
        there = {source["hashes"]["sha256"] for source in sources if source.get("hashes")}
        if there.isdisjoint(allowed):
            wrong.append(f"{package['name']} {package.get('version', '')}".strip())
        else:
            dropped |= there - allowed
    if wrong:
        raise DigestError(wrong)
    # of several wheels each has a line of its own
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not any(digest in line for digest in dropped))


def _packages(text: str, base: Path | None) -> tuple[LockedPackage, ...]:
    return tuple(
        LockedPackage(
            name=package["name"],
            version=str(package.get("version", "")),
            size_bytes=_size_bytes(package, base),
        )
        for package in tomllib.loads(text).get("packages", ())
    )


def _size_bytes(package: dict[str, Any], base: Path | None) -> int | None:
    if "archive" in package:
        path = package["archive"].get("path")
        return (base / path).stat().st_size if base is not None and path else None
    # several wheels of one version may fit (xgboost has a small and a large one): the worst case
    sizes = [wheel["size"] for wheel in package.get("wheels", ()) if "size" in wheel]
    return max(sizes, default=None)


def _with_absolute_paths(text: str, base: Path | None) -> str:
    """The lock with its local wheels where they lie now."""
    for path in _local_paths(text):
        if base is None:
            raise ToolError(f"The lock names {path}, and no folder was given to find it in.")
        text = text.replace(f"path = {json.dumps(path)}", f"path = {json.dumps(str(base / path))}")
    return text


def name_public_index(text: str) -> str:
    """The lock with PyPI's address at each package whose files lie there.

    uv writes no index into a lock. Where none is named it takes the folder of each file for one,
    and keeps the wheel under that: it would download what any other program had it download.
    https://packaging.python.org/en/latest/specifications/pylock-toml/#packages-index
    """
    top, *packages = text.split(_PACKAGE)
    named = (
        f"{_PUBLIC_INDEX}{each}" if _PUBLIC_FILES in each and "\nindex = " not in each else each
        for each in packages
    )
    return _PACKAGE.join((top, *named))


def _move_paths(text: str, old: Path, new: Path) -> str:
    """The lock with its local wheels' paths relative to `new`; they are to `old`, its folder."""
    for path in _local_paths(text):
        moved = os.path.relpath(old / path, new)  # noqa: TID251 - pathlib walks up from 3.12 on
        text = text.replace(f"path = {json.dumps(path)}", f"path = {json.dumps(moved)}")
    return text


def _local_paths(text: str) -> tuple[str, ...]:
    found = (
        source["path"]
        for package in tomllib.loads(text).get("packages", ())
        for source in (package.get("archive", {}), *package.get("wheels", ()))
        if "path" in source
    )
    return tuple(sorted(found))
