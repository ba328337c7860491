"""Compare an image in its registry with the artifact that it was built of: tree and settings."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import shlex
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from packager import targets
from packager.commands.artifact.description import DescribedArtifact, read_artifact, read_own_text
from packager.commands.cloud.image_registry import Image, ImageRegistry
from packager.commands.cloud.image_tree import ImageTree
from packager.commands.cloud.stacks import Client, MakeClient
from packager.errors import CloudError, ConfigurationError
from packager.system.atomic_output import MARKER
from packager.system.file_tree import records
from packager.types import ArtifactCheck, Json

CHECK: Final = "image"
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64"}
_LABEL: Final = "artifact.sha256"
_LOG = logging.getLogger(__name__)
_SETTINGS: Final = {
    "ENTRYPOINT": "Entrypoint",
    "CMD": "Cmd",
    "USER": "User",
    "WORKDIR": "WorkingDir",
}
"""An instruction of a Dockerfile, and its name in an image's configuration."""
_OF_LAMBDA: Final[Mapping[str, object]] = {
    "Entrypoint": ["/lambda-entrypoint.sh"],
    "WorkingDir": "/var/task",
}
"""As AWS's bases have them: https://github.com/aws/aws-lambda-base-images"""
_CHANGING: Final = re.compile(
    "LD_(?!LIBRARY_PATH$).*|PYTHON(?!_VERSION$|_SHA256$|_PIP_VERSION$).*|AWS_LAMBDA_EXEC_WRAPPER"
    "|BASH_ENV|ENV|GLIBC_TUNABLES|GCONV_PATH"
)
"""Variables that change what a program does, and that no base of ours sets."""
_PATHS: Final = frozenset({"PATH", "LD_LIBRARY_PATH"})
_SYSTEM: Final = re.compile(r"(/(usr|bin|sbin|lib|lib64|opt|var/lang|var/runtime|var/task)(/.*)?)")
"""Folders that a base has programs and libraries in."""


def compare_image(
    folder: Path, reference: str, *, login: tuple[str, str] | None = None
) -> ArtifactCheck:
    """Hold an image to the artifact and to the base that its Dockerfile names by a digest.

    The lowest layers must be the base's; those above may have the files of the function and nothing
    else. Without a digest only the function's folder is compared in the layers of the base, and a
    warning says so. Raises ConfigurationError for an artifact that no image is built of or a
    reference without a digest, CloudError where a registry does not answer, IntegrityError where it
    answers something else.
    """
    artifact = read_artifact(folder.absolute())
    if artifact.archive is not None:
        raise ConfigurationError(
            f"{artifact.home} is deployed as a zip, and no image is built of it: leave --image out."
        )
    registry = ImageRegistry.parse(reference, login)
    target = artifact.read(MARKER)["target"]
    architecture = _ARCHITECTURES[str(target["architecture"])]
    image = registry.read(architecture)
    dockerfile = _read_dockerfile(read_own_text(artifact.home / "Dockerfile"))
    base = _read_base(dockerfile.base, architecture)
    problems: list[str] = []
    try:
        problems += _compare_identity(image.config, artifact, architecture)
        problems += _compare_settings(image.config, dockerfile, base)
        foreign = [*_compare_base(registry, image, base, dockerfile.base)]
    except (TypeError, AttributeError, LookupError, ValueError) as error:
        raise CloudError(f"{registry} has no configuration of an image ({error!r}).") from error
    known = len(base.layers) if base is not None and not foreign else 0
    wanted = {str(each.path): each.sha256 for each in records(artifact.folder)}
    tree = ImageTree(PurePosixPath(targets.load(str(target["name"])).tree.root), wanted)
    for digest, _ in reversed(image.layers[known:]):
        is_base = not known and tree.is_whole()
        with registry.open_layer(digest) as layer:
            tree.add_layer(layer, f"{registry}, layer {digest}", is_base=is_base)
    problems += [*foreign, *tree.list_differences()]
    return {
        "name": CHECK,
        "passed": not problems,
        "problems": [f"{reference}: {each}" for each in problems],
    }


