"""The zoo's own parts: what lists its models, what compares answers, what writes the page."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from packager.errors import PlanError
from packager.types import BuildReport, Json
from tests.zoo import build as zoo
from tests.zoo import results, service
from tests.zoo.asking import compare_requests, measure_difference
from tests.zoo.build import Listed, list_models
from tests.zoo.environments import HERE, read_environments
from tests.zoo.report import PAGE, render_page

BUILT: dict[str, Any] = {
    "outcome": "built", "target": "aws-lambda", "tier": "native", "frame": "numpy", "rows": 1020,
    "declared": 113, "shipped": 17, "unzipped_bytes": 101_000_000, "size_bytes": 41_000_000,
    "largest": 0.0, "wrong": [], "added": [],
}  # fmt: skip


def test_every_model_is_of_an_environment_that_can_import_it() -> None:
    models, environments = list_models(), {each.name: each for each in read_environments()}

    assert len(models) >= 60
    assert len({each.name for each in models}) == len(models)
    assert {each.environment for each in models} == set(environments)
    for environment in environments.values():
        assert all((HERE / "models" / f"{each}.py").is_file() for each in environment.modules)


def test_no_registered_model_is_missed_by_the_list() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (HERE / "models").glob("[!_]*.py")]

    assert len(list_models()) == sum(text.count("\n@zoo(") for text in texts)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        (1, 1.0, 0.0),
        ([1.0, {"a": "x"}], [1.0, {"a": "x"}], 0.0),
        (4.0, 3.0, 0.25),
        (0.0, 1e-300, 1.0),
        (math.nan, 1.0, math.inf),
        (1.0, math.nan, math.inf),
        (math.inf, 1.0, math.inf),
        ([1.0, math.nan], [1.0, 5.0], math.inf),
        ([math.nan], [math.nan], 0.0),
        (True, 1, math.inf),
        (None, 0.0, math.inf),
        ("1", 1, math.inf),
        ([1], [1, 1], math.inf),
        ({"a": 1}, {"b": 1}, math.inf),
        ([], [], 0.0),
    ],
)
def test_answers_differ_by_their_farthest_value(one: Json, other: Json, difference: float) -> None:
    assert measure_difference(one, other) == difference


def test_a_request_is_wrong_by_status_or_by_value() -> None:
    right = (200, '{"predictions": [1.0, 2.0]}')

    found = compare_requests(
        [right, right, right, (400, "{}")],
        [right, (200, '{"predictions": [1.0, 2.5]}'), (500, "{}"), (400, "another text")],
    )

    assert (found.rows, found.largest) == (4, 0.2)
    assert found.wrong == ("request 1: answers part by 0.2", "request 2: 500 for 200: {}")


def test_the_page_tells_what_was_built_refused_and_not_run() -> None:
    names = ("uv_three_columns", "five_lines", "late", "soon", "gone")
    models = [Listed(name=name, environment="project", about="a | b") for name in names]
    results = {
        "uv_three_columns": BUILT | {"added": ["scipy"]},
        "five_lines": BUILT | {"declared": 5, "unzipped_bytes": 100_000_000},
        "late": {"outcome": "refused", "sentence": "No such\nwheel."},
        "soon": BUILT | {"outcome": "planned", "engine": "machine-code"},
    }

    page = render_page(models, results)

    assert "Of 5 models, 2 were built and answered 2,040 rows as MLflow does." in page
    assert "is 100.0 MB (41.0 MB): +1.0%" in page
    assert "| 113, 17 (scipy after a miss) | 101, 41 | 1,020 | 0 |" in page
    assert "- **late** (a | b): No such wheel." in page
    assert "| soon | project: a \\| b | aws-lambda, machine-code | 113, 17 |" in page
    assert "## Not run\n\ngone." in page


@pytest.mark.parametrize(
    ("answer", "largest"),
    [('[0.7, {"a": 0.9}]', 0.0), ("[0.7]", math.inf), ('[0.7, {"a": "b"}]', math.inf)],
)
def test_answers_by_chance_are_compared_by_kind(answer: str, largest: float) -> None:
    expected = [(200, '{"predictions": [0.1, {"a": 0.2}]}')]
    actual = [(200, f'{{"predictions": {answer}}}')]
    assert compare_requests(expected, actual, is_chance=True).largest == largest
    assert compare_requests(expected, actual).wrong


def test_the_page_marks_rows_of_another_run_than_most() -> None:
    models = [Listed(name=name, environment="project", about="a") for name in ("old", "new", "b")]
    run = BUILT | {"commit": "bbb2222", "date": "2026-11-02"}
    old = BUILT | {"commit": "aaa1111", "date": "2026-11-01"}

    page = render_page(models, {"old": old, "new": run, "b": run})

    assert "2 of bbb2222 (2026-11-02), 1 of aaa1111 (2026-11-01). Those that" in page
    assert "| old † | project: a |" in page
    assert "| new | project: a |" in page
    assert "†" not in render_page(models, {"old": run, "new": run})


def test_the_last_result_of_a_model_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "zoo.json"
    refused = {
        "outcome": "refused",
        "sentence": "No.",
        "ways": {"--x": {**BUILT, "reasons": ["a"]}},
    }
    results.keep_result("one", {**BUILT, "reasons": ["long"]}, file)
    results.keep_result("two", {**BUILT, "outcome": "planned", "is_plan": True}, file)
    results.keep_result("one", {"outcome": "refused", "sentence": "No.", "is_plan": True}, file)
    results.keep_result("two", refused, file)

    assert results.read_results(file) == {
        "one": BUILT,
        "two": {"outcome": "refused", "sentence": "No.", "ways": {"--x": BUILT}},
    }
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4


def test_two_runs_keep_their_results_beside_each_other(tmp_path: Path) -> None:
    file = tmp_path / "zoo.json"

    def keep(run: int) -> None:
        for number in range(40):
            results.keep_result(f"{run}-{number}", BUILT, file)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, range(4)))

    assert len(results.read_results(file)) == 160
    assert list(tmp_path.iterdir()) == [file]


def test_logging_alone_builds_nothing_and_names_what_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "registries" / "project" / "asked" / "five_lines.json"
    names = ("five_lines", "uv_three_columns")
    command = ["build.py", "--work", str(tmp_path), "--log-only", "--only", *names]

    def log(models: list[Listed], work: Path) -> None:
        asked.parent.mkdir(parents=True)
        asked.write_text("{}", encoding="utf-8")

    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(zoo, "log_missing", log)
    monkeypatch.setattr(zoo, "run_models", lambda *given, **settings: pytest.fail("built"))
    with pytest.raises(SystemExit, match="not logged: uv_three_columns"):
        zoo.main()


def test_the_page_is_what_the_kept_results_say() -> None:
    page = render_page(list_models(), results.read_results())

    assert PAGE.read_text(encoding="utf-8") == page


def test_the_page_tells_what_came_of_what_a_refusal_offers() -> None:
    ways = {
        "--engine machine-code": BUILT | {"unzipped_bytes": 700_000},
        "--target aws-lambda-image": {"outcome": "refused", "sentence": "No\ndisk."},
    }
    result = {"outcome": "refused", "sentence": "Too big.", "ways": ways}

    page = render_page([Listed(name="big", environment="project", about="a")], {"big": result})

    assert "- **big** (a): Too big.\n" in page
    assert (
        "| big | --engine machine-code | aws-lambda, native numpy | 0.7, 41.0 | 1,020 | 0 |" in page
    )
    assert "| big | --target aws-lambda-image | refused too |  |  | No disk. |" in page


def test_the_page_tells_of_models_that_were_logged_as_a_refusal_says() -> None:
    names = ("code_path_missing", "code_path_with_data")
    models = [Listed(name=name, environment="project", about="a") for name in names]
    refused = {"outcome": "refused", "sentence": "Log it with code_paths."}

    page = render_page(models, {"code_path_missing": refused, "code_path_with_data": BUILT})

    assert "| code_path_missing | logged with code_paths: code_path_with_data | aws-lambda," in page


def test_each_refused_model_has_what_its_sentence_offers_built() -> None:
    models = {each.name: each for each in list_models()}
    kept = results.read_results()
    refused = {name for name, result in kept.items() if result["outcome"] == "refused"}
    page = PAGE.read_text(encoding="utf-8")
    offered = page.partition("## Refused, then built as the sentence offers")[2].splitlines()

    cells = [row.split(" | ") for row in offered if row.startswith("| ")][1:]
    done = {each[0].strip("| †") for each in cells if each[-1].strip(" |") == "0"}

    assert refused <= set(models)
    assert done == refused


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("Log it again.", [{}]),
        ("Pass --engine machine-code.", [{}, {"engine": "machine-code"}]),
        ("Pass --allow-unproven to build all the same.", [{}, {"allow_unproven": True}]),
        (
            "--upgrade-pins takes a newer one, or build with --target aws-lambda-image.",
            [{}, {"upgrade_pins": True}, {"target": "aws-lambda-image"}],
        ),
    ],
)
def test_what_a_refusal_offers_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sentence: str, asked: list[dict[str, object]]
) -> None:
    seen: list[dict[str, object]] = []

    def refuse(model: Listed, work: Path, **settings: object) -> BuildReport:
        seen.append(settings)
        raise PlanError(sentence)

    monkeypatch.setattr(zoo, "build_model", refuse)

    result = zoo.try_model(
        Listed(name="big", environment="project", about="a"), tmp_path, plan_only=False
    )

    assert (result["outcome"], result["sentence"], seen) == ("refused", sentence, asked)
    assert len(result.get("ways", {})) == len(asked) - 1


def test_a_run_that_was_ended_goes_on_with_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = Listed(name="big", environment="project", about="a")
    asked = tmp_path / "registries" / "project" / "asked" / "big.json"
    asked.parent.mkdir(parents=True)
    asked.write_text("{}", encoding="utf-8")
    seen: list[dict[str, object]] = []

    def refuse(model: Listed, work: Path, **settings: object) -> BuildReport:
        seen.append(settings)
        if len(seen) == 2:
            raise KeyboardInterrupt
        raise PlanError("Build with --target aws-lambda-image.")

    monkeypatch.setattr(zoo, "build_model", refuse)
    monkeypatch.setattr(results, "find_commit", lambda: "abc1234")
    monkeypatch.setattr(results, "keep_result", lambda name, result: None)
    with pytest.raises(KeyboardInterrupt):
        zoo.run_models([model], tmp_path, plan_only=False, again=False)

    found = zoo.run_models([model], tmp_path, plan_only=False, again=False)

    image = {"target": "aws-lambda-image"}
    assert seen == [{}, image, image]
    assert list(found["big"]["ways"]) == ["--target aws-lambda-image"]
    assert list((tmp_path / "steps").iterdir()) == []


@pytest.mark.parametrize(("name", "network"), [(service.ASKED_BY, True), ("five_lines", False)])
def test_only_a_model_that_asks_a_service_is_asked_with_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, name: str, network: bool
) -> None:
    asked = tmp_path / "registries" / "project" / "asked" / f"{name}.json"
    asked.parent.mkdir(parents=True)
    asked.write_text('{"requests": [], "answers": []}', encoding="utf-8")
    seen: list[bool] = []

    def ask(folder: Path, requests: list[Json], *, network: bool) -> list[tuple[int, str]]:
        seen.append(network)
        return []

    monkeypatch.setattr(zoo, "ask_artifact", ask)

    result = zoo.ask_model(Listed(name=name, environment="project", about="a"), tmp_path)

    assert (result["outcome"], seen) == ("built", [network])
