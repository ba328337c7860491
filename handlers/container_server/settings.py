"""The server's settings, from the environment, read once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from handlers.scoring.errors import suggest_name

_PORTS: Final = ("SAGEMAKER_BIND_TO_PORT", "FUNCTIONS_CUSTOMHANDLER_PORT", "PORT", "AWS_LWA_PORT")
"""SageMaker; Azure Functions' custom handlers; Cloud Run and Container Apps; Lambda's adapter."""

_PRECISIONS: Final = ("float32", "bfloat16", "float16")
_TIERS: Final = ("eager", "compile", "graphs")


_AUTH: Final = ("none", "jwt")
_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Of a public key: with a shared secret whoever checks a token could make one."""
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ORIGIN: Final = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""As a browser sends it: in lower case, without a path or a slash at its end."""


@dataclass(frozen=True)
class TokenSettings:
    """The tokens that a server takes: see handlers.http.bearer_tokens."""

    issuer: str
    audiences: tuple[str, ...]
    """One of them is enough."""
    keys: str
    """Address of the issuer's JSON Web Key Set."""
    algorithms: tuple[str, ...] = ("RS256",)
    leeway_seconds: float = 60.0
    """By which clocks may differ."""


@dataclass(frozen=True)
class ServiceSettings:
    port: int = 8080
    batch_rows: int = 64
    """At most; fewer where the device's memory is too small."""
    queue_rows: int = 2048
    queue_seconds: float = 5.0
    queue_bytes: int = 536_870_912
    """Of the bodies of all requests that are being read or answered; one is taken in any case."""
    drain_seconds: float = 20.0
    """From SIGTERM to the end at most: SageMaker and Kubernetes kill after 30."""
    linger_seconds: float = 1.0
    """How long a draining server still answers its refusals: until a load balancer has seen it."""
    precision: str = "float32"
    tier: str = "eager"
    """How a torch module is run: see handlers.container_server.acceleration."""
    tolerance: float = 0.0
    """Within which it must answer as it was logged; 0 is the precision's own."""
    tokens: TokenSettings | None = None
    """None where callers need no token."""
    cors_origins: tuple[str, ...] = ()
    """Web origins whose pages may call; `*` alone for all of them."""

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> ServiceSettings:
        """Raises ValueError, naming every variable that is none of its kind."""
        wrong: list[str] = []

        def number(name: str, default: float, least: float) -> float:
            text = environ.get(name, "").strip()
            try:
                value = float(text) if text else default
            except ValueError:
                value = -1.0
            if not least <= value < 1e9:
                wrong.append(f"{name} must be a number of at least {least:g}, and it is {text!r}.")
            return value

        def choice(name: str, known: tuple[str, ...]) -> str:
            text = environ.get(name, "").strip().lower() or known[0]
            if text not in known:
                meant = suggest_name(text, known)
                wrong.append(
                    f"{name} must be one of {', '.join(known)}, and it is {text!r}.{meant}"
                )
            return text

        auth = choice("PACKAGER_AUTH", _AUTH)
        leeway = number("PACKAGER_JWT_LEEWAY_SECONDS", 60, 0)
        port = next((name for name in _PORTS if environ.get(name, "").strip()), "PORT")
        made = cls(
            port=int(number(port, 8080, 0)),
            batch_rows=int(number("PACKAGER_BATCH_ROWS", 64, 1)),
            queue_rows=int(number("PACKAGER_QUEUE_ROWS", 2048, 1)),
            queue_seconds=number("PACKAGER_QUEUE_SECONDS", 5, 0),
            queue_bytes=int(number("PACKAGER_QUEUE_BYTES", 536_870_912, 1)),
            drain_seconds=number("PACKAGER_DRAIN_SECONDS", 20, 0),
            linger_seconds=number("PACKAGER_LINGER_SECONDS", 1, 0),
            precision=choice("PACKAGER_PRECISION", _PRECISIONS),
            tier=choice("PACKAGER_TIER", _TIERS),
            tolerance=number("PACKAGER_TOLERANCE", 0, 0),
            tokens=_read_tokens(environ, wrong, leeway) if auth == "jwt" else None,
            cors_origins=_read_origins(environ, wrong),
        )
        if wrong:
            raise ValueError(" ".join(wrong))
        return made


def _read_tokens(
    environ: Mapping[str, str], wrong: list[str], leeway_seconds: float
) -> TokenSettings:
    """Read the settings of tokens; adds to `wrong` what cannot be used."""

    def require(name: str) -> str:
        text = environ.get(name, "").strip()
        if not text:
            wrong.append(f"PACKAGER_AUTH=jwt needs {name}, and it is not set.")
        return text

    issuer, keys = require("PACKAGER_JWT_ISSUER"), require("PACKAGER_JWT_KEYS")
    audience = require("PACKAGER_JWT_AUDIENCE")
    audiences = tuple(filter(None, (each.strip() for each in audience.split(","))))
    if audience and not audiences:
        wrong.append(
            "PACKAGER_AUTH=jwt needs PACKAGER_JWT_AUDIENCE, and it has nothing but commas."
        )
    if keys and not _is_trusted(keys):
        wrong.append(
            "PACKAGER_JWT_KEYS must be an address that begins with https://, as "
            "https://ISSUER/.well-known/jwks.json: whoever can change the keys makes tokens."
        )
    text = environ.get("PACKAGER_JWT_ALGORITHMS", "").strip() or "RS256"
    algorithms = tuple(each.strip() for each in text.split(","))
    wrong += [
        f"PACKAGER_JWT_ALGORITHMS must be of {', '.join(_ALGORITHMS)}, and it has {each!r}."
        f"{suggest_name(each, _ALGORITHMS)}"
        for each in algorithms
        if each not in _ALGORITHMS
    ]
    if leeway_seconds > 300:
        wrong.append(f"PACKAGER_JWT_LEEWAY_SECONDS must be 0 to 300, and it is {leeway_seconds:g}.")
    return TokenSettings(
        issuer=issuer,
        audiences=audiences,
        keys=keys,
        algorithms=algorithms,
        leeway_seconds=leeway_seconds,
    )


def _read_origins(environ: Mapping[str, str], wrong: list[str]) -> tuple[str, ...]:
    """Read the web origins that may call; adds to `wrong` what no browser would send."""
    name = "PACKAGER_CORS_ORIGINS"
    found = tuple(filter(None, (each.strip() for each in environ.get(name, "").split(","))))
    if "*" in found and len(found) > 1:
        wrong.append(f"{name} must have * alone, or origins without it: * lets every page in.")
    wrong += [
        f"{name} must have origins as https://app.example.com, in lower case and without a path or "
        f"a slash at the end, and it has {each!r}."
        for each in found
        if each != "*" and not _ORIGIN.fullmatch(each)
    ]
    return found


def _is_trusted(address: str) -> bool:
    """Tell whether nobody on the way can answer in its place."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL))
