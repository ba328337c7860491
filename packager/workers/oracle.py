"""Answer requests as MLflow's own server does, without its HTTP.

    python oracle.py MODEL PROBES ANSWERS [--first] [--rest FILE] [--threads N] [--one-thread]
        [--seconds N]

MODEL is its folder.

Run in an environment made from the model's own requirements; nothing beside the standard library
and mlflow is imported. PROBES has a JSON object a line: `body` (base64), `content_type`. ANSWERS
gets a line about the run, then one for each probe: `status`, `body` (text), `raised` (the class of
the exception behind a refusal), `trace` where the system refused it something, and `again` where
the model does not answer twice the same: what it answered when it was asked more often. With
--rest the run waits, once PROBES are answered, for a FILE of more of them, which appears whole: an
empty one ends it. With --first the run ends with the first answer: what a start costs. With
--threads onnxruntime sums on as many, where the model does not say on how many, instead of on all
that the machine has; with --one-thread everything that can be held to one thread is.

ANSWERS with `.at` after it says what the run is at: `load`, a request's number, `rest` while it
waits, `done`. Each has a
limited time, a request the seconds given; after it the fault handler says where it hangs, and the
run ends.

The rules of the answer are those of mlflow.pyfunc.scoring_server in MLflow 2 and 3: an
MlflowException has its own status, anything else that escapes is a plain 500. Data that a signature
refuses is a 400 whatever the version: before 2.10 it was the 500 of an error that has no code.
"""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import importlib.util
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict

_FIRST, _LARGEST = 2, 2
"""Answers that tell whether a model answers twice the same: sums of many rows part more often."""
_TIMES = 2
"""How often a request is asked again."""
_LOAD_SECONDS, _REQUEST_SECONDS, _REST_SECONDS = 300, 120, 1800
_LOOK_SECONDS = 0.02
_TRACE = 4000
Entry = Dict[str, Any]
"""A probe, or its answer."""
_CLIENTS: dict[int, Any] = {}
"""The one server that a run opens, by its model."""
_FORMATS = {"dataframe_split": "pandas-split", "dataframe_records": "pandas-records"}
"""Forms of tables, and what MLflow 1 calls them."""
_CHECKS = ("mlflow.models.utils", "mlflow.types.", "mlflow.utils.proto_json_utils")
"""Modules of MLflow that hold data to a signature."""
_ENDED = 70
"""Exit code where the model's code tried to end the process."""


class Steps:
    """Says in a file what the run is at, and ends a step that takes too long."""

    def __init__(self, path: Path, request_seconds: int) -> None:
        self._path, self._request_seconds = path, request_seconds

    def load(self) -> None:
        self._begin("load", _LOAD_SECONDS)

    def ask(self, number: int) -> None:
        self._begin(str(number), self._request_seconds)

    def wait(self) -> None:
        self._begin("rest", _REST_SECONDS)

    def end(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._path.write_text("done", encoding="utf-8")

    def _begin(self, name: str, seconds: int) -> None:
        self._path.write_text(name, encoding="utf-8")
        faulthandler.dump_traceback_later(seconds, exit=True)


def answer(probe: dict[str, Any], model: Any, schema: Any) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import scoring_server

    body = base64.b64decode(probe["body"])
    if not hasattr(scoring_server, "invocations"):
        return answer_by_http(body, probe["content_type"], model)
    # one that reads no parquet leaves the decoding to its server, and asks flask for the type
    is_alone = hasattr(scoring_server, "parse_parquet_input")
    try:
        data = body if is_alone else body.decode("utf-8")
        with contextlib.nullcontext() if is_alone else open_request(probe["content_type"]):
            done = scoring_server.invocations(data, probe["content_type"], model, schema)
    except MlflowException as error:
        return {
            "status": 400 if is_unnamed_refusal(error) else error.get_http_status_code(),
            "body": error.serialize_as_json(),
            "raised": name_cause(error, MlflowException),
            **trace_refusal(error),
        }
    except Exception as error:  # noqa: BLE001 - the server answers 500 to whatever escapes
        return {
            "status": 500,
            "body": repr(error),
            "raised": name_cause(error, MlflowException),
            **trace_refusal(error),
        }
    return {"status": done.status, "body": done.response}


def open_request(content_type: str) -> Any:
    """The context of a request of flask's, whose content type the server's messages quote.

    Without flask none is needed: the server is fastapi's.
    """
    if importlib.util.find_spec("flask") is None:
        return contextlib.nullcontext()
    import flask

    return flask.Flask("oracle").test_request_context(
        "/invocations", method="POST", content_type=content_type
    )


def is_unnamed_refusal(error: Any) -> bool:
    """Tell whether an MLflow before 2.10 refused data by a signature: it gave the error no code.

    What a model raises with no code is an error of its own, to a function too.
    """
    from mlflow.utils import proto_json_utils

    named = hasattr(proto_json_utils, "MlflowInvalidInputException")
    if named or error.error_code != "INTERNAL_ERROR":
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).startswith(_CHECKS)


