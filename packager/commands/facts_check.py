"""`packager facts`: what is known of the platforms, and the vendors' own models beside it.

Botocore's model of Lambda's API states what the API takes: the widest of what an ordinary function
and one on managed instances may have. The facts state both, so that a limit that the model changes
is found whichever it is of. The model of Azure's API names no Python and no size.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, Protocol, cast

from packager import facts, targets
from packager.environments.machine.installation import name_install, name_upgrade
from packager.facts import Fact, prices
from packager.targets import aws_lambda, aws_lambda_image
from packager.types import FactCheck, FactRow, FactsReport, Json, Limits

_MB: Final = 1 << 20
_LAMBDA: Final = {
    aws_lambda.NAME: "aws_lambda.toml",
    aws_lambda_image.NAME: "aws_lambda_image.toml",
}
_ZIP: Final = _LAMBDA[aws_lambda.NAME]
_AZURE: Final = "azure_functions.toml"


class _Shape(Protocol):
    """A shape of botocore's."""

    metadata: Mapping[str, object]


class _ServiceModel(Protocol):
    """Botocore's model of a service."""

    shape_names: Iterable[str]

    def shape_for(self, shape_name: str) -> _Shape: ...


def report_facts(folder: Path | None, *, today: date, check: bool) -> FactsReport:
    """List every fact; with `check` compare them with the models that are installed here.

    Raises FactsError for a file that does not hold together.
    """
    known = facts.list_facts(folder)
    checks: list[FactCheck] = []
    models: list[str] = []
    if check:
        _check_all_files(folder)
        aws, said = _check_lambda(known, folder)
        azure, also = _check_azure()
        checks, models = [*aws, *azure], [said, also]
    old = [fact for fact in known if check and fact.is_old(today)]
    return {
        "facts": [_describe(fact, today) for fact in known],
        "checks": checks,
        "old": [_describe(fact, today) for fact in old],
        "old_days": facts.OLD_DAYS,
        "models": models,
        "checked": check,
        "holds": not old and all(each["holds"] for each in checks),
    }


def _check_all_files(folder: Path | None) -> None:
    """Read each file as a build does. Raises FactsError."""
    for name in targets.TARGETS:
        targets.load(name, folder)
        prices.read_prices(name, folder)
    prices.read_fronts(folder)
    facts.tools(folder)
    facts.donors(folder)


def _describe(fact: Fact, today: date) -> FactRow:
    return {
        "file": fact.file,
        "name": fact.name,
        "values": {key: _plain(value) for key, value in fact.values.items()},
        "source": fact.source,
        "unchecked": fact.unchecked,
        "as_of": fact.as_of.isoformat(),
        "days": fact.count_days(today),
    }


def _plain(value: object) -> Json:
    return value.isoformat() if isinstance(value, date) else cast(Json, value)


def _check_lambda(known: Sequence[Fact], folder: Path | None) -> tuple[list[FactCheck], str]:
    """Compare with botocore's model of Lambda; without botocore nothing holds."""
    try:
        session = importlib.import_module("botocore.session").get_session()
    except ImportError:
        missing = _make_check(
            "Lambda's limits and runtimes", "", "botocore is not installed", holds=False,
            remedy=f"Install it beside packager: `{name_install(extra='aws')}`. Then check again.",
        )  # fmt: skip
        return [missing], "botocore is not installed: nothing of Lambda was compared"
    model: _ServiceModel = session.get_service_model("lambda")
    version = importlib.metadata.version("botocore")
    by_name = {(fact.file, fact.name): fact.values for fact in known}
    managed = by_name.get((_ZIP, "managed_instances"), {})
    found = [
        check
        for target, file in _LAMBDA.items()
        for check in _compare_limits(file, facts.limits(target, folder), model)
    ]
    found += _compare_managed(managed, model)
    found += _compare_runtimes(known, by_name.get((_ZIP, "left_out"), {}), model)
    return found, f"Lambda's API as botocore {version} has it"


def _compare_limits(file: str, limits: Limits, model: _ServiceModel) -> Iterator[FactCheck]:
    """Hold what an ordinary function may have: its least is the API's, its most within it."""
    memory, tmp = limits.memory_mb, limits.tmp_bytes // _MB
    for name, least, most, shape in (
        ("timeout_seconds", None, limits.timeout_seconds, "Timeout"),
        ("memory_mb", memory[0], memory[1], "MemorySize"),
        ("tmp_bytes", tmp, tmp, "EphemeralStorageSize"),
    ):
        fact = f"{file} limits {name}"
        stated = f"{most}" if least in {None, most} else f"{least} to {most}"
        if (found := _read_range(model, shape)) is None:
            yield _make_unknown(fact, stated, shape)
            continue
        low, high = found
        yield _make_check(
            fact,
            stated,
            f"{shape} {low} to {high}",
            holds=low <= most <= high and least in {None, low},
            remedy="Read the limit at its source, and set it and its day.",
        )


def _compare_managed(managed: Mapping[str, object], model: _ServiceModel) -> Iterator[FactCheck]:
    """Hold what managed instances may have: its most is the API's."""
    for name, shape in (
        ("timeout_seconds", "Timeout"),
        ("memory_mb", "MemorySize"),
        ("tmp_mb", "EphemeralStorageSize"),
        ("concurrency", "PerExecutionEnvironmentMaxConcurrency"),
        ("memory_gib_per_vcpu", "ExecutionEnvironmentMemoryGiBPerVCpu"),
    ):
        value = managed.get(name)
        fact = f"{_ZIP} managed_instances {name}"
        stated = " to ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        if (found := _read_range(model, shape)) is None:
            yield _make_unknown(fact, stated, shape)
            continue
        low, high = found
        yield _make_check(
            fact,
            stated,
            f"{shape} {low} to {high}",
            holds=(value[-1] if isinstance(value, list) else value) == high,
            remedy="Read at AWS which kind of function the API's new limit is of, and set that.",
        )


