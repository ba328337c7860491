"""The header by which a web page may read an answer, where no platform adds it: a REST API's.

A REST API answers a preflight itself and passes on what the function answers. The origins that may
read it are a variable of the API's stage, which comes with each request. No answer allows
credentials (cookies), so that every origin may be allowed.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from dataclasses import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.http.router import Headers
    from handlers.scoring.scorer import Answer

ANY = "any"
"""Stands for every origin: the value of a stage's variable takes no asterisk."""
_VARIABLE = "corsAllowOrigins"


def read_origins(event: Mapping[str, object]) -> str:
    """Return the stage's origins with commas between them, `any`, or nothing."""
    variables = event.get("stageVariables")
    found = variables.get(_VARIABLE) if isinstance(variables, dict) else None
    return found if isinstance(found, str) else ""


def allow_origin(answer: Answer, origins: str, headers: Headers) -> Answer:
    """Return the answer with the headers that let the request's origin read it."""
    if origins == ANY:
        return _add(answer, ("access-control-allow-origin", "*"))
    asked = headers.get("origin", "")
    vary = ("vary", "origin")
    if asked and asked in origins.split(","):
        return _add(answer, ("access-control-allow-origin", asked), vary)
    return _add(answer, vary)


def _add(answer: Answer, *headers: tuple[str, str]) -> Answer:
    return replace(answer, headers=(*answer.headers, *headers))