def answer_by_http(body: bytes, content_type: str, model: object) -> dict[str, Any]:
    """The answer of the server of an MLflow before 2.4, which answers to nothing but HTTP.

    It says 500 where a signature refuses the data, as later ones and functions say 400. MLflow 1
    has other words for the same forms, and gives predictions bare.
    """
    import mlflow

    is_first = mlflow.__version__.startswith("1.")
    if is_first:
        body, content_type = name_form(body, content_type)
    done = open_client(model).post("/invocations", data=body, content_type=content_type)
    text = done.get_data(as_text=True)
    if done.status_code == 200:
        return {"status": 200, "body": f'{{"predictions": {text}}}' if is_first else text}
    try:
        code = json.loads(text)["error_code"]
    except (ValueError, KeyError, TypeError):
        code = ""
    raised = f"MlflowException {code}".strip()
    status = 400 if code == "INTERNAL_ERROR" else done.status_code
    return {"status": status, "body": text, "raised": raised}


def name_form(body: bytes, content_type: str) -> tuple[bytes, str]:
    """A request as MLflow 1 takes it: the form of a table is named by the content type.

    https://mlflow.org/docs/1.30.0/models.html#deploy-mlflow-models
    """
    try:
        given = json.loads(body)
    except ValueError:
        return body, content_type
    if content_type != "application/json" or not isinstance(given, dict) or len(given) != 1:
        return body, content_type
    ((form, table),) = given.items()
    if form not in _FORMATS:
        return body, content_type
    return json.dumps(table).encode(), f"{content_type}; format={_FORMATS[form]}"


def open_client(model: object) -> Any:
    """The server of this MLflow for the model, asked without a socket."""
    from mlflow.pyfunc import scoring_server

    # a model has no hash
    if id(model) not in _CLIENTS:
        _CLIENTS[id(model)] = scoring_server.init(model).test_client()
    return _CLIENTS[id(model)]


def name_cause(error: BaseException, own: type[BaseException]) -> str:
    """The class of what the model raised, MLflow's own where the model was never asked.

    Never its text, which may quote the data.
    """
    each: BaseException | None = error
    while isinstance(each, own):
        each = each.__cause__ or each.__context__
    kind = type(each or error)
    if each is None:
        return f"MlflowException {getattr(error, 'error_code', '')}".strip()
    inside = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{inside}{kind.__qualname__}"


def trace_refusal(error: BaseException) -> dict[str, str]:
    """The end of the traceback, where the system refused something: a file, the network, memory."""
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, (OSError, MemoryError)):
            return {
                "trace": "".join(
                    traceback.format_exception(type(error), error, error.__traceback__)
                )[-_TRACE:]
            }
        each = each.__cause__ or each.__context__
    return {}


def ask_again(
    probes: list[dict[str, object]],
    answers: list[dict[str, Any]],
    model: object,
    schema: object,
    begin: Callable[[int], None],
    *,
    threaded: bool,
) -> None:
    """Ask for all answers again where a few are not given twice: then no answer is.

    `begin` is told the number of each request that is asked.

    Of a model that adds up in threads all are asked in any case: chance alone decides which differ.
    """

    def ask(at: int) -> None:
        begin(at)
        others = [answer(probes[at], model, schema) for _ in range(_TIMES)]
        again[at] = [each["body"] for each in others if each["status"] == 200]

    good = [at for at, each in enumerate(answers) if each["status"] == 200]
    again: dict[int, list[str]] = {}
    largest = sorted(good, key=lambda at: -len(answers[at]["body"]))[:_LARGEST]
    for at in dict.fromkeys([*good[:_FIRST], *largest]):
        ask(at)
    if threaded or any(body != answers[at]["body"] for at in again for body in again[at]):
        for at in good:
            if at not in again:
                ask(at)
        for at in good:
            answers[at]["again"] = again[at]


