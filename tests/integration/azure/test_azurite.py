"""A built app between real queues and containers: nothing is lost, whatever fails on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from handlers import triggers
from packager import interpreters
from packager.emulator import why_not_bootable
from packager.hosts import Boot
from tests.integration.azure import azurite, messages
from tests.integration.azure.azurite import Storage
from tests.integration.azure.listener import BLOB_POISON, Faults, Listener, taken

_WHY_NOT = azurite.why_not() or why_not_bootable("x86_64")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "it runs"),
]


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    report = messages.built(tmp_path_factory.mktemp("built") / "out", "3.13")
    doors = ", ".join((*triggers.TRIGGERS, triggers.BATCHES))
    assert report.evidence.checks["doors"] == f"one message each by {doors}: answered as over HTTP"
    return Boot(folder=report.artifact.folder, interpreter=interpreters.find("3.13"), entrypoint="")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with azurite.running(tmp_path_factory.mktemp("azurite")) as found:
        yield found


def test_nothing_is_lost_whatever_fails_on_the_way(boot: Boot, storage: Storage) -> None:
    faults = Faults(seed=7, worker_dies=0.01, output_fails=0.1, host_dies=0.05)
    came = messages.through_a_queue(boot, storage, 200, faults)

    assert (came.lost, came.wrong) == (0, 0)
    assert came.poison_bad == came.bad
    assert came.answered + came.poison_good >= came.sent - came.bad
    assert came.twice <= came.faults["host_dies"]
    assert min(came.faults.values()) > 0
    assert came.worker_starts == came.faults["worker_dies"] + 1


def test_a_blob_is_answered_or_named_among_the_poison(boot: Boot, storage: Storage) -> None:
    (example,) = boot.folder.rglob("model/serving_input_example.json")
    container = storage.blobs.get_container_client("requests")
    with Listener(boot, storage) as listener:
        container.upload_blob("good.json", example.read_bytes())
        container.upload_blob("bad.json", b"[]")
        listener.blobs()

    (answer,) = (json.loads(text) for text in taken(storage, "answers"))
    assert (answer["id"], answer["source"]) == ("requests/good.json", "blob")
    assert len(answer["predictions"]) >= 1
    (named,) = (json.loads(text) for text in taken(storage, BLOB_POISON))
    assert named["BlobName"] == "requests/bad.json"
    assert listener.invocations == 6
