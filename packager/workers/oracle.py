"""Answer requests as MLflow's own server does, without its HTTP.

    python oracle.py MODEL_FOLDER PROBES ANSWERS [--first] [--threads N] [--one-thread]

Run in an environment made from the model's own requirements; nothing beside the standard library
and mlflow is imported. PROBES has a JSON object a line: `body` (base64), `content_type`. ANSWERS
gets a line about the run, then one for each probe: `status`, `body` (text), `raised` (the class of
the exception behind a refusal), and `again` where the model does not answer twice the same: what it
answered when it was asked more often. With --first the run ends with the first answer: what a start
costs. With --threads onnxruntime sums on as many, where the model does not say on how many, instead
of on all that the machine has; with --one-thread everything that can be held to one thread is.

The rules of the answer are those of mlflow.pyfunc.scoring_server in MLflow 2 and 3: an
MlflowException has its own status, anything else that escapes is a plain 500.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

_FIRST, _LARGEST = 2, 2
"""Answers that tell whether a model answers twice the same: sums of many rows part more often."""
_TIMES = 2
"""How often a request is asked again."""


def answer(probe: dict[str, Any], model: Any, schema: Any) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import scoring_server

    body = base64.b64decode(probe["body"])
    try:
        done = scoring_server.invocations(body, probe["content_type"], model, schema)
    except MlflowException as error:
        return {
            "status": error.get_http_status_code(),
            "body": error.serialize_as_json(),
            "raised": name_cause(error, MlflowException),
        }
    except Exception as error:  # noqa: BLE001 - the server answers 500 to whatever escapes
        return {
            "status": 500,
            "body": repr(error),
            "raised": name_cause(error, MlflowException),
        }
    return {"status": done.status, "body": done.response}


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


def ask_again(
    probes: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    model: Any,
    schema: Any,
    *,
    threaded: bool,
) -> None:
    """Where a few answers are not given twice, no answer is: ask for all of them again.

    Of a model that adds up in threads all are asked in any case: chance alone decides which differ.
    """

    def ask(at: int) -> None:
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


def main(argv: list[str]) -> int:
    folder, asked, answered = argv[:3]
    limits = thread_limits()
    if one := "--one-thread" in argv:
        limits.limit_libraries()
    if "--threads" in argv:
        limit_threads(int(argv[argv.index("--threads") + 1]))
    probes = [json.loads(line) for line in Path(asked).read_text(encoding="utf-8").splitlines()]

    import mlflow

    chosen = mlflow.models.Model.load(folder).flavors.get("keras", {}).get("keras_backend")
    if chosen:
        # MLflow writes the author's backend down and leaves it to the environment to choose it
        os.environ.setdefault("KERAS_BACKEND", chosen)
    model = mlflow.pyfunc.load_model(folder)
    if one:
        limits.limit_model(model)
    threaded = limits.read_threaded(model)
    schema = model.metadata.get_input_schema()
    # as scoring_server.init does, once the model is loaded
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    answers, first_cpu_seconds = [], 0.0
    for number, probe in enumerate(probes):
        answers.append(answer(probe, model, schema))
        if number == 0:
            first_cpu_seconds = time.process_time()
            if "--first" in argv:
                break
    if "--first" not in argv:
        ask_again(probes, answers, model, schema, threaded=bool(threaded))
    run = {
        "python": platform.python_version(),
        "mlflow": mlflow.__version__,
        "threaded": threaded,
        "first_answer_cpu_ms": first_cpu_seconds * 1000.0,
    }
    with Path(answered).open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in (run, *answers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
