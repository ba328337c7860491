"""DSSE envelopes, one a line: read as a stranger's, checked by keys, written whole or not.

What was signed keyless lies in a file of its own: a bundle of sigstore a line, which has the
envelope and what it is verified by.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.description import is_regular
from packager.errors import AttestationError, ModelFormatError, StorageError, is_disk_full
from packager.models.model_documents import parse_json
from packager.system.atomic_output import replace_file
from packager.types import Json

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

ATTESTATIONS: Final = "attestations.intoto.jsonl"
BUNDLES: Final = "attestations.sigstore.jsonl"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_MOST_BYTES: Final = 4 * 2**20
_MOST_ENVELOPES: Final = 100
_MOST_SIGNATURES: Final = 20


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, and (key id, signature) of each who signed it; nothing of it is believed yet."""

    place: str
    """How a message calls it."""
    line: str
    """As it was written."""
    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def find_signers(self, keys: Sequence[Key]) -> list[Key]:
        """Those of `keys` that signed it. A key id is a hint alone: each key is tried."""
        from securesystemslib import dsse  # noqa: PLC0415 - an extra
        from securesystemslib.exceptions import UnverifiedSignatureError  # noqa: PLC0415
        from securesystemslib.signer import Signature  # noqa: PLC0415

        signed = dsse.Envelope(self.payload, self.payload_type, {}).pae()
        found: list[Key] = []
        for key in keys:
            for _, signature in self.signatures:
                try:
                    key.verify_signature(Signature(key.keyid, signature.hex()), signed)
                except UnverifiedSignatureError:
                    continue
                found.append(key)
                break
        return found

    def list_key_ids(self) -> list[str]:
        return [key_id for key_id, _ in self.signatures]


def sign_statement(statement: Mapping[str, Json], signer: Signer) -> str:
    """The line of an envelope that holds the statement, signed.

    Raises AttestationError where the signature does not hold by the signer's own public key.
    """
    from securesystemslib import dsse  # noqa: PLC0415 - an extra
    from securesystemslib.exceptions import UnverifiedSignatureError  # noqa: PLC0415

    envelope = dsse.Envelope(encode_statement(statement), PAYLOAD_TYPE, {})
    try:
        signer.public_key.verify_signature(envelope.sign(signer), envelope.pae())
    except UnverifiedSignatureError as error:
        raise AttestationError(
            f"What was signed does not verify by the key's own public half ({error}). Nothing was "
            "written. Sign again, or with another key."
        ) from error
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))


def encode_statement(statement: Mapping[str, Json]) -> bytes:
    """The payload of an envelope: the same bytes for the same statement."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def read_envelopes(home: Path) -> list[Envelope]:
    """Those of an artifact; none where nobody signed it by a key. Raises AttestationError."""
    return [_read_envelope(line, place) for place, line in _read_lines(home, ATTESTATIONS)]


def read_bundles(home: Path) -> list[Envelope]:
    """Envelopes of the bundles; none where nobody signed it keyless. Raises AttestationError."""
    return [_read_bundle(line, place) for place, line in _read_lines(home, BUNDLES)]


def _read_lines(home: Path, name: str) -> list[tuple[str, str]]:
    """(how a message calls it, the line) of each line that is not empty."""
    path = home / name
    if not path.is_symlink() and not path.exists():
        return []
    if not is_regular(path):
        raise AttestationError(f"{name} is a link, or no regular file.")
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
        lines = body.decode().split("\n")
    except UnicodeDecodeError as error:
        raise AttestationError(f"{name} is not UTF-8 ({error}).") from error
    except OSError as error:
        raise AttestationError(f"{name} cannot be read: {error.strerror}.") from error
    if len(body) > _MOST_BYTES or len(lines) > _MOST_ENVELOPES + 1:
        raise AttestationError(
            f"{name} has more than {_MOST_BYTES:,} bytes or {_MOST_ENVELOPES} lines, and "
            "is not read."
        )
    return [
        (f"{name}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()
    ]


def write_envelopes(home: Path, lines: Sequence[str], *, name: str = ATTESTATIONS) -> Path:
    """Raises StorageError where the artifact's folder cannot be written."""
    path = home / name
    try:
        replace_file(path, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        if is_disk_full(error):
            raise
        raise StorageError(
            f"{path} cannot be written: {error.strerror}. Sign where the folder can be written."
        ) from error
    return path


def parse_object(text: str, place: str) -> dict[str, Json]:
    """A JSON object in which no name comes twice. Raises AttestationError."""

    def refuse_twice(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        if len(found := dict(pairs)) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise AttestationError(
                f"{place} has {twice[:80]!r} twice, so that two readers may read it differently."
            )
        return found

    try:
        parse_json(text, place)
    except ModelFormatError as error:
        # what to do with a model's document is no advice for an envelope
        why = str(error).split(": that is no description of a model.")[0].rstrip(".")
        raise AttestationError(f"{why}: no tool that signs writes that.") from error
    value = json.loads(text, object_pairs_hook=refuse_twice)
    if not isinstance(value, dict):
        raise AttestationError(f"{place} is no JSON object.")
    return value


def _read_bundle(line: str, place: str) -> Envelope:
    """The envelope of a bundle, with the bundle's own line."""
    inner = parse_object(line, place).get("dsseEnvelope")
    if not isinstance(inner, dict):
        raise AttestationError(f"{place} is no bundle of sigstore with a DSSE envelope.")
    return replace(_parse_envelope(inner, place), line=line)


def _read_envelope(line: str, place: str) -> Envelope:
    return replace(_parse_envelope(parse_object(line, place), place), line=line)


def _parse_envelope(value: Mapping[str, Json], place: str) -> Envelope:
    payload, kind, signatures = (value.get(n) for n in ("payload", "payloadType", "signatures"))
    if not isinstance(payload, str) or not isinstance(kind, str):
        raise AttestationError(f"{place} is no DSSE envelope: it has no payload or payloadType.")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _MOST_SIGNATURES:
        raise AttestationError(
            f"{place} is no DSSE envelope: it has no list of 1 to {_MOST_SIGNATURES} signatures."
        )
    return Envelope(
        place=place,
        line="",
        payload_type=kind,
        payload=_decode_base64(payload, f"The payload of {place}"),
        signatures=tuple(_read_signature(each, place) for each in signatures),
    )


def _read_signature(value: Json, place: str) -> tuple[str, bytes]:
    text = value.get("sig") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise AttestationError(f"{place} is no DSSE envelope: a signature in it has no sig.")
    return str(value.get("keyid", "")), _decode_base64(text, f"A signature of {place}")


def _decode_base64(text: str, place: str) -> bytes:
    """DSSE allows both alphabets."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AttestationError(f"{place} is no base64 ({error}).") from error
