"""Text that `mlflow deployments help -t aws-lambda` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from packager.deployments._parameters import (
    Declared,
    instance_parameters,
    source_parameters,
    template_parameters,
)
from packager.deployments._settings import AWS_OPTIONS, BUILD_OPTIONS, LOCAL_OPTIONS

_INTRODUCTION = """\
aws-lambda: package an MLflow model as a small AWS Lambda function, prove that it answers as the
registered model does, and deploy it as a CloudFormation stack.

TARGET
  aws-lambda
  aws-lambda:/REGION
  aws-lambda:/REGION?profile=NAME&endpoint=URL
      `list`, `get` and `predict` take no -C: say region and profile here, or in AWS_REGION and
      AWS_PROFILE.

EXAMPLES
  mlflow deployments run-local -t aws-lambda -m models:/wine@champion --name wine
  mlflow deployments create  -t aws-lambda -m models:/wine@champion --name wine -C bucket=my-bucket
  mlflow deployments predict -t aws-lambda --name wine -I rows.json
  mlflow deployments update  -t aws-lambda --name wine -m models:/wine@champion
  mlflow deployments update  -t aws-lambda --name wine -C memory=1024 -C Tracing=enabled
  mlflow deployments get     -t aws-lambda --name wine
  mlflow deployments update  -t aws-lambda --name wine -C traffic=7=10
  mlflow deployments update  -t aws-lambda --name wine -C rollback=true
  mlflow deployments list    -t aws-lambda
  mlflow deployments delete  -t aws-lambda --name wine

  The model (-m) may also be the folder that `packager build` made: it is deployed as it is.
  rows.json holds a list of records ([{"x": 1.5, "y": "a"}, ...]) or MLflow's own request
  ({"dataframe_split": {"columns": [...], "data": [...]}}).

WHAT HAPPENS
  create     builds the artifact, uploads function.zip to the bucket, and makes the stack. A
             deployment of the same name is an error. If the stack cannot be made it is removed.
  update     with -m builds and deploys the new model, without -m changes settings. Parameters
             that you have set keep their values, the others follow the new model's measurements.
             If nothing differs, nothing is done. What failed is rolled back to what was there.
  get        says the share of the requests that each version gets, as `version 7`.
  update -C traffic=7=10, or -C rollback=true
             moves requests between versions that are deployed, and deploys nothing. Two versions
             share them at most; the version that serves gets the rest.
  predict    invokes the alias `live` directly, without HTTP. The function's refusals come with
             MLflow's error codes.
  run-local  builds the artifact and boots it under Lambda's own runtime client and emulator, and
             prints an address that takes POST /invocations until interrupted.
  delete     deletes the stack with all in it. The uploaded zip stays in the bucket.
  The flavor (-f) can be left out. Endpoints and explain are not supported."""


def target_help() -> str:
    """The text, its tables made from the settings and the template."""
    parts = (
        _INTRODUCTION,
        _table("SETTINGS for AWS (-C name=value)", AWS_OPTIONS),
        _table("SETTINGS for the build (create, update -m, run-local)", BUILD_OPTIONS),
        _table("SETTINGS for run-local", LOCAL_OPTIONS),
        _table(
            "PARAMETERS of the template, by their own names (create, update)",
            _describe_parameters(template_parameters()),
        ),
        _table(
            "PARAMETERS that come with compute=managed-instances",
            _describe_parameters(instance_parameters()),
        ),
        _table(
            "PARAMETERS that come with sources of events (event=, output_to=)",
            _describe_parameters(source_parameters()),
        ),
    )
    return "\n\n".join(parts)


def _describe_parameters(parameters: Declared) -> dict[str, str]:
    return {name: str(spec["Description"]) for name, spec in parameters.items()}


def _table(title: str, rows: Mapping[str, str]) -> str:
    wide = max(map(len, rows)) + 2
    lines = [title]
    for name, text in rows.items():
        first, *rest = textwrap.wrap(text, 96 - wide) or [""]
        lines.append(f"  {name:<{wide}}{first}")
        lines += [f"  {'':<{wide}}{line}" for line in rest]
    return "\n".join(lines)
