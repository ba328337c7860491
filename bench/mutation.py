"""Whether the tests notice when the code is changed: `nox -s mutation`.

    python bench/mutation.py [--sample N] [--minutes M] [--seed S] [MODULE ...]

Each module's mutants (bench/_mutants.py) are tried one by one in a copy of the project, against the
tests named for it here: a mutant that no test fails on survives. What was tried is kept by the
digest of the module and of its tests, so that a run goes on where one was stopped; a module that
changed is tried anew. results/mutation.md has the scores and every survivor.
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

from bench._mutants import Mutant, make_mutants
from packager import _process
from packager.errors import ToolError

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"
_COPIED: Final = ("packager", "handlers", "tests", "templates", "infra", "pyproject.toml")
_AIM: Final = 85
_SLOWEST: Final = 4.0
"""Times what the tests take unchanged: a mutant that runs longer loops, and is noticed."""

_SCORING: Final = ("tests/handlers/test_scoring.py", "tests/property/test_scoring_properties.py")
_GROWING: Final = ("tests/handlers/test_scoring.py", "tests/unit/test_scoring_growth.py")
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "handlers/scoring.py": _SCORING,
    "handlers/casting.py": _SCORING,
    "handlers/enforcement.py": _SCORING,
    "handlers/tables.py": _GROWING,
    "handlers/delimited.py": _GROWING,
    "handlers/inbox.py": ("tests/handlers/test_events.py", "tests/handlers/test_broken_records.py"),
    "handlers/once.py": ("tests/handlers/test_events.py",),
    "handlers/store.py": ("tests/unit/test_store.py", "tests/property/test_store.py"),
    "handlers/cold.py": ("tests/unit/test_store.py", "tests/property/test_store.py"),
    "handlers/loaders/_threads.py": ("tests/handlers/test_threads.py",),
    "packager/comparison.py": ("tests/unit/test_comparison.py", "tests/unit/test_replay.py"),
    "packager/spread.py": ("tests/unit/test_spread.py",),
    "packager/verify/__init__.py": ("tests/unit/test_verify.py",),
    "packager/verify/ask.py": ("tests/unit/test_verify_ask.py", "tests/unit/test_verify.py"),
    "packager/verify/replay.py": ("tests/unit/test_replay.py",),
    "packager/verify/oracle.py": ("tests/unit/test_verify_oracle.py",),
    "packager/verify/budget.py": ("tests/unit/test_budget.py", "tests/unit/test_verify.py"),
    "packager/verify/shadowing.py": ("tests/unit/test_shadowing.py", "tests/unit/test_verify.py"),
    "packager/emit/_sizing.py": ("tests/unit/test_emit_sizing.py",),
    "packager/_output.py": ("tests/unit/test_output.py",),
    "packager/registry.py": ("tests/unit/test_registry.py",),
}  # fmt: skip
"""The tests that are to notice, by module: of its own name, and of what it is asked through."""

State = dict[str, dict[str, Any]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Try mutants of modules against their tests.")
    parser.add_argument("modules", nargs="*", choices=[*TESTS, []], help="all of them by default")
    parser.add_argument("--sample", type=int, help="mutants of each module, drawn by the seed")
    parser.add_argument("--minutes", type=float, default=120.0, help="no mutant is begun later")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    path = RESULTS / "mutation.json"
    state: State = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    until = time.monotonic() + given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        project = _copy_project(Path(name))
        for module in given.modules or TESTS:
            mutants = list(make_mutants((ROOT / module).read_text(encoding="utf-8")))
            kept = state.get(module, {})
            if kept.get("digest") != (digest := _digest(module)):
                kept = {"digest": digest, "tried": {}}
            state[module] = {**kept, "mutants": len(mutants)}
            chosen = _choose(mutants, given.sample, given.seed)
            _try_all(project, module, chosen, state[module], until)
            path.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            (RESULTS / "mutation.md").write_text(render(state), encoding="utf-8")
    return 0


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
    if not _pass(project, TESTS[module], 600):
        raise ToolError(f"{module}: its tests fail before anything is changed.")
    limit = 10 + _SLOWEST * (time.monotonic() - begun)
    file = project / module
    own = file.read_bytes()
    try:
        for each in left:
            if time.monotonic() > until:
                return
            file.write_text(each.text, encoding="utf-8")
            tried[each.name] = not _pass(project, TESTS[module], limit)
            print(f"{module} {each.name}: {'noticed' if tried[each.name] else 'SURVIVED'}")
    finally:
        file.write_bytes(own)


def _pass(project: Path, tests: Sequence[str], seconds: float) -> bool:
    try:
        done = _process.run(
            [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-n", "0", "-m", "not slow",
             "-p", "no:cacheprovider", "-p", "no:schemathesis", *tests],
            cwd=project,
            env={**_process.basic_environment(), "PYTHONPATH": str(project)},
            timeout_seconds=seconds,
            check=False,
        )  # fmt: skip
    except ToolError:
        return False  # it never ends
    return done.returncode == 0


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
        tried = kept["tried"]
        noticed = sum(tried.values())
        score = f"{100 * noticed / len(tried):.0f} %" if tried else "-"
        lines.append(f"| {module} | {kept['mutants']} | {len(tried)} | {noticed} | {score} |")
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
