"""Code that Lambda reads from a bucket: the guide's own command, on an emitted template."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import botocore.session
import pytest
from botocore.model import StructureShape

from packager.types import Front
from tests import sam

_GUIDE: Final = Path(__file__).parents[4] / "docs" / "guides" / "terraform-and-cdk.md"


def read_command() -> list[str]:
    """Return the guide's command, whose output is the copy of the template."""
    (line,) = re.findall(
        r"^    (sed .*) > referenced\.yaml$", _GUIDE.read_text("utf-8"), re.MULTILINE
    )
    return shlex.split(line)


@pytest.mark.parametrize("front", [Front.HTTP_API, Front.REST_API])
def test_the_guide_s_command_names_the_code_in_a_copy(
    folders: dict[Front, Path], front: Front
) -> None:
    before = sam.parse((folders[front] / "template.yaml").read_text("utf-8"))
    made = subprocess.run(
        read_command(), cwd=folders[front], check=True, capture_output=True, text=True
    )
    after = sam.parse(made.stdout)

    found = after["Resources"]["Function"]["Properties"].pop("CodeUri")
    assert before["Resources"]["Function"]["Properties"].pop("CodeUri") == "function.zip"
    assert after == before
    # https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-functioncode.html
    assert found == {
        "Bucket": "my-code",
        "Key": "churn/function.zip",
        "Version": "VERSION_ID",
        "StorageMode": "REFERENCE",
    }


def test_lambda_takes_what_the_template_says() -> None:
    model = botocore.session.get_session().get_service_model("lambda")
    code = model.shape_for("FunctionCode")

    assert isinstance(code, StructureShape)
    assert "REFERENCE" in getattr(code.members["S3ObjectStorageMode"], "enum", ())
