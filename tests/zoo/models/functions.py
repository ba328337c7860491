"""PythonModels: what people do in `predict`, and what they read beside the model."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel

from models._registry import ROWS, Case, frame, label, table, zoo
from models.columns import THREE

PLANS = ["basic", "plus", "pro"]


def _case(model, artifacts=None, columns=THREE, **more):
    """Log a model of customers' columns, answered by a list of numbers."""
    data = frame(50)[columns]
    options = {"artifacts": artifacts} if artifacts else {}
    options.update(more)
    signature = infer_signature(data, [0.5])
    case = Case(model, data.head(3), frame(ROWS, seed=5)[columns], flavor="pyfunc", options=options)
    case.signature = signature
    return case


def _file(name):
    return Path(tempfile.mkdtemp(prefix="zoo-")) / name


@zoo("project", "prices from a JSON file")
def reads_json():
    class Priced(PythonModel):
        def load_context(self, context):
            with open(context.artifacts["prices"], encoding="utf-8") as file:
                self.prices = json.load(file)

        def predict(self, context, model_input, params=None):
            return [self.prices.get(plan, self.prices["default"]) for plan in model_input["plan"]]

    path = _file("prices.json")
    path.write_text(json.dumps({"basic": 1.5, "plus": 2, "default": 0.25, "pro": 9}))
    case = _case(Priced(), {"prices": str(path)}, ["plan"])
    case.beyond.append(table(pd.DataFrame({"plan": ["gold", ""]})))
    return case


@zoo("project", "an estimator that joblib wrote")
def reads_joblib():
    class Loaded(PythonModel):
        def load_context(self, context):
            import joblib

            self.model = joblib.load(context.artifacts["model"])

        def predict(self, context, model_input, params=None):
            return self.model.predict_proba(model_input)[:, 1].tolist()

    import joblib
    from sklearn.ensemble import GradientBoostingClassifier

    data = frame(300)
    path = _file("model.joblib")
    fitted = GradientBoostingClassifier(n_estimators=20, random_state=0)
    joblib.dump(fitted.fit(data[THREE], label(data)), path)
    return _case(Loaded(), {"model": str(path)})


@zoo("project", "a table of features in parquet")
def reads_parquet():
    class Joined(PythonModel):
        def load_context(self, context):
            self.scores = pd.read_parquet(context.artifacts["scores"]).set_index("city")["score"]

        def predict(self, context, model_input, params=None):
            return model_input["city"].map(self.scores).fillna(-1).tolist()

    path = _file("scores.parquet")
    pd.DataFrame({"city": ["Oslo", "東京"], "score": [1.5, 2.5]}).to_parquet(path)
    return _case(Joined(), {"scores": str(path)}, ["city"])


@zoo("project", "a workbook of prices, which pandas reads by openpyxl")
def reads_excel():
    class Priced(PythonModel):
        def load_context(self, context):
            self.prices = pd.read_excel(context.artifacts["prices"]).set_index("plan")["price"]

        def predict(self, context, model_input, params=None):
            return model_input["plan"].map(self.prices).fillna(0.25).tolist()

    path = _file("prices.xlsx")
    pd.DataFrame({"plan": PLANS, "price": [1.5, 2.0, 9.25]}).to_excel(path, index=False)
    return _case(Priced(), {"prices": str(path)}, ["plan"])


@zoo("project", "polars.from_pandas, which imports pyarrow where a column is text")
def polars_from_pandas():
    class Ranked(PythonModel):
        def predict(self, context, model_input, params=None):
            import polars as pl

            data = pl.from_pandas(model_input)
            return data.select(pl.col("age").rank().over("city"))["age"].to_list()

    return _case(Ranked(), None, ["age", "city"])


