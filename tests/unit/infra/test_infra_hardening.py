"""Every manifest runs the model without rights: no root, no writes, no privileges to gain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

GPU = Path(__file__).parents[3] / "infra" / "gpu"


class _AnyTag(yaml.SafeLoader):
    """A loader that takes CloudFormation's tags for what they are on."""


def _construct(loader: Any, _suffix: str, node: Any) -> Any:
    kinds = {yaml.ScalarNode: "scalar", yaml.SequenceNode: "sequence", yaml.MappingNode: "mapping"}
    return getattr(loader, f"construct_{kinds[type(node)]}")(node)


_AnyTag.add_multi_constructor("!", _construct)


def _list_pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every specification of a pod that Kubernetes or KServe is given."""
    for path in sorted(GPU.rglob("*.yaml")):
        for document in yaml.load_all(path.read_text(encoding="utf-8"), Loader=_AnyTag):
            # Cloud Run takes no securityContext: the image's own user runs it
            if not isinstance(document, dict) or document.get("apiVersion", "").startswith("run."):
                continue
            name = f"{path.relative_to(GPU)}: {document.get('kind')}"
            spec = document.get("spec") or {}
            if document.get("kind") == "InferenceService":
                yield name, spec["predictor"]
            elif document.get("kind") in {"Deployment", "Job", "StatefulSet", "DaemonSet"}:
                yield name, spec["template"]["spec"]


PODS = dict(_list_pods())


def test_all_that_run_a_model_are_found() -> None:
    assert {name.rpartition(": ")[2] for name in PODS} == {"Deployment", "Job", "InferenceService"}
    assert len(PODS) == 4


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_has_no_rights(name: str) -> None:
    pod = PODS[name]
    for container in pod["containers"]:
        rights = {**pod.get("securityContext", {}), **container["securityContext"]}
        assert rights["runAsNonRoot"] is True
        assert rights["runAsUser"] > 0
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "privileged" not in rights


@pytest.mark.parametrize("name", sorted(PODS))
def test_what_can_be_written_has_a_limit(name: str) -> None:
    pod = PODS[name]
    for volume in pod.get("volumes", ()):
        if "emptyDir" in volume:
            assert volume["emptyDir"]["sizeLimit"], volume
    folders = {each["mountPath"] for one in pod["containers"] for each in one["volumeMounts"]}
    # the check of a version writes nothing at all
    assert "/tmp" in folders or name.endswith(": Job")  # noqa: S108 - the container's own


def test_a_batch_has_no_rights_either() -> None:
    text = (GPU / "batch-job.yaml").read_text(encoding="utf-8")
    resources = yaml.load(text, Loader=_AnyTag)["Resources"]  # noqa: S506 - of safe values
    (job,) = [
        each["Properties"]["ContainerProperties"]
        for each in resources.values()
        if each["Type"] == "AWS::Batch::JobDefinition"
    ]

    assert (job["User"], job["Privileged"], job["ReadonlyRootFilesystem"]) == (
        "1000:1000",
        False,
        True,
    )
    assert job["LinuxParameters"]["Tmpfs"]
