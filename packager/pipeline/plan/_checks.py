"""Refusals before anything is resolved, and of what could not be proven before it is installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from handlers.events import aws_sources
from handlers.loaders.weights.download import SPARE_BYTES
from packager import facts
from packager.engines import WITHOUT_WEIGHTS
from packager.environments import virtual_environments
from packager.environments.machine.installation import name_install
from packager.errors import (
    ConfigurationError,
    PlanError,
    ToolError,
    UnprovenError,
    UpgradeUnprovenError,
    suggest_names,
)
from packager.facts import devices
from packager.pipeline.sizes import LEAST_WEIGHT_BYTES
from packager.probes import NOTHING_TO_REPLAY, probes
from packager.system import destination_uri
from packager.targets.lambda_emulator import why_not_provable
from packager.types import (
    BATCH_SOURCES,
    BOUNDS,
    BuildPlan,
    BuildRequest,
    Compute,
    Device,
    Engine,
    Front,
    HttpAuth,
    PassName,
    ResolvedModel,
    SupplyChainOptions,
    Target,
    Weights,
    list_settings,
)

PASSES: Final = tuple(map(str, PassName))
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?")
_REFERENCE: Final = re.compile(
    r"[a-z0-9][a-z0-9._:/-]*[a-z0-9](:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
"""https://github.com/distribution/reference/blob/main/reference.go, shortened"""

_AUTH_OF_FRONT: Final[Mapping[Front, tuple[HttpAuth, ...]]] = {
    Front.HTTP_API: (HttpAuth.IAM, HttpAuth.JWT, HttpAuth.NONE),
    Front.FUNCTION_URL: (HttpAuth.IAM, HttpAuth.NONE),
    Front.REST_API: (HttpAuth.IAM, HttpAuth.API_KEY, HttpAuth.NONE),
    Front.NONE: (),
}
"""What each endpoint can ask of a caller; as `HttpAuth` in templates/aws_lambda/_http."""


def settings(request: BuildRequest, target: Target) -> None:
    """Raises ConfigurationError for every setting beyond the target's limits, all together."""
    beyond = [
        *_memory(request.target.memory_mb, target),
        *_check_timeout(request.target.timeout_seconds, target),
    ]
    wrong = [
        *_check_bounds(request),
        *_check_python(request, target),
        *beyond,
        *_check_machine(request, target),
        *_check_compute(request, target),
        *_image(request, target),
        *_rollout(request, target),
        *_check_tools(request, target),
        *_device(request, target),
        *_check_weights(request, target),
    ]
    if request.http.opentelemetry and target.program.telemetry is None:
        wrong.append(
            f"--opentelemetry: {target.name} has none to ask for; azure-functions has, and a "
            "container's server sends where OTEL_EXPORTER_OTLP_ENDPOINT says."
        )
    wrong.extend(_auth(request, target))
    wrong.extend(_doors(request, target))
    if unknown := sorted(set(request.slimming.passes or ()) - set(PASSES)):
        wrong.append(
            f"--passes: No slimming pass {', '.join(unknown)}.{suggest_names(unknown, PASSES)} "
            f"There are: {', '.join(PASSES)}."
        )
    wrong.extend(
        f"--keep-package {name!r}: give a distribution's name alone, as scikit-learn; the model's "
        "requirements have its version."
        for name in request.slimming.keep_packages
        if not _DISTRIBUTION.fullmatch(name)
    )
    wrong.extend(_check_supply_chain(request.supply_chain))
    if beyond:
        wrong.append(f"Limits: {target.limits.source}, {target.limits.as_of}.")
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def _check_bounds(request: BuildRequest) -> Iterator[str]:
    """Hold numbers to the bounds that the command line has: a request may be made without it."""
    for name, group, key in list_settings():
        value = getattr(getattr(request, group), key)
        if name in BOUNDS and value is not None and (wanted := BOUNDS[name].refuse(value)):
            yield f"--{name} {value}: it has to be {wanted}."


def _name_place(target: Target) -> str:
    """Name a target, and the machines that a function is deployed to there."""
    return f"{target.name} on managed instances" if target.machine.instances else target.name


def _check_supply_chain(options: SupplyChainOptions) -> Iterator[str]:
    if options == SupplyChainOptions():
        return
    from packager.commands.artifact.supply_chain.policy import (  # noqa: PLC0415 - seldom asked for
        check_options,
    )

    yield from check_options(options)


