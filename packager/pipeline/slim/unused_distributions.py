"""Leave out whole distributions that serving has nothing to do with.

One goes only where nothing of it was touched under the recorder, no distribution that stays
requires it, and neither code that stays nor the model names it, in whatever form, nor
--keep-package does: what the author listed for training. Whatever else was not touched is for the
later passes, which do not delete. What the runtime carries itself (boto3) goes though code names
it: the runtime's copy is there for that. What the plan spares is kept with all that it requires:
code may import it by a name that it computes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.passes import Pass, account_for, drop_empty_folders
from packager.pipeline.slim.storing.named_files import read_model_words
from packager.types import BuildPlan, Bundle, PassName, Removal, Trace

_RULE: Final = "idle distribution"
_IMPORT_LINE: Final = re.compile(rb"^[ \t]*(?:from|import)\b[^\n]*", re.MULTILINE)
_EXTENSION: Final = re.compile(r"\.(py|pyc|so|[\w-]+\.so)$")


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Take out what may go; without a trace nothing may."""
    if bundle.trace is None:
        return account_for(bundle, PASS, proof=f"nothing is known to be idle: {bundle.untraced}")
    touched = _list_touched_tops(bundle.trace)
    idle = {
        name: tops
        for name, tops in _own(bundle.tops).items()
        if not tops & touched and not _has_kept_files(tops, bundle, plan.keep)
        if name in plan.runtime.provides or name not in plan.named
    }
    provided = idle.keys() & plan.runtime.provides
    looked_for = {name: tops for name, tops in idle.items() if name not in provided}
    needs = _needs(bundle, looked_for)
    spared = looked_for.keys() & plan.spared
    going = _nobody_needs(needs, idle.keys() - spared)
    kept = sorted({*_nobody_needs(needs, idle.keys())} - {*going}) if spared else []
    tops = {top for name in going for top in idle[name]}
    # importlib.metadata answers as it did; what the runtime carries, it knows by itself
    told = {top for name in going if name not in provided for top in idle[name] if _is_info(top)}
    removed = _remove_files(bundle, tops - told)
    for info in sorted(told):
        _declare(bundle.root / info, next(idle[name] for name in going if info in idle[name]))
    drop_empty_folders(bundle.root)
    sizes = {name: _measure(idle[name], bundle) for name in kept}
    proof = _proof(going, provided, len(idle) - len(kept))
    if kept:
        proof += f"; {', '.join(kept)}: not touched, and kept because {plan.spared_for}"
    return account_for(replace(bundle, spared=sizes), PASS, removed=removed, proof=proof)


def list_gone(names: Iterable[str], bundle: Bundle) -> tuple[str, ...]:
    """Those of the distributions that this pass took out of the tree."""
    gone = {removal.path.parts[0] for removal in bundle.removed if removal.rule == _RULE}
    return tuple(sorted(name for name in names if bundle.tops.get(name, frozenset()) & gone))


def _measure(tops: Collection[str], bundle: Bundle) -> int:
    return sum(file.size_bytes for file in bundle.files if file.path.parts[0] in tops)


def _remove_files(bundle: Bundle, tops: Collection[str]) -> list[Removal]:
    removed = [
        Removal(file.path, file.size_bytes, _RULE)
        for file in bundle.files
        if file.path.parts[0] in tops
    ]
    for removal in removed:
        (bundle.root / removal.path).unlink()
    return removed


def _declare(info: Path, tops: Iterable[str]) -> None:
    """Name what importlib.metadata would infer from files that are no longer there."""
    declared = info / "top_level.txt"
    if not declared.is_file():
        names = {_EXTENSION.sub("", top) for top in tops}
        declared.write_text("".join(f"{name}\n" for name in sorted(names) if name.isidentifier()))
        declared.chmod(0o644)


def _is_info(top: str) -> bool:
    return top.endswith(".dist-info")


def _list_touched_tops(trace: Trace) -> set[str]:
    return {path.parts[0] for path in (*trace.opened, *trace.files.values())}


def _own(tops: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Distributions that share no top-level name with another."""
    return {
        name: mine
        for name, mine in tops.items()
        if not any(mine & theirs for other, theirs in tops.items() if other != name)
    }


def _has_kept_files(tops: frozenset[str], bundle: Bundle, keep: tuple[str, ...]) -> bool:
    return bool(keep) and any(
        matches(file.path, keep) for file in bundle.files if file.path.parts[0] in tops
    )


def _nobody_needs(needs: Mapping[str, Collection[str]], idle: Collection[str]) -> list[str]:
    """List the idle ones that may go, until no more can: one may be all that needs another."""
    going: set[str] = set()
    while more := {
        name
        for name in set(idle) - going
        if not any(name in needs[other] for other in needs.keys() - going - {name})
    }:
        going |= more
    return sorted(going)


def _name_modules(idle: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Modules at the top, each with its distribution."""
    return {_EXTENSION.sub("", top): name for name, tops in idle.items() for top in tops
            if not top.endswith((".dist-info", ".libs", ".data"))}  # fmt: skip


def _compile_naming(modules: Iterable[str]) -> Callable[[bytes], set[str]]:
    """Make what lists those of the modules that a text imports, or has a string beginning with."""
    words = "|".join(re.escape(module) for module in sorted(modules))
    word = re.compile(rf"\b(?:{words})\b".encode())
    quoted = re.compile(rf"['\"]({words})(?:\.[\w.]*)?['\"]".encode())

    def list_named(text: bytes) -> set[str]:
        lines = (match[0] for match in _IMPORT_LINE.finditer(text))
        found = {each for line in lines for each in word.findall(line)}
        return {each.decode() for each in (found | {*quoted.findall(text)})}

    return list_named


def _needs(bundle: Bundle, idle: Mapping[str, frozenset[str]]) -> dict[str, set[str]]:
    """List what each distribution requires, or names of these; `` is the model and our code."""
    owners = {top: name for name, tops in bundle.tops.items() for top in tops}
    required = _read_requires(bundle.root)
    needs: dict[str, set[str]] = {name: required.get(name, set()) for name in bundle.tops}
    needs[""] = set()
    modules = _name_modules(idle)
    if not modules:
        return needs
    list_named = _compile_naming(modules)
    needs[""] |= {modules[word] for word in read_model_words(bundle.root) & modules.keys()}
    for file in bundle.files:
        if file.path.suffix == ".py":
            text = (bundle.root / file.path).read_bytes()
            found = {modules[module] for module in list_named(text)}
            needs[owners.get(file.path.parts[0], "")] |= found
    return needs


def _read_requires(root: Path) -> dict[str, set[str]]:
    """By distribution, what its metadata asks for; extras are asked for by whoever names them."""
    found: dict[str, set[str]] = {}
    for path in root.glob("*.dist-info/METADATA"):
        message = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
        needed = found.setdefault(canonicalize_name(str(message["Name"])), set())
        for line in message.get_all("Requires-Dist") or ():
            with contextlib.suppress(InvalidRequirement):
                needed.add(canonicalize_name(Requirement(line).name))
    return found


def _proof(going: Iterable[str], provided: Collection[str], idle: int) -> str:
    said = [
        f"{name}: the runtime carries it, and serving did not touch it"
        if name in provided
        else f"{name}: not touched, and neither required nor named by what stays"
        for name in going
    ]
    left = idle - len(said)
    spared = f"{left} more were not touched, and are kept for what requires or names them"
    return "; ".join([*said, *([spared] if left else [])]) or "everything installed was touched"


PASS: Final = Pass(
    name=PassName.CUT,
    reason="what was listed for training, and what the runtime carries, is not needed to serve",
    apply=apply,
)