@zoo("project", "a lookup in SQLite")
def reads_sqlite():
    class Looked(PythonModel):
        def load_context(self, context):
            self.path = context.artifacts["base"]

        def predict(self, context, model_input, params=None):
            import sqlite3

            with sqlite3.connect("file:%s?mode=ro&immutable=1" % self.path, uri=True) as base:
                found = dict(base.execute("select city, score from scores"))
            return [found.get(city, 0.0) for city in model_input["city"]]

    path = _file("scores.db")
    with sqlite3.connect(path) as base:
        base.execute("create table scores (city text, score real)")
        base.executemany("insert into scores values (?, ?)", [("Oslo", 1.5), ("Bergen", 2.5)])
    base.close()
    return _case(Looked(), {"base": str(path)}, ["city"])


@zoo("project", "local time by zoneinfo")
def uses_zoneinfo():
    class Local(PythonModel):
        def predict(self, context, model_input, params=None):
            from datetime import datetime, timezone
            from zoneinfo import ZoneInfo

            zones = {"Oslo": "Europe/Oslo", "東京": "Asia/Tokyo", "Bergen": "Europe/Oslo"}
            return [
                datetime.fromtimestamp(visits * 10**7, timezone.utc)
                .astimezone(ZoneInfo(zones.get(city, "America/Sao_Paulo")))
                .hour
                for city, visits in zip(model_input["city"], model_input["visits"])
            ]

    return _case(Local(), None, ["city", "visits"])


@zoo("project", "numbers as text by locale and format")
def uses_locale():
    class Shown(PythonModel):
        def predict(self, context, model_input, params=None):
            import locale

            point = locale.localeconv()["decimal_point"]
            return [("%.2f" % income).replace(".", point) for income in model_input["income"]]

    return _case(Shown(), None, ["income"])


@zoo("project", "versions and entry points by importlib.metadata")
def uses_entry_points():
    class Told(PythonModel):
        def predict(self, context, model_input, params=None):
            from importlib import metadata

            version = metadata.version("numpy").split(".")
            loaders = metadata.entry_points(group="scipy.loaders")
            return [int(version[0]) + len(loaders)] * len(model_input)

    return _case(Told())


@zoo("project", "a branch that imports scipy late, which the example does not reach")
def lazy_scipy():
    class Late(PythonModel):
        def predict(self, context, model_input, params=None):
            out = np.sqrt(np.abs(model_input["age"].to_numpy()))
            if (model_input["age"] < 0).any():
                from scipy.special import gammaln

                out = gammaln(out + 1)
            return out.tolist()

    case = _case(Late())
    case.beyond.append(table(case.fresh.head(9).assign(age=-3.5)))
    return case


@zoo("project", "a branch that imports scikit-learn by a name that only running it tells")
def lazy_by_name():
    class Named(PythonModel):
        def predict(self, context, model_input, params=None):
            import importlib

            kind = "metrics.pairwise" if (model_input["age"] < 0).any() else "preprocessing"
            module = importlib.import_module("sklearn." + kind)
            values = model_input[["age"]].to_numpy()
            if kind == "preprocessing":
                return module.scale(values).ravel().tolist()
            return module.cosine_similarity(values).sum(axis=1).tolist()

    case = _case(Named())
    case.beyond.append(table(case.fresh.head(9).assign(age=-3.5)))
    return case


@zoo("project", "a window of pandas that scipy makes, which only running it tells")
def window_of_scipy():
    class Smoothed(PythonModel):
        def predict(self, context, model_input, params=None):
            smooth = model_input["income"].rolling(3, win_type="triang", min_periods=1).mean()
            return smooth.tolist()

    return _case(Smoothed())


@zoo("project", "a pool of threads")
def uses_threads():
    class Pooled(PythonModel):
        def predict(self, context, model_input, params=None):
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(lambda age: round(age * 2, 3), model_input["age"]))

    return _case(Pooled())


