"""Several builds from Python: each has its result, and its progress is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import packager
from packager import BuildRequest, BuildResult, Progress, Provided, make_request
from packager.errors import ConfigurationError, ModelNotFoundError
from packager.pipeline import build as pipeline
from packager.pipeline.output import several
from packager.types import Stage

LOG = logging.getLogger("packager.pipeline.test")
Build = Callable[[BuildRequest], None]


@pytest.fixture
def building(monkeypatch: pytest.MonkeyPatch) -> Callable[[Build], list[BuildRequest]]:
    """Have what a build does done by a function; the requests are those that came to it."""

    def use(work: Build) -> list[BuildRequest]:
        asked: list[BuildRequest] = []

        def build_or_reuse(request: BuildRequest, _: object) -> Provided:
            asked.append(request)
            work(request)
            return Provided(folder=request.output.folder)

        monkeypatch.setattr(several, "build_or_reuse", build_or_reuse)
        return asked

    return use


def requests(folder: Path, *names: str) -> list[BuildRequest]:
    return [make_request(f"models:/{name}/1", out_dir=folder / name) for name in names]


def log_stage(_: BuildRequest) -> None:
    pipeline.begin_stage(Stage.RESOLVE)
    LOG.debug("Not told.")
    LOG.info("Fetching with token=%s", "https://me:word@host/")
    LOG.warning("It is odd.")


def test_a_build_that_fails_loses_no_other(
    building: Callable[[Build], list[BuildRequest]], tmp_path: Path
) -> None:
    error = ModelNotFoundError("There is no model b.")

    def fail(request: BuildRequest) -> None:
        if request.model.uri == "models:/b/1":
            raise error

    wanted = requests(tmp_path, "a", "b", "c")
    asked = building(fail)
    found = packager.build_all(iter(wanted))

    assert asked == wanted
    assert found == (
        BuildResult(request=wanted[0], artifact=Provided(folder=tmp_path / "a")),
        BuildResult(request=wanted[1], error=error),
        BuildResult(request=wanted[2], artifact=Provided(folder=tmp_path / "c")),
    )


@pytest.mark.parametrize("other", ["a", "a/b", "."])
def test_nothing_is_built_where_one_artifact_would_replace_another(
    other: str, building: Callable[[Build], list[BuildRequest]], tmp_path: Path
) -> None:
    asked = building(lambda _: None)
    wanted = [make_request("models:/x/1", out_dir=tmp_path / name) for name in ("a", other)]

    with pytest.raises(ConfigurationError, match=r"build 1 \(models:/x/1 for aws-lambda\) would"):
        packager.build_all(wanted)
    assert not asked


def test_each_line_is_told_with_its_stage(
    building: Callable[[Build], list[BuildRequest]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No password is in it, and the program's own log has what it had before."""
    building(log_stage)
    told: list[Progress] = []
    (request,) = requests(tmp_path, "a")
    with caplog.at_level(logging.WARNING):
        assert packager.build(request, on_progress=told.append) == Provided(folder=tmp_path / "a")

    assert [each.message for each in told] == [
        "Reading the model",
        "Fetching with token=https://host/",
        "It is odd.",
    ]
    assert {(each.stage, each.stages, each.request) for each in told} == {
        (Stage.RESOLVE, tuple(Stage), request)
    }
    assert [each.is_warning for each in told] == [False, False, True]
    assert [*sorted(told, key=lambda each: each.elapsed_seconds)] == told
    assert [record.getMessage() for record in caplog.records] == ["It is odd."]


def test_the_logger_is_as_it_was_afterwards(
    building: Callable[[Build], list[BuildRequest]], tmp_path: Path
) -> None:
    building(log_stage)
    logger = logging.getLogger("packager")
    before = (logger.level, logger.propagate, [*logger.handlers])
    packager.build_all(requests(tmp_path, "a", "b"), on_progress=lambda _: None)

    assert (logger.level, logger.propagate, [*logger.handlers]) == before


def test_what_the_function_raises_ends_the_run(
    building: Callable[[Build], list[BuildRequest]], tmp_path: Path
) -> None:
    asked = building(log_stage)

    def stop(_: Progress) -> None:
        raise RuntimeError("Enough.")

    with pytest.raises(RuntimeError, match="Enough"):
        packager.build_all(requests(tmp_path, "a", "b"), on_progress=stop)
    assert len(asked) == 1


def test_an_interrupt_ends_the_run(
    building: Callable[[Build], list[BuildRequest]], tmp_path: Path
) -> None:
    def interrupt(_: BuildRequest) -> None:
        raise KeyboardInterrupt

    asked = building(interrupt)
    with pytest.raises(KeyboardInterrupt):
        packager.build_all(requests(tmp_path, "a", "b"))
    assert len(asked) == 1


def test_the_page_s_example_runs(
    building: Callable[[Build], list[BuildRequest]], capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(packager.__file__).parents[1] / "docs" / "guides" / "configuration-file.md"
    codes = [each.partition("```")[0] for each in page.read_text("utf-8").split("```python\n")]
    (code,) = [each for each in codes if "build_all" in each]

    def work(request: BuildRequest) -> None:
        pipeline.begin_stage(Stage.RESOLVE)
        if request.target.name == "azure-functions":
            raise ModelNotFoundError("There is no model churn.")

    asked = building(work)
    exec(code, {})  # noqa: S102 - it is the page's
    lines = capsys.readouterr().out.splitlines()

    assert [each.target.name for each in asked] == ["aws-lambda", "azure-functions"]
    assert [line[6:] for line in lines[:2]] == [
        " s  aws-lambda: Reading the model",
        " s  azure-functions: Reading the model",
    ]
    assert "dist/churn/aws-lambda" in lines[2]
    assert lines[3] == "azure-functions There is no model churn."
