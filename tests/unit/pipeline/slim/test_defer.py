"""Which imports are moved in a tree, and what speaks against deferring a module."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from packager.pipeline.slim import defer
from packager.pipeline.slim.import_deferral import Sinking
from packager.pipeline.slim.tracing import kept_deferral, side_effects, trace
from packager.system.file_tree import records
from packager.system.resources import WORKERS
from packager.types import Bundle, ImportedModule, Interpreter, Trace
from tests import fake_plan

WORKER = WORKERS / "deferred.py"
HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
THREAD = (
    "import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
)
EFFECTS = {
    "nothing": ("class x: pass", []),
    "a cache": ("import mimetypes; mimetypes.types_cache = 1", []),
    "another module's function": ("import json; json.dumps = len", ["json.dumps"]),
    "another module's table": (
        "import mimetypes; mimetypes.knownfiles.append('a')",
        ["mimetypes.knownfiles"],
    ),
    "a class elsewhere": ("import entry; entry.Here.kept = 2", ["entry:Here.kept"]),
    "an attribute that was not there": ("import entry; entry.fresh = 2", ["entry.fresh"]),
    "sys.path": ("import sys; sys.path.append('/nowhere')", ["sys.path"]),
    "the environment": ("import os; os.environ['MADE_UP'] = '1'", ["environment"]),
    "a signal": ("import signal as s; s.signal(s.SIGUSR1, s.SIG_IGN)", ["signals"]),
    "a thread": (THREAD, ["threading._active", "threads"]),
    "the log": ("import logging; logging.basicConfig()", ["log handlers"]),
    "a filter for a warning of its own": (
        "import warnings\nclass x(UserWarning): pass\nwarnings.simplefilter('ignore', x)",
        [],
    ),
    "a filter for all warnings": (
        "import warnings; warnings.simplefilter('ignore')",
        ["warnings.filters"],
    ),
    "how its own type is pickled": (
        "import copyreg\nclass x: pass\ncopyreg.pickle(x, id)",
        [],
    ),
    "how another's is": (
        "import copyreg; copyreg.pickle(type(len), id)",
        ["copyreg.dispatch_table"],
    ),
}


def loaded(folder: Path, *lates: str) -> list[list[dict[str, Any]]]:
    """What deferred.py says of modules `late0`, `late1`, ... each asked for by `entry.x0`, ..."""
    lines = ["import json, logging, mimetypes, signal, threading, warnings, copyreg, os, time"]
    lines += ["class Here:\n    kept = 1\n", "def __getattr__(name):"]
    for number, text in enumerate(lates):
        (folder / f"late{number}.py").write_text(text)
        lines.append(
            f"    if name == 'x{number}':\n        from late{number} import x\n"
            f"        globals()[name] = x\n        return x"
        )
    lines.append("    raise AttributeError(name)\n")
    (folder / "entry.py").write_text("\n".join(lines))
    asked, answered = folder / "asked.json", folder / "answered.json"
    asked.write_text(json.dumps([[["entry", f"x{number}"]] for number in range(len(lates))]))
    subprocess.run(
        [sys.executable, "-s", "-B", WORKER, folder, "entry.handler", asked, answered],
        env={"PYTHONPATH": str(folder)},
        check=True,
    )
    found: list[list[dict[str, Any]]] = json.loads(answered.read_text())
    return found


@pytest.mark.few(5)
@pytest.mark.parametrize("name", EFFECTS)
def test_what_a_module_does_beside_being_loaded(name: str, tmp_path: Path) -> None:
    text, expected = EFFECTS[name]
    forward, backward = loaded(tmp_path, f"x = 1\n{text}\n")
    assert forward == backward
    found = [each for each in forward[0]["effects"] if not side_effects._CACHES.fullmatch(each)]
    assert set(expected) <= set(found)
    assert bool(found) is bool(expected)


def test_one_that_needs_another_first_fails_in_one_order(tmp_path: Path) -> None:
    first = "import json\nx = 1\njson.marked = True\n"
    second = "import json\nx = json.marked\n"
    forward, backward = loaded(tmp_path, first, second)
    assert [list(each) for each in forward] == [["names", "effects"], ["names", "effects"]]
    assert backward[1] == {"error": "AttributeError: module 'json' has no attribute 'marked'"}


def test_names_are_told_apart(tmp_path: Path) -> None:
    texts = (
        "class x: pass",
        "import json as x",
        "x = 1.5",
        "def x(): pass",
        "from json import dumps as x",
    )
    (answers, _) = loaded(tmp_path, *texts)
    assert [each["names"] for each in answers] == [
        ["builtins.type late0 x"], ["module json"], ["1.5"], ["builtins.function late3 x"],
        ["builtins.function json dumps"],
    ]  # fmt: skip


TREE = {
    "pkg/__init__.py": "from .shapes import shapes, Square\nfrom . import heavy\n"
    "import pkg.deep.inner\ndef f(): return pkg.deep.inner\n",
    "pkg/shapes.py": "import numpy\nfrom .gone import nothing\ndef f(): return numpy, nothing\n",
    "pkg/heavy.py": "from .public import *\nimport xml.dom\nfrom .public import own\n"
    "def f(): return xml.dom\n",
    "pkg/public.py": "import json\nfrom .heavy import Thing\ndef own(): return json\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/inner.py": "import xml\ndef f(): return xml.dom\n",
}


def movable(tmp_path: Path, *keep: str) -> set[tuple[str, str]]:
    plan = fake_plan.plan(interpreter=HERE)
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    files = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): PurePosixPath(name)
        for name in TREE
    }
    trace = fake_plan.trace(
        init=(*files, "numpy", "json", "xml", "xml.dom"),
        files=files,
    )
    bundle = Bundle(root=tmp_path, files=tuple(records(tmp_path)), trace=trace)
    return set(Sinking(bundle, replace(plan, keep=keep), trace).movable())


def test_what_other_modules_do_to_one_counts(tmp_path: Path) -> None:
    assert movable(tmp_path) == {
        # `shapes` of pkg.shapes would be hidden by the submodule of that name
        ("pkg", "Square"),
        ("pkg", "heavy"),
        ("pkg", "pkg"),
        ("pkg", "pkg.deep.inner"),
        # `nothing` comes from a module that was not there any more when the function had started
        ("pkg.shapes", "numpy"),
        # of pkg.public all names are taken, so that its own must be there;
        # xml.dom is taken by pkg.deep.inner from xml, which is not in the tree and serves nothing
        ("pkg.heavy", "own"),
        ("pkg.deep.inner", "xml"),
    }


def test_keep_rules_name_what_is_moved_and_where_from(tmp_path: Path) -> None:
    assert movable(tmp_path, "pkg/heavy.py") & {("pkg", "heavy"), ("pkg.heavy", "own")} == set()
    assert movable(tmp_path, "pkg") == set()


def test_without_a_trace_nothing_is_deferred(tmp_path: Path) -> None:
    plan = fake_plan.plan()
    root = fake_plan.tree(tmp_path, plan)
    before = Bundle(root=root, files=tuple(records(root)), untraced="the model has no probes")
    after = defer.PASS.apply(before, plan)
    assert after.files == before.files
    assert after.ledger[-1].proof == "nothing deferred: the model has no probes"


@pytest.mark.parametrize("emulated", [False, True])
def test_the_imports_of_a_start_are_told_before_and_after_where_they_were_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, emulated: bool
) -> None:
    def make_trace(cpu_ms: float) -> Trace:
        times = {} if emulated else {"numpy": cpu_ms}
        return fake_plan.trace(importers={"numpy": ""}, own_cpu_ms=times)

    plan = fake_plan.plan()
    root = fake_plan.tree(tmp_path, plan)
    monkeypatch.setattr(trace, "record", lambda *_: make_trace(9.0))
    settled = SimpleNamespace(
        settle_again=lambda _: make_trace(3.0),
        deferral=None,
        proof=lambda _: "",
        list_reverted=tuple,
        sum_spared=lambda _: None if emulated else 6.0,
    )
    monkeypatch.setattr(defer, "Attempt", lambda *_: settled)
    for name in ("make_key", "recall_deferral", "keep_deferral"):
        monkeypatch.setattr(kept_deferral, name, lambda *_: None)

    seen = trace.PASS.apply(Bundle(root=root, files=tuple(records(root))), plan)
    deferred = defer.PASS.apply(seen, plan)

    assert deferred.ledger[-1].cpu_ms_saved == (None if emulated else 6.0)
    if emulated:
        assert (seen.imports, deferred.imports) == ({}, {})
        return
    assert seen.imports == {"after": (ImportedModule("numpy", 0, 9.0),)}
    assert deferred.imports == {
        "before": (ImportedModule("numpy", 0, 9.0),),
        "after": (ImportedModule("numpy", 0, 3.0),),
    }


def test_sources_are_read_once_for_all_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    first = movable(tmp_path / "one")
    asked: list[str] = []
    sink = Sinking._sink

    def count(self: Sinking, command: str, modules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        asked.append(command)
        return sink(self, command, modules)

    monkeypatch.setattr(Sinking, "_sink", count)
    assert movable(tmp_path / "two") == first
    assert not asked
    monkeypatch.setitem(TREE, "pkg/heavy.py", "import json\n")
    assert movable(tmp_path / "three") != first
    assert asked == ["survey"]


@pytest.mark.parametrize("emulated", [False, True])
def test_what_is_spared_is_told_in_ms_where_it_was_timed(tmp_path: Path, *, emulated: bool) -> None:
    times = {} if emulated else {"numpy": 7.0, "scipy": 5.0}
    before = fake_plan.trace(init=("numpy", "scipy"), own_cpu_ms=times)
    plan = fake_plan.plan()
    root = fake_plan.tree(tmp_path, plan)
    attempt = defer.Attempt(Bundle(root=root, files=tuple(records(root))), plan, before)
    after = fake_plan.trace(init=("numpy",), own_cpu_ms={} if emulated else {"numpy": 7.0})

    said = attempt.proof(after)
    assert said.startswith(
        "1 modules are loaded when first used; 0 imports moved"
        if emulated
        else "1 modules are loaded when first used, 5 ms of CPU here (scipy 5); 0 imports moved"
    )
    assert attempt.sum_spared(after) == (None if emulated else 5.0)
