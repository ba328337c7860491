"""Models of a notebook machine: `pip freeze` of nearly two hundred packages, Jupyter among them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from models._registry import ROWS, Case, frame, label, table, zoo
from models.columns import THREE, _fit
from models.functions import _case


@zoo("notebook", "a pipeline, logged with all that pip freeze says")
def freeze_pipeline():
    return _fit(make_pipeline(StandardScaler(), LogisticRegression()))


@zoo("notebook", "oversampling in a pipeline of imbalanced-learn")
def imblearn_pipeline():
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import Pipeline

    steps = [("s", SMOTE(random_state=0)), ("z", StandardScaler()), ("l", LogisticRegression())]
    return _fit(Pipeline(steps))


@zoo("notebook", "target encoding by category_encoders")
def category_encoders_target():
    from category_encoders import TargetEncoder

    model = make_pipeline(TargetEncoder(cols=["city", "plan"]), LogisticRegression())
    case = _fit(model, ["age", "city", "plan"])
    case.beyond.append(table(case.fresh.head(3).assign(city="Paris")))
    return case


@zoo("notebook", "SHAP values of trees for an answer")
def shap_values():
    class Explained(PythonModel):
        def __init__(self, explainer):
            self.explainer = explainer

        def predict(self, context, model_input, params=None):
            return self.explainer.shap_values(model_input)[:, 0].tolist()

    import shap
    from sklearn.ensemble import GradientBoostingClassifier

    data = frame(200)
    fitted = GradientBoostingClassifier(n_estimators=10, random_state=0)
    return _case(Explained(shap.TreeExplainer(fitted.fit(data[THREE], label(data)))))


@zoo("notebook", "a forecast by statsforecast")
def statsforecast_forecast():
    class Forecast(PythonModel):
        def __init__(self, fitted):
            self.fitted = fitted

        def predict(self, context, model_input, params=None):
            steps = int(model_input["steps"].max())
            return self.fitted.predict(h=steps)["mean"].tolist()

    from statsforecast.models import AutoETS

    fitted = AutoETS(season_length=4).fit(np.sin(np.arange(60.0)) + np.arange(60) / 10)
    case = Case(Forecast(fitted), pd.DataFrame({"steps": [3]}), flavor="pyfunc")
    case.fresh = pd.DataFrame({"steps": np.arange(1, ROWS + 1) % 50 + 1})
    case.signature = infer_signature(case.example, [0.5])
    return case


@zoo("notebook", "polars inside predict")
def polars_inside():
    class Lazy(PythonModel):
        def predict(self, context, model_input, params=None):
            import polars as pl

            data = pl.DataFrame({each: model_input[each].tolist() for each in model_input})
            ranked = data.with_columns(pl.col("age").rank().over("city").alias("rank"))
            return ranked["rank"].to_list()

    return _case(Lazy(), None, ["age", "city"])


@zoo("notebook", "xgboost's own flavor")
def xgboost_classifier():
    from xgboost import XGBClassifier

    return _fit(XGBClassifier(n_estimators=20), flavor="xgboost", serialization=None)


@zoo("notebook", "lightgbm's own flavor")
def lightgbm_regressor():
    from lightgbm import LGBMRegressor

    return _fit(LGBMRegressor(n_estimators=20, verbose=-1), flavor="lightgbm", serialization=None)


@zoo("notebook", "xgboost at the end of a pipeline of scikit-learn")
def xgboost_in_pipeline():
    from xgboost import XGBClassifier

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough"
    )
    case = _fit(make_pipeline(columns, XGBClassifier(n_estimators=20)), ["age", "income", "city"])
    case.beyond.append(table(case.fresh.head(3).assign(city="Paris")))
    return case


@zoo("notebook", "lightgbm at the end of a pipeline, with pandas output")
def lightgbm_in_pipeline():
    from lightgbm import LGBMClassifier

    scale = StandardScaler().set_output(transform="pandas")
    return _fit(make_pipeline(scale, LGBMClassifier(n_estimators=20, verbose=-1)))


@zoo("notebook", "statsmodels' own flavor, by a formula")
def statsmodels_formula():
    import statsmodels.formula.api as smf

    data = frame(200)
    fitted = smf.ols("income ~ age + visits + C(plan)", data).fit()
    columns = ["age", "visits", "plan"]
    fresh = frame(ROWS, seed=3)[columns]
    return Case(fitted, data[columns].head(3), fresh, flavor="statsmodels", serialization=None)


@zoo("notebook", "a model of requests' own: a library that only MLflow brought")
def mlflow_brought():
    class Templated(PythonModel):
        def predict(self, context, model_input, params=None):
            from jinja2 import Template

            line = Template("{{ city|upper }}: {{ '%.1f'|format(age) }}")
            return [line.render(city=row.city, age=row.age) for row in model_input.itertuples()]

    return _case(Templated(), None, ["age", "city"])


@zoo("notebook", "names of a conda environment alone")
def conda_names():
    case = _fit(make_pipeline(StandardScaler(), LogisticRegression()))
    case.options["conda_env"] = {
        "name": "base",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.12", "scikit-learn=1.9.1", "pandas=2.3.3", "py-xgboost=3.0",
                         {"pip": ["mlflow==3.17.2"]}],
    }  # fmt: skip
    return case


@zoo("notebook", "pip's lines in every form: comments, extras, markers, duplicates, other lines' ends")
def lines_as_they_are():
    case = _fit(make_pipeline(StandardScaler(), LogisticRegression()))
    case.requirements = [
        "mlflow == 3.17.2",
        "Scikit_Learn==1.9.1  # the model",
        "scikit-learn==1.9.1",
        "pandas==2.3.3 ; python_version >= '3.9'",
        "pywin32==306 ; sys_platform == 'win32'",
        "numpy==2.5.5\r",
        "cloudpickle",
    ]
    return case


@zoo("notebook", "a local file among the requirements")
def line_of_a_file():
    case = _fit(make_pipeline(StandardScaler(), LogisticRegression()))
    case.requirements = [
        "mlflow==3.17.2", "scikit-learn==1.9.1", "pandas==2.3.3",
        "churn @ file:///home/ola/dist/churn-0.3.0-py3-none-any.whl",
    ]  # fmt: skip
    return case
