"""A stand-in for an instance of sigstore over real HTTP: the authority Fulcio and the log Rekor.

It certifies whoever a token names, as the real one does after it has checked the token, and keeps a
log of one entry a tree. The client verifies all of it: certificate, its timestamp by the log of
certificates, inclusion proof, checkpoint and promise.

https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md,
https://github.com/sigstore/rekor/blob/main/openapi.yaml, RFC 6962 for the timestamps and the tree.
"""

from __future__ import annotations

import base64
import inspect
import json
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.osv import Answer, serving

_SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUERS = [x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{each}") for each in (1, 8)]
_FIRST = "2020-01-01T00:00:00Z"
_ALGORITHM = ECDSA(hashes.SHA256())


def make_token(
    identity: str, issuer: str, *, expires: float = 600, audience: str = "sigstore"
) -> str:
    now = time.time()
    claims = {"sub": identity, "iss": issuer, "aud": audience, "iat": now - 5, "exp": now + expires}
    return str(jwt.encode(claims, "a secret of at least thirty-two bytes", algorithm="HS256"))


def _make_usage(*names: str) -> x509.KeyUsage:
    every = inspect.signature(x509.KeyUsage).parameters
    return x509.KeyUsage(**{each: each in names for each in every})


def _public(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()


@dataclass
class Instance:
    """Keys of an instance, and what it was asked. `url` is where it listens."""

    url: str = ""
    root: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    log: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    entries: list[dict[str, Any]] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    """What every request is answered by, if any."""

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
        now = datetime.now(UTC)
        key = self.root.public_key()
        usage = _make_usage("key_cert_sign", "crl_sign")
        self.certificate = (
            x509.CertificateBuilder(name, name, key, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self.root, hashes.SHA256())
        )

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self.refusal is not None:
            return self.refusal[0], {"Content-Type": "application/json"}, self.refusal[1].encode()
        asked = json.loads(body)
        if path == "/api/v2/signingCert":
            made = self._certify(headers["Authorization"].removeprefix("Bearer "), asked)
            return 200, {}, json.dumps(made).encode()
        if path == "/api/v1/log/entries":
            return 201, {}, json.dumps(self._enter(asked)).encode()
        return 404, {}, b"{}"

    def _certify(self, token: str, asked: Mapping[str, str]) -> dict[str, Any]:
        claims = jwt.decode(token, options={"verify_signature": False})
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        identity, issuer = str(claims["sub"]), str(claims["iss"]).encode()
        email = "@" in identity and "/" not in identity
        name = x509.RFC822Name(identity) if email else x509.UniformResourceIdentifier(identity)
        key, now = request.public_key(), datetime.now(UTC)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root.public_key())
        builder = (
            x509.CertificateBuilder(self.certificate.subject, x509.Name([]), key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(minutes=10))
            .add_extension(_make_usage("digital_signature"), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(own, critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUERS[0], issuer), critical=False)
            .add_extension(
                x509.UnrecognizedExtension(_ISSUERS[1], b"\x0c" + bytes([len(issuer)]) + issuer),
                critical=False,
            )
        )
        before = builder.sign(self.root, hashes.SHA256())
        stamped = builder.add_extension(
            x509.UnrecognizedExtension(_SCTS, self._stamp(before)), critical=False
        ).sign(self.root, hashes.SHA256())
        chain = [each.public_bytes(Encoding.PEM).decode() for each in (stamped, self.certificate)]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _stamp(self, certificate: x509.Certificate) -> bytes:
        """The list of one signed certificate timestamp, as the extension has it."""
        body, moment = certificate.tbs_certificate_bytes, int(time.time() * 1000)
        issuer = sha256(_public(self.root)).digest()
        entry = issuer + struct.pack("!I", len(body))[1:] + body
        signed = struct.pack("!BBQH", 0, 0, moment, 1) + entry + struct.pack("!H", 0)
        signature = self.log.sign(signed, _ALGORITHM)
        stamp = struct.pack("!B", 0) + sha256(_public(self.log)).digest()
        stamp += struct.pack("!QHBBH", moment, 0, 4, 3, len(signature)) + signature
        several = struct.pack("!HH", len(stamp) + 2, len(stamp)) + stamp
        length = bytes([len(several)]) if len(several) < 128 else bytes([0x81, len(several)])
        return b"\x04" + length + several

    def _enter(self, asked: dict[str, Any]) -> dict[str, Any]:
        proposed = asked["spec"]["proposedContent"]
        envelope = json.loads(proposed["envelope"])
        payload = base64.b64decode(envelope["payload"])
        signatures = [
            {"signature": each["sig"], "verifier": verifier}
            for each, verifier in zip(envelope["signatures"], proposed["verifiers"], strict=True)
        ]
        digests = {"envelopeHash": proposed["envelope"].encode(), "payloadHash": payload}
        spec = {
            name: {"algorithm": "sha256", "value": sha256(value).hexdigest()}
            for name, value in digests.items()
        }
        entry = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {**spec, "signatures": signatures}}
        self.entries.append(json.loads(payload))
        body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        leaf, own = sha256(b"\0" + body).digest(), sha256(_public(self.log)).digest()
        note = f"stand-in\n1\n{_text(leaf)}\n"
        checkpoint = _text(own[:4] + self.log.sign(note.encode(), _ALGORITHM))
        promised = {
            "body": _text(body),
            "integratedTime": int(time.time()),
            "logID": own.hex(),
            "logIndex": len(self.entries),
        }
        canonical = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
        proof = {
            "logIndex": 0,
            "treeSize": 1,
            "rootHash": leaf.hex(),
            "hashes": [],
            "checkpoint": f"{note}\n\N{EM DASH} stand-in {checkpoint}\n",
        }
        promise = _text(self.log.sign(canonical, _ALGORITHM))
        verification = {"inclusionProof": proof, "signedEntryTimestamp": promise}
        return {leaf.hex(): {**promised, "verification": verification}}

    def describe(self) -> dict[str, Any]:
        """The trust configuration of this instance, as its operator hands it out."""
        log = {
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": _text(_public(self.log)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": _FIRST},
            },
            "logId": {"keyId": _text(sha256(_public(self.log)).digest())},
        }
        authority = {
            "subject": {"organization": "stand-in", "commonName": "stand-in"},
            "uri": self.url,
            "certChain": {
                "certificates": [{"rawBytes": _text(self.certificate.public_bytes(Encoding.DER))}]
            },
            "validFor": {"start": _FIRST},
        }
        service = {
            "url": self.url,
            "majorApiVersion": 1,
            "validFor": {"start": _FIRST},
            "operator": "stand-in",
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log],
                "certificateAuthorities": [authority],
                "ctlogs": [log],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
            },
        }


@contextmanager
def serving_sigstore() -> Iterator[Instance]:
    instance = Instance()
    with serving(instance.answer) as service:
        instance.url = service.url
        yield instance
