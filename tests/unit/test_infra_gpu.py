"""What takes a container's image: valid by each platform's own schemas, and of least rights."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from packager import _resources
from tests import bicep, sam

FOLDER = _resources.INFRA / "gpu"
KUBERNETES = FOLDER / "kubernetes"
VERSION = "1.34"


def documents(name: str) -> list[dict[str, Any]]:
    text = (KUBERNETES / name).read_text(encoding="utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


SERVER = {each["kind"]: each for each in documents("server.yaml")}


@pytest.mark.parametrize("kind", sorted(SERVER))
def test_kubernetes_own_schema_takes_it(kind: str) -> None:
    assert kubernetes_validate.validate(SERVER[kind], VERSION, strict=True)


def test_a_misspelt_field_is_found() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(SERVER["Deployment"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_pod_has_no_rights_and_ends_in_time() -> None:
    pod = SERVER["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    linger = {each["name"]: float(each["value"]) for each in container["env"]}
    # what waits for the balancer and what drains lie within what the kubelet gives
    assert linger["PACKAGER_LINGER_SECONDS"] < pod["terminationGracePeriodSeconds"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_what_selects_the_pod_selects_it() -> None:
    labels = SERVER["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = SERVER[kind]["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        assert selector["matchLabels"] == labels
    assert SERVER["Service"]["spec"]["selector"] == labels
    assert SERVER["NetworkPolicy"]["spec"]["egress"] == []


@pytest.mark.parametrize(
    ("name", "kind", "least"),
    [
        ("scale-by-queue.yaml", "ScaledObject", ("minReplicaCount",)),
        ("scale-by-requests.yaml", "HTTPScaledObject", ("replicas", "min")),
    ],
)
def test_it_scales_to_zero_and_names_the_deployment(
    name: str, kind: str, least: tuple[str, ...]
) -> None:
    (scaler,) = documents(name)
    value = scaler["spec"]
    for key in least:
        value = value[key]

    assert (scaler["kind"], value) == (kind, 0)
    deployment = SERVER["Deployment"]["metadata"]["name"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment


def test_the_queue_that_scales_it_is_one_that_the_server_tells() -> None:
    (scaler,) = documents("scale-by-queue.yaml")
    queries = [each["metadata"]["query"] for each in scaler["spec"]["triggers"]]
    source = (_resources.handlers_root() / "service" / "metrics.py").read_text(encoding="utf-8")

    assert 'Gauge("queue_rows"' in source
    assert "queue_rows" in queries[0]


def test_kustomize_names_files_that_are_there() -> None:
    (kustomization,) = documents("kustomization.yaml")
    assert all((KUBERNETES / name).is_file() for name in kustomization["resources"])
    (image,) = kustomization["images"]
    assert (
        SERVER["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
        == (image["name"])
    )


def test_cfn_lint_finds_nothing_in_the_asynchronous_endpoint() -> None:
    text = (FOLDER / "sagemaker-async.yaml").read_text(encoding="utf-8")
    template = sam.parse(text)

    assert sam.lint(text) == []
    assert template["Resources"]["Scaling"]["Properties"]["MinCapacity"] == 0
    statements = template["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]
    open_ended = [s["Action"] for s in statements["Statement"] if s["Resource"] == "*"]
    assert open_ended == ["ecr:GetAuthorizationToken"]


def test_the_container_app_names_what_exists_and_scales_to_zero() -> None:
    parsed = bicep.read(FOLDER / "container-app.bicep")
    scale = parsed["resources"]["app"]["config"]["properties"]["template"]["scale"]

    assert bicep.unknown_names(parsed) == []
    assert scale["minReplicas"] == 0


@pytest.mark.parametrize(
    ("name", "typo"),
    [
        ("workloadProfileName:", "workloadProfile:"),
        ("minReplicas:", "minReplica:"),
        ("targetPort:", "port:"),
    ],
)
def test_a_misspelt_property_of_the_app_is_found(name: str, typo: str) -> None:
    text = (FOLDER / "container-app.bicep").read_text(encoding="utf-8")
    assert name in text

    (found,) = bicep.unknown_names(bicep.parse(text.replace(name, typo, 1)))

    assert f".{typo.partition(':')[0]}: unknown" in found
