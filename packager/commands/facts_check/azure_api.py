"""Facts of Azure Functions, held to the model of Azure's API: it names no Python and no size."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Final

from packager.commands.facts_check.checks import (
    Compared,
    join_names,
    make_check,
    make_unknown,
    tell_found,
)

_FILE: Final = "azure_functions.toml"
_SHAPES: Final = ("FunctionsScaleAndConcurrency", "RuntimeName", "AzureStorageType")


def compare_azure() -> Compared:
    """Compare with azure-mgmt-web, where it is installed."""
    try:
        models = importlib.import_module("azure.mgmt.web.models")
    except ImportError:
        return Compared([], "azure-mgmt-web is not installed: nothing of Azure was compared")
    version = importlib.metadata.version("azure-mgmt-web")
    said = f"Azure's API as azure-mgmt-web {version} has it, which lists no Pythons and no sizes"
    for shape in _SHAPES:
        if not hasattr(models, shape):
            return Compared([make_unknown(f"{_FILE} limits", "", shape, "azure-mgmt-web")], said)
    fields = vars(models.FunctionsScaleAndConcurrency)
    found = [
        make_check(
            f"{_FILE} {fact}", name, f"FunctionsScaleAndConcurrency {tell_found(name in fields)}",
            holds=name in fields,
            remedy="Azure's API has no such setting any more: change the template.",
        )
        for fact, name in (
            ("limits memory_sizes_mb", "instance_memory_mb"),
            ("always-ready instances", "always_ready"),
        )
    ]  # fmt: skip
    for fact, name, shape, remedy in (
        (
            "runtimes", "python", "RuntimeName",
            "Azure's API has no Python any more: read its page on supported languages.",
        ),
        (
            "weights", "AzureFiles", "AzureStorageType",
            "Azure's API mounts no share of Azure Files any more: change infra/azure.",
        ),
    ):  # fmt: skip
        names = [str(getattr(each, "value", each)) for each in getattr(models, shape)]
        found.append(
            make_check(
                f"{_FILE} {fact}",
                name,
                f"{shape} {join_names(names)}",
                holds=name in names,
                remedy=remedy,
            )
        )
    return Compared(found, said)
