"""Facts of AWS, held to botocore's models of its APIs.

Lambda's model states what the API takes: the widest of what an ordinary function and one on managed
instances may have. The facts state both, so that a limit that the model changes is found whichever
it is of. EC2's model names the types of instances.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from packager import facts
from packager.commands.facts_check.checks import (
    Compared,
    join_names,
    make_check,
    make_unknown,
    tell_found,
)
from packager.environments.machine.installation import name_install
from packager.facts import Fact
from packager.targets import aws_lambda, aws_lambda_image
from packager.types import FactCheck, Limits

_MB: Final = 1 << 20
_LAMBDA: Final = {
    aws_lambda.NAME: "aws_lambda.toml",
    aws_lambda_image.NAME: "aws_lambda_image.toml",
}
_ZIP: Final = _LAMBDA[aws_lambda.NAME]
_PRICES: Final = "prices.toml"
_Values = Mapping[str, object]


class _Shape(Protocol):
    """A shape of botocore's."""

    metadata: Mapping[str, object]


class _ServiceModel(Protocol):
    """Botocore's model of a service."""

    shape_names: Iterable[str]

    def shape_for(self, shape_name: str) -> _Shape: ...


def compare_aws(known: Sequence[Fact], folder: Path | None) -> Compared:
    """Compare with botocore's models; without botocore nothing holds."""
    try:
        session = importlib.import_module("botocore.session").get_session()
    except ImportError:
        missing = make_check(
            "Lambda's limits and runtimes", "", "botocore is not installed", holds=False,
            remedy=f"Install it beside packager: `{name_install(extra='aws')}`. Then check again.",
        )  # fmt: skip
        return Compared([missing], "botocore is not installed: nothing of AWS was compared")
    model: _ServiceModel = session.get_service_model("lambda")
    version = importlib.metadata.version("botocore")
    by_name = {(fact.file, fact.name): fact.values for fact in known}
    found = [
        check
        for target, file in _LAMBDA.items()
        for check in _compare_limits(file, facts.limits(target, folder), model)
    ]
    found += _compare_managed(by_name.get((_ZIP, "managed_instances"), {}), model)
    found += _compare_environments(by_name.get((_ZIP, "instance_environments"), {}), model)
    found += _compare_storage(by_name.get((_ZIP, "weights"), {}), model)
    found += _compare_accelerators(by_name.get((_ZIP, "accelerators"), {}), model)
    found += _compare_systems(known, model)
    found += _compare_runtimes(known, by_name.get((_ZIP, "left_out"), {}), model)
    found += _compare_instance_types(known, session.get_service_model("ec2"))
    return Compared(found, f"the APIs of Lambda and EC2 as botocore {version} has them")


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
            yield make_unknown(fact, stated, shape)
            continue
        low, high = found
        yield make_check(
            fact,
            stated,
            f"{shape} {low} to {high}",
            holds=low <= most <= high and least in {None, low},
            remedy="Read the limit at its source, and set it and its day.",
        )
    for name, most, shape in (
        ("request_bytes", limits.request_bytes, "InputPayload"),
        ("response_bytes", limits.response_bytes, "OutputPayload"),
    ):
        # of an execution that a function is asked for; models before these name no payload's size
        if (found := _read_range(model, shape)) is not None:
            yield make_check(
                f"{file} limits {name}", f"{most}", f"{shape} at most {found[1]}",
                holds=most == found[1],
                remedy="Read the limit at its source, and set it and its day.",
            )  # fmt: skip


def _compare_environments(python: _Values, model: _ServiceModel) -> Iterator[FactCheck]:
    """Hold what Python has on managed instances to the widest that the API takes."""
    for name, shape in (
        ("usual_concurrency", "PerExecutionEnvironmentMaxConcurrency"),
        ("least_memory_mb", "MemorySize"),
    ):
        if (found := _read_range(model, shape)) is not None and name in python:
            low, high = found
            yield make_check(
                f"{_ZIP} instance_environments {name}", f"{python[name]}",
                f"{shape} {low} to {high}",
                holds=low <= cast("int", python[name]) <= high,
                remedy="Read it at its source, and set it and its day.",
            )  # fmt: skip
    if "python" in python:
        name = f"python{python['python']}"
        has = name in _read_names(model, "Runtime")
        yield make_check(
            f"{_ZIP} instance_environments python", name, f"Runtime {tell_found(has)}",
            holds=has,
            remedy="Lambda's API does not know it: read which Pythons its instances take.",
        )  # fmt: skip


