"""Files of S3 to files of answers, on the container's device: `python -m handlers.container batch`.

    batch s3://BUCKET/KEY s3://BUCKET/KEY
    batch s3://BUCKET/FOLDER/ s3://BUCKET/FOLDER/

Forms, chunks, bad rows and what is not scored twice are as handlers.files says. Of a folder, each
of several jobs takes its share of the files: AWS Batch's array jobs and Kubernetes' indexed jobs
say which (AWS_BATCH_JOB_ARRAY_INDEX and _SIZE; JOB_COMPLETION_INDEX and PACKAGER_JOBS).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from handlers.aws_clients import AWS_ERRORS, client, code
from handlers.container_server import accelerator, replicas
from handlers.container_server.batcher import Job
from handlers.container_server.runner import Runner
from handlers.container_server.settings import ServiceSettings
from handlers.events.records import FileRef, Record
from handlers.files.jobs import Files
from handlers.files.readers import FORMATS
from handlers.files.storage import Address
from handlers.manifest import Manifest
from handlers.scoring import predictor, request_merging
from handlers.scoring.errors import InvalidInputError, ScoringError
from handlers.scoring.scorer import Scorer
from handlers.values import remove_prefix

_LOG = logging.getLogger(__name__)
DONE, AGAIN, NEVER = 0, 1, 2
"""Exit codes: every file is answered; one may be tried again; one can never be scored."""
_ENDLESS: Final = 1e9
_SHARES: Final = (
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ("JOB_COMPLETION_INDEX", "PACKAGER_JOBS"),
)


@dataclass(frozen=True)
class Share:
    """The files whose place leaves `index`, divided by `of`."""

    index: int = 0
    of: int = 1

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Share:
        """Raises ValueError for what is no number."""
        for index, of in _SHARES:
            if environ.get(index) and environ.get(of):
                return cls(int(environ[index]), max(1, int(environ[of])))
        return cls()


class _ByRunner:
    """A predictor that never asks the device for more rows than fit."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        by_row = hasattr(data, "iloc") or all(
            isinstance(each, np.ndarray)
            for each in (data.values() if isinstance(data, dict) else [data])
        )
        rows = request_merging.length(data) if by_row else 1
        form = "file" if by_row else None
        (answer,) = self._runner([Job(form=form, rows=rows, data=data, params=params)])
        if isinstance(answer, ScoringError):
            raise answer
        return answer


def run(folder: Path, source: str, target: str, environ: Mapping[str, str] = os.environ) -> int:
    """An exit code. Raises ValueError for settings and NoAcceleratorError for a missing device."""
    share = Share.read(environ)
    try:
        named = list(_list_pairs(source, target, share))
    except ScoringError as error:
        _LOG.error("%s", error.message)
        return NEVER
    except AWS_ERRORS as error:
        _LOG.error(
            "The files of %s cannot be listed: S3 answered %s. Check the address, and that the "
            "job's role may list the bucket.",
            source,
            code(error),
        )
        return AGAIN
    _LOG.info("%d files are share %d of %d", len(named), share.index, share.of)
    if not named:
        return DONE
    files = Files(_scorer(folder, environ), None, environ)
    return max([_score_file(files, *each) for each in named], key=(DONE, NEVER, AGAIN).index)


def _scorer(folder: Path, environ: Mapping[str, str]) -> Scorer:
    # nobody calls a job: where an image asks callers for tokens, it scores files without
    settings = ServiceSettings.read({**environ, "PACKAGER_AUTH": "none"})
    manifest = Manifest.read(folder)
    device = accelerator.devices(environ)[0]
    copy = replicas.load(manifest, folder, device, predictor.load)
    copy = replicas.warm(copy, replicas.example(copy.scorer, folder), settings)
    warm = copy.warm
    if warm is None or not warm.merges:
        # rows that look at each other: a chunk is asked as it is read, like a request of its size
        return copy.scorer
    _LOG.info("On %s: %d rows at once", copy.placed, warm.batch_rows)
    return Scorer(manifest, _ByRunner(copy.runner()))


def _score_file(files: Files, source: Address, target: Address) -> int:
    begun = time.monotonic()
    file = FileRef(bucket=source.bucket, key=source.key, output=target.text)
    record = Record(id=source.text, item=source.text, body=None, file=file)
    outcome = files.score(record, file, lambda: _ENDLESS)
    if outcome.error is not None:
        _LOG.error("%s: %s", source.text, outcome.error.message)
        return AGAIN if outcome.retry else NEVER
    told = (outcome.answer or b"{}").decode()
    _LOG.info("%s in %.1f s", told.replace('"', "'"), time.monotonic() - begun)
    return DONE


def _list_pairs(source: str, target: str, share: Share) -> Iterator[tuple[Address, Address]]:
    """Pairs of a file and its answers. Raises InvalidInputError, and what S3 does."""
    if not source.endswith("/"):
        if share.index == 0:
            yield Address.read(source), Address.read(target)
        return
    bucket, _, prefix = remove_prefix(source, "s3://").partition("/")
    to, _, folder = remove_prefix(target, "s3://").partition("/")
    if not (source.startswith("s3://") and target.startswith("s3://") and bucket and to):
        raise InvalidInputError(
            "A folder and the folder for its answers are needed, each as s3://BUCKET/FOLDER/."
        )
    if not target.endswith("/"):
        raise InvalidInputError(
            "The answers to a folder go to a folder. End the second address with a slash."
        )
    if bucket == to and folder.startswith(prefix):
        raise InvalidInputError(
            "The answers would lie among the files, and the next job would score them. Name "
            "another folder for them."
        )
    for key in _list_keys(bucket, prefix)[share.index :: share.of]:
        answers = f"{folder}{remove_prefix(key, prefix)}.jsonl"
        yield Address(bucket=bucket, key=key), Address(bucket=to, key=answers)


def _list_keys(bucket: str, prefix: str) -> Sequence[str]:
    """List files in a form that can be read, sorted: every job sees the same list."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = (item["Key"] for page in pages for item in page.get("Contents", ()))
    return sorted(key for key in found if key.lower().endswith(FORMATS))
