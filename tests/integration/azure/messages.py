"""Messages through a real queue to a built app, with random failures, and what became of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handlers.events import azure_triggers
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.targets.hosts import Boot, Call
from packager.targets.hosts.functions_worker import WorkerHost
from packager.types import BuildReport, Engine, make_request
from tests import models
from tests.integration.azure.azurite import Storage
from tests.integration.azure.listener import SETTINGS, Faults, Listener, taken

POISON = (" ", "{", '{"nothing": "that is a column"}', '{"dataframe_split": {"columns": []}}')


@dataclass(frozen=True, kw_only=True)
class Came:
    """Counts of messages, and of what happened to them."""

    sent: int
    bad: int
    """Of those sent, such as can never be answered."""
    answered: int
    wrong: int
    """Answers that are not those of an HTTP request."""
    twice: int
    """Answered more than once, under the same id."""
    poison_bad: int
    poison_good: int
    """Failed by chance as often as the host tries."""
    lost: int
    invocations: int
    worker_starts: int
    faults: dict[str, int]


def built(
    out: Path,
    minor: str,
    *,
    model: str = "onnx_columns",
    events: Sequence[str] = (*azure_triggers.TRIGGERS, azure_triggers.BATCHES),
    opentelemetry: bool = False,
) -> BuildReport:
    """A small model behind these doors; answers go into a queue."""
    request = make_request(
        model_uri=str(models.folder(model)),
        out_dir=out,
        target="azure-functions",
        engine=Engine.NATIVE,
        python_minor=minor,
        events=tuple(events),
        output_to="queue://answers",
        opentelemetry=opentelemetry,
    )
    return build(request, MlflowRegistry(None, None))


def through_a_queue(boot: Boot, storage: Storage, count: int, faults: Faults) -> Came:
    """`count` messages, every tenth one that can never be answered."""
    row = _row(boot.folder)
    requests = storage.queue(SETTINGS["PACKAGER_QUEUE"])
    expected: dict[str, str | None] = {}
    bodies: dict[str, str] = {}
    column = next(iter(row))
    with WorkerHost(boot) as direct:
        for number in range(count):
            if number % 10 == 3:
                body, answer = POISON[number // 10 % len(POISON)], None
            else:
                body = json.dumps({**row, column: number / 7})
                asked = direct.ask(Call(body=_split(body), content_type="application/json"))
                answer = json.dumps(asked.body["predictions"])
            name = str(requests.send_message(body).id)
            expected[name], bodies[name] = answer, body
    with Listener(boot, storage, faults) as listener:
        listener.drain_queue()
    answers: dict[str, list[str]] = {}
    for text in taken(storage, SETTINGS["PACKAGER_OUTPUT"]):
        answer = json.loads(text)
        answers.setdefault(answer["id"], []).append(json.dumps(answer["predictions"]))
    poison = Counter(taken(storage, f"{SETTINGS['PACKAGER_QUEUE']}-poison"))
    bad = sum(value is None for value in expected.values())
    poison_bad = sum(n for text, n in poison.items() if text in POISON)
    good = [name for name, answer in expected.items() if answer is not None]
    lost = [name for name in good if name not in answers and bodies[name] not in poison]
    return Came(
        sent=count,
        bad=bad,
        answered=len(answers),
        wrong=sum(any(each != expected[name] for each in given) for name, given in answers.items()),
        twice=sum(len(given) > 1 for given in answers.values()),
        poison_bad=poison_bad,
        poison_good=poison.total() - poison_bad,
        lost=len(lost) + bad - poison_bad,
        invocations=listener.invocations,
        worker_starts=listener.starts,
        faults=dict(faults.seen),
    )


def _row(folder: Path) -> dict[str, float]:
    """The saved example's first row."""
    (path,) = folder.rglob("model/serving_input_example.json")
    split = json.loads(path.read_text())["dataframe_split"]
    return dict(zip(split["columns"], split["data"][0], strict=True))


def _split(body: str) -> bytes:
    row = json.loads(body)
    return json.dumps({"dataframe_split": {"columns": [*row], "data": [[*row.values()]]}}).encode()
