"""The one place that makes clients of AWS."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packager.deployments._errors import DeploymentError, code_of, explain_errors
from packager.deployments._settings import Account
from packager.environments.machine.installation import name_install

_LOG = logging.getLogger(__name__)
_LONGEST_ANSWER_SECONDS: Final = 1800 + 30
"""Lambda's longest timeout, and some more: https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html"""
_LARGEST_TEMPLATE_BYTES: Final = 51_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Clients of one account and region: CloudFormation, Lambda and S3."""

    region: str
    stacks: Any
    functions: Any
    objects: Any


def connect(account: Account) -> Cloud:
    """Raises DeploymentError where boto3 is not installed, or the region or profile is not known.

    Nothing is asked yet: whether there are credentials shows with the first call.
    """
    try:
        import boto3  # noqa: PLC0415 - an extra, and what only builds does without
        from botocore.config import Config  # noqa: PLC0415
    except ImportError as error:
        raise DeploymentError(
            f"Deploying to AWS needs boto3: `{name_install(extra='aws')}`.",
            "FEATURE_DISABLED",
        ) from error
    usual = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=10)
    patient = usual.merge(Config(read_timeout=_LONGEST_ANSWER_SECONDS, tcp_keepalive=True))
    endpoint = account.endpoint or os.environ.get("AWS_ENDPOINT_URL") or None
    with explain_errors():
        session = boto3.Session(region_name=account.region, profile_name=account.profile)
        stacks = session.client("cloudformation", endpoint_url=endpoint, config=usual)
        functions = session.client("lambda", endpoint_url=endpoint, config=patient)
        objects = session.client("s3", endpoint_url=endpoint, config=usual)
    return Cloud(
        region=stacks.meta.region_name, stacks=stacks, functions=functions, objects=objects
    )


def check_bucket(cloud: Cloud, bucket: str | None) -> str:
    """The bucket's name. Raises DeploymentError where it cannot be used from this region."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - connect() was here before

    if bucket is None:
        raise DeploymentError(
            "Which bucket takes the function's code? Say -C bucket=NAME: one of yours in "
            f"{cloud.region} (`aws s3 mb s3://NAME --region {cloud.region}` makes one).",
            "INVALID_PARAMETER_VALUE",
            exit_code=2,
        )
    with explain_errors():
        try:
            cloud.objects.head_bucket(Bucket=bucket)
        except ClientError as error:
            reason = _BUCKET.get(code_of(error))
            if reason is None:
                raise
            text, code = reason
            raise DeploymentError(text.format(bucket=bucket, region=cloud.region), code) from error
    return bucket


_BUCKET: Final = {
    "404": (
        "There is no bucket {bucket}. `aws s3 mb s3://{bucket} --region {region}` makes it.",
        "RESOURCE_DOES_NOT_EXIST",
    ),
    "403": (
        "The bucket {bucket} may not be used with these credentials, or it is somebody else's.",
        "PERMISSION_DENIED",
    ),
    "301": (
        "The bucket {bucket} is not in {region}, and Lambda takes code from its own region only.",
        "INVALID_PARAMETER_VALUE",
    ),
}


def template_source(cloud: Cloud, template: str, code: str) -> dict[str, str | bool]:
    """Hand CloudFormation the template: in the request, or beside `code` where it is larger.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    """
    body = template.encode()
    if len(body) <= _LARGEST_TEMPLATE_BYTES:
        return {"TemplateBody": template}
    bucket, _, key = code.removeprefix("s3://").partition("/")
    key = f"{key.rpartition('/')[0]}/{hashlib.sha256(body).hexdigest()}.template.yaml"
    with explain_errors():
        cloud.objects.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/yaml")
    return {"TemplateURL": f"{cloud.objects.meta.endpoint_url}/{bucket}/{key}"}


def upload(cloud: Cloud, path: Path, bucket: str, key: str) -> str:
    """Put the file at `s3://bucket/key`, unless a file of this very name and size is there."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - connect() was here before

    where = f"s3://{bucket}/{key}"
    size = path.stat().st_size
    with explain_errors():
        try:
            there = cloud.objects.head_object(Bucket=bucket, Key=key)["ContentLength"] == size
        except ClientError:
            # absent, or only writing is allowed: the upload itself will tell
            there = False
        if there:
            _LOG.info("%s is there already", where)
        else:
            _LOG.info("Uploading %.1f MB to %s", size / 1e6, where)
            checked = {"ChecksumAlgorithm": "SHA256", "ContentType": "application/zip"}
            cloud.objects.upload_file(str(path), bucket, key, ExtraArgs=checked)
    return where
