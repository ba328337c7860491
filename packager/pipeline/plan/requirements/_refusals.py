"""Requirement lines that are refused before anything is resolved, each with what to do instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final
from urllib.parse import urlsplit

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from packager.environments import uv_command
from packager.errors import PlanError
from packager.pipeline.plan.requirements import _wheels
from packager.system.redaction import name_host
from packager.types import Requirements, ResolvedModel

REPOSITORY: Final = re.compile(r"(?:git|hg|svn|bzr)(?:\+[a-z]+)?(?:://|@)", re.IGNORECASE)
_SECURE_COPY: Final = re.compile(r"(?:git|hg)@(?!\S*://)", re.IGNORECASE)
"""USER@HOST:PATH, which also reads as NAME @ PATH."""
_CONDA: Final = re.compile(r"([\w.-]+)\s*=\s*([\w.]+)(?:=\w*)?")
_PATH: Final = re.compile(r"file:|\.{1,2}(?:[\\/]|$)|/|~|\\\\|[A-Za-z]:[\\/]", re.IGNORECASE)
_BELOW: Final = re.compile(
    r"\.{1,2}\[|[\w.-]+[\\/](?!.*\.whl$)[^\s:@;]*$|[\w.-]+\.(?:tar\.(?:gz|bz2|xz)|tgz|zip)$"
)
"""A folder below the author's own, or an archive there, without a mark of a path before it."""
_NAMED: Final = re.compile(r"\s*([\w.-]+)\s*(?:\[[^\]]*\])?\s*@\s*(\S+)")
_SOURCE: Final = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")
_PLACEHOLDER: Final = re.compile(r"[${}]")
_MOST_LINES_EACH: Final = 100
"""Of one package; they are compared with each other."""
_WHEEL: Final = "build a wheel of it with `pip wheel` and list it as code/NAME.whl"


def check(model: ResolvedModel, *, trusted: bool) -> None:
    """Raises PlanError with every line that no wheel can answer, and every pair that conflicts."""
    requirements = model.requirements
    wrong = []
    for line in requirements.lines:
        if why := explain(line, trusted=trusted):
            wrong.append(f"{line}: {why}")
        else:
            wrong += _explain_requires(model, line, trusted=trusted)
    for line in requirements.constraints:
        if why := _explain_constraint(line, trusted=trusted):
            wrong.append(f"{line}: {why}")
    if not wrong:
        wrong += find_conflicts(requirements, model.python_version)
    refuse(wrong)


def refuse(wrong: Sequence[str]) -> None:
    """Raises PlanError with all of `wrong`, where there is any."""
    if wrong:
        raise PlanError(
            "The model's requirements cannot be locked:\n"
            + "\n".join(f"  - {line}" for line in wrong)
            + "\nCorrect them in the model's folder, or log the model again."
        )


def explain(line: str, *, trusted: bool = True) -> str | None:
    """Explain why a line is refused and what to write instead; None where it can be resolved.

    `trusted`: a wheel may be fetched from an address that only the model names.
    """
    name, address = read_address(line)
    if why := _explain_address(name, address, trusted=trusted):
        return why
    if not name and line.endswith(".whl"):
        try:
            parse_wheel_filename(line.rsplit("/", 1)[-1])
        except InvalidWheelFilename:
            return "it is not a wheel's name; write NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
        return None
    try:
        Requirement(line)
    # a number with more digits than Python converts; parentheses deeper than its parser calls
    except (ValueError, RecursionError) as error:
        if conda := _CONDA.fullmatch(line):
            return f"a single = is conda's; write {conda.group(1)}=={conda.group(2)}"
        words = " ".join(str(error).split())
        return f"it cannot be read ({words}); a requirement is written NAME==VERSION"
    return None


def read_address(line: str) -> tuple[str, str]:
    """The name and the address of NAME @ ADDRESS; no name, and the first word, of any other."""
    named = None if _SECURE_COPY.match(line) else _NAMED.match(line)
    return (named[1], named[2]) if named else ("", line.split(maxsplit=1)[0])


def _explain_address(name: str, address: str, *, trusted: bool) -> str | None:
    if REPOSITORY.match(address):
        return f"only wheels are installed, never code from a repository; {_WHEEL}"
    bare = address.partition("#")[0]
    if "://" not in address and bare.endswith(_SOURCE):
        return f"it is a source archive, whose code would run here to build it; {_WHEEL}"
    if is_path(name, address):
        return _explain_path(name, address)
    if "://" not in address:
        return None
    return _explain_remote(name, address, trusted=trusted)


def is_path(name: str, address: str) -> bool:
    """Tell whether an address is a folder or file, which the resolver would build."""
    if name:
        return "://" not in address or bool(_PATH.match(address))
    return bool(_PATH.match(address) or _BELOW.match(address))


def is_unfetched(address: str) -> bool:
    """True for an address that is fetched under no setting: of another scheme, or of no wheel."""
    if "://" not in address:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme not in {"http", "https"} or not parts.path.endswith(".whl")