def compare_function_image(
    folder: Path, function: Mapping[str, Json], make: MakeClient
) -> list[str]:
    """Hold the image of a Lambda function (`get_function`'s answer) to the artifact."""
    code = function.get("Code") or {}
    reference = str(code.get("ResolvedImageUri") or code.get("ImageUri") or "")
    own = (function.get("Configuration") or {}).get("ImageConfigResponse") or {}
    changed = (own.get("ImageConfig") or {}) if isinstance(own, dict) else {}
    found = compare_image(folder, reference, login=_find_ecr_login(make("ecr"), reference))
    return [
        *(
            f"the function has its own {name} in the place of the image's: {value}."
            for name, value in sorted(changed.items())
            if value
        ),
        *found["problems"],
    ]


def _find_ecr_login(registries: Client, reference: str) -> tuple[str, str] | None:
    """The login that ECR gives for twelve hours; None for an image that lies elsewhere."""
    account, _, rest = reference.partition(".dkr.ecr.")
    if not rest or not account.isdecimal():
        return None
    (told,) = registries.get_authorization_token(registryIds=[account])["authorizationData"]
    user, _, password = base64.b64decode(told["authorizationToken"]).decode().partition(":")
    return user, password


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dockerfile:
    """Its last stage."""

    base: str
    settings: Mapping[str, object]
    """As an image's configuration has them."""
    variables: Mapping[str, str]
    health: tuple[str, ...]


def _read_dockerfile(text: str) -> _Dockerfile:
    base = ""
    settings: dict[str, object] = {}
    variables: dict[str, str] = {}
    health: tuple[str, ...] = ()
    for instruction, rest in _list_instructions(text):
        if instruction == "FROM":
            settings, variables, health = {}, {}, ()
        elif instruction == "ARG":
            base = rest.strip().removeprefix("BASE_IMAGE=")
        elif instruction == "ENV":
            variables.update(each.partition("=")[::2] for each in shlex.split(rest))
        elif instruction == "HEALTHCHECK":
            kind, _, words = re.sub(r"--\S+", "", rest).strip().partition(" ")
            health = (kind, *json.loads(words or "[]"))
        elif instruction in {"ENTRYPOINT", "CMD"}:
            settings[_SETTINGS[instruction]] = json.loads(rest)
        elif instruction in _SETTINGS:
            settings[_SETTINGS[instruction]] = rest.strip()
    return _Dockerfile(base=base, settings=settings, variables=variables, health=health)


