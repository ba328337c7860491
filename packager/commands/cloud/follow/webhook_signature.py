"""Check of a webhook's delivery: that MLflow sent it, lately, and for the first time.

MLflow signs `DELIVERY_ID.TIMESTAMP.BODY` by HMAC-SHA256 with the webhook's secret, and sends
`v1,BASE64` (https://mlflow.org/docs/latest/ml/webhooks; https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.commands.cloud.follow.state import replace_file
from packager.models.model_uri import Registered

SECRET_VARIABLE: Final = "PACKAGER_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
LARGEST_BODY_BYTES: Final = 65_536
"""MLflow's own delivery for an alias has about 200."""
TOLERANCE_SECONDS: Final = 300
"""Largest difference between MLflow's clock and ours, as Standard Webhooks' libraries have it."""
_MOST_DELIVERIES: Final = 10_000
_SIGNATURE: Final = "X-MLflow-Signature"
_TIMESTAMP: Final = "X-MLflow-Timestamp"
_DELIVERY: Final = "X-MLflow-Delivery-Id"
_VERSION: Final = "v1"
_ID: Final = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_ENTITY: Final = "model_version_alias"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Answer to a delivery: its HTTP status, and why in a few words."""

    status: int
    why: str
    wakes: bool = False
    """Whether the registry is to be asked now."""


class DeliveryCheck:
    """Checks deliveries, and remembers those of the last minutes in a file."""

    def __init__(self, secret: str, model: Registered, path: Path) -> None:
        self._secret = secret.encode()
        self._model = model
        self._path = path
        self._lock = threading.Lock()
        self._known = _read_deliveries(path)

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """Judge one delivery. Raises StorageError where it cannot be remembered."""
        # a proxy may write names in lower case, and HTTP/2 has no other
        named = {name.lower(): value for name, value in headers.items()}
        delivery, stamp = (named.get(each.lower()) or "" for each in (_DELIVERY, _TIMESTAMP))
        if not _ID.fullmatch(delivery) or not _SECONDS.fullmatch(stamp):
            return Verdict(400, f"{_DELIVERY} or {_TIMESTAMP} is missing or malformed")
        if not self._is_signed(
            named.get(_SIGNATURE.lower()) or "", f"{delivery}.{stamp}.".encode(), body
        ):
            return Verdict(401, "the signature is not of this secret")
        if abs(now - int(stamp)) > TOLERANCE_SECONDS:
            return Verdict(
                401, f"sent more than {TOLERANCE_SECONDS} seconds ago, or by a wrong clock"
            )
        about = _read_subject(body)
        if about is None:
            return Verdict(400, "the body is no event of MLflow's")
        if about != (_ENTITY, self._model.name, self._model.alias):
            return Verdict(200, "ignored: about something else than the followed alias")
        return self._remember(delivery, int(stamp), now)

    def _is_signed(self, signatures: str, signed: bytes, body: bytes) -> bool:
        """Compare in constant time; where a secret is changed, a sender may give several."""
        digest = hmac.new(self._secret, signed + body, hashlib.sha256).digest()
        expected = f"{_VERSION},{base64.b64encode(digest).decode()}".encode()
        found = [
            hmac.compare_digest(each.encode(), expected) for each in signatures[:1_000].split()
        ]
        return any(found)

    def _remember(self, delivery: str, stamp: int, now: float) -> Verdict:
        with self._lock:
            oldest = now - TOLERANCE_SECONDS
            known = {key: at for key, at in self._known.items() if at >= oldest}
            if delivery in known:
                return Verdict(200, "ignored: this delivery came before")
            if len(known) >= _MOST_DELIVERIES:
                return Verdict(503, f"more than {_MOST_DELIVERIES:,} deliveries came lately")
            known[delivery] = stamp
            replace_file(self._path, json.dumps(known))
            self._known = known
        return Verdict(202, "accepted", wakes=True)


def _read_subject(body: bytes) -> tuple[str, str, str] | None:
    """Read (entity, model, alias) of an event; None for a body that is none.

    The version that it names decides nothing: deliveries overtake each other.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("data"), dict):
        return None
    data = told["data"]
    return str(told.get("entity")), str(data.get("name")), str(data.get("alias"))


def _read_deliveries(path: Path) -> dict[str, int]:
    """Read what was remembered; nothing where the file is not there or not ours.

    A delivery that is then taken again only has the registry asked once more.
    """
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {key: at for key, at in told.items() if isinstance(at, int)}
