"""A CDK app in Python that deploys the emitted template with the artifact's code.

CfnInclude keeps every resource, parameter, condition and rule as the template has it:
https://docs.aws.amazon.com/cdk/v2/guide/use-cfn-template.html
"""

from __future__ import annotations

import json
from pathlib import Path

from packager.pipeline.emit.infrastructure._transform import Document


def list_cdk_files(template: Document, stack_name: str, folder: Path) -> dict[str, str]:
    """Return the app's files by their names; `folder` has those that are the same in every app."""
    settings = {"app": "python3 app.py", "context": {"stack_name": stack_name}}
    return {
        "cdk.json": _write_json(settings),
        "template.json": _write_json(template),
        **{path.name: path.read_text("utf-8") for path in sorted(folder.iterdir())},
    }


def _write_json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
