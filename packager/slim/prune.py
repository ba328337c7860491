"""Take out what serving never reads, by the rules in rules.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from packager import _elf
from packager.slim import imports
from packager.slim.globs import matches
from packager.slim.passes import Pass, accounted, drop_empty_folders
from packager.types import BuildPlan, Bundle, FileRecord, Removal

_OURS: Final = ("handlers", "model", "lib", "model-manifest.json")
LICENCES: Final = (
    "**/LICEN[CS]E*",
    "**/licen[cs]es/**",
    "**/COPYING*",
    "**/NOTICE*",
    "**/AUTHORS*",
)
_TESTS: Final = re.compile(rb"^[ \t]*(?:from|import)\b.*\btests?\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    name: str
    reason: str
    patterns: tuple[str, ...]
    unless: tuple[str, ...] = ()
    keep_imported: bool = False
    """Keep what a file that stays imports."""
    keep_linked: bool = False
    """Keep what a library that stays has in DT_NEEDED."""

    def covers(self, path: PurePosixPath) -> bool:
        return matches(path, self.patterns) and not matches(path, self.unless)


@cache
def rules() -> tuple[Rule, ...]:
    text = (Path(__file__).parent / "rules.toml").read_text(encoding="utf-8")
    return tuple(
        Rule(
            name=table["name"],
            reason=table["reason"],
            patterns=tuple(table["patterns"]),
            unless=tuple(table.get("unless", ())),
            keep_imported=table.get("imported") == "keep",
            keep_linked=table.get("linked") == "keep",
        )
        for table in tomllib.loads(text)["rules"]
    )


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Remove what a rule covers and no keep-rule does; folders that become empty go too."""
    going = _going(bundle, plan.keep)
    kept: set[PurePosixPath] = set()
    staying = [file.path for file in bundle.files if file.path not in going]
    imported = {path for path, (_, rule) in going.items() if rule.keep_imported}
    kept |= _imported(bundle.root, staying, imported)
    linked = {path for path, (_, rule) in going.items() if rule.keep_linked}
    if linked:
        needed = _needed(bundle.root, staying)
        kept |= {path for path in linked if path.name in needed}
    removed = [
        Removal(path, file.size_bytes, rule.name)
        for path, (file, rule) in sorted(going.items())
        if path not in kept
    ]
    for removal in removed:
        (bundle.root / removal.path).unlink()
    drop_empty_folders(bundle.root)
    return accounted(
        bundle,
        PASS,
        removed=removed,
        reverted=tuple(path.as_posix() for path in sorted(kept)),
        proof=f"{len(removed)} files by {len({r.rule for r in removed})} rules; "
        f"{len(kept)} kept because what stays imports or links to them",
    )


def _going(bundle: Bundle, keep: tuple[str, ...]) -> dict[PurePosixPath, tuple[FileRecord, Rule]]:
    going = {}
    for file in bundle.files:
        if file.path.parts[0] in _OURS or matches(file.path, (*LICENCES, *keep)):
            continue
        for rule in rules():
            if rule.covers(file.path):
                going[file.path] = (file, rule)
                break
    return going


def _imported(
    root: Path, staying: list[PurePosixPath], candidates: set[PurePosixPath]
) -> set[PurePosixPath]:
    """Those candidates that files which stay import, and what these import in turn."""
    kept: set[PurePosixPath] = set()
    # an import of tests has the word on its first line; parsing every file would take seconds
    todo = [
        path
        for path in staying
        if candidates and path.suffix == ".py" and _TESTS.search((root / path).read_bytes())
    ]
    while todo:
        path = todo.pop()
        for module in imports.modules(root / path, path):
            found = imports.files(module, candidates - kept)
            kept |= found
            todo.extend(found)
    return kept


def _needed(root: Path, staying: list[PurePosixPath]) -> set[str]:
    needed: set[str] = set()
    for path in staying:
        if ".so" in path.name and _elf.is_elf(root / path):
            try:
                needed.update(_elf.read(root / path).needed)
            except ValueError:
                continue  # the linkage check reports it
    return needed


PASS: Final = Pass(
    name="prune",
    reason="tests, type stubs, sources, scripts and installer records are never read in serving",
    apply=apply,
)
