"""Answer requests as MLflow's own server does, without its HTTP.

    python oracle.py MODEL_FOLDER PROBES ANSWERS [--first] [--threads N]

Run in an environment made from the model's own requirements; nothing beside the standard library
and mlflow is imported. PROBES has a JSON object a line: `body` (base64), `content_type`. ANSWERS
gets a line about the run, then one for each probe: `status`, `body` (text), and `again` where the
model draws at random: what it answered when it was asked once more. With --first the run ends with
the first answer: what a start costs. With --threads onnxruntime sums on
as many, where the model does not say on how many, instead of on all that the machine has.

The rules of the answer are those of mlflow.pyfunc.scoring_server in MLflow 2 and 3: an
MlflowException has its own status, anything else that escapes is a plain 500.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

_ASKED_TWICE = 2
"""Answers that tell whether a model draws at random."""


def answer(probe: dict[str, Any], model: Any, schema: Any) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import scoring_server

    body = base64.b64decode(probe["body"])
    try:
        done = scoring_server.invocations(body, probe["content_type"], model, schema)
    except MlflowException as error:
        return {"status": error.get_http_status_code(), "body": error.serialize_as_json()}
    except Exception as error:  # noqa: BLE001 - the server answers 500 to whatever escapes
        return {"status": 500, "body": repr(error)}
    return {"status": done.status, "body": done.response}


def ask_again(
    probes: list[dict[str, Any]], answers: list[dict[str, Any]], model: Any, schema: Any
) -> None:
    """Where the first answers are not given twice, no answer is: ask for all of them again."""
    good = [at for at, each in enumerate(answers) if each["status"] == 200]
    for at in good[:_ASKED_TWICE]:
        if answer(probes[at], model, schema)["body"] != answers[at]["body"]:
            break
    else:
        return
    for at in good:
        again = answer(probes[at], model, schema)
        if again["status"] == 200:
            answers[at]["again"] = again["body"]


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
    if "--threads" in argv:
        limit_threads(int(argv[argv.index("--threads") + 1]))
    probes = [json.loads(line) for line in Path(asked).read_text(encoding="utf-8").splitlines()]

    import mlflow

    chosen = mlflow.models.Model.load(folder).flavors.get("keras", {}).get("keras_backend")
    if chosen:
        # MLflow writes the author's backend down and leaves it to the environment to choose it
        os.environ.setdefault("KERAS_BACKEND", chosen)
    model = mlflow.pyfunc.load_model(folder)
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
        ask_again(probes, answers, model, schema)
    run = {
        "python": platform.python_version(),
        "mlflow": mlflow.__version__,
        "first_answer_cpu_ms": first_cpu_seconds * 1000.0,
    }
    with Path(answered).open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in (run, *answers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
