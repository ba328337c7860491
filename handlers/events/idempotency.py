"""Records that were answered already, in a DynamoDB table: what comes again is not scored again.

A record is claimed before it is scored, by a conditional write, until the function's deadline; it
is marked as done after its answer was delivered. A claim whose function died is free at that
deadline. What dies between delivery and mark is scored a second time, and answered under the same
name: an object in S3 stays as it is, a FIFO queue drops it for five minutes, a table's item is the
same; a standard queue, a bus and a delivery stream get it again.

The table's partition key is `id`, a string; its time-to-live attribute is `expires`.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.events.records import Claim

_LOG = logging.getLogger(__name__)
_THREADS = 16
_REFUSED = (
    "The table of answered records failed, and records may come again: %s. Check "
    "PACKAGER_ONCE_TABLE and the role's permission to write to it."
)
_KEPT_SECONDS = 14 * 24 * 3600
"""As long as a queue keeps a message at most."""
_CONDITION = "attribute_not_exists(id) OR (#state = :claimed AND #until < :now)"
_OWN = "#state = :claimed AND #owner = :owner"
_NAMES = {"#state": "state", "#until": "until"}


class IdempotencyTable:
    """Threads only write to the table; nothing is kept between invocations."""

    def __init__(self, table: str, digest: str, source: str) -> None:
        """Another model's answers are others: `digest` is part of each name."""
        self._table = table
        self._scope = f"{digest}/{source}/"
        self._client = client("dynamodb")

    def claim(self, ids: Sequence[str], owner: str, seconds: float) -> list[Claim]:
        """For each id whether it is ours to score, for `seconds` from now."""
        now = time.time()

        def one(name: str) -> Claim:
            return self._claim_name(name, owner, now, now + seconds)

        return self._call_each(one, ids)

    def done(self, ids: Sequence[str]) -> None:
        """Mark as answered. A mark that fails is logged: that record may be answered again."""
        expires = str(int(time.time()) + _KEPT_SECONDS)

        def one(name: str) -> None:
            item = {**self._make_key(name), "state": {"S": "done"}, "expires": {"N": expires}}
            self._try_call(self._client.put_item, Item=item)

        self._call_each(one, ids)

    def release(self, ids: Sequence[str], owner: str) -> None:
        """Give up claims of ours, so that the next delivery need not wait."""

        def one(name: str) -> None:
            self._try_call(
                self._client.delete_item,
                Key=self._make_key(name),
                ConditionExpression=_OWN,
                ExpressionAttributeNames={"#state": "state", "#owner": "owner"},
                ExpressionAttributeValues={":claimed": {"S": "claimed"}, ":owner": {"S": owner}},
            )

        self._call_each(one, ids)

    def _claim_name(self, name: str, owner: str, now: float, until: float) -> Claim:
        item = {
            **self._make_key(name),
            "state": {"S": "claimed"},
            "owner": {"S": owner},
            "until": {"N": f"{until:.3f}"},
            "expires": {"N": str(int(now) + _KEPT_SECONDS)},
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=_CONDITION,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":claimed": {"S": "claimed"},
                    ":now": {"N": f"{now:.3f}"},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except AWS_ERRORS as error:
            if code(error) != "ConditionalCheckFailedException":
                _LOG.error(_REFUSED, code(error))
                return Claim.ELSEWHERE
            held = getattr(error, "response", {}).get("Item") or {}
            return Claim.DONE if held.get("state") == {"S": "done"} else Claim.ELSEWHERE
        return Claim.OURS

    def _make_key(self, name: str) -> dict[str, object]:
        return {"id": {"S": hashlib.sha256(f"{self._scope}{name}".encode()).hexdigest()}}

    def _try_call(self, call: Callable[..., object], **values: object) -> None:
        try:
            call(TableName=self._table, **values)
        except AWS_ERRORS as error:
            if code(error) != "ConditionalCheckFailedException":
                _LOG.error(_REFUSED, code(error))

    def _call_each(self, one: Callable[[str], object], ids: Sequence[str]) -> list[Any]:
        if len(ids) < 2:
            return [one(name) for name in ids]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(one, ids))
