"""statsmodels' linear family as graphs: formulas, links, categories, missing values."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from packager.engines.onnx.families import family_of
from packager.engines.onnx.graph_under_test import GraphCase
from packager.engines.onnx.selection import prove
from packager.engines.proof.inputs import Column, Inputs, RefusedError

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=120),
        "b": RNG.gamma(2.0, size=120),
        "plan": np.array(RNG.choice(["basic", "plus", "pro"], 120), dtype=object),
        "grade": RNG.integers(0, 4, 120),
    }
)
FRAME["number"] = FRAME.a + FRAME.b + (FRAME.plan == "pro") + RNG.normal(size=120)
FRAME["positive"] = np.exp(FRAME.a / 4) + FRAME.b
FRAME["yes"] = (FRAME.number > FRAME.number.median()).astype(float)
TYPES = {"a": "double", "b": "double", "plan": "string", "grade": "long"}
FAMILIES = sm.families


def fitted(formula: str, **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if settings:
            return smf.glm(formula, FRAME, **settings).fit()
        return smf.ols(formula, FRAME).fit()


def table(rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "a": rng.normal(size=rows),
        "b": rng.gamma(2.0, size=rows) + 0.01,
        "plan": np.array(rng.choice(["basic", "plus", "pro"], rows), dtype=object),
        "grade": rng.integers(0, 4, rows),
    }


def proven(model: Any, names: list[str], out: Path) -> dict[str, Any]:
    def predict(columns: Any) -> Any:
        return pd.DataFrame(model.predict(pd.DataFrame(dict(columns)))).to_numpy()

    def drawn(rows: int, seed: int) -> dict[str, Any]:
        made = table(rows, seed)
        return {name: made[name] for name in names}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = GraphCase(
            predict=predict,
            model=model,
            inputs=Inputs(columns=tuple(Column(name, TYPES[name]) for name in names)),
            family=family_of(model),
            method="predict",
            table=drawn(500, 1),
            example=drawn(5, 2),
            rtol=1e-5,
            atol=1e-6,
            seed=0,
            names=lambda: ["0"],
        )
        return prove(case, out)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("number ~ a * b", ["a", "b"]),
        ("number ~ a + I(b / (1 + a ** 2)) - 1", ["a", "b"]),
        ("number ~ plan + a", ["a", "plan"]),
        ("number ~ C(plan, Sum) * a + b", ["a", "b", "plan"]),
        ("number ~ C(plan):b + plan", ["b", "plan"]),
    ],
)
def test_a_formula_is_compiled(formula: str, names: list[str], tmp_path: Path) -> None:
    result = proven(fitted(formula), names, tmp_path)
    assert "refused" not in result
    assert result["options"]["names"] == ["0"]
    (taken,) = [each for each in result["evidence"]["candidates"] if each.get("taken")]
    assert taken["rows"] >= 1000
    assert taken["max_rel_error"] < 1e-9


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("yes ~ a", FAMILIES.Binomial()),
        ("positive ~ a", FAMILIES.Poisson()),
        ("yes ~ a", FAMILIES.Binomial(FAMILIES.links.CLogLog())),
        ("positive ~ b", FAMILIES.Poisson(FAMILIES.links.Sqrt())),
    ],
)
def test_a_link_is_compiled(formula: str, family: Any, tmp_path: Path) -> None:
    names = [formula.rpartition(" ")[2]]
    assert "refused" not in proven(fitted(formula, family=family), names, tmp_path)


def test_columns_without_a_formula_are_the_design(tmp_path: Path) -> None:
    model = sm.OLS(FRAME.number.to_numpy(), FRAME[["a", "b"]].to_numpy()).fit()
    assert "refused" not in proven(model, ["a", "b"], tmp_path)


def test_words_that_the_formula_refuses_are_refused_by_the_loader(tmp_path: Path) -> None:
    result = proven(fitted("number ~ plan + a"), ["a", "plan"], tmp_path)
    assert result["options"]["levels"] == {"plan": ["basic", "plus", "pro"]}
    assert result["evidence"]["candidates"][0]["refusals_agreed"] >= 2


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: fitted("number ~ center(a)"), r"a formula with center\(a\)"),
        (
            lambda: fitted("yes ~ a", family=FAMILIES.Binomial(FAMILIES.links.Probit())),
            "the linear family: Probit",
        ),
        (
            lambda: smf.mixedlm("number ~ a", FRAME, groups=FRAME.grade).fit(),
            "the linear family: MixedLM",
        ),
    ],
)
def test_what_is_not_of_the_linear_family_is_refused(make: Any, why: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
    try:
        why_not = " ".join(proven(model, ["a"], tmp_path)["refused"])
    except RefusedError as error:
        why_not = str(error)
    assert re.search(why, why_not)
