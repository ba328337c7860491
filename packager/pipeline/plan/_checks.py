"""Refusals before anything is resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from handlers.events import sources
from packager.errors import ConfigurationError, PlanError, suggest_names
from packager.facts import devices
from packager.system import destination_uri
from packager.types import BATCH_SOURCES, BuildRequest, Device, ResolvedModel, Target

PASSES: Final[tuple[str, ...]] = (
    *("weights", "libraries", "prune", "compact", "bytecode"),
    *("trace", "cut", "defer", "cold", "archive"),
)
"""Slimming passes by name; a test holds them to those of packager.pipeline.slim."""
_REFERENCE: Final = re.compile(
    r"[a-z0-9][a-z0-9._:/-]*[a-z0-9](:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
"""https://github.com/distribution/reference/blob/main/reference.go, shortened"""


def settings(request: BuildRequest, target: Target) -> None:
    """Raises ConfigurationError for every setting beyond the target's limits, all together."""
    limits = target.limits
    wrong = []
    known = [runtime.python_minor for runtime in target.runtimes]
    if request.python_minor is not None and request.python_minor not in known:
        wrong.append(
            f"--python {request.python_minor}: {target.name} has no such runtime "
            f"({', '.join(known)})."
        )
    low, high = limits.memory_mb
    if request.memory_mb is not None and not low <= request.memory_mb <= high:
        wrong.append(f"--memory {request.memory_mb}: {target.name} takes {low} to {high} MB.")
    elif request.memory_mb is not None and request.memory_mb not in (
        limits.memory_sizes_mb or {request.memory_mb}
    ):
        sizes = ", ".join(map(str, limits.memory_sizes_mb))
        wrong.append(f"--memory {request.memory_mb}: {target.name} takes {sizes} MB, nothing else.")
    machines = {name for runtime in target.runtimes for name in runtime.platforms}
    if request.architecture not in machines:
        wrong.append(
            f"--arch {request.architecture}: {target.name} runs on {', '.join(sorted(machines))}."
        )
    seconds = request.timeout_seconds
    if seconds is not None and not 1 <= seconds <= limits.timeout_seconds:
        wrong.append(
            f"--timeout {seconds}: {target.name} takes 1 to {limits.timeout_seconds} seconds."
        )
    wrong.extend(_image(request, target))
    wrong.extend(_device(request, target))
    if request.opentelemetry and target.telemetry is None:
        wrong.append(
            f"--opentelemetry: {target.name} has none to ask for; azure-functions has, and a "
            "container's server sends where OTEL_EXPORTER_OTLP_ENDPOINT says."
        )
    wrong.extend(_doors(request, target))
    if unknown := sorted(set(request.passes or ()) - set(PASSES)):
        wrong.append(
            f"No slimming pass {', '.join(unknown)}.{suggest_names(unknown, PASSES)} "
            f"There are: {', '.join(PASSES)}."
        )
    if wrong:
        raise ConfigurationError("\n".join([*wrong, f"Limits: {limits.source}, {limits.as_of}."]))


def _image(request: BuildRequest, target: Target) -> Iterator[str]:
    if request.base_image is None:
        return
    if target.base_image is None:
        yield f"--base-image: {target.name} is deployed as a zip; no image is built."
    elif not _REFERENCE.fullmatch(request.base_image):
        yield f"--base-image {request.base_image!r} is no image's name, as in NAME@sha256:DIGEST."


def _device(request: BuildRequest, target: Target) -> Iterator[str]:
    device = request.device or target.device
    if device not in target.devices:
        yield f"--device {device}: {target.name} has {', '.join(target.devices)} alone."
    elif device is Device.CUDA and request.architecture != "x86_64":
        yield "--device cuda: CUDA's wheels are taken for x86_64 alone; give --device cpu."
    elif request.driver is not None and device is Device.CPU:
        yield "--driver names a GPU's driver: leave it out with --device cpu."
    elif device is Device.CUDA:
        try:
            devices.cuda(request.driver, request.facts_dir)
        except ConfigurationError as error:
            yield str(error)


def _doors(request: BuildRequest, target: Target) -> Iterator[str]:
    """List what is wrong with the event sources and with where their answers go."""
    if unknown := sorted(set(request.events) - set(target.sources)):
        known = ", ".join(target.sources)
        yield (
            f"{target.name} has no event source {', '.join(unknown)}."
            f"{suggest_names(unknown, target.sources)} There are: {known}."
        )
        return
    asynchronous = [name for name in request.events if name not in target.answering]
    if asynchronous and request.output_to is None:
        place = "blob://CONTAINER/PREFIX" if "blob" in target.outputs else "s3://BUCKET/PREFIX"
        yield (
            f"--event {', '.join(asynchronous)} is asynchronous: set --output-to to say where "
            f"predictions go, for example {place}."
        )
    files = [name for name in request.events if name in sources.OF_FILES]
    if files and not (request.output_to or "").startswith("s3://"):
        yield f"--event {', '.join(files)}: predictions are written to files; set --output-to s3://..."
    if request.batch and not {*BATCH_SOURCES} <= {*request.events}:
        yield f"--batch needs --event {' --event '.join(BATCH_SOURCES)} too."
    if request.output_to is not None and not asynchronous and not files:
        yield "--output-to is for asynchronous events: add such an --event, or leave it out."
    if request.once and not target.remembers:
        yield (
            f"--once: {target.name} keeps no table of what was answered. "
            "An answer that comes twice has the same id, and in a container the same name."
        )
    elif request.once and not asynchronous:
        yield "--once is for events that may come twice: add such an --event, or leave it out."
    if request.output_to is not None:
        yield from _destination(request.output_to, asynchronous, target)


def _destination(output_to: str, asynchronous: Sequence[str], target: Target) -> Iterator[str]:
    try:
        found = destination_uri.read(output_to, target.outputs)
    except ConfigurationError as error:
        yield str(error)
        return
    if found.kind == "servicebus" and "eventhubs" in asynchronous:
        yield (
            "--event eventhubs answers many events at once, and --output-to servicebus:// "
            "takes one message each time: give queue:// or blob://."
        )


def size(model: ResolvedModel, target: Target) -> None:
    """Raises PlanError where the model's own files alone are more than the target takes."""
    total = sum(file.size_bytes for file in model.files)
    if total > target.limits.unzipped_bytes:
        raise PlanError(
            f"The model's own files have {total:,} bytes; {target.name} takes "
            f"{target.limits.unzipped_bytes:,} for everything, unpacked "
            f"({target.limits.source}, {target.limits.as_of}).\n"
            f"The way out is the target {target.way_out}."
        )


def join_names(names: tuple[str, ...]) -> str:
    return ", ".join("what its loader finds" if name == "." else name for name in names)