def _check_python(request: BuildRequest, target: Target) -> Iterator[str]:
    known = [runtime.python_minor for runtime in target.runtimes]
    if request.target.python_minor is not None and request.target.python_minor not in known:
        yield (
            f"--python {request.target.python_minor}: {_name_place(target)} has no such runtime "
            f"({', '.join(known)}).{_explain_left_out(request, target, known)}"
        )


def _explain_left_out(request: BuildRequest, target: Target, known: Sequence[str]) -> str:
    asked, folder = request.target.python_minor or "", request.target.facts_dir
    why = facts.explain_left_out(target.name, asked, folder)
    return why and f" It is left out: {why}. Give --python {known[-1]}, or leave --python out."


def _check_machine(request: BuildRequest, target: Target) -> Iterator[str]:
    machines = {name for runtime in target.runtimes for name in runtime.platforms}
    architecture = request.target.architecture
    if architecture not in machines:
        yield f"--arch {architecture}: {target.name} runs on {', '.join(sorted(machines))}."


def _check_timeout(seconds: int | None, target: Target) -> Iterator[str]:
    most = target.limits.timeout_seconds
    if seconds is not None and not 1 <= seconds <= most:
        yield f"--timeout {seconds}: {_name_place(target)} takes 1 to {most} seconds."


def _memory(memory_mb: int | None, target: Target) -> Iterator[str]:
    if memory_mb is None:
        return
    low, high = target.limits.memory_mb
    if not low <= memory_mb <= high:
        yield f"--memory {memory_mb}: {_name_place(target)} takes {low} to {high} MB."
    elif memory_mb not in (target.limits.memory_sizes_mb or {memory_mb}):
        sizes = ", ".join(map(str, target.limits.memory_sizes_mb))
        yield f"--memory {memory_mb}: {target.name} takes {sizes} MB, nothing else."


def _check_compute(request: BuildRequest, target: Target) -> Iterator[str]:
    compute = request.target.compute
    if compute not in target.machine.computes:
        yield (
            f"--compute {compute}: {target.name} has {', '.join(target.machine.computes)} alone; "
            "aws-lambda and aws-lambda-image have managed instances. Leave it out."
        )
    elif compute is Compute.MANAGED_INSTANCES and not target.runtimes:
        yield f"--compute {compute}: {target.name} has no runtime for several requests at once."


def _image(request: BuildRequest, target: Target) -> Iterator[str]:
    image = request.target.base_image
    if image is None:
        return
    if target.deployment.base_image is None:
        yield f"--base-image: {target.name} is deployed as a zip; no image is built."
    elif not _REFERENCE.fullmatch(image):
        yield f"--base-image {image!r} is no image's name, as in NAME@sha256:DIGEST."


def _rollout(request: BuildRequest, target: Target) -> Iterator[str]:
    if request.target.rollout is None:
        return
    if not target.deployment.rolls_out:
        yield (
            f"--rollout: {target.name} has no alias whose traffic a template moves; aws-lambda and "
            "aws-lambda-image have. Leave it out, and ask what you deploy with `packager replay`."
        )
    elif request.proof.allow_unproven:
        yield (
            "--rollout asks a new version what was proven of it, and --allow-unproven lets a build "
            "go without a proof: leave one of them out."
        )


def _check_tools(request: BuildRequest, target: Target) -> Iterator[str]:
    asked = request.target.emit
    if others := [tool for tool in asked if tool not in target.deployment.emits]:
        own = f"{target.deployment.deploy.split()[0]} deploys it"
        if target.machine.instances:
            yield (
                f"--emit {', '.join(others)}: Terraform's provider has no word for the memory of a "
                f"GPU; {own}, or --emit {' or '.join(target.deployment.emits)}."
            )
            return
        yield (
            f"--emit {', '.join(others)}: {target.name} has no template for it, {own}; aws-lambda "
            "and aws-lambda-image have. Leave it out."
        )
    elif asked and find_spec("samtranslator") is None:
        yield (
            f"--emit {', '.join(asked)} needs aws-sam-translator, which is not installed. Install "
            "it beside packager: "
            f"`{name_install(extra='terraform')}`."
        )