def list_system_libraries(model: str) -> list[str]:
    """Files of shared libraries that are mapped now, and that neither a wheel nor `model` brought.

    Empty where the system does not tell.
    """
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return []
    folders = [Path(each) for each in (sys.prefix, model)]
    brought = (
        f"{sys.base_prefix}/lib/python",
        *(f"{each}/" for folder in folders for each in (folder, folder.resolve())),
    )
    lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
    paths = {line.split(None, 5)[5].strip() for line in lines if "/" in line}
    return sorted(
        path
        for path in paths
        if ".so" in Path(path).name and "/gconv/" not in path and not path.startswith(brought)
    )


def thread_limits() -> Any:
    """handlers/loaders/_threads.py, by its path: what ships is not installed beside the model."""
    path = Path(__file__).resolve().parents[2] / "handlers" / "loaders" / "_threads.py"
    spec = importlib.util.spec_from_file_location("packager_threads", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def limit_threads(count: int) -> None:
    """It heeds neither a variable nor the CPUs that the process may use."""
    import onnxruntime

    plain = onnxruntime.InferenceSession

    def session(*args: Any, sess_options: Any = None, **more: Any) -> Any:
        options = sess_options or onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.intra_op_num_threads or count
        return plain(*args, sess_options=options, **more)

    onnxruntime.InferenceSession = session


def read_probes(path: Path) -> list[Entry]:
    """Read a probe a line; a blank line is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


def wait_for(path: Path) -> list[Entry]:
    """Read probes once they are there; an empty file, nobody wants the answers, ends the run."""
    while not path.exists():
        time.sleep(_LOOK_SECONDS)
    if not path.stat().st_size:
        os._exit(0)
    return read_probes(path)


def _choose_backend(logged: Any) -> None:
    """Choose the author's backend of Keras: MLflow writes it down and leaves it to us."""
    if chosen := logged.flavors.get("keras", {}).get("keras_backend"):
        os.environ.setdefault("KERAS_BACKEND", chosen)


def main(argv: list[str]) -> int:
    folder, asked, answered = argv[:3]
    limits = thread_limits()
    given = int(argv[argv.index("--seconds") + 1]) if "--seconds" in argv else _REQUEST_SECONDS
    steps = Steps(Path(f"{answered}.at"), given)
    steps.load()
    if one := "--one-thread" in argv:
        limits.limit_libraries()
    if "--threads" in argv:
        limit_threads(int(argv[argv.index("--threads") + 1]))
    probes = read_probes(Path(asked))

    import mlflow

    _choose_backend(mlflow.models.Model.load(folder))
    model = mlflow.pyfunc.load_model(folder)
    # a server has it before its first request, whose time is limited
    if importlib.util.find_spec("flask") is not None:
        importlib.import_module("flask")
    if one:
        limits.limit_model(model)
    threaded = limits.read_threaded(model)
    schema = model.metadata.get_input_schema()
    # as scoring_server.init does, once the model is loaded
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    answers: list[dict[str, Any]] = []

    def ask_all(asked: list[Entry]) -> None:
        for probe in asked:
            steps.ask(len(answers))
            answers.append(answer(probe, model, schema))

    ask_all(probes[:1])
    first_cpu_seconds = time.process_time()
    if "--first" not in argv:
        ask_all(probes[1:])
    if "--rest" in argv:
        steps.wait()
        rest = wait_for(Path(argv[argv.index("--rest") + 1]))
        ask_all(rest)
        probes += rest
    if "--first" not in argv:
        ask_again(probes, answers, model, schema, steps.ask, threaded=bool(threaded))
    run = {
        "python": platform.python_version(),
        "mlflow": mlflow.__version__,
        "threaded": threaded,
        "libraries": list_system_libraries(folder),
        "first_answer_cpu_ms": first_cpu_seconds * 1000.0,
    }
    with Path(answered).open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in (run, *answers))
    steps.end()
    return 0


def run(argv: list[str]) -> int:
    """`main`, where the model's code may try to end the process: sys.exit, an interrupt."""
    try:
        return main(argv)
    except (SystemExit, KeyboardInterrupt):
        traceback.print_exc()
        return _ENDED


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
