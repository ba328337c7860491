"""What takes a container's image: valid by each platform's own schemas, and of least rights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from handlers import container
from handlers.container_server import job as files_job
from handlers.container_server.metrics import Metrics
from packager.system import resources as _resources
from tests import bicep, sam

FOLDER = _resources.INFRA / "gpu"
KUBERNETES = FOLDER / "kubernetes"
VERSION = "1.34"


def validate(manifest: dict[str, Any]) -> bool:
    """Raises ValueError for what the schema of Kubernetes does not take."""
    import kubernetes_validate  # nine seconds, for one process of those that collect tests

    try:
        return bool(kubernetes_validate.validate(manifest, VERSION, strict=True))
    except kubernetes_validate.ValidationError as error:
        raise ValueError(str(error)) from error


def documents(name: str) -> list[dict[str, Any]]:
    text = (KUBERNETES / name).read_text(encoding="utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


SERVER = {each["kind"]: each for each in documents("server.yaml")}


@pytest.mark.parametrize("kind", sorted(SERVER))
def test_kubernetes_own_schema_takes_it(kind: str) -> None:
    assert validate(SERVER[kind])


def test_a_misspelt_field_is_found() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(SERVER["Deployment"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(ValueError, match="readinesProbe"):
        validate(wrong)


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
    manifest = SimpleNamespace(model_name="churn", model_version="7", digest="d")

    told = Metrics(cast("Any", manifest), ()).text().decode()

    assert "\nqueue_rows " in told
    assert "queue_rows" in queries[0]


def test_kustomize_names_files_that_are_there() -> None:
    (kustomization,) = documents("kustomization.yaml")
    assert all((KUBERNETES / name).is_file() for name in kustomization["resources"])
    (image,) = kustomization["images"]
    assert (
        SERVER["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
        == (image["name"])
    )


@pytest.mark.few(0)
def test_cfn_lint_finds_nothing_in_the_asynchronous_endpoint() -> None:
    text = (FOLDER / "sagemaker-async.yaml").read_text(encoding="utf-8")
    template = sam.parse(text)

    assert sam.lint(text) == []
    assert template["Resources"]["Scaling"]["Properties"]["MinCapacity"] == 0
    statements = template["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]
    open_ended = [s["Action"] for s in statements["Statement"] if s["Resource"] == "*"]
    assert open_ended == ["ecr:GetAuthorizationToken"]


def test_cfn_lint_finds_nothing_in_the_batch_job_and_it_has_least_rights() -> None:
    text = (FOLDER / "batch-job.yaml").read_text(encoding="utf-8")
    resources = sam.parse(text)["Resources"]

    assert sam.lint(text) == []
    # CloudFormation reads no YAML aliases
    assert not any(isinstance(each, yaml.AliasToken) for each in yaml.scan(text))
    assert resources["Machines"]["Properties"]["ComputeResources"]["MinvCpus"] == 0
    container = resources["Job"]["Properties"]["ContainerProperties"]
    assert (container["ReadonlyRootFilesystem"], container["User"]) == (True, "1000:1000")
    assert {"Type": "GPU", "Value": "1"} in container["ResourceRequirements"]
    for name in ("ExecutionRole", "JobRole"):
        (policy,) = resources[name]["Properties"]["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        open_ended = [s["Action"] for s in statements if s["Resource"] == "*"]
        assert open_ended == (["ecr:GetAuthorizationToken"] if name == "ExecutionRole" else [])


def test_the_batch_job_asks_the_container_for_what_it_does() -> None:
    text = (FOLDER / "batch-job.yaml").read_text(encoding="utf-8")
    job = sam.parse(text)["Resources"]["Job"]["Properties"]

    command, *names = job["ContainerProperties"]["Command"]
    assert names == [f"Ref::{name}" for name in job["Parameters"]]
    assert f"`{command} IN OUT`" in str(container.__doc__)
    actions = {
        each.get("OnExitCode"): each["Action"] for each in job["RetryStrategy"]["EvaluateOnExit"]
    }
    assert actions[str(files_job.NEVER)] == "EXIT"
    assert str(files_job.AGAIN) not in actions
    assert actions[None] == "RETRY"
    known = {variable["Name"] for variable in job["ContainerProperties"]["Environment"]}
    assert known == {"AWS_REGION", "PACKAGER_BATCH_ROWS"}


# beside a pod's own: https://github.com/kserve/kserve, kserve/models/v1beta1_predictor_spec.py
KSERVE = {
    "minReplicas",
    "maxReplicas",
    "scaleMetric",
    "scaleTarget",
    "containerConcurrency",
    "timeout",
}
KNATIVE = {"containers", "volumes"}


def inference_service() -> dict[str, Any]:
    text = (FOLDER / "kserve" / "inference-service.yaml").read_text(encoding="utf-8")
    made: dict[str, Any] = yaml.safe_load(text)
    return made


def as_pod(predictor: dict[str, Any]) -> dict[str, Any]:
    spec = {name: value for name, value in predictor.items() if name not in KSERVE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "model"}, "spec": spec}


def test_the_inference_service_is_a_pod_that_scales_to_zero() -> None:
    service = inference_service()
    predictor = service["spec"]["predictor"]

    assert (service["apiVersion"], service["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    assert set(predictor) == KSERVE | KNATIVE
    assert validate(as_pod(predictor))
    assert predictor["minReplicas"] == 0


def test_the_inference_service_is_as_restricted_as_the_deployment() -> None:
    (ours,) = inference_service()["spec"]["predictor"]["containers"]
    pod = SERVER["Deployment"]["spec"]["template"]["spec"]
    (theirs,) = pod["containers"]

    # Knative takes the pod's part from the container alone
    whole = {**pod["securityContext"], **theirs["securityContext"]}
    assert ours["securityContext"].items() <= whole.items()
    assert theirs["securityContext"].items() <= ours["securityContext"].items()
    assert ours["args"] == theirs["args"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert ours[probe]["httpGet"]["path"] == theirs[probe]["httpGet"]["path"]


def test_a_misspelt_field_of_the_inference_service_is_found() -> None:
    predictor = inference_service()["spec"]["predictor"]
    wrong = as_pod({**predictor, "minReplica": 0})

    with pytest.raises(ValueError, match="minReplica"):
        validate(wrong)


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