def _explain_remote(name: str, address: str, *, trusted: bool) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        return f"its address cannot be read ({error}); correct it"
    if parts.scheme not in {"http", "https"}:
        return f"nothing is fetched over {parts.scheme}://; {_WHEEL}"
    if not parts.path.endswith(".whl"):
        return f"it is not a wheel, and source code is never built; {_WHEEL}"
    if not name:
        return "an address is written with its package's name before it: NAME @ https://..."
    if "@" in parts.netloc:
        return (
            "an address with a password would be written into the lock; take user and password "
            "out of the line, and keep them in ~/.netrc"
        )
    if not trusted:
        return (
            f"only the model names {name_host(address)}; give --trust-model-index to take it from "
            "there"
        )
    if secrets := uv_command.list_secret_variables():
        return (
            f"what it requires may be an address into which {' and '.join(secrets)} would be "
            "filled in; download the wheel and list it as code/NAME.whl, or keep the password in "
            "~/.netrc"
        )
    return None


def _explain_path(name: str, address: str) -> str:
    if not _PATH.match(address):
        bare = address.partition("#")[0]
        if bare.endswith(".whl"):
            return f"a wheel in the model's folder is listed by its path alone; write {bare}"
        return f"it is a folder or file whose code would run here to build it; {_WHEEL}"
    wheel = address.partition("#")[0].rsplit("/", 1)[-1]
    try:
        own, version, *_ = parse_wheel_filename(wheel)
        instead = f"{name or own}=={version}"
    except InvalidWheelFilename:
        instead = f"{name or 'NAME'}==VERSION"
    copied = ", or copy it into code/ and list it as code/NAME.whl"
    return (
        f"this is a file of the machine that it was built on, as conda's `pip freeze` writes it; "
        f"write {instead}, which `pip list --format=freeze` says{copied * wheel.endswith('.whl')}"
    )


def _explain_requires(model: ResolvedModel, line: str, *, trusted: bool) -> Iterator[str]:
    """Explain what a model's own wheel requires by an address: the resolver would fetch it.

    It fills in placeholders there, too.
    """
    if not line.endswith(".whl") or "@" in line:
        return
    for each in _wheels.read_requires(model.root / line):
        if not _NAMED.match(each):
            continue
        if _PLACEHOLDER.search(each):
            yield f"{line} requires {each}: a placeholder is never filled in"
        elif why := explain(each, trusted=trusted):
            yield f"{line} requires {each}: {why}"


def _explain_constraint(line: str, *, trusted: bool) -> str | None:
    if why := explain(line, trusted=trusted):
        return why
    return "a constraint is a name and its versions" if line.endswith(".whl") else None


def find_conflicts(requirements: Requirements, python: str | None) -> Iterator[str]:
    """Lines on one package that no version satisfies together, under the author's Python."""
    environment = describe_environment(python)
    by_name: dict[str, list[tuple[str, SpecifierSet]]] = {}
    listed = {name for name, *_ in _specifiers(requirements.lines, environment)}
    for name, line, versions in _specifiers(
        (*requirements.lines, *requirements.constraints), environment
    ):
        if name in listed:
            by_name.setdefault(name, []).append((line, versions))
    for name, each in sorted(by_name.items()):
        yield from _conflicts_of(name, each)


def _conflicts_of(name: str, lines: list[tuple[str, SpecifierSet]]) -> Iterator[str]:
    if len(lines) == 1 and len(lines[0][1]) <= 1:
        return  # nearly every line of nearly every model
    if len(lines) > _MOST_LINES_EACH:
        yield f"{lines[0][0]}: {name} is on {len(lines):,} lines; leave one of them"
        return
    together = SpecifierSet()
    for _, versions in lines:
        together &= versions
    if not together.is_unsatisfiable():
        return
    for line, versions in lines:
        if versions.is_unsatisfiable():
            yield f"{line}: no version of {name} is all of that; leave one condition out"
            return
    for (one, left), (other, right) in combinations(lines, 2):
        if (left & right).is_unsatisfiable():
            yield f"{one} conflicts with {other}: no version of {name} is both; remove one of them"
            return
    named = ", ".join(line for line, _ in lines)
    yield f"{named}: no version of {name} is all of these; remove one of them"


def _specifiers(
    lines: tuple[str, ...], environment: Mapping[str, str]
) -> Iterator[tuple[str, str, SpecifierSet]]:
    for line in lines:
        if line.endswith(".whl") and "@" not in line:
            continue
        found = Requirement(line)
        if found.marker is None or found.marker.evaluate(dict(environment)):
            yield canonicalize_name(found.name), line, found.specifier


def describe_environment(python: str | None) -> Mapping[str, str]:
    here = {name: str(value) for name, value in default_environment().items()}
    own = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    if python is None:
        return here | own
    parts = python.split(".")
    full = ".".join([*parts, "0"][:3])
    return here | own | {"python_version": ".".join(parts[:2]), "python_full_version": full}
