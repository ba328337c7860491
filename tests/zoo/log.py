"""Log models of the zoo: `python log.py FOLDER NAME ...`, in the environment of their author.

A model goes into the registry FOLDER/mlflow.db under its name; FOLDER/asked/NAME.json has the
requests, and what MLflow's own scoring answers to each in this environment.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE / "code"))


def log_model(entry, case, requirements):
    """Log a model as its author would; answers with its address."""
    import mlflow
    from mlflow.models import infer_signature

    options = dict(case.options)
    listed = case.requirements or requirements
    if listed and "conda_env" not in options:
        options["pip_requirements"] = listed
    if "code_paths" in options:
        options["code_paths"] = [str(HERE / "code" / each) for each in options["code_paths"]]
    if case.serialization and case.flavor == "sklearn":
        options["serialization_format"] = case.serialization
    if case.signature is not None:
        options["signature"] = case.signature
    if case.flavor == "pyfunc":
        options["python_model"] = str(HERE / "code" / case.script) if case.script else case.model
        model = ()
    else:
        model = (case.model,)
        how = getattr(case.model, options.get("pyfunc_predict_fn", "predict"))
        options.setdefault("signature", infer_signature(case.example, how(case.example)))
    with mlflow.start_run():
        logged = getattr(mlflow, case.flavor).log_model(
            *model, **{_PLACE: "model"}, input_example=case.example,
            registered_model_name=entry.name, **options,
        )  # fmt: skip
    return logged.model_uri


def ask_model(uri, requests):
    """Answer requests as MLflow's server does: each a status and a text."""
    import mlflow
    from mlflow.pyfunc import scoring_server

    model = mlflow.pyfunc.load_model(uri)
    if not hasattr(scoring_server, "invocations"):
        return [[200, _answer_plainly(model, each["dataframe_split"])] for each in requests]
    schema = model.metadata.get_input_schema()
    answers = []
    for request in requests:
        try:
            got = scoring_server.invocations(
                json.dumps(request), "application/json", model, schema
            )
            answers.append([got.status, got.response])
        except mlflow.exceptions.MlflowException as error:
            answers.append([error.get_http_status_code(), error.serialize_as_json()])
    return answers


def _answer_plainly(model, split):
    """Answer in today's form where MLflow is older than it."""
    import pandas as pd

    return json.dumps({"predictions": model.predict(pd.DataFrame(**split)).tolist()})


def main():
    import mlflow
    import service

    folder, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    for module in os.environ["ZOO_MODULES"].split():
        importlib.import_module("models." + module)
    lines = os.environ.get("ZOO_REQUIREMENTS")
    requirements = Path(lines).read_text(encoding="utf-8").splitlines() if lines else None
    mlflow.set_tracking_uri("sqlite:///%s" % (folder / "mlflow.db"))
    if mlflow.get_experiment_by_name("zoo") is None:
        mlflow.create_experiment("zoo", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("zoo")
    (folder / "asked").mkdir(exist_ok=True)
    # of two runs at once only those that ask it need its port
    with service.run_service() if service.ASKED_BY in names else contextlib.nullcontext():
        failed = log_models(folder, names, requirements)
    sys.exit(bool(failed))


def log_models(folder, names, requirements):
    """Log models and ask them; answers with how many could not be logged."""
    from models import _registry

    failed = 0
    for name in names:
        entry = _registry.ENTRIES[name]
        try:
            case = entry.make()
            uri = log_model(entry, case, requirements)
            fresh = case.fresh if isinstance(case.fresh, dict) else _registry.table(case.fresh)
            requests = [fresh, *case.beyond]
            told = {"uri": uri, "requests": requests, "answers": ask_model(uri, requests)}
            if case.is_chance:
                told["is_chance"] = True
            path = folder / "asked" / (name + ".json")
            path.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
            print(name, [status for status, _ in told["answers"]], flush=True)
        except Exception:  # what one author does wrong keeps nobody else from logging
            failed += 1
            print(name, "NOT LOGGED", traceback.format_exc()[-1500:], flush=True)
    return failed


if __name__ == "__main__":
    from importlib.metadata import version

    _PLACE = "artifact_path" if version("mlflow").startswith(("1.", "2.")) else "name"
    main()