def _device(request: BuildRequest, target: Target) -> Iterator[str]:
    device = request.target.device or target.machine.device
    if device not in target.machine.devices:
        yield (
            f"--device {device}: {_name_place(target)} has {', '.join(target.machine.devices)} "
            "alone. gpu-container has a GPU, and so has aws-lambda-image with --compute "
            "managed-instances."
        )
    elif device is Device.CUDA and request.target.architecture != "x86_64":
        yield "--device cuda: CUDA's wheels are taken for x86_64 alone; give --device cpu."
    elif request.target.driver is not None and device is Device.CPU:
        yield "--driver names a GPU's driver: leave it out with --device cpu."
    elif device is Device.CUDA:
        try:
            devices.cuda(request.target.driver, request.target.facts_dir)
        except ConfigurationError as error:
            yield str(error)


def _check_weights(request: BuildRequest, target: Target) -> Iterator[str]:
    wanted = request.target.weights
    if wanted is Weights.PACKAGE:
        return
    if target.weights is None:
        limit = target.limits.unzipped_bytes / 1e9
        yield (
            f"--weights {wanted}: {target.name} takes {limit:.1f} GB, and the weights lie among "
            "them; aws-lambda and azure-functions can have them outside. Leave it out."
        )
    elif wanted not in (*target.weights.ways, Weights.AUTO):
        known = ", ".join((*target.weights.ways, Weights.AUTO, Weights.PACKAGE))
        yield f"--weights {wanted}: {target.name} takes {known}.{_explain_ways(target)}"
    elif request.target.compute is not Compute.ON_DEMAND:
        yield (
            f"--weights {wanted}: with --compute {request.target.compute} weights are always in "
            "the package. Leave one of the two out."
        )
    elif request.engine.kind is WITHOUT_WEIGHTS:
        yield (
            f"--weights {wanted}: {WITHOUT_WEIGHTS} has none, its numbers are in the library. "
            f"Leave one of --weights and --engine {WITHOUT_WEIGHTS} out."
        )


def _explain_ways(target: Target) -> str:
    if target.weights is None or target.weights.fetches:
        return ""
    return (
        " What is fetched lies on the disk that the package lies on, so that nothing is won by "
        f"fetching ({target.limits.source})."
    )


def _auth(request: BuildRequest, target: Target) -> Iterator[str]:
    auth, front = request.http.auth, request.http.front
    if auth is HttpAuth.IAM:
        return
    if not target.deployment.makes_endpoint:
        if auth not in (known := target.deployment.callers):
            yield f"--auth {auth}: {target.name} takes {' or '.join(known)}. Or leave it out."
    elif auth not in _AUTH_OF_FRONT[front]:
        taken = " or ".join(_AUTH_OF_FRONT[front]) or "no HTTP caller at all"
        fitting = " or ".join(each for each, known in _AUTH_OF_FRONT.items() if auth in known)
        yield f"--auth {auth}: --http {front} takes {taken}. Give --http {fitting}."


def _doors(request: BuildRequest, target: Target) -> Iterator[str]:
    """List what is wrong with the event sources and with where their answers go."""
    if unknown := sorted(set(request.events.sources) - set(target.events.sources)):
        known = ", ".join(target.events.sources)
        yield (
            f"--event: {target.name} has no event source {', '.join(unknown)}."
            f"{suggest_names(unknown, target.events.sources)} There are: {known}."
        )
        return
    asynchronous = [name for name in request.events.sources if name not in target.events.answering]
    yield from _check_output_is_set(request, asynchronous, target)
    files = [name for name in request.events.sources if name in aws_sources.OF_FILES]
    yield from _check_output_of_files(request, files)
    if request.events.batch and not {*BATCH_SOURCES} <= {*request.events.sources}:
        yield f"--batch needs --event {' --event '.join(BATCH_SOURCES)} too."
    if request.events.output_to is not None and not [*asynchronous, *files]:
        yield "--output-to is for asynchronous events: add such an --event, or leave it out."
    if request.events.once:
        yield from _once(asynchronous, target)
    if request.events.output_to is not None:
        yield from _destination(request.events.output_to, asynchronous, target)


def _check_output_is_set(
    request: BuildRequest, asynchronous: Sequence[str], target: Target
) -> Iterator[str]:
    if asynchronous and request.events.output_to is None:
        place = (
            "blob://CONTAINER/PREFIX" if "blob" in target.events.outputs else "s3://BUCKET/PREFIX"
        )
        yield (
            f"--event {', '.join(asynchronous)} is asynchronous: set --output-to to say where "
            f"predictions go, for example {place}."
        )


