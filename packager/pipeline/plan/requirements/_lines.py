"""Requirement lines as people have them: read as others, or left out, each with its reason.

A line of the author's own machine (an editable folder, a repository, conda's build folder), and
one whose version nothing reads, is left out where neither the model's files nor a package that
ships needs it, and is refused elsewhere. A version that conda's build folder does not tell is the
one that MLmodel or conda.yaml has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from packager.environments import virtual_environments
from packager.pipeline.plan.requirements import _conda, _pins, _recorded, _refusals
from packager.system.redaction import redact
from packager.types import Architecture, LineChange, Lock, ResolvedModel

_EDITABLE: Final = "-e "
_LISTED_APART: Final = 5
"""Lines that are left out, or read as others, for one reason; more are one sentence."""
_EGG: Final = re.compile(r"[#&]egg=([\w.-]+)")
_BUILDER: Final = re.compile(
    r"feedstock_root|conda-bld|/croots?/|/tmp/build/|[\\/](?:tmp|b|T)[\\/]abs_"
    r"|[\\/][\w.-]{1,200}_\d{10,13}[\\/]work(?:[\\/]|$)"
)
"""Folders in which conda's packages are built: NAME_TIME/work, wherever that lies."""
_DEBIAN: Final = re.compile(r"pkg[-_]resources\s*===?\s*0(?:\.0){0,2}\s*(?:;.*)?", re.IGNORECASE)
"""Line that pip lists in the environments of Debian and Ubuntu; there is no such package."""
_WHEELLESS: Final = re.compile(
    r"(?:Because|and) (?:there is no version of ([\w.-]+)(?:==\S+?)? and you require"
    r"|(?:all versions of )?([\w.-]+)(?:==\S+?)? (?:has no |have no |was not found))"
)
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_DEPENDENT: Final = re.compile(r"([\w.-]+)(?:\[[\w.,-]{1,200}\])?(?:==\S+)? depends on ([\w.-]+)")
_GARBLED: Final = re.compile(
    r"([A-Za-z0-9][\w.-]{0,200})\s*(?:\[[^\[\]]{0,200}\]\s*)?(?:===?|~=?|\^|[<>]=?|=[<>]|!=)\s*[^\s=].*"
)
"""A name, and a version in a form that Python's index has never had, or has no more."""
_ARCHIVE: Final = re.compile(r"(?:-\d[\w.!+-]{0,100})?\.(?:tar\.gz|zip|tar\.bz2|tgz|tar\.xz)$")
"""What follows the name of a source archive: its version, and the kind."""
_NO_WHEEL: Final = "no wheel answers it"
_MACHINES: Final[Mapping[Architecture, str]] = {"x86_64": "x86_64", "arm64": "aarch64"}
_MINORS: Final = tuple(f"3.{minor}" for minor in range(8, 16))
"""Pythons that a marker may be meant for."""


def settle_lines(model: ResolvedModel, conda: Mapping[str, str]) -> ResolvedModel:
    """The model with lines that a resolver can read; what was changed is in `changes`.

    `conda` has the distributions of conda's packages by their names.
    """
    lines: list[str] = []
    changes = [*model.requirements.changes]
    recorded = _recorded.read_versions(model, conda)
    for line in model.requirements.lines:
        change = _read_listed(line, conda, recorded)
        if change is None:
            lines.append(line)
            continue
        changes.append(change)
        if change.used:
            lines.append(change.used)
    requirements = replace(
        model.requirements, lines=tuple(dict.fromkeys(lines)), changes=tuple(changes)
    )
    return replace(model, requirements=requirements)


def _read_listed(
    line: str, conda: Mapping[str, str], recorded: Mapping[str, str]
) -> LineChange | None:
    """Read a line that no resolver can read; None for any other."""
    if _DEBIAN.fullmatch(line):
        why = "Debian's pip lists it, and there is no such package: setuptools has what it names"
        return LineChange(line=line, reason=why)
    readers = (
        _conda.read_line(line, conda),
        _read_local(line, recorded),
        _read_garbled(line),
        _read_address(line),
    )
    return next(filter(None, readers), None)


def list_variants(
    model: ResolvedModel, architecture: Architecture
) -> tuple[tuple[ResolvedModel, bool], ...]:
    """The model with its author's versions, strictly; and with those that another Python takes."""
    return (fix_markers(model, architecture), True), (model, False)


def _find_taken(
    requirements: Iterable[Requirement | None], environment: dict[str, str]
) -> set[str]:
    """Names of which the environment's Python takes a line."""
    return {
        canonicalize_name(each.name)
        for each in requirements
        if each and (each.marker is None or each.marker.evaluate(environment))
    }


