"""Packages of a suite of Debian's, each by its digest.

The suite's InRelease is signed and names the digest of its list of packages; the list names each
package's. The signature is checked where gpgv and Debian's keys are on this machine.
https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.errors import ToolError
from packager.system import http_client, process
from packager.system.http_client import RequestLimits
from packager.system.scratch import make_scratch
from packager.targets.processor_emulation.deb_file import list_wanted

_LOG = logging.getLogger(__name__)

MIRROR: Final = "https://deb.debian.org/debian"
VARIABLE: Final = "PACKAGER_DEBIAN_MIRROR"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LIST: Final = "main/binary-arm64/Packages.xz"
_RELEASE_BYTES: Final = 4 << 20
_LIST_BYTES: Final = 64 << 20
_LISTED_BYTES: Final = 512 << 20
_PACKAGE_BYTES: Final = 64 << 20
_AT_ONCE: Final = 4
_BEGIN: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_END: Final = "-----BEGIN PGP SIGNATURE-----"
_FILE: Final = re.compile(r"(?m)^ ([0-9a-f]{64}) +([0-9]+) (\S+)$")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.\-]*")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = frozenset({"Package", "Version", "Filename", "Size", "SHA256", "Depends"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """A package as the suite's list has it."""

    name: str
    version: str
    path: str
    """Below the mirror."""
    size_bytes: int
    sha256: str
    depends: tuple[str, ...] = ()
    """Names of packages, the first where several would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The arm64 packages of a suite, as its signed file leads to them."""

    name: str
    mirror: str
    unsigned: str
    """Why the signature was not checked, in a sentence's words; empty where it was."""
    packages: Mapping[str, DebianPackage] = field(default_factory=dict)


def read_mirror() -> str:
    return (os.environ.get(VARIABLE) or MIRROR).rstrip("/")


def open_suite(name: str, mirror: str, *, keyring: Path | None = None) -> Suite:
    """Fetch what the suite has. Raises ToolError where that fails, or is not what was signed."""
    _LOG.info("Reading which arm64 packages Debian %s has", name)
    release = _fetch(f"{mirror}/dists/{name}/InRelease", _RELEASE_BYTES)
    text, unsigned = _read_signed(release, keyring or KEYRING)
    told = set(re.findall(r"(?m)^(?:Suite|Codename): (\S+)$", text))
    if name not in told:
        raise ToolError(
            f"{mirror} gave the release file of {' and '.join(sorted(told)) or 'no suite'} for "
            f"Debian {name}. Nothing of it was used: name another mirror in {VARIABLE}."
        )
    listed = {path: (digest, int(size)) for digest, size, path in _FILE.findall(text)}
    if _LIST not in listed:
        raise ToolError(f"Debian {name} at {mirror} lists no arm64 packages ({_LIST}).")
    digest, size = listed[_LIST]
    packed = _fetch_exact(
        f"{mirror}/dists/{name}/{_LIST}", min(size, _LIST_BYTES), digest, "list of packages"
    )
    return Suite(name=name, mirror=mirror, unsigned=unsigned, packages=_read_packages(packed))


def choose_packages(suite: Suite, wanted: Iterable[str]) -> tuple[DebianPackage, ...]:
    """Choose these packages and the libraries that they depend on, by name.

    Raises ToolError for one that the suite lacks.
    """
    found: dict[str, DebianPackage] = {}
    left = list(wanted)
    while left:
        name = left.pop()
        if name in found:
            continue
        if name not in suite.packages:
            raise ToolError(
                f"Debian {suite.name} at {suite.mirror} has no package {name} for arm64."
            )
        found[name] = suite.packages[name]
        left += list_wanted(found[name].depends)
    return tuple(found[name] for name in sorted(found))


def fetch_packages(suite: Suite, packages: Iterable[DebianPackage]) -> list[bytes]:
    """Fetch each package whole, in their order. Raises ToolError where one is not as listed."""

    def fetch(each: DebianPackage) -> bytes:
        what = f"package {each.name} {each.version}"
        return _fetch_exact(f"{suite.mirror}/{each.path}", each.size_bytes, each.sha256, what)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(fetch, packages))


