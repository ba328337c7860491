"""`packager push-weights`, against moto's S3: once each, in parts, and on after an interruption."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from handlers.manifest import FILENAME
from packager.cli import app
from packager.commands.cloud import weights
from packager.commands.cloud.weights import push_weights, read_destination
from packager.commands.console import interruption
from packager.errors import (
    CloudError,
    ConfigurationError,
    IntegrityError,
    ModelFormatError,
    PackagerError,
    StorageError,
)
from tests.unit.commands.artifact.test_integrity import _build

WHERE = "s3://data/weights/churn"
PART = 5 << 20


@pytest.fixture
def bucket(aws: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(weights, "_PART_BYTES", PART)  # the least that S3 takes
    store = boto3.client("s3")
    store.create_bucket(Bucket="data")
    return store


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {"model.pkl": os.urandom(2 * PART + 100), "data/a b;$(x).bin": os.urandom(2000)}


@pytest.fixture
def artifact(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    built = _build(tmp_path / "built")
    listed = []
    (built / "weights").mkdir()
    for path, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        (built / "weights" / digest).write_bytes(content)
        listed.append({"path": path, "sha256": digest, "size_bytes": len(content)})
    for each in (built / FILENAME, built / "function" / FILENAME):
        told = json.loads(each.read_text())
        each.write_text(json.dumps({**told, "weights": listed, "weights_from": "fetch"}))
    return built


def _key(content: bytes) -> str:
    return f"weights/churn/{hashlib.sha256(content).hexdigest()}"


class _Failing:
    """A client of S3 whose second part ends in `fault`."""

    def __init__(self, bucket: Any, fault: BaseException) -> None:
        self._bucket = bucket
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def upload_part(self, **values: Any) -> Any:
        if values["PartNumber"] == 2:
            raise self._fault
        return self._bucket.upload_part(**values)


def _abort_as_said(text: str, bucket: Any) -> None:
    """Run the command that `text` names: nothing that was begun is left."""
    words = shlex.split(text.rpartition("`aws ")[2].rpartition("`")[0])
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert words[:2] == ["s3api", "abort-multipart-upload"]
    bucket.abort_multipart_upload(
        Bucket=options["--bucket"], Key=options["--key"], UploadId=options["--upload-id"]
    )
    assert not bucket.list_multipart_uploads(Bucket="data").get("Uploads")


def test_each_file_is_sent_once(bucket: Any, artifact: Path, contents: dict[str, bytes]) -> None:
    found = push_weights(artifact, WHERE)
    assert {row["path"]: row["sent_bytes"] for row in found["files"]} == {
        path: len(content) for path, content in contents.items()
    }
    for content in contents.values():
        assert bucket.get_object(Bucket="data", Key=_key(content))["Body"].read() == content
    again = push_weights(artifact, f"{WHERE}/")
    assert [row["sent_bytes"] for row in again["files"]] == [0, 0]
    assert again["parameters"] == {"WeightsBucket": "data", "WeightsPrefix": "weights/churn"}


def test_an_interrupted_upload_goes_on(
    bucket: Any, artifact: Path, contents: dict[str, bytes]
) -> None:
    class Ending:
        """A client whose second part is interrupted."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bucket, name)

        def upload_part(self, **values: Any) -> Any:
            if values["PartNumber"] == 2:
                raise KeyboardInterrupt
            return bucket.upload_part(**values)

    with pytest.raises(KeyboardInterrupt):
        push_weights(artifact, WHERE, clients=lambda _: Ending())
    content = contents["model.pkl"]
    assert bucket.list_objects_v2(Bucket="data")["KeyCount"] == 0
    found = push_weights(artifact, WHERE)
    assert found["files"][0]["sent_bytes"] == len(content) - PART
    assert bucket.get_object(Bucket="data", Key=_key(content))["Body"].read() == content
    assert not bucket.list_multipart_uploads(Bucket="data").get("Uploads")


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (
            ClientError({"Error": {"Code": "AccessDenied"}}, "UploadPart"),
            CloudError,
            "AccessDenied",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied"), StorageError, "Permission denied"),
        (OSError(errno.EIO, "Input/output error"), StorageError, "Input/output error"),
        (TimeoutError("timed out"), StorageError, "timed out"),
    ],
    ids=["refused", "full", "forbidden", "broken", "slow"],
)
def test_a_push_that_fails_says_how_to_remove_what_it_sent(
    fault: Exception, kind: type[PackagerError], why: str, bucket: Any, artifact: Path
) -> None:
    """The command that it names leaves nothing behind."""
    with pytest.raises(kind, match=why) as caught:
        push_weights(artifact, "s3://data/weights/(a)!", clients=lambda _: _Failing(bucket, fault))

    assert "Run it again to go on" in str(caught.value)
    _abort_as_said(str(caught.value), bucket)


def test_a_bug_says_how_to_remove_what_it_sent(bucket: Any, artifact: Path) -> None:
    fault = MemoryError()
    with pytest.raises(MemoryError) as caught:
        push_weights(artifact, WHERE, clients=lambda _: _Failing(bucket, fault))

    _abort_as_said(caught.value.__notes__[0], bucket)