def fix_markers(model: ResolvedModel, architecture: Architecture) -> ResolvedModel:
    """The model with the lines that its author's Python takes on Linux, without their markers.

    Another Python would take other lines of the same name, and so other versions. A line of a name
    that the author's Python takes no line of keeps its marker: the function's may need it. What is
    pinned for macOS or Windows alone is preferred: what else requires it gets that version, unless
    the two have different ones.
    """
    if model.python_version is None:
        return model
    environment, *others = (
        {**_refusals.describe_environment(each), "platform_machine": _MACHINES[architecture]}
        for each in (model.python_version, *_MINORS)
    )
    parsed = [(line, _parse(line)) for line in model.requirements.lines]
    taken = _find_taken((each for _, each in parsed), environment)
    lines: list[str] = []
    pins: dict[str, list[str]] = {}
    changes = [*model.requirements.changes]
    for line, requirement in parsed:
        if requirement is None or requirement.marker is None:
            lines.append(line)
        elif requirement.marker.evaluate(environment):
            lines.append(line.partition(";")[0].strip())
        elif canonicalize_name(requirement.name) in taken:
            why = f"its marker does not hold under the author's Python {model.python_version}"
            changes.append(LineChange(line=line, reason=f"{why} on Linux"))
        elif any(map(requirement.marker.evaluate, others)):
            lines.append(line)
        else:
            why = "its marker holds under no Python on Linux"
            if pin := _pins.read_pin(line):
                pins.setdefault(canonicalize_name(requirement.name), []).append(pin)
                why += f"; {_conda.PREFERRED}"
            changes.append(LineChange(line=line, reason=why))
    agreed = (f"{name}=={each[0]}" for name, each in pins.items() if len({*each}) == 1)
    requirements = replace(
        model.requirements,
        lines=tuple(dict.fromkeys(lines)),
        preferred=tuple(dict.fromkeys((*model.requirements.preferred, *agreed))),
        changes=tuple(changes),
    )
    return replace(model, requirements=requirements)


def drop_preferred(model: ResolvedModel, words: str) -> ResolvedModel | None:
    """The model without the preferred versions of what the resolver's words name; None for none."""
    requirements = model.requirements
    said = {canonicalize_name(each) for each in _NAME.findall(words)}
    kept = tuple(line for line in requirements.preferred if _pins.name_line(line) not in said)
    if kept == requirements.preferred:
        return None
    return replace(model, requirements=replace(requirements, preferred=kept))


def forget_preferred(model: ResolvedModel) -> ResolvedModel | None:
    """The model without any preferred version; None where it has none."""
    if not model.requirements.preferred:
        return None
    return replace(model, requirements=replace(model.requirements, preferred=()))


def drop_wheelless(
    model: ResolvedModel, words: str, explain_need: Callable[[str], str]
) -> ResolvedModel | None:
    """The model without a line that, by the resolver's words, no wheel answers.

    None where they name no line, or only such as the model needs. A version of a build of its own
    (`2.1.0+cu121`) that no index has is read as that version; a line whose extras lead to what no
    wheel answers is read without them.
    """
    said = " ".join(words.split())
    absent = {canonicalize_name(match[1] or match[2]) for match in _WHEELLESS.finditer(said)}
    dependents = {
        canonicalize_name(match[1]): canonicalize_name(match[2])
        for match in _DEPENDENT.finditer(said)
        if canonicalize_name(match[2]) in absent
    }
    for names in (absent, dependents):
        for line in model.requirements.lines:
            requirement = _parse(line)
            if requirement is None or canonicalize_name(requirement.name) not in names:
                continue
            if names is absent:
                change = _replace_wheelless(line, requirement, explain_need)
            else:
                needed = dependents[canonicalize_name(requirement.name)]
                change = _replace_dependent(line, requirement, needed, explain_need)
            if change:
                return _apply(model, change)
    return None


def hold_pins(model: ResolvedModel, words: str) -> ResolvedModel | None:
    """The model with its versions as they are listed, whatever its packages require of each other.

    None where they hold already, or where not every line is a pin: `pip freeze` lists what is
    there, and pip installs what does not go together with a warning.
    """
    requirements = model.requirements
    held = _list_held(model)
    if requirements.overrides or not held:
        return None
    said = " ".join(words.partition("cause:")[2].partition("hint:")[0].split())
    return replace(model, requirements=replace(requirements, overrides=held, conflict=said))


def _list_held(model: ResolvedModel) -> tuple[str, ...]:
    """The lines' pins, each with its extras; () where not every line is one."""
    every = virtual_environments.pin_mlflow(model)
    plain = (line for line in every if ";" not in line and not line.endswith(".whl"))
    pins = [_pins.state_pin(line) for line in plain]
    return tuple(pins) if all(pins) else ()