def _read_signed(content: bytes, keyring: Path) -> tuple[str, str]:
    """(what was signed, why the signature was not checked). Raises ToolError where it is wrong."""
    gpgv = shutil.which("gpgv")
    if gpgv is None or not keyring.is_file():
        lacking = "gpgv" if gpgv is None else f"{keyring}"
        return _strip_armor(content), f"this machine lacks {lacking}"
    with make_scratch("release") as folder:
        signed, text = folder / "InRelease", folder / "text"
        signed.write_bytes(content)
        done = process.run(
            [gpgv, "--status-fd", "1", "--keyring", keyring, "--output", text, signed],
            check=False,
            timeout_seconds=30,
        )
        # one good signature is enough: a later suite has another key's beside it
        states = re.findall(r"(?m)^\[GNUPG:\] (VALIDSIG|BADSIG|EXPSIG|REVKEYSIG)\b", done.stdout)
        if "VALIDSIG" not in states or "BADSIG" in states or not text.is_file():
            said = (done.stderr.strip().splitlines() or ["gpgv said nothing"])[-1]
            raise ToolError(
                f"The release file of Debian is not signed by a key of {keyring}: {said}. Nothing "
                f"of it was used: update debian-archive-keyring, or name another mirror in "
                f"{VARIABLE}."
            )
        return text.read_text(encoding="utf-8", errors="replace"), ""


def _strip_armor(content: bytes) -> str:
    text = content.decode(errors="replace").replace("\r\n", "\n")
    head, begin, rest = text.partition(f"{_BEGIN}\n")
    signed, end, _ = rest.partition(_END)
    if head.strip() or not begin or not end:
        raise ToolError(
            "What the mirror gave is no signed release file of Debian's. Nothing of it was used: "
            f"name another mirror in {VARIABLE}."
        )
    return re.sub(r"(?m)^- ", "", signed.partition("\n\n")[2])


def _read_packages(packed: bytes) -> dict[str, DebianPackage]:
    unpacker = lzma.LZMADecompressor(memlimit=256 << 20)
    try:
        text = unpacker.decompress(packed, _LISTED_BYTES).decode(errors="replace")
    except lzma.LZMAError as error:
        raise ToolError(f"Debian's list of packages cannot be read: {error}.") from error
    found: dict[str, DebianPackage] = {}
    for stanza in text.split("\n\n"):
        lines = (line.partition(": ") for line in stanza.splitlines())
        told = {name: value for name, _, value in lines if name in _FIELDS}
        if each := _read_package(told):
            found[each.name] = each
    return found


def _read_package(told: Mapping[str, str]) -> DebianPackage | None:
    """Read a stanza; None for one that no package can be fetched by."""
    path, size = told.get("Filename", ""), told.get("Size", "")
    plain = path.startswith("pool/") and ".." not in path.split("/")
    if not (plain and size.isdecimal() and _DIGEST.fullmatch(told.get("SHA256", ""))):
        return None
    depends = (_NAME.match(each.strip()) for each in told.get("Depends", "").split(","))
    return DebianPackage(
        name=told.get("Package", ""),
        version=told.get("Version", ""),
        path=path,
        size_bytes=int(size),
        sha256=told["SHA256"],
        depends=tuple(each.group() for each in depends if each is not None),
    )


def _fetch_exact(address: str, size: int, digest: str, what: str) -> bytes:
    if size > max(_PACKAGE_BYTES, _LIST_BYTES):
        raise ToolError(f"Debian's {what} has {size:,} bytes, which is more than is fetched.")
    content = _fetch(address, size)
    if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
        raise ToolError(
            f"Debian's {what} from {address} is not the file whose digest the release leads to. "
            f"It was not used: try again later, or name another mirror in {VARIABLE}."
        )
    return content


def _fetch(address: str, most_bytes: int) -> bytes:
    limits = RequestLimits(
        seconds=60,
        silence_seconds=30,
        most_bytes=most_bytes,
        least_bytes_per_second=20_000,
        redirects=3,
    )
    try:
        request = http_client.make_request(address, {"User-Agent": "packager"})
        return http_client.read_answer(request, limits)[1]
    except http_client.FAULTS as error:
        raise ToolError(
            f"{address} cannot be fetched: {http_client.word_fault(error)}. Set HTTPS_PROXY or "
            f"SSL_CERT_FILE if this machine needs them, or name a mirror in {VARIABLE}."
        ) from error
