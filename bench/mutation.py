"""Whether the tests notice when the code is changed: `nox -s mutation`.

    python bench/mutation.py [--sample N] [--seed S] [--minutes M] [--file-minutes M] [--resume]
        [--json] [MODULE ...]

Each module's mutants (bench/_mutants.py) are tried one by one in a copy of the project, against the
tests named for it here: a mutant that no test fails on survives. One process collects the tests
(bench/_test_server.py); each mutant is put into a fork of it (bench/_patch.py), where those tests
come first that reach the changed line (bench/_reached.py). With --resume what was tried is kept by
the digest of the module and of its tests, so that a run goes on where one was stopped. What changes
nothing that could be seen is in bench/_equivalent.py. results/mutation.md has scores and survivors.
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

from bench._equivalent import EQUIVALENT
from bench._mutants import Mutant, make_mutants
from bench._mutated import TESTS
from bench._test_server import TestServer, serve

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"
_STATE: Final = RESULTS / "mutation.json"
_COPIED: Final = ("packager", "handlers", "tests", "templates", "infra", "pyproject.toml")
_AIM: Final = 85

State = dict[str, dict[str, Any]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Try mutants of modules against their tests.")
    parser.add_argument("modules", nargs="*", choices=[*TESTS, []], help="all of them by default")
    parser.add_argument("--sample", type=int, help="mutants of each module, drawn by the seed")
    parser.add_argument("--minutes", type=float, default=120.0, help="no mutant is begun later")
    parser.add_argument("--file-minutes", type=float, default=60.0, help="the same, of a module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="add to the results that are there")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON at the end")
    given = parser.parse_args(argv)
    modules: list[str] = given.modules or [*TESTS]
    state = _read_state(resume=given.resume)
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        project = _copy_project(Path(name))
        tests = sorted({test for module in modules for test in TESTS[module]})
        serve(project, modules, tests, lambda server: _measure(server, modules, given, state))
    state = _read_state(resume=True)
    if given.json:
        print(json.dumps({module: score(kept) for module, kept in state.items()}, indent=1))
    return 0


def _read_state(*, resume: bool) -> State:
    if not resume or not _STATE.is_file():
        return {}
    state: State = json.loads(_STATE.read_text(encoding="utf-8"))
    return state


def _measure(
    server: TestServer, modules: Iterable[str], given: argparse.Namespace, state: State
) -> None:
    """Try the mutants of each module and write what came of it, a module at a time."""
    server.trace()
    until = time.monotonic() + given.minutes * 60
    for test in server.list_failures():
        print(f"left out, as it fails before anything is changed: {test}")
    for module in modules:
        mutants = list_mutants(module)
        kept = state.get(module, {})
        if kept.get("digest") != (digest := _digest(module)):
            kept = {"digest": digest, "tried": {}}
        kept["tried"] = drop_equivalent(kept["tried"], mutants)
        state[module] = {**kept, "mutants": len(mutants), "drawn": [given.sample, given.seed]}
        chosen = _choose(mutants, given.sample, given.seed)
        last = min(until, time.monotonic() + given.file_minutes * 60)
        _try_all(server, module, chosen, state[module], last)
        _STATE.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        (RESULTS / "mutation.md").write_text(render(state), encoding="utf-8")


def list_mutants(module: str) -> list[Mutant]:
    """Those of a module that a test can see."""
    mutants = make_mutants((ROOT / module).read_text(encoding="utf-8"))
    known = EQUIVALENT.get(module, {})
    return [each for each in mutants if f"{each.source} | {each.what}" not in known]


def drop_equivalent(tried: Mapping[str, bool], mutants: Sequence[Mutant]) -> dict[str, bool]:
    """Leave out what was tried before it was noted as equivalent."""
    names = {each.name for each in mutants}
    return {name: noticed for name, noticed in tried.items() if name in names}


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
    server: TestServer, module: str, mutants: Iterable[Mutant], kept: dict[str, Any], until: float
) -> None:
    """Fill `kept["tried"]`: name -> whether it was noticed."""
    tried: dict[str, bool] = kept["tried"]
    left = [each for each in mutants if each.name not in tried]
    for each in left:
        if time.monotonic() > until:
            return
        begun = time.monotonic()
        tried[each.name] = server.notice(module, each, TESTS[module])
        verdict = "noticed" if tried[each.name] else "SURVIVED"
        print(f"{module} {each.name}: {verdict} ({time.monotonic() - begun:.1f} s)")
        sys.stdout.flush()


def _describe_draw(sample: int | None, seed: int) -> str:
    return "all" if sample is None else f"up to {sample} of each module, drawn by seed {seed}"


def render(state: State) -> str:
    """The scores and survivors as Markdown."""
    drawn = sorted({_describe_draw(*kept.get("drawn", (None, 0))) for kept in state.values()})
    left_out = sum(len(EQUIVALENT.get(module, ())) for module in state)
    lines = [
        "# Mutants that the tests notice",
        "",
        "Made by `python bench/mutation.py` (`nox -s mutation`): a small change is made to a",
        f"module, and its tests are run. The aim is {_AIM} % or better. Tried were, in the",
        f"time given: {'; '.join(drawn)}. The others are open.",
        f"Left out are {left_out} kinds of change that were read and make no difference that tests",
        "could see: bench/_equivalent.py lists them with the reason.",
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
        mutants = sum(kept["mutants"] for kept in state.values())
        lines.append(f"| all | {mutants} | {total} | {noticed} | {100 * noticed / total:.0f} % |")
    lines += ["", "## Survivors", ""]
    for module, kept in sorted(state.items()):
        survivors = sorted(name for name, noticed in kept["tried"].items() if not noticed)
        lines += [f"- `{module}` {name}" for name in survivors]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
