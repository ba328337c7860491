"""Record what Terraform's provider hashicorp/aws takes, for tests on machines without it.

    python -m tools.terraform_schema PROVIDERS_SCHEMA.json
    python -m tools.terraform_schema cdktn_provider_aws-VERSION-py3-none-any.whl

The first is what `terraform providers schema -json` prints in a folder that requires the provider.
The second is a wheel of `cdktn-provider-aws`, whose classes are generated of the provider's schema:
where the provider itself is not to be had, its names still are.
Only the types that `packager.pipeline.emit.infrastructure` writes are kept, with the arguments that
may be set (`true` where one has to be) and the blocks inside. A version of its own file each.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packager.pipeline.emit.infrastructure.terraform._kinds import KINDS
from packager.system import resources
from packager.types import Json

FOLDER: Final = resources.TEMPLATES.parent / "tests/unit/pipeline/emit/infrastructure"
_APART: Final = (
    *("aws_api_gateway_method_settings", "aws_appautoscaling_scheduled_action"),
    *("aws_cloudwatch_event_target", "aws_iam_role_policy", "aws_iam_role_policy_attachment"),
    "aws_lambda_function_scaling_config",
    *("aws_lambda_provisioned_concurrency_config", "aws_s3_object"),
)
"""Types that are written beside those that CloudFormation's resources become."""
_PROVIDER: Final = "registry.terraform.io/hashicorp/aws"
_META: Final = frozenset(
    {
        *("connection", "count", "depends_on", "for_each", "lifecycle", "provider"),
        *("provisioners", "self"),
    }
)
"""Arguments of a class that every resource has, of Terraform and not of the provider."""


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


def read_bindings(source: str) -> dict[str, Json]:
    """Return the arguments and blocks of the resource that a module of the bindings has."""
    classes = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
    (config,) = (name for name, each in classes.items() if _is_config(each))
    return _read_class(classes[config], classes)


def _is_config(found: ast.ClassDef) -> bool:
    """Tell the class with a resource's arguments from those of its blocks."""
    return any("TerraformMetaArguments" in ast.unparse(base) for base in found.bases)


def _read_class(found: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> dict[str, Json]:
    (made,) = (
        each for each in found.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    )
    arguments: dict[str, Json] = {}
    blocks: dict[str, Json] = {}
    for given, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True):
        if given.arg in _META:
            continue
        annotation = ast.unparse(given.annotation) if given.annotation else ""
        inner = [name for name in re.findall(r"\w+", annotation) if name in classes]
        if inner:
            blocks[given.arg] = {
                "required": default is None,
                **_read_class(classes[inner[0]], classes),
            }
        else:
            arguments[given.arg] = default is None
    return {"arguments": arguments, "blocks": blocks}


def list_types() -> list[str]:
    """Return the types that are written."""
    own = {kind.resource for kind in KINDS.values() if kind.resource}
    return sorted(own.union(_APART))


def record_schema(path: Path) -> tuple[str, dict[str, Json]]:
    """Return the provider's first number, and the types that are written which it has."""
    if path.suffix != ".whl":
        schema = json.loads(path.read_text("utf-8"))
        known = schema["provider_schemas"][_PROVIDER]["resource_schemas"]
        return "5", {n: keep_arguments(known[n]["block"]) for n in list_types() if n in known}
    kept = {}
    version = ""
    with zipfile.ZipFile(path) as wheel:
        there = set(wheel.namelist())
        for name in list_types():
            module = f"cdktn_provider_aws/{name.removeprefix('aws_')}/__init__.py"
            if module in there:
                source = wheel.read(module).decode()
                kept[name] = read_bindings(source)
                version = re.findall(r"hashicorp/aws/([0-9]+)[.]", source)[0]
    return version, kept


def main() -> None:
    version, kept = record_schema(Path(sys.argv[1]))
    text = json.dumps(kept, indent=1, sort_keys=True) + "\n"
    (FOLDER / f"provider_schema_{version}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
