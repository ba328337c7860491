"""MLflow's four routes, for any server: a request in, an answer out.

It is of the standard library alone, knows no server and waits for nothing but the model, which may
run an event loop of its own. AWS Lambda (through Mangum), Azure Functions, ASGI and FastAPI are
adapters over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Answer, Scorer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Headers: TypeAlias = "Mapping[str, str]"
"""A request's headers by their names in lower case."""
Pairs: TypeAlias = "Iterable[tuple[bytes, bytes]]"
"""Headers as ASGI and Mangum have them."""
ROUTES = {"/ping": "GET", "/health": "GET", "/version": "GET", "/invocations": "POST"}
_JSON = "application/json"
_SIZE_DIGITS = 20
NOT_FOUND = Answer(404, _JSON, b'{"detail":"Not Found"}')
NOT_ALLOWED = Answer(405, _JSON, b'{"detail":"Method Not Allowed"}')


class Router:
    """The routes of one scorer."""

    def __init__(self, scorer: Scorer, *, ping: Callable[[], Answer] | None = None) -> None:
        """`ping` answers in place of the scorer, which is always well."""
        self._scorer = scorer
        self._ping = ping or scorer.ping

    def answer(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes,
        *,
        address: str = "",
        query: str = "",
    ) -> Answer:
        """Answer a whole request.

        `address` and `query` are the URL that the client asked, for a redirect. Leave the address
        out where it is not known: the redirect is then told from the path.
        """
        known = self.answer_unread(method, path, address=address, query=query)
        return self.score(headers, body) if known is None else known

    def answer_unread(
        self, method: str, path: str, *, address: str = "", query: str = ""
    ) -> Answer | None:
        """Answer what needs no body; None for a request whose body is to be scored."""
        allowed = ROUTES.get(path)
        if allowed is None:
            redirected = path.rstrip("/") in ROUTES
            return _make_redirect(path, address, query) if redirected else NOT_FOUND
        methods = (allowed, "HEAD") if allowed == "GET" and self._scorer.head else (allowed,)
        if method not in methods:
            from dataclasses import replace

            return replace(NOT_ALLOWED, headers=(("allow", ", ".join(methods)),))
        if path == "/version":
            return self._scorer.version()
        return None if path == "/invocations" else self._ping()

    def score(self, headers: Headers, body: bytes) -> Answer:
        """Answer a request for predictions."""
        try:
            check_length(headers, self._scorer)
        except ScoringError as error:
            return self._scorer.refusal(error)
        return self._scorer.invocations(body, headers.get("content-type"))


def check_length(headers: Headers, scorer: Scorer) -> None:
    """Raises TooLargeError where the body is said to be beyond the limit."""
    declared = headers.get("content-length")
    if declared is not None and declared.isdecimal():
        # Python reads no more than 4,300 digits, and no body has as many bytes as 20 of them say
        scorer.check_size(int(declared[:_SIZE_DIGITS]))


def _make_redirect(path: str, address: str, query: str) -> Answer:
    """To the route without the slashes at its end, as MLflow's web framework sends it.

    Behind an API's stage the host and what stands before the path are not known here: there the
    way is told from the path that was asked.
    """
    bare = path.rstrip("/")
    to = address.rstrip("/") if address else "../" * (len(path) - len(bare)) + bare[1:]
    return Answer(307, "", b"", headers=(("location", f"{to}?{query}" if query else to),))


def decode_headers(pairs: Pairs) -> Headers:
    """Return a request's headers; of those of one name the first counts."""
    headers: dict[str, str] = {}
    for key, value in pairs:
        headers.setdefault(key.lower().decode("latin-1"), value.decode("latin-1"))
    return headers


def encode_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers, its content's type and length among them."""
    headers: Iterable[tuple[str, str]] = (
        ("content-length", str(len(answer.body))),
        *answer.headers,
        *((("content-type", answer.content_type),) if answer.content_type else ()),
    )
    return [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers]
