"""Take out what serving never reads, by the rules in rules.toml."""

from __future__ import annotations

import csv
import functools
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from packager.pipeline.slim import imports
from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.passes import (
    Pass,
    account_for,
    check_wanted,
    drop_empty_folders,
    each_wanted,
)
from packager.pipeline.slim.storing import kept_results
from packager.pipeline.slim.storing.named_files import find_named_files, read_model_words
from packager.system import cache, elf
from packager.types import BuildPlan, Bundle, FileRecord, PassName, Removal

_KIND: Final = "used"
_OURS: Final = ("handlers", "model", "lib", "model-manifest.json")
LICENCES: Final = (
    "**/LICEN[CS]E*",
    "**/licen[cs]es/**",
    "**/COPYING*",
    "**/NOTICE*",
    "**/AUTHORS*",
)


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
    keep_named: bool = False
    """Keep what code that stays names in a string."""
    stored: bool = False
    """Leave it to the pass `cold`: code may open such a file by its name."""

    def covers(self, path: PurePosixPath) -> bool:
        return matches(path, self.patterns) and not matches(path, self.unless)


@functools.cache
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
            keep_named=table.get("named") == "keep",
            stored=table.get("asked") == "store",
        )
        for table in tomllib.loads(text)["rules"]
    )


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Remove what a rule covers and no keep-rule does; folders that become empty go too."""
    going = _going(bundle, plan.keep)
    kept = _find_used(bundle, plan, going)
    removed = [
        Removal(path, file.size_bytes, rule.name)
        for path, (file, rule) in sorted(going.items())
        if path not in kept
    ]
    for removal in each_wanted(removed):
        (bundle.root / removal.path).unlink()
    for record in each_wanted(bundle.root.glob("*.dist-info/RECORD")):
        _forget_hashes(record)
    drop_empty_folders(bundle.root)
    return account_for(
        bundle,
        PASS,
        removed=removed,
        reverted=tuple(path.as_posix() for path in sorted(kept)),
        proof=f"{len(removed)} files by {len({r.rule for r in removed})} rules; "
        f"{len(kept)} kept because what stays imports, links to or names them",
    )


def _forget_hashes(record: Path) -> None:
    """Leave an installer's record its paths and sizes: hashes are four fifths of it, compressed."""
    with record.open(encoding="utf-8", newline="") as file:
        rows = [[*row, "", ""][:3] for row in csv.reader(file) if row]
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows((path, "", size) for path, _, size in rows)


def _going(bundle: Bundle, keep: tuple[str, ...]) -> dict[PurePosixPath, tuple[FileRecord, Rule]]:
    going = {}
    for file in each_wanted(bundle.files):
        if file.path.parts[0] in _OURS or matches(file.path, (*LICENCES, *keep)):
            continue
        rule = next((rule for rule in rules() if rule.covers(file.path)), None)
        if rule is not None and not rule.stored:
            going[file.path] = (file, rule)
    return going


def _find_used(
    bundle: Bundle, plan: BuildPlan, going: Mapping[PurePosixPath, tuple[FileRecord, Rule]]
) -> set[PurePosixPath]:
    """Find the covered files that a file which stays imports, names or is linked to.

    The model's weights have a part in it by the words in them alone: for another version of the
    model, with the same in them, the answer is kept.
    """
    imported = {path for path, (_, rule) in going.items() if rule.keep_imported}
    words = read_model_words(bundle.root) if imported else frozenset()
    pickled = {path for path in imported if _is_named(path, words)}

    def compute() -> bytes:
        used = _search_used(bundle, going, imported, pickled)
        return json.dumps(sorted(path.as_posix() for path in used)).encode()

    key = kept_results.make_key(PASS.name, bundle, plan, sorted(map(str, pickled)))
    return {PurePosixPath(each) for each in json.loads(cache.remember(_KIND, key, compute))}