def _list_instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [each for each in text.splitlines() if not each.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        yield instruction, rest


def _read_base(reference: str, architecture: str) -> Image | None:
    """The base by its digest; None, with a warning, where the Dockerfile has none of it."""
    registry = ImageRegistry.parse_base(reference)
    if registry is None:
        _LOG.warning(
            "The Dockerfile names its base %s by no digest, so what the image has of it was not "
            "compared: neither its files outside of the function's folder nor its settings. Build "
            "with --base-image NAME@sha256:DIGEST to have them compared.",
            reference,
        )
        return None
    try:
        return registry.read(architecture)
    except CloudError as error:
        raise CloudError(f"The base of the image is compared, too. {error}") from error


def _compare_identity(
    config: Mapping[str, Json], artifact: DescribedArtifact, architecture: str
) -> Iterator[str]:
    if (found := config.get("architecture")) != architecture:
        yield f"it is for {found}, and the artifact for {architecture}."
    label = ((config.get("config") or {}).get("Labels") or {}).get(_LABEL)
    if label != artifact.sha256:
        yield f"its label {_LABEL} is {label}, and {artifact.sha256} in the artifact."


def _compare_settings(
    config: Mapping[str, Json], dockerfile: _Dockerfile, base: Image | None
) -> Iterator[str]:
    """The image's own settings must be the base's, changed as the Dockerfile changes them."""
    own = config.get("config") or {}
    below = (base.config.get("config") or {}) if base is not None else None
    for name in _SETTINGS.values():
        yield from _compare_setting(name, own.get(name) or None, dockerfile, below)
    health = tuple((own.get("Healthcheck") or {}).get("Test") or ())
    if health not in {(), dockerfile.health}:
        yield f"its health check is {[*health]}, and {[*dockerfile.health]} in the Dockerfile."
    known = None if below is None else _read_variables(below.get("Env") or ())
    yield from _compare_variables(own.get("Env") or (), dockerfile.variables, known)


def _compare_variables(
    listed: Sequence[object], declared: Mapping[str, str], base: Mapping[str, str] | None
) -> Iterator[str]:
    found = _read_variables(listed)
    if len(found) != len(listed):
        yield "it sets a variable twice."
    for name, value in sorted(declared.items()):
        if (there := found.get(name)) != value:
            yield f"the variable {name} is {there!r}, and {value!r} in the Dockerfile."
    left = {name: each for name, each in found.items() if name not in declared}
    if base is None:
        yield from _list_changing(left)
    else:
        yield from _compare_with_base(
            left, {name: each for name, each in base.items() if name not in declared}
        )


def _compare_setting(
    name: str, found: object, dockerfile: _Dockerfile, base: Mapping[str, Json] | None
) -> Iterator[str]:
    if name in dockerfile.settings:
        if found != dockerfile.settings[name]:
            yield f"{name} is {found}, and {dockerfile.settings[name]} in the Dockerfile."
    elif base is not None:
        if found != (base.get(name) or None):
            yield f"{name} is {found}, and {base.get(name)} in the base."
    elif found not in (None, _OF_LAMBDA.get(name)):
        yield f"{name} is {found}, which the Dockerfile does not set."


def _compare_with_base(found: Mapping[str, str], base: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(found.keys() | base.keys()):
        if name == "PATH" and name not in base:  # BuildKit sets it itself
            yield from _list_changing({name: found[name]})
        elif found.get(name) != base.get(name):
            yield f"the variable {name} is {found.get(name)!r}, and {base.get(name)!r} in the base."


def _list_changing(found: Mapping[str, str]) -> Iterator[str]:
    """Variables of an unknown base that change what runs, as far as one can see."""
    for name, value in sorted(found.items()):
        if name in _PATHS:
            changes = not all(_SYSTEM.fullmatch(each) for each in value.split(":") if each)
        else:
            changes = _CHANGING.fullmatch(name) is not None
        if changes:
            yield f"it has the variable {name}={value}, which the Dockerfile does not set."


def _read_variables(listed: Iterable[object]) -> dict[str, str]:
    return dict(str(each).partition("=")[::2] for each in listed)


def _compare_base(
    registry: ImageRegistry, image: Image, base: Image | None, reference: str
) -> Iterator[str]:
    """The lowest layers must be the base's; packed anew they have the same content."""
    if base is None:
        return
    contents, wanted = _list_contents(image), _list_contents(base)
    if contents[: len(wanted)] != wanted:
        yield f"its lowest layers are not those of its base {reference}."
        return
    for (digest, _), (same, _), content in zip(image.layers, base.layers, wanted, strict=False):
        if digest == same:
            continue
        with registry.open_layer(digest) as layer:
            if _digest_content(layer) != content:
                yield f"its layer {digest} is none of its base {reference}."


def _list_contents(image: Image) -> list[str]:
    """sha256 of each layer's tar. Raises ValueError where that is not one a layer."""
    contents = [str(each) for each in image.config["rootfs"]["diff_ids"]]
    if len(contents) != len(image.layers):
        raise ValueError(f"{len(contents)} diff_ids of {len(image.layers)} layers")
    return contents


def _digest_content(layer: IO[bytes]) -> str:
    """Return the sha256 of the tar that a layer unpacks to: gzip or nothing packs it."""
    total = hashlib.sha256()
    unpack = zlib.decompressobj(wbits=31)
    first = True
    is_packed = False
    while chunk := layer.read(1 << 16):
        if first:
            first, is_packed = False, chunk.startswith(b"\x1f\x8b")
        while is_packed and chunk:
            try:
                total.update(unpack.decompress(chunk))
            except zlib.error:
                return "no gzip"
            chunk = unpack.unused_data
            if unpack.eof:
                unpack = zlib.decompressobj(wbits=31)
        if not is_packed:
            total.update(chunk)
    return f"sha256:{total.hexdigest()}"
