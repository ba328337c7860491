"""What drift is measured from: found, sketched, asked of the registered model, and written down."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.observability.sketches import Baseline
from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError, ToolError
from packager.pipeline import baseline
from packager.types import BuildPlan
from tests import fake_plan

SIGNATURE: dict[str, Any] = {
    "inputs": [
        {"name": "x", "type": "double", "required": True},
        {"name": "kind", "type": "string", "required": True},
    ]
}
ROWS = 300


def table() -> pd.DataFrame:
    dice = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "x": dice.normal(0, 1, ROWS),
            "kind": dice.choice(["secret-a", "secret-b"], ROWS),
            "label": 1,
        }
    )


def plan(path: Path | None, source: str = "the file t.csv", **asked: Any) -> BuildPlan:
    model = fake_plan.model(signature=SIGNATURE, baseline=path, baseline_source=source)
    return fake_plan.plan(model=model, request=fake_plan.request(**asked))


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The registered model, as a fake that doubles x."""
    asked: list[list[str]] = []

    def answer(_: BuildPlan, frame: Any) -> list[float]:
        asked.append(list(frame.columns))
        return [2 * value for value in frame["x"]]

    monkeypatch.setattr(baseline, "_ask_model", answer)
    return asked


WRITERS: dict[str, Any] = {
    "t.csv": lambda frame, path: frame.to_csv(path, index=False),
    "t.parquet": lambda frame, path: frame.to_parquet(path),
    "t.jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_becomes_a_sketch(tmp_path: Path, name: str, doubled: list[list[str]]) -> None:
    WRITERS[name](table(), tmp_path / name)

    text = baseline.make(plan(tmp_path / name))

    assert text is not None
    made = Baseline.parse(text)
    assert ([s.name for s in made.inputs], made.rows) == (["x", "kind"], ROWS)
    assert [s.name for s in made.predictions] == ["0"]
    assert made.predictions[0].low == pytest.approx(2 * (made.inputs[0].low or 0))
    assert doubled == [["x", "kind"]]
    assert "secret" not in text
    assert baseline.make(plan(tmp_path / name)) == text


def test_without_a_table_there_is_none() -> None:
    assert baseline.make(plan(None)) is None


def test_an_example_of_a_few_rows_is_not_enough_and_a_file_must_be(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    table().head(20).to_csv(path, index=False)

    assert baseline.make(plan(path, "the saved example")) is None
    with pytest.raises(ConfigurationError, match="there are 20 rows"):
        baseline.make(plan(path, baseline=path))


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table()[["label"]].to_csv(path, index=False)
    with pytest.raises(ConfigurationError, match=r"the columns \['label'\]"):
        baseline.make(plan(path, baseline=path))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"none")
    with pytest.raises(ConfigurationError, match="cannot be read as a table"):
        baseline.make(plan(path))


def test_a_model_that_cannot_be_asked_leaves_its_inputs_sketched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    table().to_csv(path, index=False)

    def refuse(*_: Any) -> Any:
        raise ToolError("uv could not")

    monkeypatch.setattr(baseline, "_ask_model", refuse)

    made = Baseline.parse(baseline.make(plan(path)) or "")

    assert (len(made.inputs), made.predictions) == (2, ())


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ([{"label": "a", "p": 0.5}] * ROWS, ["label", "p"]),
        ([[0.1, 0.9]] * ROWS, ["0", "1"]),
        (["a", "b", "c"] * (ROWS // 3), ["0"]),
        ([{"p": 0.5}] * ROWS, ["0"]),
        ([0.5] * 10, []),
    ],
)
def test_answers_of_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[Any], names: list[str]
) -> None:
    path = tmp_path / "t.csv"
    table().to_csv(path, index=False)
    monkeypatch.setattr(baseline, "_ask_model", lambda *_: answers)

    made = Baseline.parse(baseline.make(plan(path)) or "")

    assert [s.name for s in made.predictions] == names


def test_digits_do_not_hang_on_the_machine(tmp_path: Path, doubled: list[list[str]]) -> None:
    path = tmp_path / "t.csv"
    table().to_csv(path, index=False)
    text = baseline.make(plan(path)) or ""
    (first, *_) = json.loads(text)["inputs"]
    assert all(len(repr(edge).lstrip("-0.").replace(".", "")) <= 13 for edge in first["edges"])
    assert replace(Baseline.parse(text), rows=1).rows == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("few.csv", b"x,kind\n1,a\n", "there are 1 rows"),
        ("others.csv", b"a,b\n" + b"1,2\n" * ROWS, r"the columns \['a', 'b'\]"),
        ("torn.parquet", b"PAR1xx", "cannot be read as a table"),
        ("empty.csv", b"", "cannot be read as a table"),
        ("rows.jsonl", b'{"x": 1}\n{"x":', "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_without_asking_the_model(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    asked = plan(tmp_path / name, baseline=tmp_path / name)
    with pytest.raises(ConfigurationError, match=said):
        baseline.check_table(asked.request, asked.model)


def test_a_table_that_nobody_named_refuses_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"")
    logged = plan(tmp_path / "t.csv")
    baseline.check_table(logged.request, logged.model)


@pytest.mark.parametrize("columns", [{}, {"columns": [0, 1]}])
def test_an_example_without_names_of_columns_is_a_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, columns: dict[str, Any]
) -> None:
    path = tmp_path / "example-as-baseline.json"
    split = {"data": [[1.0, 2.0]] * ROWS, **columns}
    path.write_text(json.dumps({"dataframe_split": split}), encoding="utf-8")
    caplog.set_level("INFO")

    found = baseline.measure_baseline(plan(path, "the saved example"))

    assert found.drift is None
    assert "300 rows and the columns [0, 1]" in caplog.text


@pytest.mark.parametrize("named", [True, False])
def test_a_parquet_file_without_its_reader_says_what_to_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    doubled: list[list[str]],
    *,
    named: bool,
) -> None:
    """A file that you name is refused; a run's training set is left out with a warning."""
    monkeypatch.setattr(baseline, "find_spec", lambda name: None)
    path = tmp_path / "t.parquet"
    table().to_parquet(path)
    asked = plan(path, "the file t.parquet", **({"baseline": path} if named else {}))
    if named:
        with pytest.raises(
            ConfigurationError, match=rf"--baseline .*{re.escape(name_install(extra='parquet'))}"
        ):
            baseline.make(asked)
        return
    assert baseline.make(asked) is None
    assert name_install(extra="parquet") in caplog.text
    assert not doubled
