"""A large CSV file in S3, scored by the deployed bytes within a memory limit.

    python bench/files.py [--megabytes 1000] [--memory 512] [--out bench/results]

The artifact is built of a tiny registered model, and runs under Lambda's own runtime client and
emulator, its folder read-only, in a control group with that much memory and no swap (cgroup v1;
where it cannot be made, the process's peak alone is told). S3 is moto's server. Every answer is
counted, and a sample of them is compared with what a direct invoke answers. Times are this
machine's; the share of its CPU that a function of that memory gets on Lambda is not imitated.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402 - the checkout is put on the path first

from packager.commands import artifact  # noqa: E402
from packager.environments import interpreters  # noqa: E402
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline.build import build  # noqa: E402
from packager.targets.lambda_emulator import Emulator  # noqa: E402
from packager.types import Engine, Front, make_request  # noqa: E402
from tests import models  # noqa: E402

MODEL = "lightgbm_booster"
GROUPS = Path("/sys/fs/cgroup/memory")
BLOCK_ROWS = 20_000
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
}
SAMPLE = 200
MB = 1_000_000


@contextlib.contextmanager
def cloud() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()  # noqa: S310
                break
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def limited(pid: int, memory_mb: int) -> Iterator[Path | None]:
    """A control group around a process and all that it starts; None where none can be made."""
    group = GROUPS / f"packager-bench-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(memory_mb * 2**20))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        print(f"no control group: {error}", flush=True)
        with contextlib.suppress(OSError):
            group.rmdir()
        yield None
        return
    yield group


class Table(io.RawIOBase):
    """CSV of seeded numbers, made as it is read; keeps every row whose number is in the sample."""

    def __init__(self, columns: list[str], size_bytes: int) -> None:
        self._dice = random.Random(7)  # noqa: S311 - repeatable on purpose
        self._columns, self._size = columns, size_bytes
        self._left = (",".join(columns) + "\n").encode()
        self._block = self._made()
        self.rows = self.bytes = 0

    def _made(self) -> list[bytes]:
        rows = [[self._dice.uniform(0, 8) for _ in self._columns] for _ in range(BLOCK_ROWS)]
        self.first = rows[:SAMPLE]
        return [(",".join(map(repr, row)) + "\n").encode() for row in rows]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            if self.bytes >= self._size:
                return 0
            self._left = b"".join(self._block)
            self.rows += len(self._block)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        self.bytes += count
        return count


def built(folder: Path) -> Path:
    out = folder / "dist"
    request = make_request(
        model_uri=str(models.folder(MODEL)),
        engine=Engine.NATIVE,
        out_dir=out,
        rows=50,
        front=Front.NONE,
        events=("files",),
        output_to="s3://answers/out",
    )
    build(request, MlflowRegistry(None, None))
    return out


def measured(out: Path, megabytes: int, memory_mb: int) -> dict[str, Any]:
    told = artifact.read(out)
    manifest = artifact.read_manifest(told.folder)
    columns = [spec["name"] for spec in (manifest.signature or {})["inputs"]]
    with cloud() as address:
        make: Any = boto3.client
        s3 = make(
            "s3", endpoint_url=address, region_name="us-east-1",
            aws_access_key_id="testing", aws_secret_access_key="testing",  # noqa: S106
        )  # fmt: skip
        for bucket in ("data", "answers"):
            s3.create_bucket(Bucket=bucket)
        table = Table(columns, megabytes * MB)
        s3.upload_fileobj(io.BufferedReader(table, 2**20), "data", "in.csv")
        print(f"{table.rows:,} rows, {table.bytes:,} bytes in S3", flush=True)
        emulator = Emulator(
            told.folder,
            interpreter=interpreters.find(manifest.python),
            memory_mb=memory_mb,
            timeout_seconds=900,
            network=True,
            env={**CREDENTIALS, "AWS_ENDPOINT_URL": address},
            provided=(f"botocore=={version('botocore')}",),
        )
        with emulator, limited(emulator._confined.members()[0], memory_mb) as group:  # noqa: SLF001
            rows = [dict(zip(columns, row, strict=True)) for row in table.first]
            direct = asked(emulator, {"dataframe_records": rows})["predictions"]
            before = emulator.stats().cpu_ms
            started = time.perf_counter()
            answer = asked(
                emulator, {"input": "s3://data/in.csv", "output": "s3://answers/o.jsonl"}
            )
            seconds = time.perf_counter() - started
            stats = emulator.stats()
            peak = 0 if group is None else int((group / "memory.max_usage_in_bytes").read_text())
            failed = 0 if group is None else int((group / "memory.failcnt").read_text())
        if group is not None:
            time.sleep(1)
            with contextlib.suppress(OSError):
                group.rmdir()
        lines = wrong = 0
        for line in s3.get_object(Bucket="answers", Key="o.jsonl")["Body"].iter_lines():
            place = lines % BLOCK_ROWS
            wrong += place < SAMPLE and json.loads(line) != direct[place]
            lines += 1
    if not answer["rows"] == table.rows == lines or wrong:
        raise SystemExit(f"{answer}: {table.rows} rows, {lines} answers, {wrong} of them wrong")
    return {
        "model": MODEL,
        "bytes": table.bytes,
        "rows": table.rows,
        "memory_limit_mb": memory_mb,
        "limit_enforced": group is not None,
        "peak_rss_mb": round(stats.peak_rss_bytes / 2**20, 1),
        "group_peak_mb": round(peak / 2**20, 1),
        "group_limit_hits": failed,
        "seconds": round(seconds, 1),
        "cpu_seconds": round((stats.cpu_ms - before) / 1000, 1),
        "rows_per_second": round(table.rows / seconds),
        "rows_per_cpu_second": round(table.rows / ((stats.cpu_ms - before) / 1000)),
    }


def asked(emulator: Emulator, request: dict[str, Any]) -> Any:
    value = json.loads(emulator.invoke(json.dumps(request).encode()).body)
    if "errorType" in value:
        raise SystemExit(f"{value}\n{emulator.log()[-3000:]}")
    return value


def text(found: dict[str, Any]) -> str:
    """The page beside the figures."""
    limit = "enforced by a control group" if found["limit_enforced"] else "not enforced here"
    return f"""# A large file, scored by one function

Written by `python bench/files.py`; see there for how. Times are of the machine that ran it.

| | |
|---|---|
| CSV | {found["bytes"]:,} bytes, {found["rows"]:,} rows, model {found["model"]} |
| memory limit | {found["memory_limit_mb"]} MB, {limit} |
| peak of the function's process | {found["peak_rss_mb"]} MB |
| peak of its control group, with the emulator and the page cache | {found["group_peak_mb"]} MB |
| wall time | {found["seconds"]} s: {found["rows_per_second"]:,} rows a second |
| its CPU | {found["cpu_seconds"]} s: {found["rows_per_cpu_second"]:,} rows a CPU second |

Every row was answered; {SAMPLE} of each {BLOCK_ROWS:,} answers were compared with those of a direct
invoke: equal.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--memory", type=int, default=512)
    parser.add_argument("--artifact", type=Path, help="one that was built with --event files")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packager-bench-") as folder:
        out = given.artifact or built(Path(folder))
        found = measured(out, given.megabytes, given.memory)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "files.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (given.out / "files.md").write_text(text(found), encoding="utf-8")
    print(text(found))


if __name__ == "__main__":
    main()
