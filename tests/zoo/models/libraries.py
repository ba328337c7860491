"""Models of many libraries: language, maps, survival, outliers, forecasts, intervals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from models._registry import ROWS, Case, frame, label, table, zoo
from models.columns import THREE, _fit
from models.functions import _case, _file

CITIES = ["Oslo", "Bergen", "São Paulo", "東京"]


@zoo("workshop", "lightgbm over category columns that predict casts")
def lightgbm_categories():
    import lightgbm

    def cast(data):
        return data.assign(city=pd.Categorical(data["city"], categories=CITIES))

    class Boosted(PythonModel):
        def __init__(self, booster):
            self.booster = booster

        def predict(self, context, model_input, params=None):
            return self.booster.predict(cast(model_input)).tolist()

    data = frame(400)[["age", "income", "city"]]
    known = lightgbm.Dataset(cast(data), label(frame(400)), categorical_feature=["city"])
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, known, 20)
    case = _case(Boosted(booster), None, ["age", "income", "city"])
    case.beyond.append(table(case.fresh.head(9).assign(city="Nuuk")))
    return case


@zoo("workshop", "catboost over a pool of words and numbers")
def catboost_pool():
    import catboost

    class Pooled(PythonModel):
        def load_context(self, context):
            self.model = catboost.CatBoostClassifier()
            self.model.load_model(context.artifacts["model"])

        def predict(self, context, model_input, params=None):
            pool = catboost.Pool(model_input, cat_features=["city"])
            return self.model.predict_proba(pool)[:, 1].tolist()

    data = frame(400)[["age", "income", "city"]]
    fitted = catboost.CatBoostClassifier(iterations=20, verbose=0, allow_writing_files=False)
    fitted.fit(catboost.Pool(data, label(frame(400)), cat_features=["city"]))
    path = _file("model.cbm")
    fitted.save_model(str(path))
    case = _case(Pooled(), {"model": str(path)}, ["age", "income", "city"])
    case.beyond.append(table(case.fresh.head(9).assign(city="Nuuk")))
    return case


@zoo("workshop", "encoders and capping of feature-engine in a pipeline")
def feature_engine_pipeline():
    from feature_engine.encoding import CountFrequencyEncoder, RareLabelEncoder
    from feature_engine.outliers import Winsorizer

    steps = [
        RareLabelEncoder(tol=0.1, n_categories=2, variables=["city"]),
        CountFrequencyEncoder(variables=["city"], unseen="encode"),
        Winsorizer(variables=["income"]),
        LogisticRegression(max_iter=1000),
    ]
    case = _fit(make_pipeline(*steps), ["age", "income", "city"])
    case.beyond.append(table(case.fresh.head(3).assign(city="Paris")))
    return case


@zoo("workshop", "bins of optbinning, by a process over numbers and words")
def optbinning_process():
    from optbinning import BinningProcess

    class Binned(PythonModel):
        def __init__(self, process):
            self.process = process

        def predict(self, context, model_input, params=None):
            return self.process.transform(model_input, metric="woe").sum(axis=1).tolist()

    columns = ["age", "income", "city"]
    process = BinningProcess(columns, categorical_variables=["city"])
    process.fit(frame(400)[columns], label(frame(400)))
    return _case(Binned(process), None, columns)


@zoo("workshop", "hazards of lifelines")
def lifelines_cox():
    from lifelines import CoxPHFitter

    class Hazard(PythonModel):
        def __init__(self, fitted):
            self.fitted = fitted

        def predict(self, context, model_input, params=None):
            return self.fitted.predict_partial_hazard(model_input).tolist()

    data = frame(200)[["age", "visits"]].assign(gone=label(frame(200)))
    data["months"] = np.random.default_rng(1).integers(1, 60, len(data)).astype(float)
    fitted = CoxPHFitter(penalizer=0.1).fit(data, "months", "gone")
    return _case(Hazard(fitted), None, ["age", "visits"])


@zoo("workshop", "outliers by pyod")
def pyod_outliers():
    from pyod.models.ecod import ECOD

    class Outlying(PythonModel):
        def __init__(self, detector):
            self.detector = detector

        def predict(self, context, model_input, params=None):
            return self.detector.decision_function(model_input[THREE].to_numpy()).tolist()

    return _case(Outlying(ECOD().fit(frame(200)[THREE].to_numpy())))


@zoo("workshop", "intervals by mapie")
def mapie_intervals():
    from mapie.regression import SplitConformalRegressor

    class Bounded(PythonModel):
        def __init__(self, fitted):
            self.fitted = fitted

        def predict(self, context, model_input, params=None):
            points, bounds = self.fitted.predict_interval(model_input)
            out = {"point": points, "least": bounds[:, 0, 0], "most": bounds[:, 1, 0]}
            return pd.DataFrame(out)

    data = frame(400)
    line = LinearRegression().fit(data[["age", "visits"]][:200], data["income"][:200])
    fitted = SplitConformalRegressor(line, confidence_level=0.9, prefit=True)
    fitted.conformalize(data[["age", "visits"]][200:], data["income"][200:])
    case = _case(Bounded(fitted), None, ["age", "visits"])
    columns = pd.DataFrame({"point": [0.1], "least": [0.1], "most": [0.1]})
    case.signature = infer_signature(case.example, columns)
    return case


@zoo("workshop", "the space and the trials of a search by hyperopt, kept with the model")
def hyperopt_kept():
    from hyperopt import Trials, fmin, hp, space_eval, tpe

    class Tuned(PythonModel):
        def __init__(self, space, best, trials):
            self.space, self.best, self.trials = space, best, trials

        def predict(self, context, model_input, params=None):
            chosen = space_eval(self.space, self.best)
            return (model_input["age"] * chosen["factor"] + len(self.trials)).tolist()

    space = {"factor": hp.uniform("factor", 0, 2), "kind": hp.choice("kind", ["a", "b"])}
    trials = Trials()
    best = fmin(
        lambda at: (at["factor"] - 1) ** 2,
        space,
        algo=tpe.suggest,
        max_evals=5,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    return _case(Tuned(space, best, trials), None, ["age"])


@zoo("workshop", "a forecast by sktime")
def sktime_forecast():
    from sktime.forecasting.exp_smoothing import ExponentialSmoothing

    class Forecast(PythonModel):
        def __init__(self, fitted):
            self.fitted = fitted

        def predict(self, context, model_input, params=None):
            steps = sorted({int(each) for each in model_input["steps"]})
            found = self.fitted.predict(fh=steps)
            return [float(found.iloc[steps.index(int(each))]) for each in model_input["steps"]]

    index = pd.period_range("2020-01", periods=60, freq="M")
    series = pd.Series(np.sin(np.arange(60.0)) + np.arange(60) / 10, index=index)
    fitted = ExponentialSmoothing(trend="add").fit(series)
    case = Case(Forecast(fitted), pd.DataFrame({"steps": [3]}), flavor="pyfunc")
    case.fresh = pd.DataFrame({"steps": np.arange(1, ROWS + 1) % 50 + 1})
    case.signature = infer_signature(case.example, [0.5])
    return case


@zoo("workshop", "words cut to their stems by nltk, and a corpus beside the model")
def nltk_stems():
    class Stemmed(PythonModel):
        def load_context(self, context):
            import nltk
            from nltk.corpus.reader import WordListCorpusReader
            from nltk.stem import SnowballStemmer

            nltk.data.path.append(context.artifacts["corpus"])
            words = WordListCorpusReader(context.artifacts["corpus"], ["common.txt"])
            self.common, self.stemmer = set(words.words()), SnowballStemmer("english")

        def predict(self, context, model_input, params=None):
            from nltk.tokenize import wordpunct_tokenize

            out = []
            for text in model_input["text"]:
                words = [each for each in wordpunct_tokenize(text.lower())]
                out.append(" ".join(self.stemmer.stem(w) for w in words if w not in self.common))
            return out

    folder = _file("corpus")
    folder.mkdir()
    (folder / "common.txt").write_text("the\na\nof\n", encoding="utf-8")
    return _text_case(Stemmed(), {"corpus": str(folder)})


@zoo("workshop", "entities by rules of spaCy, loaded from a folder")
def spacy_rules():
    import spacy

    class Named(PythonModel):
        def load_context(self, context):
            self.nlp = spacy.load(context.artifacts["pipeline"])

        def predict(self, context, model_input, params=None):
            found = self.nlp.pipe(model_input["text"].tolist())
            return [";".join(f"{each.text}:{each.label_}" for each in doc.ents) for doc in found]

    nlp = spacy.blank("en")
    rules = nlp.add_pipe("entity_ruler")
    rules.add_patterns([{"label": "CITY", "pattern": [{"LOWER": "oslo"}]}])
    folder = _file("pipeline")
    nlp.to_disk(folder)
    return _text_case(Named(), {"pipeline": str(folder)})


@zoo("workshop", "letters of every script by regex")
def regex_scripts():
    class Counted(PythonModel):
        def predict(self, context, model_input, params=None):
            import regex

            word = regex.compile(r"\p{Lu}\p{Ll}+|(?:(?=\p{Han}).)+", regex.V1)
            return [len(word.findall(text)) for text in model_input["text"]]

    case = _text_case(Counted(), None)
    case.signature = infer_signature(case.example, [1])
    return case


@zoo("workshop", "cells of a map by h3")
def h3_cells():
    class Celled(PythonModel):
        def predict(self, context, model_input, params=None):
            import h3

            rows = model_input[["north", "east"]].itertuples(index=False)
            return [h3.latlng_to_cell(row.north, row.east, 7) for row in rows]

    return _place_case(Celled(), None, "text")


@zoo("workshop", "points in areas by geopandas, and another projection")
def geopandas_areas():
    class Placed(PythonModel):
        def load_context(self, context):
            import geopandas

            self.areas = geopandas.read_file(context.artifacts["areas"])

        def predict(self, context, model_input, params=None):
            import geopandas

            points = geopandas.points_from_xy(model_input["east"], model_input["north"])
            rows = geopandas.GeoDataFrame(geometry=points, crs="EPSG:4326")
            found = rows.sjoin(self.areas, how="left", predicate="within")
            metres = rows.to_crs("EPSG:3857").geometry.x.round(3)
            return (found["rate"].fillna(0) + metres).tolist()

    square = [[0, 40], [10, 40], [10, 60], [0, 60], [0, 40]]
    area = {"type": "Polygon", "coordinates": [square]}
    feature = {"type": "Feature", "properties": {"rate": 2.5}, "geometry": area}
    path = _file("areas.geojson")
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return _place_case(Placed(), {"areas": str(path)}, 0.5)


def _text_case(model, artifacts):
    """Log a model of one column of text, answered by text."""
    rng = np.random.default_rng(4)
    words = np.array(["The", "running", "dogs", "of", "Oslo", "is", "naïve", "東京", "Ærø", "ate", ""])
    texts = [" ".join(rng.choice(words, 6)) for _ in range(ROWS)]
    case = Case(model, pd.DataFrame({"text": texts[:3]}), flavor="pyfunc")
    case.options = {"artifacts": artifacts} if artifacts else {}
    case.fresh = pd.DataFrame({"text": texts})
    case.beyond = [table(pd.DataFrame({"text": ["", "🙂 ran", "O\u0301slo"]}))]
    case.signature = infer_signature(case.example, ["text"])
    return case


def _place_case(model, artifacts, answer):
    """Log a model of places on the map."""
    rng = np.random.default_rng(4)
    fresh = pd.DataFrame({"north": rng.uniform(30, 70, ROWS), "east": rng.uniform(-20, 30, ROWS)})
    case = Case(model, fresh.head(3), fresh, flavor="pyfunc")
    case.options = {"artifacts": artifacts} if artifacts else {}
    case.signature = infer_signature(case.example, [answer])
    return case
