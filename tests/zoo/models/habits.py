"""What people do in their own code: packages of many folders, odd pickles, logs, caches, states."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel

from models._registry import table, zoo
from models.functions import _case, _file


@zoo("workshop", "a nested package as a code path: relative imports, enums, a dataclass")
def nested_code_paths():
    from scoring.kinds import Bound, Grade, Limits, Traits

    class Graded(PythonModel):
        def __init__(self):
            self.limits = Limits(age=Bound(1.0, 99.0), by_grade={Grade.LOW: 1.5, Grade.HIGH: 7.0})
            self.traits = Traits.OLD | Traits.RICH

        def predict(self, context, model_input, params=None):
            from scoring.rules.deep.age import grade

            out = []
            for row in model_input.itertuples():
                found = grade(row.age, row.income)
                age = min(max(row.age, self.limits.age.least), self.limits.age.most)
                out.append(self.limits.by_grade[found] * found.factor + age + self.traits.value)
            return out

    case = _case(Graded(), None, ["age", "income"], code_paths=["scoring"])
    case.beyond.append(table(case.fresh.head(9).assign(age=-3.5)))
    return case


@zoo("workshop", "objects that tell pickle in their own ways how they are made again")
def reduced_objects():
    from scoring import restored

    class Restored(PythonModel):
        def __init__(self):
            self.scale = restored.make_scaler("linear", 2.5)
            self.counted, self.old = restored.Counted(), restored.Old()
            self.steps = [restored.add_three, restored.first_of]

        def predict(self, context, model_input, params=None):
            add, first = self.steps
            with self.counted.lock:
                ages = [(self.scale(age), 0) for age in model_input["age"]]
                return [add(first(each)) * self.counted.factor for each in ages]

    return _case(Restored(), None, ["age"], code_paths=["scoring"])


@zoo("workshop", "a log to a file of the working folder, opened as the model is loaded")
def logs_to_a_file():
    class Logged(PythonModel):
        def load_context(self, context):
            import logging

            self.log = logging.getLogger("zoo.audit")
            self.log.addHandler(logging.FileHandler("zoo-audit.log"))
            self.log.setLevel(logging.INFO)

        def predict(self, context, model_input, params=None):
            self.log.info("rows: %d", len(model_input))
            return (model_input["age"] / 2).tolist()

    return _case(Logged(), None, ["age"])


@zoo("workshop", "a log that turns, in the folder for temporary files")
def logs_to_tmp():
    class Logged(PythonModel):
        def load_context(self, context):
            import logging
            from logging import handlers

            path = Path(tempfile.gettempdir()) / "zoo-audit.log"
            self.log = logging.getLogger("zoo.audit")
            self.log.addHandler(handlers.RotatingFileHandler(path, maxBytes=10_000, backupCount=1))
            self.log.setLevel(logging.INFO)

        def predict(self, context, model_input, params=None):
            self.log.info("rows: %d", len(model_input))
            return (model_input["age"] / 2).tolist()

    return _case(Logged(), None, ["age"])


@zoo("workshop", "answers that joblib's Memory keeps in a folder")
def remembers_answers():
    class Remembered(PythonModel):
        def load_context(self, context):
            import joblib

            def score(values):
                return np.sqrt(np.abs(values)) + 1

            memory = joblib.Memory(tempfile.mkdtemp(), verbose=0)
            self.score = memory.cache(score)

        def predict(self, context, model_input, params=None):
            return self.score(model_input["age"].to_numpy()).tolist()

    return _case(Remembered(), None, ["age"])


@zoo("workshop", "a function of a module of the author's that was forgotten, called as others are")
def module_forgotten():
    class Scored(PythonModel):
        def predict(self, context, model_input, params=None):
            return _score(model_input["age"].to_numpy()).tolist()

    return _case(Scored(), None, ["age"])


def _score(values):
    return np.sqrt(np.abs(values)) + 1


@zoo("workshop", "a generator of random numbers that starts anew for each request")
def seeded_each_time():
    class Sampled(PythonModel):
        def predict(self, context, model_input, params=None):
            draws = np.random.default_rng(7).normal(size=(100, len(model_input)))
            return (model_input["age"].to_numpy() + draws.mean(axis=0)).tolist()

    return _case(Sampled(), None, ["age"])


@zoo("workshop", "a generator of random numbers that goes on from request to request")
def goes_on_drawing():
    class Sampled(PythonModel):
        def __init__(self):
            self.generator = np.random.RandomState(3)

        def predict(self, context, model_input, params=None):
            return (model_input["age"] + self.generator.normal(size=len(model_input))).tolist()

    case = _case(Sampled(), None, ["age"])
    case.is_chance = True
    return case


@zoo("workshop", "Pandas' own arrays: text, intervals, nullable numbers and truth values")
def extension_arrays():
    class Banded(PythonModel):
        def __init__(self):
            self.bands = pd.IntervalIndex.from_breaks([0, 30, 45, 60, 200], closed="left")
            self.rates = pd.Series([1.0, 2.0, 4.0, 8.0], index=self.bands)
            self.names = pd.array(["young", "middle", "older", None], dtype="string")

        def predict(self, context, model_input, params=None):
            bands = pd.cut(model_input["age"], self.bands)
            visits = model_input["visits"].astype("Int64")
            visits[visits > 30] = pd.NA
            busy = (visits > 10).fillna(False).astype("boolean")
            out = bands.map(self.rates).astype("Float64").fillna(-1.0)
            out = out + visits.fillna(0) + self.names.isna().sum() * busy.astype("Int64")
            return out.astype(float).tolist()

    case = _case(Banded(), None, ["age", "visits"])
    case.beyond.append(table(case.fresh.head(9).assign(age=-3.5)))
    return case


@zoo("workshop", "a prompt that Jinja makes of a folder of templates")
def prompts_of_jinja():
    class Prompted(PythonModel):
        def load_context(self, context):
            import jinja2

            loader = jinja2.FileSystemLoader(context.artifacts["prompts"])
            self.templates = jinja2.Environment(loader=loader, trim_blocks=True, autoescape=True)

        def predict(self, context, model_input, params=None):
            template = self.templates.get_template("ask.j2")
            return [template.render(row=row._asdict()) for row in model_input.itertuples()]

    folder = _file("prompts")
    folder.mkdir()
    (folder / "base.j2").write_text("Answer as {% block who %}{% endblock %}.\n", encoding="utf-8")
    (folder / "ask.j2").write_text(
        "{% extends 'base.j2' %}{% block who %}{{ row.city|upper }} ({{ '%.1f'|format(row.age) }})"
        "{% if row.age < 0 %} {% include 'unborn.j2' %}{% endif %}{% endblock %}",
        encoding="utf-8",
    )
    (folder / "unborn.j2").write_text("of no age", encoding="utf-8")
    case = _case(Prompted(), {"prompts": str(folder)}, ["age", "city"])
    case.signature = infer_signature(case.example, ["text"])
    case.beyond.append(table(case.fresh.head(9).assign(age=-3.5, city="<b>Ærø</b>")))
    return case


@zoo("workshop", "a table of JSON lines in a zip file, read by a path in it")
def reads_a_zip():
    class Zipped(PythonModel):
        def load_context(self, context):
            import zipfile

            place = zipfile.Path(context.artifacts["rates"], "rates/2026.jsonl")
            lines = place.read_text(encoding="utf-8").splitlines()
            self.rates = {each["city"]: each["rate"] for each in map(json.loads, lines)}

        def predict(self, context, model_input, params=None):
            return [self.rates.get(city, -1.0) for city in model_input["city"]]

    import zipfile

    path = _file("rates.zip")
    with zipfile.ZipFile(path, "w") as file:
        rows = [{"city": "Oslo", "rate": 1.25}, {"city": "東京", "rate": 3.5}]
        file.writestr("rates/2026.jsonl", "\n".join(json.dumps(each) for each in rows))
    case = _case(Zipped(), {"rates": str(path)}, ["city"])
    case.beyond.append(table(pd.DataFrame({"city": ["Nuuk", ""]})))
    return case
