"""Read an image from its registry: manifest, configuration and layers, each held to its digest.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md; registries' tokens:
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlencode, urlsplit

from packager.errors import CloudError, ConfigurationError, IntegrityError
from packager.models.model_documents import parse_json
from packager.system.resources import find_home
from packager.targets.images.base_images import HUB, HUB_HOST, split_reference
from packager.types import Json

_SECONDS: Final = 60
_MOST_DOCUMENT: Final = 8 * 2**20
_REFERENCE: Final = re.compile(r"([a-zA-Z0-9.-]+(?::\d+)?)/([a-z0-9._/-]+)@(sha256:[0-9a-f]{64})")
_LOCAL: Final = re.compile(r"(?:localhost|127\.[0-9.]+)(?::\d+)?")
_HUB_LOGIN: Final = "https://index.docker.io/v1/"
"""Docker writes the login of its own registry under this."""
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


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
    _header: str = field(default="", init=False)

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
        accept = ", ".join((*_MANIFESTS, *_INDEXES))
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
        except StopIteration as error:
            raise IntegrityError(f"{self} has no image for {architecture}.") from error
        except (LookupError, TypeError, AttributeError) as error:
            raise CloudError(f"{self} is no image ({error!r}).") from error
        return Image(config=self._read_document(f"blobs/{config}", config, "*/*"), layers=layers)

    @contextmanager
    def open_layer(self, digest: str) -> Iterator[IO[bytes]]:
        """Yield a layer's bytes; afterwards they are held to the digest. Raises as `read` does."""
        with self._open(f"blobs/{digest}", "*/*") as answer:
            hashed = _Hashed(answer)
            try:
                yield io.BufferedReader(hashed, 1 << 20)
                while hashed.read(1 << 20):
                    pass
            except (OSError, HTTPException) as error:
                raise CloudError(
                    f"{self.host} broke off the layer {digest} ({_word(error)}). Try again."
                ) from error
            _check_digest(hashed.hexdigest(), digest, f"The layer of {self}")

    @property
    def address(self) -> str:
        scheme = "http" if _LOCAL.fullmatch(self.host) else "https"
        host = HUB_HOST if self.host == HUB else self.host
        return f"{scheme}://{host}/v2/{self.repository}"

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}@{self.digest}"

    def _read_document(self, path: str, digest: str, accept: str) -> Mapping[str, Json]:
        with self._open(path, accept) as answer:
            try:
                body = answer.read(_MOST_DOCUMENT + 1)
                if len(body) <= _MOST_DOCUMENT:
                    _check_whole(answer, len(body))
            except (OSError, HTTPException) as error:
                raise CloudError(
                    f"{self.host} broke off what it has at {path} ({_word(error)}). Try again."
                ) from error
        if len(body) > _MOST_DOCUMENT:
            raise CloudError(f"{self.host} answers more than {_MOST_DOCUMENT:,} bytes for {path}.")
        _check_digest(hashlib.sha256(body).hexdigest(), digest, f"What {self.host} has at {path}")
        found = parse_json(body.decode("utf-8", "replace"), path)
        if not isinstance(found, dict):
            raise CloudError(f"What {self.host} has at {path} is no JSON object.")
        return found

    @contextmanager
    def _open(self, path: str, accept: str) -> Iterator[IO[bytes]]:
        url = f"{self.address}/{path}"
        try:
            try:
                answer = self._ask(url, accept)
            except urllib.error.HTTPError as error:
                if error.code != 401 or self._header:
                    raise
                error.close()
                self._header = self._authenticate(error.headers.get("WWW-Authenticate", ""))
                answer = self._ask(url, accept)
        except urllib.error.HTTPError as error:
            error.close()
            why = {
                401: "it lets nobody in without a login: `docker login` there first",
                403: "your login may not read it",
                404: "it has no such image or layer",
            }.get(error.code, f"it answers {error.code}")
            raise CloudError(f"{self} cannot be read: {why}.") from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise CloudError(
                f"{self.host} did not answer: {reason}. Check the address and the network."
            ) from error
        with answer:
            yield answer

    def _ask(self, url: str, accept: str, header: str = "") -> IO[bytes]:
        headers = {"Accept": accept}
        if header or self._header:
            headers["Authorization"] = header or self._header
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http or https above
        found: IO[bytes] = urllib.request.build_opener(_SameHost()).open(request, timeout=_SECONDS)
        return found

    def _authenticate(self, challenge: str) -> str:
        """The header that a registry asks for: the login itself, or a token for it."""
        kind, _, rest = challenge.partition(" ")
        basic = ""
        if self.login is not None:
            basic = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        if kind.lower() != "bearer":
            if not basic:
                raise CloudError(f"{self} asks for a login: `docker login {self.host}` first.")
            return basic
        told = dict(_CHALLENGE.findall(rest))
        realm = urlsplit(told.get("realm", ""))
        if realm.scheme != "https" and not _LOCAL.fullmatch(realm.netloc):
            raise CloudError(f"{self.host} sends logins to {realm.netloc!r} without TLS.")
        query = urlencode({k: told[k] for k in ("service", "scope") if k in told})
        with self._ask(f"{realm.geturl()}?{query}", "application/json", basic) as answer:
            found = json.loads(answer.read(_MOST_DOCUMENT))
        if not isinstance(found, dict) or not (
            token := found.get("token", found.get("access_token"))
        ):
            raise CloudError(f"{self.host} gave no token to read with.")
        return f"Bearer {token}"


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows to another host without the login: layers often lie in a store of their own."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            found.remove_header("Authorization")
        return found


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
            _check_whole(self._source, self._bytes)
        return len(found)

    def hexdigest(self) -> str:
        return self._total.hexdigest()


def _check_whole(answer: IO[bytes], size: int) -> None:
    """Raises IncompleteRead for an answer that is shorter than it said."""
    length = answer.headers["Content-Length"] if isinstance(answer, HTTPResponse) else None
    if length is not None and length.isdecimal() and size < int(length):
        raise IncompleteRead(b"", int(length) - size)


def _word(error: OSError | HTTPException) -> str:
    if isinstance(error, IncompleteRead):
        return f"{error.expected:,} bytes are missing" if error.expected else "bytes are missing"
    return str(error) or type(error).__name__


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