def tell_versions(model: ResolvedModel, lock: Lock) -> ResolvedModel:
    """The model with the version that ships of a pin that no wheel answers: others require it."""
    return replace(
        model,
        requirements=replace(
            model.requirements,
            changes=tuple(_tell_version(each, lock) for each in model.requirements.changes),
        ),
    )


def _tell_version(change: LineChange, lock: Lock) -> LineChange:
    shipped = lock.version(_pins.name_line(change.line))
    if change.used or shipped is None or not change.reason.startswith(_NO_WHEEL):
        return change
    why = (
        f"{_NO_WHEEL}; what else is installed requires it and gets {shipped}, with which your "
        "registered model is asked too. For your version, build a wheel of it with `pip wheel` "
        "and name its folder in UV_FIND_LINKS"
    )
    return replace(change, reason=why)


def list_refused(
    model: ResolvedModel,
    declared: Mapping[str, str],
    explain_need: Callable[[str], str],
    explain_unseen: Callable[[str], str],
) -> list[str]:
    """Lines that were left out as nobody else can install them, and are needed after all, and why.

    What conda calls a package has a name of its own and no code unseen; a line of the author's
    machine may be anything. A requirement that is written as one left for having no wheel. What
    conda built is no other code than the index has, so that what requires it leads to a version;
    nor is what conda.yaml lists outside of its pip part.
    """
    refused: list[str] = []
    of_yaml = _conda.list_shown(model.requirements)
    for line in (change.line for change in model.requirements.changes if not change.used):
        if line in of_yaml:
            continue
        if _is_local(line) or _name_garbled(line):
            name = name_line(line) if _is_local(line) else _name_garbled(line)
            why = explain_unseen(name)
        elif _parse(line):
            continue
        elif package := _conda.parse_package(line):
            name = canonicalize_name(package.name)
            why = explain_need(name)
        else:
            continue
        if why or (why := "" if _BUILDER.search(line) else _explain_required(name, declared)):
            refused.append(f"{line}: {why}; {_explain_refusal(line)}")
    return refused


def explain_changes(model: ResolvedModel) -> Iterator[str]:
    """Say what became of each line that is not used as it was written."""
    left_out: dict[str, list[str]] = {}
    read: dict[str, list[LineChange]] = {}
    for change in model.requirements.changes:
        if change.used:
            read.setdefault(change.reason, []).append(change)
        else:
            left_out.setdefault(change.reason, []).append(change.line)
    for reason, changes in read.items():
        told = [f"{each.line} is read as {each.used}" for each in changes]
        if len(told) > _LISTED_APART:
            yield f"{len(told)} requirements are read as others, so {told[0]}: {reason}."
        else:
            yield from (f"Requirement {each}: {reason}." for each in told)
    for reason, lines in left_out.items():
        if len(lines) > _LISTED_APART:
            yield f"{len(lines)} requirements are left out: {', '.join(lines)}: {reason}."
        else:
            yield from (f"Requirement {line} is left out: {reason}." for line in lines)


def name_line(line: str) -> str:
    """The distribution that a line of the author's machine stands for, as far as it tells."""
    bare = line.removeprefix(_EDITABLE)
    if egg := _EGG.search(bare):
        return canonicalize_name(egg[1])
    name, address = _refusals.read_address(bare)
    if name:
        return canonicalize_name(name)
    if "://" not in address and _refusals.REPOSITORY.match(address):
        bare = address.partition("@")[2]
    last = re.split(r"[\\/]", re.split(r"[#;@]", bare)[0].strip().rstrip("\\/"))[-1]
    stem = _ARCHIVE.sub("", last.removesuffix(".git").partition("[")[0])
    return canonicalize_name(stem) if re.fullmatch(r"\w[\w.-]*", stem) else ""


def _apply(model: ResolvedModel, change: LineChange) -> ResolvedModel:
    requirements = model.requirements
    kept = (change.used if line == change.line else line for line in requirements.lines)
    changed = replace(
        requirements,
        lines=tuple(dict.fromkeys(filter(None, kept))),
        changes=(*requirements.changes, change),
    )
    less = replace(model, requirements=changed)
    if not requirements.overrides:
        return less
    return replace(model, requirements=replace(changed, overrides=_list_held(less)))


def _replace_wheelless(
    line: str, requirement: Requirement, explain_need: Callable[[str], str]
) -> LineChange | None:
    pins = [each for each in requirement.specifier if each.operator == "==" and "+" in each.version]
    if pins:
        version = pins[0].version
        public = line.replace(version, version.partition("+")[0])
        return LineChange(line=line, used=public, reason="no index that is asked has that build")
    if explain_need(canonicalize_name(requirement.name)):
        return None
    return LineChange(line=line, reason=f"{_NO_WHEEL}, and nothing that the model names needs it")


