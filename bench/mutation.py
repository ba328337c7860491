"""Whether the tests notice when the code is changed: `nox -s mutation`.

    python bench/mutation.py [--sample N] [--seed S] [--minutes M] [--file-minutes M] [--json]
        [MODULE ...]

Each module's mutants (bench/_mutants.py) are tried one by one in a copy of the project, against the
tests named for it here, those first that reach the changed line (bench/_reached.py): a mutant that
no test fails on survives. What was tried is kept by the digest of the module and of its tests, so
that a run goes on where one was stopped; a module that changed is tried anew. What changes nothing
that could be seen is in bench/_equivalent.py. results/mutation.md has the scores and survivors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench import _reached
from bench._equivalent import EQUIVALENT
from bench._mutants import Mutant, make_mutants
from packager.errors import ToolError

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"
_COPIED: Final = ("packager", "handlers", "tests", "templates", "infra", "pyproject.toml")
_AIM: Final = 85
_SLOWEST: Final = 4.0
"""Times what the tests take unchanged: a mutant that runs longer loops, and is noticed."""

_SCORING: Final = ("tests/handlers/test_scoring.py", "tests/property/test_scoring_properties.py")
_GROWING: Final = ("tests/handlers/test_scoring.py", "tests/unit/test_scoring_growth.py")
_EVENTS: Final = (
    "tests/handlers/test_events.py",
    "tests/handlers/test_broken_records.py",
    "tests/handlers/test_envelopes.py",
)
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "handlers/scoring/scorer.py": _SCORING,
    "handlers/scoring/schema/casting.py": _SCORING,
    "handlers/scoring/schema/enforcement.py": _SCORING,
    "handlers/scoring/schema/tables.py": _GROWING,
    "handlers/scoring/delimited.py": _GROWING,
    "handlers/events/event_processor.py": (
        "tests/handlers/test_events.py", "tests/handlers/test_broken_records.py",
    ),
    "handlers/events/envelopes.py": (
        "tests/handlers/test_envelopes.py", "tests/handlers/test_events.py",
    ),
    "handlers/events/records.py": (
        "tests/handlers/test_events.py", "tests/handlers/test_batches.py",
    ),
    "handlers/events/sources/sqs.py": _EVENTS,
    "handlers/events/sources/sns.py": _EVENTS,
    "handlers/events/sources/s3.py": _EVENTS,
    "handlers/events/sources/kafka.py": _EVENTS,
    "handlers/events/sources/kinesis.py": _EVENTS,
    "handlers/events/sources/dynamodb.py": _EVENTS,
    "handlers/events/idempotency.py": ("tests/handlers/test_events.py",),
    "handlers/importer/bytecode_importer.py": (
        "tests/unit/test_store.py", "tests/property/test_store.py",
    ),
    "handlers/importer/compressed_store.py": (
        "tests/unit/test_store.py", "tests/property/test_store.py",
    ),
    "handlers/loaders/_threads.py": ("tests/handlers/test_threads.py",),
    "packager/pipeline/answers/comparison.py": (
        "tests/unit/test_comparison.py", "tests/unit/test_replay.py",
    ),
    "packager/pipeline/answers/spread.py": ("tests/unit/test_spread.py",),
    "packager/pipeline/verify/linkage.py": ("tests/unit/test_linkage.py",),
    "packager/pipeline/verify/__init__.py": ("tests/unit/test_verify.py",),
    "packager/pipeline/verify/ask.py": (
        "tests/unit/test_verify_ask.py", "tests/unit/test_verify.py",
    ),
    "packager/pipeline/verify/replay.py": (
        "tests/unit/test_replay.py", "tests/unit/test_replay_limits.py",
    ),
    "packager/pipeline/verify/oracle.py": ("tests/unit/test_verify_oracle.py",),
    "packager/pipeline/verify/budget.py": (
        "tests/unit/test_budget.py", "tests/unit/test_verify.py",
    ),
    "packager/pipeline/verify/shadowing.py": (
        "tests/unit/test_shadowing.py", "tests/unit/test_verify.py",
    ),
    "packager/pipeline/emit/_sizing.py": ("tests/unit/test_emit_sizing.py",),
    "packager/system/atomic_output.py": (
        "tests/unit/test_output.py", "tests/unit/test_output_place.py",
    ),
    "packager/models/registry.py": (
        "tests/unit/test_registry.py", "tests/unit/test_registry_versions.py",
    ),
    "packager/models/registry_sources.py": ("tests/unit/test_registry_sources.py",),
}  # fmt: skip
"""The tests that are to notice, by module: of its own name, and of what it is asked through."""

State = dict[str, dict[str, Any]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Try mutants of modules against their tests.")
    parser.add_argument("modules", nargs="*", choices=[*TESTS, []], help="all of them by default")
    parser.add_argument("--sample", type=int, help="mutants of each module, drawn by the seed")
    parser.add_argument("--minutes", type=float, default=120.0, help="no mutant is begun later")
    parser.add_argument("--file-minutes", type=float, default=60.0, help="the same, of a module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the scores as JSON at the end")
    given = parser.parse_args(argv)
    path = RESULTS / "mutation.json"
    state: State = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    until = time.monotonic() + given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        project = _copy_project(Path(name))
        for module in given.modules or TESTS:
            mutants = list_mutants(module)
            kept = state.get(module, {})
            if kept.get("digest") != (digest := _digest(module)):
                kept = {"digest": digest, "tried": {}}
            state[module] = {**kept, "mutants": len(mutants)}
            chosen = _choose(mutants, given.sample, given.seed)
            last = min(until, time.monotonic() + given.file_minutes * 60)
            _try_all(project, module, chosen, state[module], last)
            path.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            (RESULTS / "mutation.md").write_text(render(state), encoding="utf-8")
    if given.json:
        print(json.dumps({module: score(kept) for module, kept in state.items()}, indent=1))
    return 0


def list_mutants(module: str) -> list[Mutant]:
    """Those of a module that a test can see."""
    mutants = make_mutants((ROOT / module).read_text(encoding="utf-8"))
    known = EQUIVALENT.get(module, {})
    return [each for each in mutants if f"{each.source} | {each.what}" not in known]


def score(kept: Mapping[str, Any]) -> dict[str, int]:
    """How many mutants a module has, how many were tried, and how many of those were noticed."""
    tried = kept["tried"]
    return {"mutants": kept["mutants"], "tried": len(tried), "noticed": sum(tried.values())}


def _copy_project(folder: Path) -> Path:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
        else:
            shutil.copyfile(source, folder / name)
    return folder


def _digest(module: str) -> str:
    total = hashlib.sha256()
    for name in (module, *TESTS[module], "bench/_mutants.py"):
        total.update((ROOT / name).read_bytes())
    return total.hexdigest()


def _choose(mutants: Sequence[Mutant], sample: int | None, seed: int) -> list[Mutant]:
    if sample is None or sample >= len(mutants):
        return list(mutants)
    chosen = random.Random(seed).sample(range(len(mutants)), sample)  # noqa: S311 - repeatable
    return [mutants[at] for at in sorted(chosen)]


def _try_all(
    project: Path, module: str, mutants: Iterable[Mutant], kept: dict[str, Any], until: float
) -> None:
    """Fill `kept["tried"]`: name -> whether it was noticed. Raises ToolError where tests fail."""
    tried: dict[str, bool] = kept["tried"]
    left = [each for each in mutants if each.name not in tried]
    if not left or time.monotonic() > until:
        return
    begun = time.monotonic()
    reached = _reached.trace(project, module, TESTS[module], project / "reached.json")
    nothing = range(0)
    if reached is None or _reached.notice(project, TESTS[module], reached, nothing, 600):
        raise ToolError(f"{module}: its tests fail before anything is changed.")
    limit = 10 + _SLOWEST * (time.monotonic() - begun)
    file = project / module
    own = file.read_bytes()
    try:
        for each in left:
            if time.monotonic() > until:
                return
            file.write_text(each.text, encoding="utf-8")
            lines = range(each.line, each.last_line + 1)
            tried[each.name] = _reached.notice(project, TESTS[module], reached, lines, limit)
            print(f"{module} {each.name}: {'noticed' if tried[each.name] else 'SURVIVED'}")
            sys.stdout.flush()
    finally:
        file.write_bytes(own)


def render(state: State) -> str:
    """The scores and survivors as Markdown."""
    lines = [
        "# Mutants that the tests notice",
        "",
        "Made by `python bench/mutation.py` (`nox -s mutation`): a small change is made to a",
        f"module, and its tests are run. The aim is {_AIM} % or better. Tried are those that were",
        "drawn (`--sample`) or reached in the time given; the others are open.",
        "",
        "| module | mutants | tried | noticed | score |",
        "|---|---|---|---|---|",
    ]
    for module, kept in sorted(state.items()):
        mutants, tried, noticed = score(kept).values()
        share = f"{100 * noticed / tried:.0f} %" if tried else "-"
        lines.append(f"| {module} | {mutants} | {tried} | {noticed} | {share} |")
    counts = [list(kept["tried"].values()) for kept in state.values()]
    total, noticed = sum(map(len, counts)), sum(map(sum, counts))
    if total:
        lines.append(f"| all | | {total} | {noticed} | {100 * noticed / total:.0f} % |")
    lines += ["", "## Survivors", ""]
    for module, kept in sorted(state.items()):
        survivors = sorted(name for name, noticed in kept["tried"].items() if not noticed)
        lines += [f"- `{module}` {name}" for name in survivors]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
