"""Record what Terraform's provider hashicorp/aws takes, for tests on machines without it.

    python -m tools.terraform_schema PROVIDERS_SCHEMA.json

The file is what `terraform providers schema -json` prints in a folder that requires the provider.
Only the types that `packager.pipeline.emit.infrastructure` writes are kept, with the arguments that
may be set (`true` where one has to be) and the blocks inside.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packager.pipeline.emit.infrastructure.terraform._kinds import KINDS
from packager.system import resources
from packager.types import Json

OUT: Final = (
    resources.TEMPLATES.parent / "tests/unit/pipeline/emit/infrastructure/provider_schema.json"
)
_APART: Final = (
    *("aws_api_gateway_method_settings", "aws_appautoscaling_scheduled_action"),
    *("aws_cloudwatch_event_target", "aws_iam_role_policy"),
    *("aws_lambda_provisioned_concurrency_config", "aws_s3_object"),
)
"""Types that are written beside those that CloudFormation's resources become."""
_PROVIDER: Final = "registry.terraform.io/hashicorp/aws"


def keep_arguments(block: Mapping[str, Json]) -> dict[str, Json]:
    """Return a block's arguments, and its blocks with theirs."""
    arguments = {
        name: bool(each.get("required"))
        for name, each in block.get("attributes", {}).items()
        if each.get("required") or each.get("optional")
    }
    blocks = {
        name: {
            "required": bool(each.get("min_items")),
            **keep_arguments(each["block"]),
        }
        for name, each in block.get("block_types", {}).items()
    }
    return {"arguments": arguments, "blocks": blocks}


def list_types() -> list[str]:
    """Return the types that are written."""
    own = {kind.resource for kind in KINDS.values() if kind.resource}
    return sorted(own.union(_APART))


def main() -> None:
    schema = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    known = schema["provider_schemas"][_PROVIDER]["resource_schemas"]
    kept = {name: keep_arguments(known[name]["block"]) for name in list_types()}
    OUT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
