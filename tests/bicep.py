"""Bicep read without Bicep: parsed, and its names held to the management client's models."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

_BICEP_S_OWN = {"parent", "scope", "dependsOn"}


@cache
def _clients() -> tuple[Any, Any]:
    """Models of the web's and of the container apps' client, which take a second to import."""
    import azure.mgmt.appcontainers.models as apps
    import azure.mgmt.web.models as web

    return web, apps


@cache
def _models() -> Mapping[str, Any]:
    """The client's class of each kind of resource."""
    web, apps = _clients()
    return {
        "Microsoft.Web/sites": web.Site,
        "Microsoft.Web/sites/config/authsettingsV2": web.SiteAuthSettingsV2,
        "Microsoft.Web/serverfarms": web.AppServicePlan,
        "Microsoft.App/managedEnvironments": apps.ManagedEnvironment,
        "Microsoft.App/containerApps": apps.ContainerApp,
    }


def parse(text: str) -> dict[str, Any]:
    """Raises pycep's parse error, with the line."""
    return copy.deepcopy(_parse(text))


@cache
def _parser() -> Any:
    """One for all texts: half of what a text takes is to make its grammar."""
    from pycep import BicepParser

    return BicepParser()


@lru_cache(32)
def _parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = _parser().parse(text=text)
    return parsed


def read(path: Path) -> dict[str, Any]:
    return parse(path.read_text(encoding="utf-8"))


def unknown_names(parsed: dict[str, Any]) -> list[str]:
    """Every property of a resource of those kinds that the client's models do not have."""
    found: list[str] = []
    for name, resource in parsed["resources"].items():
        kind = resource["type"]
        if kind == "Microsoft.Web/sites/config":
            kind = f"{kind}/{_unconditional(resource['config'])['name']}"
        if kind in _models():
            found += _unknown(_unconditional(resource["config"]), _models()[kind], name)
    return found


def _unconditional(config: dict[str, Any]) -> dict[str, Any]:
    """What follows `if (...)` or `[for ...]`, where a resource or a module has that."""
    wrapped = "config" in config and set(config) <= {"condition", "config", "loop_type"}
    inner: dict[str, Any] = config["config"] if wrapped else config
    return inner


def modules(parsed: dict[str, Any]) -> list[tuple[str, set[str]]]:
    """(file of each module, the parameters that it is given)."""
    return [
        (each["detail"]["path"], set(_unconditional(each["config"])["params"]))
        for each in parsed.get("modules", {}).values()
    ]


def _unknown(value: Any, model: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _unknown(item, model, where)
        return
    if not isinstance(value, dict) or "function" in value:
        return
    if "operator" in value:
        yield from _unknown(list(value["operator"]["operands"].values()), model, where)
        return
    known = _wire_names(model)
    for key, item in value.items():
        if key in _BICEP_S_OWN:
            continue
        if key not in known:
            yield f"{where}.{key}: unknown; there are {', '.join(sorted(known))}"
        elif known[key] is not None:
            yield from _unknown(item, known[key], f"{where}.{key}")


def list_names(model: str) -> list[str]:
    """Every property of one of the web client's models."""
    web, _ = _clients()
    return sorted(_wire_names(getattr(web, model)))


def _wire_names(model: Any) -> dict[str, Any]:
    """Name on the wire to the model of its value, None where it is a plain one."""
    return {
        field._rest_name: _model_of(model.__annotations__.get(attribute, ""), _client(model))
        for attribute, field in model()._attr_to_rest_field.items()
    }


def _client(model: Any) -> Any:
    """The module of the client that a model is of: two have models of one name."""
    web, apps = _clients()
    return web if model.__module__.startswith("azure.mgmt.web.") else apps


def _model_of(annotation: object, client: Any) -> Any:
    """None for plain values, and for maps, whose keys are the author's own."""
    if "ict[" in str(annotation):
        return None
    for name in str(annotation).replace('"', "'").split("'"):
        found = getattr(client, name.rpartition(".")[2], None)
        if isinstance(found, type) and any(each.__name__ == "Model" for each in found.__mro__):
            return found
    return None
