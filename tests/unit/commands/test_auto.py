"""`--target auto`: one target after the other, until what was measured on the artifact fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from typer.testing import CliRunner

from packager import cli, targets
from packager.commands.targets import selection
from packager.commands.targets.measurements import count_rows
from packager.commands.targets.selection import (
    build_auto,
    list_verdicts,
    read_measurements,
    verdicts_of,
)
from packager.commands.targets.workload import Workload
from packager.errors import PlanError, ToolError, VerificationError
from packager.types import (
    Artifact,
    BuildReport,
    BuildRequest,
    Bundle,
    Check,
    Choice,
    Compute,
    Device,
    FileRecord,
    Finding,
    Requirements,
    SavedExample,
    Weights,
)
from tests import fake_plan

Made = Callable[[BuildRequest], BuildReport]


def report(request: BuildRequest, **changes: Any) -> BuildReport:
    cold = fake_plan.EVIDENCE.replay.cold_start
    assert cold is not None
    evidence = fake_plan.evidence(cold_start=replace(cold, **changes.pop("cold", {})))
    out = request.output.folder
    artifact = Artifact(
        path=out / "function.zip",
        folder=out / "function",
        sha256="0",
        size_bytes=1,
        unzipped_bytes=changes.pop("unzipped_bytes", 10_000_000),
    )
    return BuildReport(
        plan=fake_plan.plan(request=request, target=targets.load(request.target.name)),
        bundle=changes.pop("bundle", Bundle(root=Path("f"), files=())),
        evidence=evidence,
        artifact=artifact,
        emitted=(),
    )


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[BuildRequest]:
    """Every request that is built; the model is resolved to a made-up one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(selection, "resolve", lambda *_: fake_plan.model())
    return []


def building(monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest], make: Made) -> None:
    def build(request: BuildRequest, _: Any) -> BuildReport:
        tried.append(request)
        made = make(request)
        made.artifact.folder.mkdir(parents=True)
        (request.output.folder / "report.json").write_text(request.target.name)
        return made

    monkeypatch.setattr(selection, "build", build)


def run(**changes: Any) -> Any:
    return build_auto(fake_plan.request(**changes), None, Workload())  # type: ignore[arg-type]


def test_what_fits_the_first_is_built_once(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    building(monkeypatch, tried, report)

    decided = run()

    assert [request.target.name for request in tried] == ["aws-lambda"]
    assert decided.passed_over == ()
    assert len(decided.verdicts) == len(targets.TARGETS)


def test_a_build_that_is_too_large_goes_on_to_the_next(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    def make(request: BuildRequest) -> BuildReport:
        if request.target.name == "aws-lambda":
            found = Finding(check=Check.BUDGET, message="It is 38 MB over.", hint="")
            raise VerificationError([found])
        return report(request, unzipped_bytes=300_000_000)

    building(monkeypatch, tried, make)

    decided = run()

    assert decided.report.plan.target.name == "aws-lambda-image"
    assert decided.passed_over == ("aws-lambda: It is 38 MB over.",)


@pytest.mark.parametrize("wanted", [Weights.FETCH, Weights.MOUNT, Weights.AUTO])
def test_each_target_has_its_weights_outside_in_its_own_ways_alone(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest], wanted: Weights
) -> None:
    def make(request: BuildRequest) -> BuildReport:
        found = Finding(check=Check.BUDGET, message="It is too large.", hint="")
        raise VerificationError([found])

    building(monkeypatch, tried, make)

    with pytest.raises(VerificationError):
        run(weights=wanted)

    asked = {request.target.name: request.target.weights for request in tried}
    assert asked.pop("aws-lambda") is wanted
    on_azure = Weights.PACKAGE if wanted is Weights.FETCH else wanted
    assert asked.pop("azure-functions") is on_azure
    assert {*asked.values()} == {Weights.PACKAGE}


def test_targets_without_the_wanted_machines_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    def make(request: BuildRequest) -> BuildReport:
        raise VerificationError([Finding(check=Check.BUDGET, message="Too large.", hint="")])

    building(monkeypatch, tried, make)

    with pytest.raises(VerificationError) as raised:
        run(compute=Compute.MANAGED_INSTANCES)

    assert [request.target.name for request in tried] == ["aws-lambda", "aws-lambda-image"]
    assert "azure-functions: it has no managed-instances." in str(raised.value)
    assert "gpu-container: it has no managed-instances." in str(raised.value)


def test_what_was_measured_counts_and_not_what_was_built(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    building(monkeypatch, tried, lambda request: report(request, cold={"peak_rss_bytes": 9 << 30}))

    decided = run()

    assert [request.target.name for request in tried] == list(targets.TARGETS)
    assert decided.report.plan.target.name == "gpu-container"
    assert tried[-1].target.device is Device.CPU
    assert all("memory, with room" in why for why in decided.passed_over)


def test_a_model_for_a_gpu_is_built_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    building(monkeypatch, tried, report)
    lines = Requirements(lines=("vllm==1.0",))
    monkeypatch.setattr(selection, "resolve", lambda *_: fake_plan.model(requirements=lines))

    decided = run()

    assert [(request.target.name, request.target.device) for request in tried] == [
        ("gpu-container", None)
    ]
    assert len(decided.passed_over) == len(targets.TARGETS) - 1


@pytest.mark.parametrize(
    "error",
    [
        ToolError("uv failed"),
        PlanError("No wheel."),
        VerificationError([Finding(check=Check.REPLAY, message="row 7 differs", hint="")]),
    ],
)
def test_any_other_failure_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest], error: Exception
) -> None:
    def make(_: BuildRequest) -> BuildReport:
        raise error

    building(monkeypatch, tried, make)

    with pytest.raises(type(error)):
        run()
    assert len(tried) == 1


