"""Answers of artifacts that another checkout builds and that this one builds, byte for byte.

    python bench/same_answers.py CHECKOUT [--only NAME ...] [--work DIR] [--out bench/results]

Ten models of tests/models are built by both, booted by this checkout's emulator, and sent the same
events: HTTP in each of Lambda's forms, direct invokes, a queue's messages and a batch of Step
Functions, and of each what is refused. What a function sends to its destination is recorded and
compared too. Of an error that Lambda reports, `stackTrace` is left out: it names files and lines.
A model's result is kept in --work when it is there, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench._parts import sh  # noqa: E402 - the checkout is put on the path first
from handlers.manifest import Manifest  # noqa: E402
from packager.commands.local_boot import _fill_stand_in, read_sent  # noqa: E402
from packager.environments import interpreters  # noqa: E402
from packager.probes.aws_source_events import source_event  # noqa: E402
from packager.targets.lambda_emulator import Emulator, EventKind, http_event  # noqa: E402
from packager.types import Json  # noqa: E402
from tests import models  # noqa: E402

MODELS: Final = (
    "lightgbm_booster", "lightgbm_classifier", "onnx_columns", "pyfunc_code", "pyfunc_pickle",
    "sklearn_pickle", "sklearn_skops", "sklearn_tensor", "statsmodels_formula",
    "xgboost_classifier",
)  # fmt: skip
OPTIONS: Final = (
    "--engine", "native", "--rows", "20", "--event", "sqs", "--event", "stepfunctions",
    "--output-to", "sqs://answers",
)  # fmt: skip
_QUEUE: Final = "sqs:https://sqs.us-east-1.amazonaws.com/1/answers"
_CLIENTS: Final = ("aws_clients", "clients")
"""Names that the module of AWS's clients has had in handlers/."""
_JSON: Final = {"content-type": "application/json"}
_WRONG: Final[dict[str, bytes]] = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[]",
    "a column that is not the model's": b'{"dataframe_split": {"columns": ["no"], "data": [[1]]}}',
    "two forms": b'{"inputs": [1], "instances": [1]}',
    "rows of two lengths": b'{"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}',
    "text for a number": b'{"inputs": "text"}',
}


def list_events(example: bytes) -> Iterator[tuple[str, Json]]:
    """Name and event; `example` is a request that the model takes."""
    request = json.loads(example)
    for kind in get_args(EventKind):
        yield f"{kind}: example", http_event("POST", "/invocations", example, _JSON, kind)
        yield f"{kind}: no JSON", http_event("POST", "/invocations", b"{", _JSON, kind)
    for name, body in _WRONG.items():
        yield f"http-api: {name}", http_event("POST", "/invocations", body, _JSON)
    for path in ("/ping", "/health", "/version", "/other"):
        yield f"http-api: GET {path}", http_event("GET", path, b"", {})
    yield "http-api: GET /invocations", http_event("GET", "/invocations", b"", {})
    other = {"content-type": "text/xml"}
    yield "http-api: text/xml", http_event("POST", "/invocations", example, other)
    yield "direct: example", request
    for name, event in (("empty", {}), ("text", "text"), ("null", None)):
        yield f"direct: {name}", event
    for name, body in _WRONG.items():
        if body[:1] == b"{" and len(body) > 1:
            yield f"direct: {name}", json.loads(body)
            yield f"sqs: {name}", source_event("sqs", json.loads(body))
    yield "sqs: example", source_event("sqs", request)
    yield "stepfunctions: example", source_event("stepfunctions", request)
    yield "stepfunctions: wrong", source_event("stepfunctions", {"inputs": "text"})


def read_answer(body: bytes) -> bytes:
    """The answer, without what of an error names files and lines."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    if isinstance(answer, dict) and answer.pop("stackTrace", None) is not None:
        return json.dumps(answer).encode()
    return body


def ask(folder: Path, events: Mapping[str, Json]) -> tuple[dict[str, str], list[str]]:
    """What a function answers to each event, and what it sent to its destination."""
    clients = next(name for name in _CLIENTS if list((folder / "handlers").glob(f"{name}.*")))
    with tempfile.TemporaryDirectory() as scratch:
        stand_in = Path(scratch)
        _fill_stand_in(stand_in, stand_in / "none")
        with Emulator(
            folder,
            interpreter=interpreters.find(Manifest.read(folder).python),
            env={"PACKAGER_STAND_IN": f"handlers.{clients}", "PACKAGER_OUTPUT": _QUEUE},
            path_first=(stand_in,),
        ) as running:
            answers = {}
            for name, event in events.items():
                done = running.invoke(json.dumps(event).encode())
                answers[name] = f"{done.status} {read_answer(done.body).decode()}"
            sent = [json.dumps(each, sort_keys=True) for each in read_sent(running.log())]
    return answers, sent


def compare(name: str, checkout: Path, work: Path) -> dict[str, Json]:
    """Build a model by both, ask both, and keep no artifact."""
    model = models.folder(name)
    events = dict(list_events((model / "serving_input_example.json").read_bytes()))
    found = []
    for tree in (checkout, ROOT):
        out = work / name
        shutil.rmtree(out, ignore_errors=True)
        sh(sys.executable, "-m", "packager", "build", model, "-o", out, *OPTIONS, cwd=tree)
        found.append(ask(out / "function", events))
        shutil.rmtree(out)
    (before, sent_before), (now, sent_now) = found
    differing = {key: [before[key], now[key]] for key in events if before[key] != now[key]}
    same = len(events) - len(differing)
    return {
        "model": name,
        "events": len(events),
        "same": same,
        "sent": len(sent_now),
        "sent_same": sent_before == sent_now,
        "bytes": sum(len(answer.encode()) for answer in now.values()),
        "differing": differing,
    }


def write_report(results: list[dict[str, Json]], called: str, out: Path) -> str:
    lines = [
        f"Built by {called} and by this checkout",
        "",
        "| model | events | the same, byte for byte | bytes | sent to the queue | the same |",
        "|---|---|---|---|---|---|",
    ]
    for each in results:
        cells = ("model", "events", "same", "bytes", "sent")
        shown = [str(each[key]) for key in cells] + ["yes" if each["sent_same"] else "no"]
        lines.append(f"| {' | '.join(shown)} |")
    names = sorted({name for each in results for name in each["differing"]})
    lines += ["", *(f"- otherwise answered: {name}" for name in names)]
    text = "\n".join(lines).rstrip() + "\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "same_answers.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "same_answers.md").write_text(text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--called", default="another checkout", help="what the other checkout is")
    parser.add_argument("--only", nargs="*", default=MODELS, choices=MODELS)
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "same_answers")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        kept = options.work / f"{name}.json"
        if not kept.is_file():
            found = compare(name, options.checkout.resolve(), options.work.resolve())
            kept.write_text(json.dumps(found, indent=1) + "\n")
    done = [options.work / f"{name}.json" for name in MODELS]
    results = [json.loads(path.read_text()) for path in done if path.is_file()]
    print(write_report(results, options.called, options.out))


if __name__ == "__main__":
    main()
