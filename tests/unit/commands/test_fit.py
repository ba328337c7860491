"""Models made to sit on both sides of each ceiling, and where each goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from packager import targets
from packager.commands.targets.fit import (
    Margin,
    choose,
    format_quantity,
    format_share,
    judge,
    load_targets,
    needs_gpu,
)
from packager.commands.targets.measurements import measured_before
from packager.commands.targets.workload import Measured, Workload
from packager.errors import VerificationError
from packager.types import Bundle, Compute, FileRecord, Requirements
from tests import fake_plan

TARGETS = tuple(targets.load(name) for name in targets.TARGETS)
BY_NAME = {target.name: target for target in TARGETS}
SMALL = Measured(
    unzipped_bytes=50_000_000,
    memory_bytes=200 << 20,
    init_seconds=1.0,
    answer_seconds=0.005,
    rows=1,
    request_bytes=500,
    response_bytes=100,
)
ZIP = BY_NAME["aws-lambda"].limits
IMAGE = BY_NAME["aws-lambda-image"].limits
FLEX = BY_NAME["azure-functions"].limits
# with the room that a template adds
MOST = int(ZIP.memory_mb[1] / 1.3) << 20


def model(**changes: Any) -> Measured:
    return replace(SMALL, **changes)


def test_what_was_built_for_managed_instances_is_judged_and_priced_there() -> None:
    """Its start of three minutes is too long for Lambda's own machines."""
    measured = model(init_seconds=180.0, memory_bytes=2 << 30)
    managed = replace(measured, compute=Compute.MANAGED_INSTANCES)
    asked = Workload(requests_per_second=10)

    (before, *_) = judge(measured, asked, load_targets(measured))
    (after, _, azure, _) = judge(managed, asked, load_targets(managed))

    assert (before.fits, after.fits) == (False, True)
    assert {way.name for way in after.ways} == {"managed c7i.xlarge", "managed c7g.xlarge"}
    assert "day and night" in after.reckoned
    assert "15 %" in after.reckoned
    assert azure.target == "azure-functions"
    assert {way.name for way in azure.ways} == {"on demand", "always ready"}


@pytest.mark.parametrize(
    ("measured", "workload", "chosen"),
    [
        # 1 the zip's size
        (model(unzipped_bytes=ZIP.unzipped_bytes), Workload(), "aws-lambda"),
        (model(unzipped_bytes=ZIP.unzipped_bytes + 1), Workload(), "aws-lambda-image"),
        # 2 the image's size, the base's layers counted
        (model(unzipped_bytes=IMAGE.unzipped_bytes), Workload(), "aws-lambda-image"),
        (model(unzipped_bytes=IMAGE.unzipped_bytes + 1), Workload(), "gpu-container"),
        # 3 memory
        (model(memory_bytes=MOST), Workload(), "aws-lambda"),
        (model(memory_bytes=MOST + (2 << 20)), Workload(), "gpu-container"),
        # 4 start, from a snapshot
        (model(init_seconds=130.0), Workload(), "aws-lambda"),
        (model(init_seconds=130.1), Workload(), "gpu-container"),
        # 5 start of an image, from a snapshot too
        (model(unzipped_bytes=300_000_000, init_seconds=130.0), Workload(), "aws-lambda-image"),
        (model(unzipped_bytes=300_000_000, init_seconds=130.1), Workload(), "gpu-container"),
        # of a Python that has snapshots in an image alone
        (model(init_seconds=10.0, python_minor="3.11"), Workload(), "aws-lambda"),
        (model(init_seconds=10.1, python_minor="3.11"), Workload(), "aws-lambda-image"),
        (model(init_seconds=130.0, python_minor="3.12"), Workload(), "aws-lambda"),
        # 6 Azure's disk
        (
            model(unzipped_bytes=FLEX.unzipped_bytes, request_bytes=7_000_000),
            Workload(),
            "azure-functions",
        ),
        (
            model(unzipped_bytes=FLEX.unzipped_bytes + 1, request_bytes=7_000_000),
            Workload(),
            "gpu-container",
        ),
        # 7 a request's bytes
        (model(request_bytes=ZIP.request_bytes), Workload(), "aws-lambda"),
        (model(request_bytes=ZIP.request_bytes + 1), Workload(), "azure-functions"),
        # 8 the answer's, at the rows that will be asked
        (model(response_bytes=1000), Workload(rows=6_000), "aws-lambda"),
        (model(response_bytes=1000), Workload(rows=7_000), "azure-functions"),
        # 9 the time for one answer
        (model(answer_seconds=1800.0), Workload(), "aws-lambda"),
        (model(answer_seconds=1800.1), Workload(), "gpu-container"),
        # 10 a GPU
        (model(), Workload(), "aws-lambda"),
        (model(needs_gpu="it requires vllm"), Workload(), "gpu-container"),
    ],
)
def test_each_goes_to_the_first_that_takes_it(
    measured: Measured, workload: Workload, chosen: str
) -> None:
    assert choose(judge(measured, workload, TARGETS)).target == chosen


