"""What a function needs is foreseen from what its imports and its answers use."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from handlers.events import aws_sources
from packager.pipeline.slim.import_deferral import Sinking
from packager.pipeline.slim.tracing import reachable_modules, trace_requests
from packager.system.file_tree import records
from packager.system.resources import WORKERS
from packager.types import Bundle, Interpreter, SavedExample, change_request
from tests import fake_plan

WATCH = WORKERS / "watch.py"
HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
ENTRY = """\
import pkg
from pkg import answering, idle, late
from pkg.shared import borrowed
from pkg.chain import last

def idly():
    return idle

def lately():
    return late

def start():
    return borrowed()

start()

def handler(event, context):
    lately()
    return [answering.NAME, last()]
"""
TREE = {
    "entry.py": ENTRY,
    "pkg/__init__.py": "",
    "pkg/idle.py": "import pkg.below_idle\ndef f(): return pkg.below_idle\n",
    "pkg/below_idle.py": "import pkg.shared\npkg.shared.borrowed()\n",
    "pkg/late.py": "",
    "pkg/answering.py": "NAME = 'answered'\n",
    "pkg/shared.py": "import pkg.worker, pkg.other\n"
    "def borrowed(): return pkg.worker.f()\n"
    "def unasked(): return pkg.other.f()\n",
    "pkg/worker.py": "def f(): return 1\n",
    "pkg/other.py": "def f(): return 2\n",
    "pkg/chain.py": "from pkg.link import last\ndef f(): return last\n",
    "pkg/link.py": "from pkg.end import last\ndef f(): return last\n",
    "pkg/end.py": "def last(): return 3\n",
}


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[reachable_modules.Uses, frozenset[str], list[str]]:
    """What uses what, what of it is needed, and the answers."""
    folder = tmp_path_factory.mktemp("watched")
    root = folder / "function"
    for name, text in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    files = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): PurePosixPath(name)
        for name in TREE
    }
    before = fake_plan.trace(
        init=tuple(files),
        files=files,
    )
    bundle = Bundle(root=root, files=tuple(records(root)), trace=before)
    sinking = Sinking(bundle, fake_plan.plan(interpreter=HERE), before)
    movable = sinking.movable()
    sinking.watch(movable)
    questions, answers, uses = (folder / name for name in ("asked", "answered", "uses"))
    questions.write_text(json.dumps([{"event": {}, "refused": False}]))
    subprocess.run(
        [sys.executable, "-s", "-B", WATCH, root, "entry.handler", questions, answers, uses],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        check=True,
    )
    found = {
        name: [(module, used) for module, used in each]
        for name, each in json.loads(uses.read_text()).items()
    }
    needed = reachable_modules.find_needed(found, sinking, movable, before.modules)
    return found, needed, json.loads(answers.read_text())["answers"]


def test_what_is_used_is_needed_and_what_only_that_uses(
    watched: tuple[reachable_modules.Uses, frozenset[str], list[str]],
) -> None:
    _, needed, _ = watched
    assert needed == {
        "entry",
        "pkg",
        # by the start, and by what it calls there
        *("pkg.shared", "pkg.worker"),
        # by an answer; what is handed on is needed from the first hand to the last
        *("pkg.answering", "pkg.late", "pkg.chain", "pkg.link", "pkg.end"),
    }


def test_a_watched_function_answers_as_ever(
    watched: tuple[reachable_modules.Uses, frozenset[str], list[str]],
) -> None:
    _, _, answers = watched
    assert answers == [json.dumps(["answered", 3])]


def test_a_use_is_laid_to_the_import_that_made_it(
    watched: tuple[reachable_modules.Uses, frozenset[str], list[str]],
) -> None:
    uses, _, _ = watched
    assert ("pkg.shared", "borrowed") in uses["pkg.below_idle"]
    assert ("entry", "borrowed") in uses["entry"]
    assert ("entry", "answering") in uses[""]
    assert not any(name == "idle" for used in uses.values() for _, name in used)


@pytest.mark.parametrize("name", aws_sources.SOURCES)
def test_each_source_that_a_function_has_asks_it(name: str) -> None:
    model = fake_plan.model(
        example=SavedExample(
            body=b'{"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}',
            content_type="application/json",
            source="serving_input_example.json",
        )
    )
    plan = fake_plan.plan(model=model)
    asks = replace(plan, request=change_request(plan.request, events=(name,)))
    (source,) = aws_sources.load((name,))
    claimed = [each for each in trace_requests.events(asks) if source.claims_event(each["event"])]
    assert {each["refused"] for each in claimed} == {False, True}
    assert not any(source.claims_event(each["event"]) for each in trace_requests.events(plan))


def test_no_service_is_reached_where_answers_are_delivered() -> None:
    plan = fake_plan.plan()
    assert trace_requests.environment(plan) == {}
    request = change_request(plan.request, events=("sqs",), output_to="sqs://answers", once=True)
    variables = trace_requests.environment(replace(plan, request=request))
    assert variables["PACKAGER_OUTPUT"].startswith("sqs:http://127.0.0.1:")
    assert variables["PACKAGER_ONCE_TABLE"] == "answered"
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
