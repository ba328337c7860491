"""The server's settings, from the environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from handlers.scoring.errors import suggest_name

_PORTS: Final = ("SAGEMAKER_BIND_TO_PORT", "FUNCTIONS_CUSTOMHANDLER_PORT", "PORT", "AWS_LWA_PORT")
"""SageMaker; Azure Functions' custom handlers; Cloud Run and Container Apps; Lambda's adapter."""

_PRECISIONS: Final = ("float32", "bfloat16", "float16")
_TIERS: Final = ("eager", "compile", "graphs")


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
        )
        if wrong:
            raise ValueError(" ".join(wrong))
        return made