def test_where_nothing_takes_it_every_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    def make(_: BuildRequest) -> BuildReport:
        raise PlanError("Its files have 99 TB.\nThe way out is the target x.")

    building(monkeypatch, tried, make)

    with pytest.raises(VerificationError) as error:
        run()
    assert len(error.value.findings) == len(targets.TARGETS)


WEIGHTS = (FileRecord(PurePosixPath("model.pkl"), "1" * 64, 300_000_000),)


def make_large(request: BuildRequest) -> BuildReport:
    """A function whose weights lie outside where they may, and in the image where not."""
    outside = request.target.weights is not Weights.PACKAGE
    bundle = Bundle(root=Path("f"), files=(), weights=WEIGHTS if outside else ())
    size = 100_000_000 if outside else 400_000_000
    return report(request, bundle=bundle, unzipped_bytes=size)


def test_a_model_whose_weights_fit_no_zip_is_built_as_it_is_measured_to_be_best(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest], tmp_path: Path
) -> None:
    building(monkeypatch, tried, make_large)
    recorded: list[Choice] = []
    monkeypatch.setattr(selection, "record_choice", lambda _, choice: recorded.append(choice))

    decided = run(weights=Weights.AUTO)

    asked = [(request.target.name, request.target.weights) for request in tried]
    assert asked == [("aws-lambda", Weights.AUTO), ("aws-lambda", Weights.MOUNT)]
    assert decided.report.plan.request.target.weights is Weights.MOUNT
    assert recorded == [decided.choice]
    assert decided.choice["needed"] == (
        "Unpacked it has 400.0 MB with its weights, and aws-lambda takes 262.1 MB."
    )
    # only what was chosen is left, under the name that was asked for
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]
    assert (tmp_path / "dist" / "function").is_dir()
    assert decided.report.artifact.folder == Path("dist") / "function"


def test_what_fails_while_it_is_weighed_leaves_what_was_there(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest], tmp_path: Path
) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "report.json").write_text("before")

    def make(request: BuildRequest) -> BuildReport:
        if request.target.weights is Weights.MOUNT:
            raise ToolError("uv failed")
        return make_large(request)

    building(monkeypatch, tried, make)

    with pytest.raises(ToolError):
        run(weights=Weights.AUTO)
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]
    assert (tmp_path / "dist" / "report.json").read_text() == "before"


def test_a_place_of_the_weights_that_was_named_is_not_weighed(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    building(monkeypatch, tried, make_large)

    decided = run(weights=Weights.FETCH)

    assert [request.target.weights for request in tried] == [Weights.FETCH]
    assert decided.choice is None


def test_what_was_not_timed_is_not_weighed(
    monkeypatch: pytest.MonkeyPatch, tried: list[BuildRequest]
) -> None:
    def make(request: BuildRequest) -> BuildReport:
        made = make_large(request)
        return replace(made, evidence=fake_plan.evidence(cold_start=None))

    building(monkeypatch, tried, make)

    decided = run(weights=Weights.AUTO)

    assert len(tried) == 1
    assert decided.choice is None
    assert decided.passed_over == ("other places for the weights: nothing was timed to weigh by",)


def test_what_is_told_is_json_and_says_what_it_costs() -> None:
    found = read_measurements(report(fake_plan.request()))
    plain = json.loads(json.dumps(list_verdicts(verdicts_of(found, Workload(rows=4)))))

    assert [row["fits"] for row in plain] == [True] * len(targets.TARGETS)
    assert all(row["dollars_per_million"] > 0 for row in plain)
    assert found.rows == 1


def test_the_answer_that_was_timed_is_held_to_what_a_target_sends_back() -> None:
    example = SavedExample(
        body=b'{"inputs": [[1], [2]]}', content_type="application/json", source="logged"
    )
    built = report(fake_plan.request(), cold={"response_bytes": 2_000_000})
    built = replace(built, plan=replace(built.plan, model=fake_plan.model(example=example)))

    found = read_measurements(built)
    verdicts = {v.target: v.fits for v in verdicts_of(found, Workload(rows=10))}

    assert (found.response_bytes, found.rows) == (2_000_000, 2)
    # ten rows are 10 MB, and Lambda sends 6
    assert (verdicts["aws-lambda"], verdicts["gpu-container"]) == (False, True)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"dataframe_split": {"columns": ["x"], "data": [[1], [2], [3]]}}', 3),
        (b'{"inputs": [[1, 2], [3, 4]]}', 2),
        (b'{"inputs": {"x": [1, 2, 3, 4]}}', 4),
        (b'{"dataframe_records": [{"x": 1}]}', 1),
        (b'{"messages": []}', 1),
        (b"x,y\n1,2", 1),
        (None, 1),
    ],
)
def test_rows_of_an_example(body: bytes | None, rows: int) -> None:
    assert count_rows(body) == rows


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ((), Weights.AUTO),
        (("--weights", "package"), Weights.PACKAGE),
        (("--weights", "mount"), Weights.MOUNT),
        (("--engine", "machine-code"), Weights.PACKAGE),
        (("--compute", "managed-instances"), Weights.PACKAGE),
    ],
)
def test_auto_leaves_the_place_of_the_weights_open_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], place: Weights
) -> None:
    asked: list[BuildRequest] = []

    def refuse(request: BuildRequest, *_: object) -> None:
        asked.append(request)
        raise PlanError("far enough")

    monkeypatch.setattr(selection, "build_auto", refuse)

    found = CliRunner().invoke(cli.app, ["build", "models:/x/1", "--target", "auto", *given])

    assert isinstance(found.exception, PlanError), found.output
    assert asked[0].target.weights is place
