"""The container's batch job: a file or a folder of S3, in steps that the device has room for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handlers import container
from handlers.container_server import job
from handlers.manifest import FILENAME
from handlers.scoring import predictor
from tests.handlers.scorers import manifest
from tests.handlers.scoring.test_together import POISON, Doubling
from tests.handlers.serving import EXAMPLE
from tests.unit.handlers.test_files import aws, got, keys, put, table

__all__ = ["aws"]

ROWS = 40
EXPECTED = [(n + 0.5) * 2 for n in range(ROWS)]
ENVIRON = {"PACKAGER_BATCH_ROWS": "8", "PACKAGER_CHUNK_BYTES": "200"}


class Small(Doubling):
    """With room for so many rows."""

    room = 1000

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        if len(data["x"]) > self.room:
            raise MemoryError
        return super().predict(data, params)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Small:
    made = Small()
    monkeypatch.setattr(predictor, "load", lambda *_: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "example.json").write_text(json.dumps(EXAMPLE), encoding="utf-8")
    made = manifest(example="example.json")
    (tmp_path / FILENAME).write_text(made.text(), encoding="utf-8")
    return tmp_path


def answers(key: str) -> list[float]:
    return [json.loads(line) for line in got(key).splitlines()]


def test_a_file_is_scored_by_no_more_rows_than_fit(folder: Path, model: Small) -> None:
    put("in/a.csv", table(ROWS))

    code = job.run(folder, "s3://data/in/a.csv", "s3://data/out/a.jsonl", ENVIRON)

    assert (code, answers("out/a.jsonl")) == (job.DONE, EXPECTED)
    assert max(model.calls) == 8


def test_an_image_that_asks_callers_for_tokens_scores_files_without(
    folder: Path, model: Small
) -> None:
    put("in/a.csv", table(ROWS))
    environ = {**ENVIRON, "PACKAGER_AUTH": "jwt"}

    code = job.run(folder, "s3://data/in/a.csv", "s3://data/out/a.jsonl", environ)

    assert (code, answers("out/a.jsonl")) == (job.DONE, EXPECTED)


@pytest.mark.few(0)
def test_running_out_of_memory_takes_smaller_steps(folder: Path, model: Small) -> None:
    put("in/a.csv", table(ROWS))
    model.room = 5

    code = job.run(folder, "s3://data/in/a.csv", "s3://data/out/a.jsonl", ENVIRON)

    assert (code, answers("out/a.jsonl")) == (job.DONE, EXPECTED)
    assert max(model.calls) <= 5


def test_a_second_try_scores_nothing_again(folder: Path, model: Small) -> None:
    put("in/a.csv", table(ROWS))
    ask = (folder, "s3://data/in/a.csv", "s3://data/out/a.jsonl", ENVIRON)
    assert job.run(*ask) == job.DONE
    model.calls.clear()

    assert job.run(*ask) == job.DONE
    # the warm-up's alone
    assert max(model.calls) <= 8
    assert sum(model.calls) < ROWS


def test_array_jobs_share_a_folder(folder: Path, model: Small) -> None:
    for name in ("a.csv", "b.csv", "c.jsonl", "notes.txt", "d.csv"):
        put(f"in/{name}", '{"x": 1, "kind": "a"}\n' if name.endswith("l") else table(2))

    seen = []
    for index in range(3):
        array = {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": "3"}
        before = keys()
        assert job.run(folder, "s3://data/in/", "s3://data/out/", ENVIRON | array) == job.DONE
        seen.append(sorted(keys() - before))

    assert seen == [
        ["out/a.csv.jsonl", "out/d.csv.jsonl"],
        ["out/b.csv.jsonl"],
        ["out/c.jsonl.jsonl"],
    ]
    assert answers("out/c.jsonl.jsonl") == [2.0]


def test_a_row_that_fails_has_its_error_and_the_others_their_answers(
    folder: Path, model: Small
) -> None:
    put("in/a.csv", f"x,kind\n1,a\n{POISON},a\n3,a\n")

    assert job.run(folder, "s3://data/in/a.csv", "s3://data/out/a.jsonl", ENVIRON) == job.DONE
    first, bad, last = (json.loads(line) for line in got("out/a.jsonl").splitlines())
    assert (first, last) == (2.0, 6.0)
    assert "message" in bad


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("s3://data/none.csv", "s3://data/out/a.jsonl", job.NEVER),
        ("s3://data/in/a.txt", "s3://data/out/a.jsonl", job.NEVER),
        ("in/a.csv", "s3://data/out/a.jsonl", job.NEVER),
        ("s3://data/in/", "s3://data/out", job.NEVER),
        ("s3://data/in/", "s3://data/in/out/", job.NEVER),
        ("s3://nobody/in/", "s3://data/out/", job.AGAIN),
        ("s3://data/empty/", "s3://data/out/", job.DONE),
    ],
)
def test_what_cannot_be_scored_is_told_by_the_exit_code(
    folder: Path, model: Small, source: str, target: str, expected: int
) -> None:
    put("in/a.txt", "x")

    assert job.run(folder, source, target, ENVIRON) == expected
    assert not [key for key in keys() if key.startswith("out")]


def test_one_file_of_an_array_is_the_first_job_s(folder: Path, model: Small) -> None:
    put("in/a.csv", table(2))
    second = {"JOB_COMPLETION_INDEX": "1", "PACKAGER_JOBS": "2"}

    assert job.run(folder, "s3://data/in/a.csv", "s3://data/o.jsonl", ENVIRON | second) == job.DONE
    assert keys() == {"in/a.csv"}


def test_the_entry_point_names_its_commands(caplog: pytest.LogCaptureFixture) -> None:
    assert container.main(["batch", "s3://data/in.csv"]) == 2
    assert "`batch IN OUT`" in caplog.text
