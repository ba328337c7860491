"""Which CUDA a driver runs, and what a build for a GPU asks the index for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.errors import ConfigurationError, FactsError
from packager.facts import devices
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.pipeline.plan import _locked_plans, check
from packager.pipeline.plan.requirements import _requirements
from packager.types import BuildPlan, Device, Frame, LoaderSpec, Requirements
from tests import fake_plan


@pytest.mark.parametrize(
    ("driver", "major"),
    [
        *((None, 13), ("580", 13), ("999", 13), ("579", 12), ("535", 12), ("525", 12)),
        *(("cloud-run-l4", 12), ("cloud-run-rtx-pro-6000", 13)),
    ],
)
def test_the_newest_cuda_that_a_driver_runs(driver: str | None, major: int) -> None:
    assert devices.cuda(driver).major == major


@pytest.mark.parametrize(
    ("driver", "said"),
    [("470", "runs no CUDA that there are wheels of; 525"), ("new", "a driver's major version")],
)
def test_a_driver_that_will_not_do_is_refused(driver: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        devices.cuda(driver)


def test_builds_for_a_gpu_and_without_are_each_others_opposite() -> None:
    gpu = {
        (each.by.partition("[")[0], each.name)
        for each in devices.builds(Device.CUDA, None).substitutes
    }
    cpu = {(each.name, each.by) for each in devices.builds(Device.CPU, None).substitutes}
    assert cpu < gpu
    assert devices.builds(Device.CUDA, None).excluded == ()


@pytest.mark.parametrize(("driver", "indexes"), [("580", 0), ("535", 1)])
def test_an_old_driver_asks_an_index_of_older_builds(driver: str, indexes: int) -> None:
    found = devices.builds(Device.CUDA, driver)
    assert len(found.options) == indexes
    assert ("torch" in found.indexed) is bool(indexes)
    assert all(option.startswith("--extra-index-url https://") for option in found.options)
    assert any(line.startswith("nvidia-ml-py") for line in found.requires)


def test_facts_that_miss_a_figure_are_named(tmp_path: Path) -> None:
    (tmp_path / "gpu.toml").write_text("[[cuda]]\nmajor = 13\n", encoding="utf-8")
    with pytest.raises(FactsError, match="least_driver"):
        devices.cuda(None, tmp_path)


def test_what_is_listed_for_a_cpu_is_installed_for_a_gpu() -> None:
    builds = devices.builds(Device.CUDA, None)
    model = fake_plan.model(
        requirements=Requirements(lines=("onnxruntime==1.23.0", "xgboost-cpu==3.0.0"))
    )
    needed = _requirements.list_needed(
        model,
        LoaderSpec(loader="onnx", options={}),
        Frame.NUMPY,
        targets.load("gpu-container").program.requires,
        builds.substitutes,
        about=builds.about,
    )
    assert {"onnxruntime-gpu[cuda,cudnn]==1.23.0", "xgboost==3.0.0"} <= set(needed.lines)
    assert (
        "onnxruntime-gpu[cuda,cudnn] stands in for onnxruntime: the same version, built for a GPU."
        in (needed.reasons)
    )


def test_compiled_code_is_left_alone_for_a_gpu() -> None:
    target = targets.load("gpu-container")
    assert _locked_plans._passes(fake_plan.request(), target, "sklearn") == (
        "libraries",
        "prune",
        "bytecode",
    )
    assert "compact" in _locked_plans._passes(
        fake_plan.request(device=Device.CPU), target, "sklearn"
    )


def test_weights_are_looked_at_where_a_library_reads_them_from_either_form() -> None:
    target = targets.load("gpu-container")
    for flavor in ("transformers", "sentence_transformers"):
        passes = _locked_plans._passes(fake_plan.request(), target, flavor)
        assert passes == ("weights", "libraries", "prune", "bytecode")
    assert "weights" not in _locked_plans._passes(fake_plan.request(), target, "pytorch")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "aws-lambda", "device": Device.CUDA}, "aws-lambda has cpu alone"),
        ({"target": "gpu-container", "architecture": "arm64"}, "for x86_64 alone"),
        ({"target": "gpu-container", "driver": "1"}, "runs no CUDA"),
        (
            {"target": "gpu-container", "device": Device.CPU, "driver": "580"},
            "leave it out with --device cpu",
        ),
        ({"target": "gpu-container", "events": ("sqs",)}, "has no event source sqs"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check(fake_plan.request(**changes))


def _dockerfile(base: Path, **changes: Any) -> list[str]:
    target = targets.load("gpu-container")
    request = fake_plan.request(target=target.name, **changes)
    plan: BuildPlan = fake_plan.plan(request=request, target=target, runtime=target.runtimes[-1])
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    out = base / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    assert (out / "README.md").read_text(encoding="utf-8").count("CUDA") == (
        0 if request.target.device is Device.CPU else 1
    )
    return (out / "Dockerfile").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("driver", "cuda"), [("580", "13.0"), ("cloud-run-l4", "12.0")])
def test_an_image_with_cuda_says_what_it_needs_of_a_driver(
    tmp_path: Path, driver: str, cuda: str
) -> None:
    lines = _dockerfile(tmp_path, driver=driver)

    assert f'    NVIDIA_REQUIRE_CUDA="cuda>={cuda}" \\' in lines
    assert "    PACKAGER_DEVICE=cuda \\" in lines


def test_an_image_runs_without_rights_and_gets_the_signal_itself(tmp_path: Path) -> None:
    lines = _dockerfile(tmp_path, device=Device.CPU)

    assert not [line for line in lines if "NVIDIA" in line]
    assert [line for line in lines if line.startswith(("USER", "STOPSIGNAL", "ENTRYPOINT"))] == [
        "USER 1000:1000",
        "STOPSIGNAL SIGTERM",
        'ENTRYPOINT ["python3", "-P", "-s", "-m", "handlers.container"]',
    ]
    copied = [line.split()[2] for line in lines if line.startswith("COPY --from")]
    assert copied == ["/parts/packages/", "/parts/model/"]
    # an image's variables go on from line to line
    block = lines[lines.index("ENV PYTHONPATH=/opt/model \\") :]
    end = next(i for i, line in enumerate(block) if not line.endswith("\\"))
    assert block[end + 1] == "WORKDIR /opt/model"
