"""Requirement lines as people have them: read as others, or left out, each with its reason.

A line of the author's own machine (an editable folder, a repository, conda's build folder) is left
out where neither the model's files nor a package that ships needs it, and is refused elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from packager.pipeline.plan.requirements import _conda, _refusals
from packager.system.redaction import redact
from packager.types import Architecture, LineChange, ResolvedModel

_EDITABLE: Final = "-e "
_LISTED_APART: Final = 5
"""Lines that are left out for one reason; more are one sentence."""
_EGG: Final = re.compile(r"[#&]egg=([\w.-]+)")
_BUILDER: Final = re.compile(r"feedstock_root|/croot/|conda-bld|/tmp/build/|[\\/]b[\\/]abs_")
"""Folders in which conda's packages are built."""
_WHEELLESS: Final = re.compile(
    r"(?:Because|and) (?:there is no version of ([\w.-]+)(?:==\S+?)? and you require"
    r"|([\w.-]+)(?:==\S+?)? (?:has no |was not found))"
)
_DEPENDENT: Final = re.compile(r"([\w.-]+)(?:==\S+)? depends on ([\w.-]+)")
_MACHINES: Final[Mapping[Architecture, str]] = {"x86_64": "x86_64", "arm64": "aarch64"}
_MINORS: Final = tuple(f"3.{minor}" for minor in range(8, 16))
"""Pythons that a marker may be meant for."""


def settle_lines(model: ResolvedModel, conda: Mapping[str, str]) -> ResolvedModel:
    """The model with lines that a resolver can read; what was changed is in `changes`.

    `conda` has the distributions of conda's packages by their names.
    """
    lines: list[str] = []
    changes = [*model.requirements.changes]
    for line in model.requirements.lines:
        change = _conda.read_line(line, conda) or _read_local(line)
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
    that the author's Python takes no line of keeps its marker: the function's may need it.
    """
    if model.python_version is None:
        return model
    machine = {"platform_machine": _MACHINES[architecture]}
    environment = {**_refusals.describe_environment(model.python_version), **machine}
    others = [{**_refusals.describe_environment(each), **machine} for each in _MINORS]
    parsed = [(line, _parse(line)) for line in model.requirements.lines]
    taken = _find_taken((each for _, each in parsed), environment)
    lines: list[str] = []
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
            changes.append(
                LineChange(line=line, reason="its marker holds under no Python on Linux")
            )
    requirements = replace(
        model.requirements, lines=tuple(dict.fromkeys(lines)), changes=tuple(changes)
    )
    return replace(model, requirements=requirements)


def drop_wheelless(
    model: ResolvedModel, words: str, explain_need: Callable[[str], str]
) -> ResolvedModel | None:
    """The model without a line that, by the resolver's words, no wheel answers.

    None where they name no line, or only such as the model needs. A version of a build of its own
    (`2.1.0+cu121`) that no index has is read as that version.
    """
    said = " ".join(words.split())
    absent = {canonicalize_name(match[1] or match[2]) for match in _WHEELLESS.finditer(said)}
    dependents = {
        canonicalize_name(match[1])
        for match in _DEPENDENT.finditer(said)
        if canonicalize_name(match[2]) in absent
    }
    for names in (absent, dependents):
        for line in model.requirements.lines:
            requirement = _parse(line)
            if requirement is None or canonicalize_name(requirement.name) not in names:
                continue
            if change := _replace_wheelless(
                line, requirement, is_absent=names is absent, explain_need=explain_need
            ):
                return _apply(model, change)
    return None


def list_refused(
    model: ResolvedModel,
    declared: Mapping[str, str],
    explain_need: Callable[[str], str],
    explain_unseen: Callable[[str], str],
) -> list[str]:
    """Lines that were left out as nobody else can install them, and are needed after all, and why.

    What conda calls a package has a name of its own and no code unseen; a line of the author's
    machine may be anything. A requirement that is written as one left for having no wheel.
    """
    return [
        f"{line}: {why}; {_explain_refusal(line)}"
        for line in (change.line for change in model.requirements.changes if not change.used)
        for package in (None if _is_local(line) or _parse(line) else _conda.parse_package(line),)
        if package or _is_local(line)
        for name in (canonicalize_name(package.name) if package else name_line(line),)
        if (why := (explain_need if package else explain_unseen)(name))
        or (why := _explain_required(name, declared))
    ]


def explain_changes(model: ResolvedModel) -> Iterator[str]:
    """Say what became of each line that is not used as it was written."""
    left_out: dict[str, list[str]] = {}
    for change in model.requirements.changes:
        if change.used:
            yield f"Requirement {change.line} is read as {change.used}: {change.reason}."
        else:
            left_out.setdefault(change.reason, []).append(change.line)
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
    stem = last.removesuffix(".git").partition("[")[0]
    return canonicalize_name(stem) if re.fullmatch(r"\w[\w.-]*", stem) else ""


def _apply(model: ResolvedModel, change: LineChange) -> ResolvedModel:
    requirements = model.requirements
    kept = (change.used if line == change.line else line for line in requirements.lines)
    return replace(
        model,
        requirements=replace(
            requirements,
            lines=tuple(dict.fromkeys(filter(None, kept))),
            changes=(*requirements.changes, change),
        ),
    )


def _replace_wheelless(
    line: str, requirement: Requirement, *, is_absent: bool, explain_need: Callable[[str], str]
) -> LineChange | None:
    pins = [each for each in requirement.specifier if each.operator == "==" and "+" in each.version]
    if is_absent and pins:
        version = pins[0].version
        public = line.replace(version, version.partition("+")[0])
        return LineChange(line=line, used=public, reason="no index that is asked has that build")
    if explain_need(canonicalize_name(requirement.name)):
        return None
    why = "no wheel answers it" if is_absent else "no wheel answers what it requires"
    return LineChange(line=line, reason=f"{why}, and nothing that the model names needs it")


def _read_local(line: str) -> LineChange | None:
    """A line of the author's own machine, left out; conda's wheel is read as its version."""
    if not _is_local(line):
        return None
    _, address = _refusals.read_address(line.removeprefix(_EDITABLE))
    if _BUILDER.search(address) and (pin := _read_wheel_name(address)):
        return LineChange(
            line=redact(line), used=pin, reason="conda built that version on another machine"
        )
    if _refusals.REPOSITORY.match(address):
        why = "code of a repository, which is never built"
    else:
        why = "a folder or file of the author's machine"
    # the plan and the evidence show it
    shown = redact(line)
    return LineChange(line=shown, reason=f"{why}, and nothing that the model names needs it")


def _is_local(line: str) -> bool:
    if line.startswith(_EDITABLE):
        return True
    name, address = _refusals.read_address(line)
    return _refusals.is_path(name, address) or bool(_refusals.REPOSITORY.match(address))


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
