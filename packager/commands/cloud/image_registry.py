"""Read an image from its registry: manifest, configuration and layers, each held to its digest."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import IO, Final

from packager.errors import CloudError, ConfigurationError, IntegrityError
from packager.models.model_documents import parse_json
from packager.system.http_client import (
    FAULTS,
    RequestLimits,
    check_whole,
    word_fault,
)
from packager.system.resources import find_home
from packager.targets.images.registry_client import (
    HUB,
    INDEXES,
    MANIFESTS,
    LoginNeededError,
    NoTokenError,
    RegistryClient,
    split_reference,
)
from packager.types import Json

_MOST_DOCUMENT: Final = 8 * 2**20
_MOST_LAYER: Final = 64 * 2**30
"""Of a layer whose size the manifest does not state."""
_LIMITS: Final = RequestLimits(
    seconds=60, silence_seconds=60, most_bytes=_MOST_DOCUMENT, redirects=5
)
_LEAST_SPEED: Final = 64 * 2**10
"""Bytes of a layer a second, the first minute left out."""
_REFERENCE: Final = re.compile(r"([a-zA-Z0-9.-]+(?::\d+)?)/([a-z0-9._/-]+)@(sha256:[0-9a-f]{64})")
_HUB_LOGIN: Final = "https://index.docker.io/v1/"
"""Docker writes the login of its own registry under this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image's configuration, and the digests of its layers, the lowest first."""

    config: Mapping[str, Json]
    layers: tuple[tuple[str, str], ...]
    """(digest, media type) each."""