@zoo("project", "joblib with n_jobs=-1")
def uses_joblib():
    class Parallelised(PythonModel):
        def predict(self, context, model_input, params=None):
            from joblib import Parallel, delayed

            parts = np.array_split(model_input["income"].to_numpy(), 3)
            sums = Parallel(n_jobs=-1, prefer="threads")(delayed(np.cumsum)(each) for each in parts)
            return np.concatenate(sums).tolist()

    return _case(Parallelised())


@zoo("project", "a subprocess of the same Python")
def uses_subprocess():
    class Spawned(PythonModel):
        def predict(self, context, model_input, params=None):
            import subprocess
            import sys

            text = json.dumps(model_input["visits"].tolist())
            code = "import json, sys; print(json.dumps([v * v for v in json.load(sys.stdin)]))"
            done = subprocess.run(
                [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
            )
            return json.loads(done.stdout)

    return _case(Spawned())


@zoo("project", "a file written to /tmp")
def writes_tmp():
    class Written(PythonModel):
        def predict(self, context, model_input, params=None):
            import tempfile

            with tempfile.TemporaryFile() as file:
                np.save(file, model_input["age"].to_numpy())
                file.seek(0)
                return np.load(file).tolist()

    return _case(Written())


@zoo("project", "a parameter of the request, with a branch for it")
def takes_params():
    class Powered(PythonModel):
        def predict(self, context, model_input, params=None):
            power = (params or {}).get("power", 1.0)
            if power > 2:
                from scipy.special import boxcox

                return boxcox(model_input["income"].to_numpy(), 0.5).tolist()
            return (model_input["income"] ** power).tolist()

    case = _case(Powered())
    case.signature = infer_signature(case.example, [0.5], params={"power": 1.0})
    case.beyond += [table(case.fresh.head(5), power=2.0), table(case.fresh.head(5), power=3.0)]
    return case


@zoo("project", "a frame of several columns for an answer")
def answers_frame():
    class Framed(PythonModel):
        def predict(self, context, model_input, params=None):
            return pd.DataFrame(
                {"score": model_input["age"] / 3, "who": model_input["city"].str.upper()}
            )

    case = _case(Framed(), None, ["age", "city"])
    case.signature = infer_signature(case.example, pd.DataFrame({"score": [0.1], "who": ["A"]}))
    return case


@zoo("project", "a dictionary for each row")
def answers_dictionaries():
    class Explained(PythonModel):
        def predict(self, context, model_input, params=None):
            return [
                {"score": row.age / 3, "why": ["old" if row.age > 40 else "young", row.city]}
                for row in model_input.itertuples()
            ]

    case = _case(Explained(), None, ["age", "city"])
    case.signature = infer_signature(case.example, [{"score": 0.1, "why": ["old", "Oslo"]}])
    return case


@zoo("project", "a random choice in predict, without a seed")
def draws_at_random():
    class Drawn(PythonModel):
        def predict(self, context, model_input, params=None):
            import random

            return [random.random() for _ in range(len(model_input))]

    case = _case(Drawn())
    case.is_chance = True
    return case


@zoo("project", "a request to another service")
def calls_a_service():
    class Asking(PythonModel):
        def predict(self, context, model_input, params=None):
            import requests

            answer = requests.get("http://127.0.0.1:18099/rates", timeout=5)
            return [answer.json()["rate"]] * len(model_input)

    return _case(Asking())


@zoo("project", "type hints with pydantic")
def hints_pydantic():
    return Case(
        None,
        [{"age": 40, "city": "Oslo"}],
        {"inputs": [{"age": i % 90, "city": "Oslo" if i % 3 else "東京"} for i in range(ROWS)]},
        [{"inputs": [{"age": 1, "city": "", "note": "x"}]}],
        flavor="pyfunc",
        script="hints.py",
    )


@zoo("project", "a model from code")
def from_code():
    case = _case(None)
    case.script = "from_code.py"
    case.beyond.append(table(case.fresh.head(9).assign(age=-3.5)))
    return case