def test_losing_targets_say_by_how_much() -> None:
    verdicts = judge(model(unzipped_bytes=300_000_000), Workload(), TARGETS)

    lost = {verdict.target: verdict.reasons for verdict in verdicts if not verdict.fits}
    assert lost == {
        "aws-lambda": ("unpacked: 300 of 262.144 MB, 37.856 too much (-14%)",),
    }
    assert all(verdict.source.startswith("https://") for verdict in verdicts)


def test_what_fits_nowhere_is_said_with_every_reason() -> None:
    with pytest.raises(VerificationError) as error:
        choose(judge(model(unzipped_bytes=10**12), Workload(), TARGETS))

    assert {finding.message.partition(":")[0] for finding in error.value.findings} == set(BY_NAME)


def test_what_was_not_measured_is_not_held_against_anyone() -> None:
    verdicts = judge(Measured(unzipped_bytes=1), Workload(), TARGETS)

    assert [len(verdict.margins) for verdict in verdicts] == [1] * len(TARGETS)
    assert all(verdict.fits and verdict.dollars is None for verdict in verdicts)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"flavors": {"python_function": {"config": {"device": "cuda:0"}}}}, "the device cuda:0"),
        ({"flavors": {"python_function": {"config": {"device": "cpu"}}}}, ""),
        (
            {"flavors": {"python_function": {}, "onnx": {"providers": ["CUDAExecutionProvider"]}}},
            "for CUDAExecutionProvider alone",
        ),
        (
            {"flavors": {"onnx": {"providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]}}},
            "",
        ),
        (
            {"requirements": Requirements(lines=("flash_attn==2.8.0",))},
            "flash-attn, which runs on a GPU alone",
        ),
    ],
)
def test_a_model_that_runs_on_a_gpu_alone_says_so(changes: dict[str, Any], said: str) -> None:
    found = needs_gpu(fake_plan.model(**changes))
    assert said in found
    assert bool(found) is bool(said)


def test_a_margin_is_told_with_its_unit() -> None:
    margin = Margin(what="memory", used=75, limit=100, unit="MB")
    assert (margin.fits, margin.left, str(margin)) == (
        True,
        0.25,
        "memory: 75 of 100 MB, 25 left (+25%)",
    )


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0, "MB", "0 bytes"),
        (0.000512, "MB", "512 bytes"),
        (0.0015, "MB", "1.5 kB"),
        (0.25, "MB", "250 kB"),
        (6.291456, "MB", "6.3 MB"),
        (262.144, "MB", "262 MB"),
        (10240, "MB", "10,240 MB"),
        (1_000_000, "MB", "1,000 GB"),
        (0.00012345678, "s of a whole CPU", "0.1 ms"),
        (0.0123456789012, "s of a whole CPU", "12.3 ms"),
        (1.23456789, "s of a whole CPU", "1,235 ms"),
        (10.0, "s of a whole CPU", "10 s"),
        (12.3456, "s of a whole CPU", "12.3 s"),
        (900.0, "s of a whole CPU", "900 s"),
    ],
)
def test_a_quantity_is_in_units_that_people_read(value: float, unit: str, said: str) -> None:
    assert format_quantity(value, unit) == said


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (1.0, "100 % left"),
        (0.9999, ">99 % left"),
        (0.25, "25 % left"),
        (0.001, "<1 % left"),
        (0.0, "0 % left"),
        (-0.000001, "<1 % over"),
        (-0.14, "14 % over"),
        (-12.5, "1,250 % over"),
    ],
)
def test_a_margin_is_on_one_side_of_its_limit(left: float, said: str) -> None:
    assert format_share(left) == said