def _search_used(
    bundle: Bundle,
    going: Mapping[PurePosixPath, tuple[FileRecord, Rule]],
    imported: set[PurePosixPath],
    pickled: set[PurePosixPath],
) -> set[PurePosixPath]:
    """Read the files that stay; `pickled` are those of `imported` that the model names."""
    staying = [file.path for file in bundle.files if file.path not in going]
    serving = [path for path in each_wanted(staying) if not is_set_aside(path)]
    used = pickled | _find_imported(bundle.root, [*serving, *pickled], imported - pickled)
    named = {path for path, (_, rule) in going.items() if rule.keep_named}
    used |= find_named_files(bundle.root, each_wanted(staying), named)
    data = {path for path in imported if path.suffix != ".py" and ".so" not in path.name}
    used |= find_named_files(bundle.root, each_wanted(staying), data, by_suffix=False)
    linked = {path for path, (_, rule) in going.items() if rule.keep_linked}
    return used | _find_linked(bundle.root, staying, linked)


def _find_linked(
    root: Path, staying: list[PurePosixPath], libraries: Iterable[PurePosixPath]
) -> set[PurePosixPath]:
    by_name = {path: path.name for path in libraries}
    if not by_name:
        return set()
    needed = _list_needed_libraries(root, staying)
    return {path for path, name in by_name.items() if name in needed}


def _is_named(path: PurePosixPath, words: frozenset[str]) -> bool:
    """Tell whether a model that is not read as source has all words of a module's name."""
    parts = [part.partition(".")[0] for part in path.parts]
    return words.issuperset(part for part in parts if part != "__init__")


def is_set_aside(path: PurePosixPath) -> bool:
    """Tell whether serving has no use for the file, though code may open it by its name."""
    if path.parts[0] in _OURS or matches(path, LICENCES):
        return False
    rule = next((rule for rule in rules() if rule.covers(path)), None)
    return rule is not None and rule.stored


def _find_imported(
    root: Path, staying: Iterable[PurePosixPath], candidates: set[PurePosixPath]
) -> set[PurePosixPath]:
    """Those candidates that files which stay import, and what these import in turn."""
    kept: set[PurePosixPath] = set()
    named = _import_of(candidates)
    # parsing every file would take seconds
    todo = [
        path
        for path in each_wanted(staying)
        if candidates and path.suffix == ".py" and named.search((root / path).read_bytes())
    ]
    libraries = {path.with_name(path.name.partition(".")[0]): path
                 for path in candidates if ".so" in path.name}  # fmt: skip
    while todo:
        check_wanted()
        path = todo.pop()
        for module in imports.modules(root / path, path):
            found = imports.files(module, candidates - kept)
            kept |= found | ({libraries[module]} if module in libraries else set())
            todo.extend(found)
    return kept


def _import_of(candidates: Iterable[PurePosixPath]) -> re.Pattern[bytes]:
    """A line that imports by a name that the rules of the candidates end with."""
    covering = {
        rule for path in candidates for rule in rules() if rule.keep_imported and rule.covers(path)
    }
    words = {
        PurePosixPath(pattern).name.partition(".")[0]
        for rule in covering
        for pattern in rule.patterns
    }
    some = "|".join(re.escape(word) for word in sorted(words))
    return re.compile(
        rf"^[ \t]*(?:from|import)\b.*\b(?:{some})\b|import_module\([^)]*\b(?:{some})\b".encode(),
        re.MULTILINE,
    )


def _list_needed_libraries(root: Path, staying: list[PurePosixPath]) -> set[str]:
    needed: set[str] = set()
    for path in each_wanted(staying):
        if ".so" in path.name and elf.is_elf(root / path):
            try:
                needed.update(elf.read(root / path).needed)
            except ValueError:
                continue  # the linkage check reports it
    return needed


PASS: Final = Pass(
    name=PassName.PRUNE,
    reason="tests, type stubs, sources, scripts and installer records are never read in serving",
    apply=apply,
)