def _replace_dependent(
    line: str, requirement: Requirement, needed: str, explain_need: Callable[[str], str]
) -> LineChange | None:
    """A line that requires `needed`, which no wheel answers: without its extras, or left out."""
    if requirement.extras and not explain_need(needed):
        why = f"no wheel answers {needed}, which its extras lead to, and nothing needs that"
        return LineChange(line=line, used=re.sub(r"\s*\[[^\]]*\]", "", line, count=1), reason=why)
    if explain_need(canonicalize_name(requirement.name)):
        return None
    why = "no wheel answers what it requires, and nothing that the model names needs it"
    return LineChange(line=line, reason=why)


def _read_garbled(line: str) -> LineChange | None:
    """A line of a name with a version that cannot be read, left out."""
    if not _name_garbled(line):
        return None
    why = "its version cannot be read, and nothing that the model names needs it"
    return LineChange(line=line, reason=why)


def _read_address(line: str) -> LineChange | None:
    """A wheel's address without a name, read with the name that the wheel has."""
    if not re.match(r"https?://", line):
        return None
    address, semicolon, marker = line.partition(";")
    try:
        path = urlsplit(address).path
    except ValueError:
        return None  # it is read as any other line is, and refused
    pin = _read_wheel_name(unquote(path)) if path.endswith(".whl") else ""
    if not pin:
        return None
    used = f"{pin.partition('==')[0]} @ {address.strip()}"
    if semicolon:
        used += f" ; {marker.strip()}"
    return LineChange(line=redact(line), used=used, reason="the wheel's own name is before it")


def _name_garbled(line: str) -> str:
    """The distribution of such a line; empty for any other."""
    found = _GARBLED.fullmatch(line)
    if found is None or line.endswith(".whl"):
        return ""
    requirement = _parse(line.partition(";")[0])
    if requirement is not None and not _has_odd_version(requirement):
        return ""
    return canonicalize_name(found[1])


def _has_odd_version(requirement: Requirement) -> bool:
    """True for `===` and a text that is no version, which no wheel can have."""
    for each in requirement.specifier:
        try:
            Version(each.version.removesuffix(".*"))
        except InvalidVersion:
            return True
    return False


def _read_local(line: str, recorded: Mapping[str, str]) -> LineChange | None:
    """A line of the author's own machine, left out; conda's build is read as its version."""
    if not _is_local(line):
        return None
    name, address = _refusals.read_address(line.removeprefix(_EDITABLE))
    if _BUILDER.search(address):
        return _read_build(line, address, recorded)
    if _refusals.REPOSITORY.match(address):
        why = "code of a repository, which is never built"
    elif _refusals.is_unfetched(address) and not _refusals.is_path(name, address):
        why = "an address of no wheel that can be fetched"
    else:
        why = "a folder or file of the author's machine"
    # the plan and the evidence show it
    shown = redact(line)
    return LineChange(line=shown, reason=f"{why}, and nothing that the model names needs it")


def _read_build(line: str, address: str, recorded: Mapping[str, str]) -> LineChange:
    """A line of conda's build folder: of a wheel there, or of a folder that tells no version."""
    shown, name = redact(line), name_line(line)
    if pin := _read_wheel_name(address):
        return LineChange(
            line=shown, used=pin, reason="conda built that version on another machine"
        )
    if version := recorded.get(name):
        why = "conda built it on another machine; the model's other files have its version"
        return LineChange(line=shown, used=f"{name}=={version}", reason=why)
    why = (
        "conda built it on another machine and wrote no version down, and nothing that the model "
        "names needs it; what else requires it leads to one"
    )
    return LineChange(line=shown, reason=why)


def _is_local(line: str) -> bool:
    """True for what nobody but the author can install: folders, files, code, other schemes."""
    if line.startswith(_EDITABLE):
        return True
    name, address = _refusals.read_address(line)
    return (
        _refusals.is_path(name, address)
        or bool(_refusals.REPOSITORY.match(address))
        or _refusals.is_unfetched(address)
    )


def _read_wheel_name(address: str) -> str:
    try:
        name, version, *_ = parse_wheel_filename(re.split(r"[\\/]", address.partition("#")[0])[-1])
    except InvalidWheelFilename:
        return ""
    return f"{name}=={version}"


def _explain_required(name: str, declared: Iterable[str]) -> str:
    return "another requirement needs it" if name in declared else ""


def _explain_refusal(line: str) -> str:
    bare = line.removeprefix(_EDITABLE)
    if bare != line and not _refusals.REPOSITORY.match(bare):
        return (
            "an editable folder is code that would be built: build a wheel of it with `pip wheel` "
            "and list it as code/NAME.whl, or log it with code_paths"
        )
    return _refusals.explain(bare) or "list it as NAME==VERSION"


def _parse(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    # explained by `_refusals`, which reads every line
    except (InvalidRequirement, ValueError, RecursionError):
        return None
