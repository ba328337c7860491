"""Terraform itself takes the files: laid out as `terraform fmt` does it, valid, and planned.

The provider is a large download: these tests take one that is there. `TERRAFORM_PLUGIN_MIRROR`
names a folder as `terraform providers mirror` makes it; without it, Terraform's registry is asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from moto.server import ThreadedMotoServer

from tests.unit.pipeline.emit.infrastructure.builds import PARSED, Configuration

Emitted = Callable[[str], Path]
pytestmark = pytest.mark.slow
_ACCOUNT: Final = "eu-west-1:123456789012"
_ALIAS: Final = "aws_lambda_alias.function_aliaslive"


class Terraform:
    """The program, with a provider that is installed once."""

    def __init__(self, program: str, base: Path) -> None:
        self._program: Final = program
        settings = base / "terraform.rc"
        mirror = os.environ.get("TERRAFORM_PLUGIN_MIRROR")
        place = f"filesystem_mirror {{ path = {json.dumps(mirror)} }}" if mirror else "direct {}"
        settings.write_text(f"provider_installation {{\n  {place}\n}}\n", encoding="utf-8")
        self._environment: Final = {
            **os.environ,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_DATA_DIR": str(base / "data"),
        }

    def run(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, f"-chdir={folder}", *words],
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
        )


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("Terraform is not installed")
    base = tmp_path_factory.mktemp("terraform")
    made = Terraform(program, base)
    (base / "versions.tf").write_text(
        'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n',
        encoding="utf-8",
    )
    installed = made.run(base, "init", "-input=false", "-no-color")
    if installed.returncode != 0:
        pytest.skip(f"no provider to be had: {installed.stderr.strip()[:200]}")
    return made


@pytest.fixture
def configuration(emitted: Emitted, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a build's configuration that the provider which is there may run."""
    out = emitted(request.param)
    (tmp_path / "function.zip").write_bytes(b"a zip")
    folder = shutil.copytree(out / "terraform", tmp_path / "terraform")
    versions, main = folder / "versions.tf", folder / "main.tf"
    versions.write_text(versions.read_text().replace(">= 6.29", ">= 5.100"))
    # what only a newer provider takes: see test_terraform.py
    lines = main.read_text().splitlines(keepends=True)
    main.write_text("".join(line for line in lines if "invoked_via_function_url" not in line))
    return folder


@pytest.mark.parametrize("name", PARSED)
def test_the_layout_is_terraforms_own(emitted: Emitted, terraform: Terraform, name: str) -> None:
    found = terraform.run(emitted(name) / "terraform", "fmt", "-check", "-diff")

    assert (found.returncode, found.stdout) == (0, "")


_OF_6: Final = [name for name in PARSED if "managed instances" in name]
"""Builds of which version 5 has no resources; test_terraform.py holds them to 6's schema."""