def _compare_storage(weights: _Values, model: _ServiceModel) -> Iterator[FactCheck]:
    """Hold the most of /tmp to what the API takes, which managed instances have more of."""
    found = _read_range(model, "EphemeralStorageSize")
    if found is not None and "tmp_most_bytes" in weights:
        most, (low, high) = cast("int", weights["tmp_most_bytes"]) // _MB, found
        yield make_check(
            f"{_ZIP} weights tmp_most_bytes", f"{most} MB",
            f"EphemeralStorageSize {low} to {high}",
            holds=low <= most <= high,
            remedy="Read the most of /tmp at its source, and set it and its day.",
        )  # fmt: skip


def _compare_accelerators(gpu: _Values, model: _ServiceModel) -> Iterator[FactCheck]:
    sizes = cast("Sequence[int]", gpu.get("memory_gb") or ())
    if (found := _read_range(model, "AcceleratorMemorySize")) is not None and sizes:
        low, high = found
        yield make_check(
            f"{_ZIP} accelerators memory_gb", join_names(sizes),
            f"AcceleratorMemorySize {low} to {high}",
            holds=(min(sizes), max(sizes)) == found,
            remedy="Read which sizes Lambda has at their source, and set them and their day.",
        )  # fmt: skip


def _compare_systems(known: Sequence[Fact], model: _ServiceModel) -> Iterator[FactCheck]:
    """Hold the processors of the systems that functions run on to the API's."""
    offered = _read_names(model, "Architecture")
    for fact in known:
        if fact.file in _LAMBDA.values() and fact.name.startswith("systems ") and offered:
            platforms = sorted(cast("Mapping[str, str]", fact.values.get("platforms") or {}))
            yield make_check(
                f"{fact.file} {fact.name} platforms", join_names(platforms),
                f"Architecture {join_names(offered)}",
                holds=bool(platforms) and {*platforms} <= {*offered},
                remedy="Lambda's API has no such processor: take it out.",
            )  # fmt: skip


def _compare_instance_types(known: Sequence[Fact], model: _ServiceModel) -> Iterator[FactCheck]:
    """Hold the names of instances that prices are known of to EC2's; no model has a price."""
    offered = set(_read_names(model, "InstanceType"))
    for fact in known:
        if fact.file == _PRICES and fact.name.startswith(("managed ", "machines ")):
            name = str(fact.values.get("name", "")).removeprefix("managed ")
            about = f"{fact.file} {fact.name} name"
            if not offered:
                yield make_unknown(about, name, "InstanceType")
                continue
            has = name in offered
            yield make_check(
                about, name, f"InstanceType {tell_found(has)}",
                holds=has,
                remedy="EC2's API does not know this type: set one that it has, and its price.",
            )  # fmt: skip


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
            yield make_unknown(fact, stated, shape)
            continue
        low, high = found
        yield make_check(
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
        yield make_check(
            f"{_ZIP} runtimes {name}", name, f"Runtime {tell_found(name in offered)}",
            holds=name in offered,
            fields=[f"{_ZIP} runtimes {name} {field}" for field in ("name", "python_minor")],
            remedy="Lambda's API does not know it: take it out, or install a newer botocore.",
        )  # fmt: skip
    oldest = min(map(_order, names))
    newer = {each for each in offered if each.startswith("python") and _order(each) > oldest}
    for name in sorted(newer - names, key=_order):
        stated = name in cast(Iterable[str], left_out.get("runtimes", ()))
        yield make_check(
            f"{_ZIP} left_out {name}", f"left out: {left_out.get('why')}" if stated else "",
            f"Runtime {tell_found(found=True)}",
            holds=stated,
            fields=[f"{_ZIP} left_out runtimes"],
            remedy="Lambda has a new runtime: add it, or list it under left_out with the reason.",
        )  # fmt: skip
    yield _compare_snapshots(runtimes, model)


def _compare_snapshots(runtimes: Sequence[Fact], model: _ServiceModel) -> FactCheck:
    fact = f"{_ZIP} runtimes snapstart"
    snapshots = [fact for fact in runtimes if fact.values["snapstart"]]
    applies = _read_names(model, "SnapStartApplyOn")
    if not applies:
        return make_unknown(fact, f"{len(snapshots)} runtimes", "SnapStartApplyOn")
    return make_check(
        fact, f"{len(snapshots)} runtimes",
        f"SnapStartApplyOn {', '.join(applies)}",
        holds="PublishedVersions" in applies or not snapshots,
        remedy="Lambda's API does not take PublishedVersions any more: change the template.",
    )  # fmt: skip


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


def _order(runtime: str) -> tuple[int, ...]:
    return facts.read_minor(runtime.removeprefix("python"))