def _check_output_of_files(request: BuildRequest, files: Sequence[str]) -> Iterator[str]:
    if files and not (request.events.output_to or "").startswith("s3://"):
        yield f"--event {', '.join(files)}: predictions are written to files; set --output-to s3://..."


def _once(asynchronous: Sequence[str], target: Target) -> Iterator[str]:
    if not target.events.remembers:
        yield (
            f"--once: {target.name} keeps no table of what was answered. "
            "An answer that comes twice has the same id, and in a container the same name."
        )
    elif not asynchronous:
        yield "--once is for events that may come twice: add such an --event, or leave it out."


def _destination(output_to: str, asynchronous: Sequence[str], target: Target) -> Iterator[str]:
    try:
        found = destination_uri.read(output_to, target.events.outputs)
    except ConfigurationError as error:
        yield str(error)
        return
    if found.kind == "servicebus" and "eventhubs" in asynchronous:
        yield (
            "--event eventhubs answers many events at once, and --output-to servicebus:// "
            "takes one message each time: give queue:// or blob://."
        )


def size(
    model: ResolvedModel,
    target: Target,
    weights: Weights = Weights.PACKAGE,
    engine: Engine | None = None,
) -> None:
    """Raises PlanError where the model's own files alone are more than the target takes.

    Not where none of them ships: the library of a forest is a tenth of its pickle.
    """
    if engine is WITHOUT_WEIGHTS:
        return
    total = sum(file.size_bytes for file in model.files)
    support = target.weights
    if weights is not Weights.PACKAGE and support is not None:
        outside = sum(f.size_bytes for f in model.files if f.size_bytes >= LEAST_WEIGHT_BYTES)
        total -= outside
        most = support.tmp_most_bytes - SPARE_BYTES
        if weights is not Weights.MOUNT and support.fetches and outside > most:
            raise PlanError(
                f"The model's large files have {outside:,} bytes; /tmp, where a start of "
                f"{target.name} fetches them to, has room for {most:,} at most.\n"
                f"The way out is the target {target.way_out}, or --weights mount."
            )
    if total > target.limits.unzipped_bytes:
        outside_too = (
            "" if support is None else f", or --weights {support.ways[0]}, which has them outside"
        )
        raise PlanError(
            f"The model's own files have {total:,} bytes; {target.name} takes "
            f"{target.limits.unzipped_bytes:,} for everything, unpacked "
            f"({target.limits.source}, {target.limits.as_of}).\n"
            f"The way out is the target {target.way_out}{outside_too}."
        )


def join_names(names: tuple[str, ...]) -> str:
    return ", ".join("what its loader finds" if name == "." else name for name in names)


def check_provable(
    request: BuildRequest, model: ResolvedModel, attempts: Sequence[BuildPlan]
) -> None:
    """Raises UnprovenError where nothing could be compared, unless that was asked for.

    Of upgraded pins it is raised whatever was asked for, as UpgradeUnprovenError.

    That is: no machine to boot on, nothing to ask, or no environment for the registered model.
    """
    upgraded = any(each.upgraded for each in attempts)
    if request.proof.allow_unproven and not upgraded:
        return
    try:
        _refuse_unprovable(request, model, attempts)
    except UnprovenError as error:
        if upgraded:
            raise UpgradeUnprovenError(error.why) from error
        raise


def _refuse_unprovable(
    request: BuildRequest, model: ResolvedModel, attempts: Sequence[BuildPlan]
) -> None:
    """Raises UnprovenError."""
    for attempt in attempts[:1]:
        host, minor = attempt.target.program.host, attempt.interpreter.minor
        wanted = request.target
        if why := why_not_provable(wanted.architecture, host, minor, wanted.arm64_python):
            raise UnprovenError(why)
    if not probes(model, request.proof.rows, request.proof.seed):
        raise UnprovenError(NOTHING_TO_REPLAY)
    for attempt in attempts[:1]:
        interpreter, _ = virtual_environments.interpreter_of(attempt.model, attempt.interpreter)
        try:
            virtual_environments.check_model(attempt.model, interpreter, attempt.platform)
        except ToolError as error:
            why = virtual_environments.explain_failure(attempt.model, interpreter, error)
            raise UnprovenError(why) from error