def _compare_runtimes(
    known: Sequence[Fact], left_out: Mapping[str, object], model: _ServiceModel
) -> Iterator[FactCheck]:
    """Hold every runtime to the API's names, and every Python that the API names to the facts."""
    runtimes = [fact for fact in known if fact.file == _ZIP and fact.name.startswith("runtimes ")]
    names = {str(fact.values["name"]) for fact in runtimes}
    offered = set(_read_names(model, "Runtime"))
    for name in sorted(names, key=_order):
        yield _make_check(
            f"{_ZIP} runtimes {name}", name, f"Runtime {_yes(name in offered)}",
            holds=name in offered,
            remedy="Lambda's API does not know it: take it out, or install a newer botocore.",
        )  # fmt: skip
    oldest = min(map(_order, names))
    newer = {each for each in offered if each.startswith("python") and _order(each) > oldest}
    for name in sorted(newer - names, key=_order):
        stated = name in cast(Iterable[str], left_out.get("runtimes", ()))
        yield _make_check(
            f"{_ZIP} left_out {name}", f"left out: {left_out.get('why')}" if stated else "",
            f"Runtime {_yes(given=True)}",
            holds=stated,
            remedy="Lambda has a new runtime: add it, or list it under left_out with the reason.",
        )  # fmt: skip
    yield _compare_snapshots(runtimes, model)


def _compare_snapshots(runtimes: Sequence[Fact], model: _ServiceModel) -> FactCheck:
    fact = f"{_ZIP} runtimes snapstart"
    snapshots = [fact for fact in runtimes if fact.values["snapstart"]]
    applies = _read_names(model, "SnapStartApplyOn")
    if not applies:
        return _make_unknown(fact, f"{len(snapshots)} runtimes", "SnapStartApplyOn")
    return _make_check(
        fact, f"{len(snapshots)} runtimes",
        f"SnapStartApplyOn {', '.join(applies)}",
        holds="PublishedVersions" in applies or not snapshots,
        remedy="Lambda's API does not take PublishedVersions any more: change the template.",
    )  # fmt: skip


def _check_azure() -> tuple[list[FactCheck], str]:
    """Compare with the model of Azure's API, where it is installed."""
    try:
        models = importlib.import_module("azure.mgmt.web.models")
    except ImportError:
        return [], "azure-mgmt-web is not installed: nothing of Azure Functions was compared"
    version = importlib.metadata.version("azure-mgmt-web")
    said = f"Azure's API as azure-mgmt-web {version} has it, which lists no Pythons and no sizes"
    for shape in ("FunctionsScaleAndConcurrency", "RuntimeName"):
        if not hasattr(models, shape):
            return [_make_unknown(f"{_AZURE} limits", "", shape, "azure-mgmt-web")], said
    fields = vars(models.FunctionsScaleAndConcurrency)
    found = [
        _make_check(
            f"{_AZURE} {fact}", name, f"FunctionsScaleAndConcurrency {_yes(name in fields)}",
            holds=name in fields,
            remedy="Azure's API has no such setting any more: change the template.",
        )
        for fact, name in (
            ("limits memory_sizes_mb", "instance_memory_mb"),
            ("always-ready instances", "always_ready"),
        )
    ]  # fmt: skip
    runtimes = [str(getattr(each, "value", each)) for each in models.RuntimeName]
    found.append(
        _make_check(
            f"{_AZURE} runtimes",
            "python",
            f"RuntimeName {', '.join(runtimes)}",
            holds="python" in runtimes,
            remedy="Azure's API has no Python any more: read its page on supported languages.",
        )
    )
    return found, said


def _read_range(model: _ServiceModel, shape: str) -> tuple[int, int] | None:
    """Return the least and the most; None for what an older model does not have."""
    metadata = _read_metadata(model, shape)
    if not {"min", "max"} <= metadata.keys():
        return None
    return int(str(metadata["min"])), int(str(metadata["max"]))


def _read_names(model: _ServiceModel, shape: str) -> list[str]:
    """Return the names that it takes; none for what an older model does not have."""
    return list(cast(Iterable[str], _read_metadata(model, shape).get("enum", ())))


def _read_metadata(model: _ServiceModel, shape: str) -> Mapping[str, object]:
    return model.shape_for(shape).metadata if shape in model.shape_names else {}


def _make_unknown(fact: str, stated: str, shape: str, package: str = "botocore") -> FactCheck:
    """Tell that the installed model is older than what is compared."""
    version = importlib.metadata.version(package)
    return _make_check(
        fact, stated, f"{shape} is unknown", holds=False,
        remedy=f"The installed {package} {version} does not know it. Install a newer one: "
        f"`{name_upgrade(package)}`. Then check again.",
    )  # fmt: skip


def _order(runtime: str) -> tuple[int, ...]:
    return facts.read_minor(runtime.removeprefix("python"))


def _yes(given: bool) -> str:  # noqa: FBT001 - of a check's own condition
    return "has it" if given else "has it not"


def _make_check(fact: str, stated: str, model: str, *, holds: bool, remedy: str) -> FactCheck:
    return {
        "fact": fact,
        "stated": stated,
        "model": model,
        "holds": holds,
        "remedy": "" if holds else remedy,
    }