@dataclass(slots=True)
class ImageRegistry:
    """A repository of images in a registry, which is only read."""

    host: str
    repository: str
    digest: str
    login: tuple[str, str] | None = None
    """User and password; None takes those that `docker login` wrote down, if there are any."""
    _client: RegistryClient = field(init=False)
    _sizes: dict[str, int] = field(default_factory=dict, init=False)
    """Bytes of each layer, as the manifest states them."""

    def __post_init__(self) -> None:
        self._client = RegistryClient(self.host, self.repository, _LIMITS, self.login)

    @classmethod
    def parse(cls, reference: str, login: tuple[str, str] | None = None) -> ImageRegistry:
        """Raises ConfigurationError for what is not `HOST/NAME@sha256:DIGEST`."""
        if (found := _REFERENCE.fullmatch(reference)) is None or (
            "." not in found[1] and ":" not in found[1] and found[1] != "localhost"
        ):
            raise ConfigurationError(
                f"{reference[:200]!r} names no image by its digest: give "
                "REGISTRY/NAME@sha256:DIGEST, as `docker push` printed it. A tag can be moved."
            )
        host, repository, _ = split_reference(f"{found[1]}/{found[2]}")
        return cls(host, repository, found[3], login or _find_login(host))

    @classmethod
    def parse_base(cls, reference: str) -> ImageRegistry | None:
        """The image that `FROM` names, as Docker reads a name; None for one without a digest."""
        name, _, digest = reference.partition("@")
        host, repository, _ = split_reference(name)
        return cls.parse(f"{host}/{repository}@{digest}") if digest else None

    def read(self, architecture: str) -> Image:
        """Read the image for a machine of `architecture` (`amd64`).

        Raises CloudError where the registry does not answer or has no such image, IntegrityError
        where what it answers is not of the digest.
        """
        accept = ", ".join((*MANIFESTS, *INDEXES))
        manifest = self._read_document(f"manifests/{self.digest}", self.digest, accept)
        try:
            if "manifests" in manifest:
                digest = next(
                    str(each["digest"])
                    for each in manifest["manifests"]
                    if each.get("platform", {}).get("architecture") == architecture
                )
                manifest = self._read_document(f"manifests/{digest}", digest, accept)
            config = str(manifest["config"]["digest"])
            layers = tuple(
                (str(each["digest"]), str(each.get("mediaType", ""))) for each in manifest["layers"]
            )
            self._sizes = {
                str(each["digest"]): each["size"]
                for each in manifest["layers"]
                if isinstance(each.get("size"), int)
            }
        except StopIteration as error:
            raise IntegrityError(f"{self} has no image for {architecture}.") from error
        except (LookupError, TypeError, AttributeError) as error:
            raise CloudError(f"{self} is no image ({error!r}).") from error
        return Image(config=self._read_document(f"blobs/{config}", config, "*/*"), layers=layers)

    @contextmanager
    def open_layer(self, digest: str) -> Iterator[IO[bytes]]:
        """Yield a layer's bytes; afterwards they are held to the digest. Raises as `read` does."""
        limits = replace(
            _LIMITS,
            most_bytes=self._sizes.get(digest, _MOST_LAYER),
            least_bytes_per_second=_LEAST_SPEED,
        )
        with self._open(f"blobs/{digest}", "*/*", limits) as answer:
            hashed = _Hashed(answer)
            try:
                yield io.BufferedReader(hashed, 1 << 20)
                while hashed.read(1 << 20):
                    pass
            except (OSError, HTTPException) as error:
                raise CloudError(
                    f"{self.host} broke off the layer {digest} ({word_fault(error)}). Try again."
                ) from error
            _check_digest(hashed.hexdigest(), digest, f"The layer of {self}")

    @property
    def address(self) -> str:
        return self._client.address

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}@{self.digest}"

    def _read_document(self, path: str, digest: str, accept: str) -> Mapping[str, Json]:
        with self._open(path, accept) as answer:
            try:
                body = answer.read(_MOST_DOCUMENT + 1)
                if len(body) <= _MOST_DOCUMENT:
                    check_whole(answer, len(body))
            except (OSError, HTTPException) as error:
                raise CloudError(
                    f"{self.host} broke off what it has at {path} ({word_fault(error)}). Try again."
                ) from error
        if len(body) > _MOST_DOCUMENT:
            raise CloudError(f"{self.host} answers more than {_MOST_DOCUMENT:,} bytes for {path}.")
        _check_digest(hashlib.sha256(body).hexdigest(), digest, f"What {self.host} has at {path}")
        found = parse_json(body.decode("utf-8", "replace"), path)
        if not isinstance(found, dict):
            raise CloudError(f"What {self.host} has at {path} is no JSON object.")
        return found

    @contextmanager
    def _open(
        self, path: str, accept: str, limits: RequestLimits | None = None
    ) -> Iterator[IO[bytes]]:
        """Open it; what fails in the block is the block's own. Raises CloudError."""
        with ExitStack() as stack:
            try:
                answer = stack.enter_context(self._client.open(path, accept, limits=limits))
            except LoginNeededError as error:
                raise CloudError(
                    f"{self} asks for a login: `docker login {self.host}` first."
                ) from error
            except NoTokenError as error:
                raise CloudError(f"{self.host} {error}, so {self} cannot be read.") from error
            except urllib.error.HTTPError as error:
                error.close()
                why = {
                    401: "it lets nobody in without a login: `docker login` there first",
                    403: "your login may not read it",
                    404: "it has no such image or layer",
                }.get(error.code, f"it answers {error.code}")
                raise CloudError(f"{self} cannot be read: {why}.") from error
            except FAULTS as error:
                raise CloudError(
                    f"{self.host} did not answer: {word_fault(error)}. Check the address and the "
                    "network."
                ) from error
            yield answer


class _Hashed(io.RawIOBase):
    """Bytes as they are read, and their digest."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._total = hashlib.sha256()
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]
        found = self._source.read(len(into))
        into[: len(found)] = found
        self._total.update(found)
        self._bytes += len(found)
        if not found and len(into):
            check_whole(self._source, self._bytes)
        return len(found)

    def hexdigest(self) -> str:
        return self._total.hexdigest()


def _check_digest(found: str, expected: str, what: str) -> None:
    if f"sha256:{found}" != expected:
        raise IntegrityError(
            f"{what} has sha256 {found}, and {expected} was asked for: do not run it, and ask who "
            "keeps the registry."
        )


def _find_login(host: str) -> tuple[str, str] | None:
    """The login that `docker login` wrote into its file; programs that keep logins are not run."""
    home = find_home()
    folder = os.environ.get("DOCKER_CONFIG") or (home and home / ".docker")
    if not folder:
        return None
    try:
        told = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        user, found, password = (
            base64.b64decode(told["auths"][_HUB_LOGIN if host == HUB else host]["auth"])
            .decode()
            .partition(":")
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return (user, password) if found else None
