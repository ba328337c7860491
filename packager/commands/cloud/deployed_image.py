"""Compare an image in its registry with the artifact that it was built of: tree and settings."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
import shlex
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final

from packager import targets
from packager.commands.artifact.description import DescribedArtifact, read_artifact, read_own_text
from packager.commands.cloud.image_registry import ImageRegistry
from packager.commands.cloud.stacks import Client, MakeClient
from packager.errors import CloudError, ConfigurationError
from packager.system.atomic_output import MARKER
from packager.system.file_tree import records
from packager.types import ArtifactCheck, Json

CHECK: Final = "image"
_ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64"}
_LABEL: Final = "artifact.sha256"
_SHOWN: Final = 10
_HIDDEN: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
"""https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts"""
_CHANGING: Final = frozenset({"LD_PRELOAD", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT"})
"""Variables that change what a program does, and that no base of ours sets."""


def compare_image(
    folder: Path, reference: str, *, login: tuple[str, str] | None = None
) -> ArtifactCheck:
    """Hold an image to the artifact: its files of the function, its command, its variables.

    The layers are read from the top, until every file of the function was met: what lies below is
    the base image, which is compared with nothing. Raises ConfigurationError for an artifact that
    no image is built of or a reference without a digest, CloudError where the registry does not
    answer, IntegrityError where it answers something else.
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
    try:
        problems = list(_compare_settings(image.config, artifact, architecture))
    except (TypeError, AttributeError, LookupError) as error:
        raise CloudError(f"{registry} has no configuration of an image ({error!r}).") from error
    wanted = {str(each.path): each.sha256 for each in records(artifact.folder)}
    tree = _Tree(targets.load(str(target["name"])).tree.root, wanted)
    for digest, _ in reversed(image.layers):
        with registry.open_layer(digest) as layer:
            tree.add_layer(layer, f"{registry}, layer {digest}")
        if tree.is_whole():
            break
    problems += tree.list_differences()
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


@dataclass(slots=True)
class _Tree:
    """Files below a folder of an image, as its layers from the top down leave them."""

    root: PurePosixPath
    wanted: Mapping[str, str]
    found: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Paths that an upper layer removed, or has something else at."""

    def add_layer(self, layer: IO[bytes], place: str) -> None:
        """Raises CloudError for a layer that is no tar, or compressed in another way."""
        removed: set[str] = set()
        met: dict[str, str] = {}
        try:
            with tarfile.open(fileobj=layer, mode="r|*") as entries:
                for entry in entries:
                    self._add_entry(entries, entry, met, removed)
        except tarfile.TarError as error:
            raise CloudError(f"{place} cannot be read as a tar or tar.gz: {error}.") from error
        self.found.update(met)
        self.gone.update(removed)

    def is_whole(self) -> bool:
        return self.wanted.keys() <= self.found.keys()

    def list_differences(self) -> Iterator[str]:
        names = sorted(self.wanted.keys() | self.found.keys())
        differing = [each for each in names if self.wanted.get(each) != self.found.get(each)]
        for name in differing[:_SHOWN]:
            if name not in self.found:
                yield f"{self.root / name} is not in the image."
            elif name not in self.wanted:
                yield f"{self.root / name} is in the image, and not in function/."
            else:
                yield f"{self.root / name} differs from function/{name}."
        if len(differing) > _SHOWN:
            yield f"and {len(differing) - _SHOWN:,} more files differ."

    def _add_entry(
        self,
        entries: tarfile.TarFile,
        entry: tarfile.TarInfo,
        met: dict[str, str],
        removed: set[str],
    ) -> None:
        path = PurePosixPath("/", posixpath.normpath(f"/{entry.name}").lstrip("/"))
        if not path.is_relative_to(self.root) or self._is_hidden(path):
            return
        name = path.relative_to(self.root)
        if path.name == _OPAQUE:
            removed.add(str(name.parent))
        elif path.name.startswith(_HIDDEN):
            removed.add(str(name.parent / path.name.removeprefix(_HIDDEN)))
        elif entry.isdir():
            return
        elif str(name) not in self.found:
            content = entries.extractfile(entry) if entry.isreg() else None
            met[str(name)] = (
                f"a link or no regular file ({entry.linkname})"
                if content is None
                else hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
            )

    def _is_hidden(self, path: PurePosixPath) -> bool:
        name = path.relative_to(self.root)
        return any(str(each) in self.gone for each in (name, *name.parents))


def _compare_settings(
    config: Mapping[str, Json], artifact: DescribedArtifact, architecture: str
) -> Iterator[str]:
    """The image's own settings, by the Dockerfile of the artifact."""
    own = config.get("config")
    own = own if isinstance(own, dict) else {}
    if (found := config.get("architecture")) != architecture:
        yield f"it is for {found}, and the artifact for {architecture}."
    label = (own.get("Labels") or {}).get(_LABEL)
    if label != artifact.sha256:
        yield f"its label {_LABEL} is {label}, and {artifact.sha256} in the artifact."
    written, declared = _read_dockerfile(read_own_text(artifact.home / "Dockerfile"))
    names = {"ENTRYPOINT": "Entrypoint", "CMD": "Cmd", "USER": "User", "WORKDIR": "WorkingDir"}
    for instruction, name in names.items():
        if instruction in written and own.get(name) != written[instruction]:
            yield f"{name} is {own.get(name)}, and {written[instruction]} in the Dockerfile."
    yield from _compare_variables(own.get("Env") or (), declared)


def _compare_variables(own: Iterable[object], declared: Mapping[str, str]) -> Iterator[str]:
    variables = dict(str(each).partition("=")[::2] for each in own)
    for name, value in sorted(declared.items()):
        if (there := variables.get(name)) != value:
            yield f"the variable {name} is {there!r}, and {value!r} in the Dockerfile."
    for name in sorted(_CHANGING & variables.keys() - declared.keys()):
        yield f"it has the variable {name}, which the Dockerfile does not set."


def _read_dockerfile(text: str) -> tuple[dict[str, object], dict[str, str]]:
    """The last stage's instructions as an image's configuration has them, and its variables."""
    lines = [each for each in text.splitlines() if not each.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    found: dict[str, object] = {}
    variables: dict[str, str] = {}
    for line in whole.splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            found, variables = {}, {}
        elif instruction == "ENV":
            variables.update(each.partition("=")[::2] for each in shlex.split(rest))
        elif instruction in {"ENTRYPOINT", "CMD"}:
            found[instruction] = json.loads(rest)
        elif instruction in {"USER", "WORKDIR"}:
            found[instruction] = rest.strip()
    return found, variables