def test_weights_outside_count_where_no_target_can_have_them_outside() -> None:
    found = Measured(
        unzipped_bytes=200_000_000, init_seconds=2.0, weights_bytes=1_000_000_000,
        python_minor="3.13",
    )  # fmt: skip
    verdicts = {each.target: each for each in judge(found, Workload(), TARGETS)}
    function, image = (
        {margin.what: margin for margin in verdicts[name].margins}
        for name in ("aws-lambda", "aws-lambda-image")
    )
    assert (function["unpacked"].used, image["unpacked"].used) == (200, 1200)
    assert (function["start"].used, image["start"].used) == (22, 2)
    assert "fetching at 50 MB/s (stated, not measured)" in function["start"].unit
    mounted = replace(found, mounts_weights=True)
    (start,) = (
        margin
        for each in judge(mounted, Workload(), TARGETS)
        for margin in each.margins
        if (each.target, margin.what) == ("aws-lambda", "start")
    )
    assert (start.used, "fetching" in start.unit) == (2, False)


@pytest.mark.parametrize(
    ("weights_bytes", "mounted", "seconds"),
    [
        (0, False, 130),
        # 512 MB of /tmp hold these with what a start needs beside them, and not the next
        (300_000_000, False, 130),
        (2_000_000_000, False, 10),
        (2_000_000_000, True, 10),
        (1_000_000, True, 10),
        # a build that was to mount and found nothing large
        (0, True, 130),
    ],
)
def test_a_start_has_a_snapshots_time_only_where_the_template_takes_one(
    *, weights_bytes: int, mounted: bool, seconds: float
) -> None:
    found = model(weights_bytes=weights_bytes, mounts_weights=mounted, python_minor="3.13")
    (zipped, image, *_) = judge(found, Workload(), TARGETS)
    limits = {
        each.target: next(m.limit for m in each.margins if m.what == "start")
        for each in (zipped, image)
    }
    assert limits == {"aws-lambda": seconds, "aws-lambda-image": 130}
    names = {way.name for way in zipped.ways}
    assert ("SnapStart" in names) == (seconds == 130)
    assert {"on demand", "provisioned"} <= names


def test_weights_with_the_same_content_are_fetched_once_and_unpacked_twice() -> None:
    same = FileRecord(PurePosixPath("a.bin"), "1" * 64, 200_000_000)
    other = FileRecord(PurePosixPath("c.bin"), "2" * 64, 100_000_000)
    weights = (same, replace(same, path=PurePosixPath("b.bin")), other)
    bundle = Bundle(root=Path("f"), files=(), weights=weights)
    assert (bundle.weights_bytes, bundle.outside_bytes) == (500_000_000, 300_000_000)

    report = {
        "unzipped_bytes": 50_000_000,
        "weights": [{"sha256": each.sha256, "size_bytes": each.size_bytes} for each in weights],
    }
    found = measured_before(report, {"evidence": {"cold_start": {"init_cpu_ms": 1000}}}, None)
    verdicts = {each.target: each for each in judge(found, Workload(), TARGETS)}
    function, image = (
        {margin.what: margin.used for margin in verdicts[name].margins}
        for name in ("aws-lambda", "aws-lambda-image")
    )
    # six seconds at 50 MB/s, and not ten
    assert (function["start"], function["unpacked"]) == (7, 50)
    assert image["unpacked"] == 550
    assert found.can_snapshot(TARGETS[0])


def test_what_was_not_timed_says_what_shows_its_costs() -> None:
    told = "nothing was timed. Build it"
    verdicts = judge(Measured(unzipped_bytes=1, why_untimed=told), Workload(), TARGETS)
    assert {verdict.reckoned for verdict in verdicts} == {f"not reckoned: {told}"}
    plain = judge(Measured(unzipped_bytes=1), Workload(), TARGETS)
    assert {verdict.reckoned for verdict in plain} == {"not reckoned: no answer was timed"}