@pytest.mark.parametrize(
    "configuration", [name for name in PARSED if name not in _OF_6], indirect=True
)
def test_the_configuration_is_valid(configuration: Path, terraform: Terraform) -> None:
    assert terraform.run(configuration, "init", "-input=false", "-no-color").stderr == ""
    found = terraform.run(configuration, "validate", "-json")

    assert json.loads(found.stdout)["diagnostics"] == []


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """Address of a cloud that is asked which account it is."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
    server.stop()


def _plan(terraform: Terraform, folder: Path, cloud: str, **variables: object) -> str:
    """Return what `terraform plan` says to a configuration with these variables."""
    (folder / "provider.tf").write_text(
        'provider "aws" {\n'
        '  region = "eu-west-1"\n  access_key = "x"\n  secret_key = "x"\n'
        "  skip_credentials_validation = true\n  skip_metadata_api_check = true\n"
        f'  endpoints {{\n    sts = "{cloud}"\n    iam = "{cloud}"\n  }}\n}}\n',
        encoding="utf-8",
    )
    values = {name: json.dumps(value) for name, value in variables.items()}
    (folder / "terraform.tfvars").write_text(
        "".join(f"{name} = {value}\n" for name, value in values.items()), encoding="utf-8"
    )
    terraform.run(folder, "init", "-input=false", "-no-color")
    found = terraform.run(folder, "plan", "-input=false", "-no-color")
    return found.stdout + found.stderr


@pytest.mark.parametrize("configuration", ["every source"], indirect=True)
def test_every_source_is_planned(configuration: Path, terraform: Terraform, cloud: str) -> None:
    said = _plan(
        terraform,
        configuration,
        cloud,
        input_bucket="input",
        topic_arn=f"arn:aws:sns:{_ACCOUNT}:topic",
        stream_arn=f"arn:aws:kinesis:{_ACCOUNT}:stream/one",
        table_stream_arn=f"arn:aws:dynamodb:{_ACCOUNT}:table/one/stream/2026",
        event_source="one",
        event_detail_type="one",
        kafka_cluster_arn=f"arn:aws:kafka:{_ACCOUNT}:cluster/one/abc",
        kafka_topic="one",
    )

    # what is counted hangs on a key, a VPC, warm environments, or how a bucket tells of an object
    resources = Configuration(configuration).find_texts("resource")
    always = [name for name, body in resources.items() if "  count = " not in body]
    made = {"aws_sqs_queue.queue[0]", "aws_cloudwatch_event_rule.objects_rule[0]"}
    assert [name for name in made if f"# {name} will be created" not in said] == []
    assert [name for name in always if f"# {'.'.join(name)} will be created" not in said] == []


@pytest.mark.parametrize("configuration", ["http-api with jwt and a canary"], indirect=True)
def test_every_rule_of_an_account_is_planned(
    configuration: Path, terraform: Terraform, cloud: str
) -> None:
    key = f"arn:aws:kms:{_ACCOUNT}:key/abc"
    said = _plan(
        terraform,
        configuration,
        cloud,
        jwt_issuer="https://issuer.example",
        jwt_audience=["one"],
        jwt_scopes=["score"],
        cors_allow_origins=["https://page.example", "https://other.example"],
        snap_start="None",
        provisioned_concurrency=2,
        provisioned_concurrency_max=5,
        provisioned_from="cron(0 7 ? * MON-FRI *)",
        provisioned_until="cron(0 19 ? * MON-FRI *)",
        tracing="enabled",
        subnet_ids=["subnet-1"],
        security_group_ids=["sg-1"],
        kms_key_arn=key,
        permissions_boundary_arn="arn:aws:iam::123456789012:policy/bound",
        role_path="/serving/",
        role_name_prefix="corp-",
        rollout_signed_by=key,
        domain_name="models.example",
        certificate_arn=f"arn:aws:acm:{_ACCOUNT}:certificate/abc",
        base_path="churn",
        alarm_topic_arn=f"arn:aws:sns:{_ACCOUNT}:alarms",
    )

    resources = Configuration(configuration).find_texts("resource")
    counted = {".".join(name): "  count = " in body for name, body in resources.items()}
    missing = [
        name
        for name, many in counted.items()
        if f"# {name}{'[0]' if many else ''} will be created" not in said
    ]
    roles = sum(kind == "aws_iam_role" for kind, _ in resources)
    assert len(set(re.findall(r'"(corp-[^"/]+)"', said))) == roles > 1, said[-3000:]
    # a zip that Lambda takes without a bucket
    assert missing == ["aws_s3_object.code"], said[-3000:]


@pytest.mark.parametrize("configuration", ["http-api with jwt and a canary"], indirect=True)
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"memory_size_mb": 64, "kms_key_arn": "a key"},
            ("memory_size_mb has to be from 128 to 10240.", "kms_key_arn has to be as the pattern"),
        ),
        (
            {"role_name_prefix": "corp prod "},
            ("role_name_prefix has to be as the pattern",),
        ),
        (
            {"subnet_ids": ["subnet-1"]},
            ("Give both subnet_ids and security_group_ids, or neither.",),
        ),
        (
            {"subnet_ids": ["vpc-1"], "cors_allow_origins": ["https://a.example/"]},
            ("subnet_ids has to be as the pattern", "cors_allow_origins has to be as the pattern"),
        ),
        (
            {"cors_allow_origins": ["*", "https://a.example"]},
            ("cors_allow_origins has * alone, or origins without it",),
        ),
    ],
)
def test_a_wrong_value_is_refused(
    configuration: Path,
    terraform: Terraform,
    cloud: str,
    variables: dict[str, object],
    said: tuple[str, ...],
) -> None:
    known = {"jwt_issuer": "https://issuer.example", "jwt_audience": ["one"]}

    found = " ".join(_plan(terraform, configuration, cloud, **known, **variables).split())

    assert [each for each in said if each not in found.replace("│ ", "")] == []


@pytest.mark.parametrize("configuration", ["rest-api with keys"], indirect=True)
@pytest.mark.parametrize(
    ("origins", "variable"),
    [
        ([], None),
        (["*"], "any"),
        (["https://a.example", "https://b.example"], "https://a.example,https://b.example"),
    ],
)
def test_a_rest_api_answers_preflights_where_pages_may_call(
    configuration: Path, terraform: Terraform, cloud: str, origins: list[str], variable: str | None
) -> None:
    said = _plan(terraform, configuration, cloud, cors_allow_origins=origins)

    found = re.findall(r'"corsAllowOrigins" += "([^"]*)"', said)
    assert found == ([variable] if variable else []), said[-3000:]
