"""What is sent through queues and buckets, and what became of it.

PACKAGER_RECORDS and PACKAGER_OBJECTS set how many messages are sent and how many objects are put; a
hundredth of them can never be answered.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.integration.aws.services import Services

RECORDS = int(os.environ.get("PACKAGER_RECORDS", "100"))
OBJECTS = int(os.environ.get("PACKAGER_OBJECTS", "100"))
POISON_EVERY = 100
DISTINCT = 50
ROWS_OF_AN_OBJECT = 3
INCOMING, ANSWERS = "incoming", "answers"


def row(number: int, columns: list[str]) -> dict[str, float]:
    """Of DISTINCT, spread over what the model was trained on."""
    steps = [(number % DISTINCT * 7 + place * 13) % 25 for place in range(len(columns))]
    return {name: (step - 12) / 100 for name, step in zip(columns, steps, strict=True)}


def csv(number: int, columns: list[str]) -> str:
    rows = [row(number + more, columns).values() for more in range(ROWS_OF_AN_OBJECT)]
    return "\n".join([",".join(columns), *(",".join(map(str, each)) for each in rows)]) + "\n"


def poison(number: int, good: dict[str, float]) -> str:
    kinds = ("{not JSON", json.dumps({"other": 1}), json.dumps(dict.fromkeys(good, "text")), "[]")
    return kinds[number // POISON_EVERY % len(kinds)]


def is_poison(number: int) -> bool:
    return number % POISON_EVERY == POISON_EVERY - 1


def messages(
    services: Services, url: str, columns: list[str], sent: dict[str, int]
) -> Iterator[str]:
    """Sends ten at a time; `sent` gets their ids and numbers."""
    for start in range(0, RECORDS, 10):
        entries = []
        for number in range(start, min(start + 10, RECORDS)):
            good = row(number, columns)
            body = poison(number, good) if is_poison(number) else json.dumps(good)
            entries.append({"Id": str(number), "MessageBody": body})
        answer = services.queues.send_message_batch(QueueUrl=url, Entries=entries)
        ids = {told["MessageId"]: int(told["Id"]) for told in answer["Successful"]}
        sent.update(ids)
        yield from ids


def objects(
    services: Services, folder: str, columns: list[str], sent: dict[str, int]
) -> Iterator[str]:
    """Puts one at a time; one that can never be answered is a file of no form, or broken."""
    for number in range(OBJECTS):
        name = ("%d.csv", "no %d.xlsx", "no %d.json")[is_poison(number) * (1 + number // 100 % 2)]
        key = f"{folder}/größe {number % 7}/{name % number}"
        text = "[{" if is_poison(number) else csv(number, columns)
        services.objects.put_object(Bucket=INCOMING, Key=key, Body=text.encode())
        sent[key] = number
        yield key


def counted(
    sent: dict[str, int], answers: list[tuple[str, Any]], buried: list[str], expected: list[float]
) -> dict[str, int]:
    """What became of the records of one door."""
    good = {name: number for name, number in sent.items() if not is_poison(number)}
    bad = sent.keys() - good.keys()
    names = Counter(name for name, _ in answers)
    wrong = 0
    for name, found in answers:
        rows = [expected[(sent[name] + more) % DISTINCT] for more in range(len(found))]
        wrong += name not in good or found != rows or not rows
    return {
        "good": len(good),
        "answered": len(names),
        "answered again": len(answers) - len(names),
        "wrong": wrong,
        "lost": len(good.keys() - names.keys()),
        "poison": len(bad),
        "buried": len(set(buried)),
        "buried again": len(buried) - len(set(buried)),
        "not buried": len(bad - set(buried)),
        "buried without cause": len(set(buried) - bad),
    }