def test_a_file_that_becomes_shorter_is_not_put_there(
    bucket: Any, artifact: Path, contents: dict[str, bytes]
) -> None:
    class Cutting(_Failing):
        def upload_part(self, **values: Any) -> Any:
            os.truncate(artifact / "weights" / Path(values["Key"]).name, PART + 1)
            return bucket.upload_part(**values)

    with pytest.raises(IntegrityError, match="became shorter while it was sent") as caught:
        push_weights(artifact, WHERE, clients=lambda _: Cutting(bucket, KeyError()))
    assert bucket.list_objects_v2(Bucket="data")["KeyCount"] == 0
    _abort_as_said(str(caught.value), bucket)


@pytest.mark.parametrize(("fault", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_whoever_interrupts_a_push_hears_how_to_remove_what_it_sent(
    fault: BaseException,
    code: int,
    bucket: Any,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interruption, "_words", [])
    monkeypatch.setattr(weights, "make_client", lambda _: _Failing(bucket, fault))
    done = CliRunner().invoke(app, ["push-weights", str(artifact), "s3://data/w/(a)", "--quiet"])

    assert done.exit_code == code
    assert interruption.is_changing()
    assert interruption.describe_stopping() == "Stopping the upload."
    _abort_as_said(interruption.describe_left(), bucket)


def test_whoever_interrupts_a_push_between_two_files_hears_how_to_look_for_what_it_began(
    bucket: Any, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interruption, "_words", [])
    monkeypatch.setattr(weights, "_find_begun", interrupt)
    done = CliRunner().invoke(app, ["push-weights", str(artifact), "s3://data/w/(a)", "--quiet"])

    assert done.exit_code == 130
    left = interruption.describe_left()
    assert "`aws s3api list-multipart-uploads --bucket data --prefix 'w/(a)/'`" in left
    assert "`aws s3api abort-multipart-upload --bucket data --key KEY" in left


def test_a_part_of_something_else_is_sent_again(
    bucket: Any, artifact: Path, contents: dict[str, bytes]
) -> None:
    content = contents["model.pkl"]
    where = {"Bucket": "data", "Key": _key(content)}
    upload = bucket.create_multipart_upload(**where)["UploadId"]
    bucket.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"?" * PART)

    found = push_weights(artifact, WHERE)

    assert found["files"][0]["sent_bytes"] == len(content)
    assert bucket.get_object(**where)["Body"].read() == content


@pytest.mark.few(0)
def test_an_object_of_something_else_is_replaced(
    bucket: Any, artifact: Path, contents: dict[str, bytes]
) -> None:
    content = contents["model.pkl"]
    bucket.put_object(Bucket="data", Key=_key(content), Body=content[:-1] + b"?")
    push_weights(artifact, WHERE)
    assert bucket.get_object(Bucket="data", Key=_key(content))["Body"].read() == content


def test_weights_that_are_mounted_are_pushed_nowhere(bucket: Any, artifact: Path) -> None:
    for each in (artifact / FILENAME, artifact / "function" / FILENAME):
        told = json.loads(each.read_text())
        each.write_text(json.dumps({**told, "weights_from": "mount"}))
    with pytest.raises(ConfigurationError, match="to the root of the file system that it mounts"):
        push_weights(artifact, WHERE)
    assert bucket.list_objects_v2(Bucket="data")["KeyCount"] == 0


def test_a_changed_file_is_not_sent(
    bucket: Any, artifact: Path, contents: dict[str, bytes]
) -> None:
    digest = hashlib.sha256(contents["model.pkl"]).hexdigest()
    (artifact / "weights" / digest).write_bytes(b"other")
    with pytest.raises(IntegrityError, match=r"\(model\.pkl\) was changed since it was built"):
        push_weights(artifact, WHERE)
    (artifact / "weights" / digest).unlink()
    with pytest.raises(ModelFormatError, match=r"\(model\.pkl\) is missing"):
        push_weights(artifact, WHERE)
    assert bucket.list_objects_v2(Bucket="data")["KeyCount"] == 0


def test_a_link_is_not_followed(bucket: Any, artifact: Path, contents: dict[str, bytes]) -> None:
    digest = hashlib.sha256(contents["model.pkl"]).hexdigest()
    (artifact / "weights" / digest).unlink()
    (artifact / "weights" / digest).symlink_to("/etc/passwd")
    with pytest.raises(ModelFormatError, match="is missing"):
        push_weights(artifact, WHERE)


def test_an_artifact_without_weights_outside_is_told(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="so there is nothing to push"):
        push_weights(_build(tmp_path / "built"), WHERE)


def test_a_bucket_that_is_not_there_is_told(aws: None, artifact: Path) -> None:
    with pytest.raises(CloudError, match="NoSuchBucket"):
        push_weights(artifact, WHERE)


@pytest.mark.parametrize(
    "address",
    ["", "data/weights", "s3:/data", "s3://", "https://data/weights", "s3://Data_/x", "s3://data"]
    + [
        f"s3://data/{prefix}"
        for prefix in ("a//b", "a/../b", "ü", "a b", "${x}", "a\nb", ".", "p" * 64)
    ],
)
def test_an_address_that_the_template_would_refuse_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="Write it as s3://"):
        read_destination(address)


def test_the_command_prints_the_parameters(bucket: Any, artifact: Path) -> None:
    done = CliRunner().invoke(app, ["push-weights", str(artifact), WHERE, "--quiet"])
    assert done.exit_code == 0, done.output
    assert "WeightsBucket=data WeightsPrefix=weights/churn" in done.output
    again = CliRunner().invoke(app, ["push-weights", str(artifact), WHERE, "--json"])
    assert json.loads(again.stdout)["files"][0]["sent_bytes"] == 0
