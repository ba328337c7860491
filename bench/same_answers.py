"""Answers of functions of another checkout and of this one, byte for byte.

    python bench/same_answers.py CHECKOUT [--build] [--only NAME ...] [--work DIR] [--out FOLDER]

Both checkouts lay out ten models of tests/models as functions: the model, the manifest and
handlers/ as each has them, with this environment's packages. --build has both build artifacts
instead, which this checkout's emulator boots; it takes minutes a model. Each function gets the same
events: HTTP in each of Lambda's forms, direct invokes, a queue's messages and a batch of Step
Functions, and of each what is refused. What a function sends to its destination is recorded and
compared too. Of an error that Lambda reports, `stackTrace` (files and lines) and `requestId` (drawn
by the runtime) are left out.
Results, and artifacts while they are needed, are kept in --work, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, get_args

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
from tests.handlers.invoking import run  # noqa: E402

Answers: TypeAlias = dict[str, str]
"""By the event's name; the last is what was sent to the destination."""

MODELS: Final = {
    "lightgbm_booster": "numpy",
    "lightgbm_classifier": "pandas",
    "onnx_columns": "numpy",
    "onnx_tensor": "numpy",
    "pyfunc_loader": "pandas",
    "sklearn_skops": "pandas",
    "sklearn_tensor": "numpy",
    "statsmodels_formula": "pandas",
    "xgboost_booster": "pandas",
    "xgboost_classifier": "pandas",
}
"""And the frame in which a laid-out function hands each its rows."""
OPTIONS: Final = (
    "--engine", "native", "--rows", "20", "--no-trace", "--event", "sqs", "--event",
    "stepfunctions", "--output-to", "sqs://answers",
)  # fmt: skip
SENT: Final = "sent to the queue"
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
_LAY_OUT: Final = """
import json, sys
from pathlib import Path
from packager.types import Frame, Tier
from tests import models
from tests.handlers.modelling import laid_out, with_handlers
folder = Path(sys.argv[2])
folder.mkdir(parents=True)
laid_out(models.folder(sys.argv[1]), folder, Tier.NATIVE, Frame(sys.argv[3]))
file = folder / "model-manifest.json"
told = json.loads(file.read_text()) | {"events": ["sqs", "stepfunctions"]}
file.write_text(json.dumps(told))
with_handlers(folder)
"""


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


def read_answer(body: bytes) -> str:
    """The answer; of an error neither the place in the code nor the runtime's id of the request."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body.decode()
    if isinstance(answer, dict) and answer.pop("stackTrace", None) is not None:
        answer.pop("requestId", None)
        return json.dumps(answer)
    return body.decode()


def make_variables(folder: Path, stand_in: Path) -> dict[str, str]:
    """Fill the stand-in for AWS and return the variables that have a function use it."""
    stand_in.mkdir(exist_ok=True)
    _fill_stand_in(stand_in, stand_in / "none")
    clients = next(name for name in _CLIENTS if list((folder / "handlers").glob(f"{name}.*")))
    return {"PACKAGER_STAND_IN": f"handlers.{clients}", "PACKAGER_OUTPUT": _QUEUE}


def ask_laid_out(folder: Path, events: Mapping[str, Json], work: Path) -> Answers:
    """Send events to a laid-out function, in a process of its own with this environment."""
    variables = make_variables(folder, work / "stand-in")
    path = f"{work / 'stand-in'}:{folder}"
    done = run(folder, list(events.values()), work, PYTHONPATH=path, **variables)
    answers = {
        name: json.dumps(each.get("answer", each.get("error")))
        for name, each in zip(events, done.results, strict=True)
    }
    return answers | {SENT: json.dumps(read_sent(done.stdout))}


def ask_artifact(folder: Path, events: Mapping[str, Json], work: Path) -> Answers:
    """Boot a built function as Lambda does, and send it events."""
    with Emulator(
        folder,
        interpreter=interpreters.find(Manifest.read(folder).python),
        env=make_variables(folder, work / "stand-in"),
        path_first=(work / "stand-in",),
    ) as running:
        answers = {}
        for name, event in events.items():
            done = running.invoke(json.dumps(event).encode())
            answers[name] = f"{done.status} {read_answer(done.body)}"
        return answers | {SENT: json.dumps(read_sent(running.log()))}


def make_function(name: str, tree: Path, out: Path, *, build: bool) -> Path:
    """The function's folder, as the code of `tree` makes it; one of an earlier run is taken."""
    if not build:
        sh(sys.executable, "-c", _LAY_OUT, name, out, MODELS[name], cwd=tree)
        return out
    if not (out / "function").is_dir():
        model = models.folder(name)
        sh(sys.executable, "-m", "packager", "build", model, "-o", out, *OPTIONS, cwd=tree)
    return out / "function"


def read_commit() -> str:
    argv = ("git", "rev-parse", "--short", "HEAD")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def compare(name: str, trees: Sequence[Path], work: Path, *, build: bool) -> dict[str, Json]:
    """Have a model's function made by both, ask both, and keep neither."""
    events = dict(list_events((models.folder(name) / "serving_input_example.json").read_bytes()))
    ask = ask_artifact if build else ask_laid_out
    found = []
    for number, tree in enumerate(trees):
        out = work / f"{name}-{number}"
        if not build:
            shutil.rmtree(out, ignore_errors=True)
        function = make_function(name, tree, out, build=build)
        with tempfile.TemporaryDirectory() as scratch:
            found.append(ask(function, events, Path(scratch)))
    for number in range(len(trees)):
        shutil.rmtree(work / f"{name}-{number}")
    before, now = found
    differing = {key: [before[key], now[key]] for key in now if before[key] != now[key]}
    return {
        "model": name,
        "built": build,
        "commit": read_commit(),
        "compared": len(now),
        "same": len(now) - len(differing),
        "answered": sum('"predictions' in answer for answer in now.values()),
        "bytes": sum(len(answer.encode()) for answer in now.values()),
        "differing": differing,
    }


def write_report(results: Sequence[Mapping[str, Json]], called: str, out: Path) -> str:
    lines = [
        f"Functions of {called} and of a later commit, sent the same events",
        "",
        "| model | made | commit | compared | the same, byte for byte | predictions | bytes |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in results:
        made = "built" if each["built"] else "laid out"
        figures = (each[key] for key in ("compared", "same", "answered", "bytes"))
        words = f"{each['model']} | {made} | {each['commit']}"
        lines.append(f"| {words} | {' | '.join(f'{n:,}' for n in figures)} |")
    names = sorted({name for each in results for name in each["differing"]})
    lines += ["", *(f"- Answered otherwise: {name}" for name in names)]
    text = "\n".join(lines).rstrip() + "\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "same_answers.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "same_answers.md").write_text(text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--called", default="another checkout", help="what the other checkout is")
    parser.add_argument("--build", action="store_true", help="build artifacts and boot them")
    parser.add_argument("--only", nargs="*", default=[*MODELS], choices=[*MODELS])
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "same_answers")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    trees = (options.checkout.resolve(), ROOT)
    for name in options.only:
        kept = work / f"{name}{'-built' if options.build else ''}.json"
        if not kept.is_file():
            found = compare(name, trees, work, build=options.build)
            kept.write_text(json.dumps(found, indent=1) + "\n")
    results = [json.loads(path.read_text()) for path in sorted(work.glob("*.json"))]
    print(write_report(results, options.called, options.out))


if __name__ == "__main__":
    main()
