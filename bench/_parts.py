"""What the measurements of cold starts share: trees made by hand, and one boot of a tree."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packager.environments import uv_command
from packager.system.file_tree import walk
from packager.system.zip_file import write_zip
from packager.targets.lambda_emulator import Emulator
from packager.types import Interpreter


@dataclass(frozen=True)
class Variant:
    key: str
    what: str
    folder: Path
    handler: str


class NoAnswerError(Exception):
    """A tree did not predict: its key, what it answered, its log's tail."""


def sh(*argv: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(a) for a in argv], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{argv[0]} failed:\n{done.stderr[-3000:]}")


def installed(
    lines: Sequence[str], folder: Path, interpreter: Interpreter, *, bytecode: bool
) -> None:
    """Install requirements into a folder as a hand would; `bytecode` by file time, as pip does."""
    listed = folder.with_suffix(".txt")
    listed.write_text("\n".join(lines))
    quietly: list[str | Path] = [
        uv_command.path(),
        "pip",
        "install",
        "--quiet",
        "--link-mode",
        "copy",
    ]
    compiled = ("--compile-bytecode",) if bytecode else ()
    sh(*quietly, *compiled, "--python", interpreter.path, "--target", folder, "-r", listed)


def re_date(folder: Path) -> None:
    """As a zip with entries dated 1980 unpacks: source newer or older, never as the pyc says."""
    for path in walk(folder):
        os.utime(folder / path, (315532800, 315532800))


def valid_bytecode(folder: Path, interpreter: Interpreter) -> None:
    compileall = ("-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash")
    subprocess.run([interpreter.path, *compileall, folder], capture_output=True, check=False)


def boot(variant: Variant, interpreter: Interpreter, payload: bytes) -> dict[str, float]:
    """One cold start and six warm calls; times in ms, memory in MB. Raises NoAnswerError."""
    with Emulator(
        variant.folder,
        interpreter=interpreter,
        handler=variant.handler,
        memory_mb=3008,
        timeout_seconds=120,
    ) as running:
        first = running.invoke(payload)
        if b"predictions" not in first.body:
            raise NoAnswerError(variant.key, first.body[:2000].decode(), running.log()[-2000:])
        stats = running.stats()
        warm = [running.invoke(payload).seconds * 1000 for _ in range(6)]
        peak = running.stats().peak_rss_bytes
    return {
        "init_wall_ms": stats.init_wall_ms,
        "cpu_ms": stats.cpu_ms,
        "first_invoke_ms": first.seconds * 1000,
        "warm_invoke_ms": statistics.median(warm),
        "peak_rss_mb": peak / 1e6,
    }


def drop_page_cache() -> bool:
    """Whether the kernel let us; only root may."""
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        return False
    return True


def medians(rounds: int, run: Callable[[], dict[str, float]], *, cold: bool) -> dict[str, float]:
    results = []
    for _ in range(rounds):
        if cold:
            drop_page_cache()
        results.append(run())
    return medians_of(results)


def medians_of(results: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(r[key] for r in results) for key in results[0]}


def size(folder: Path, zipped: Path) -> dict[str, float]:
    files = [folder / path for path in walk(folder)]
    write_zip(folder, zipped)
    return {
        "unzipped_mb": sum(path.stat().st_size for path in files) / 1e6,
        "zipped_mb": zipped.stat().st_size / 1e6,
        "files": len(files),
    }


def group_stat(group: int) -> tuple[float, float]:
    """CPU in ms and peak resident memory in MB, over the processes of a group."""
    ticks, peak = 0, 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) != group:
                continue
            ticks += sum(int(f) for f in fields[11:15])
            status = (folder / "status").read_text()
        except (OSError, IndexError):
            continue
        peak += next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM")), 0)
    return ticks * 1000 / os.sysconf("SC_CLK_TCK"), peak * 1024 / 1e6


@dataclass(frozen=True)
class Server:
    """One that is up on a port, and a connection to it that is kept, as clients do."""

    pid: int
    port: int
    up_ms: float
    connection: http.client.HTTPConnection

    def ask(self, payload: bytes) -> float:
        """Seconds until the whole answer was there. Raises NoAnswerError where it is none."""
        begun = time.monotonic()
        headers = {"Content-Type": "application/json"}
        self.connection.request("POST", "/invocations", payload, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        spent = time.monotonic() - begun
        if answer.status != 200:
            raise NoAnswerError(str(self.port), body[:2000].decode(), "")
        return spent


def asked(port: int, payload: bytes) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", payload, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, here
        return bytes(answer.read())


@contextlib.contextmanager
def served(python: Path, model: Path, payload: bytes) -> Iterator[Server]:
    """`mlflow models serve` in the model's own environment, from its first answer on."""
    argv = [python.parent / "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    env = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    with _listening(list(map(str, argv)), env, payload) as server:
        yield server


@contextlib.contextmanager
def served_by_us(artifact: Path, payload: bytes) -> Iterator[Server]:
    """`packager serve` on an artifact's folder, from its first answer on."""
    argv = [sys.executable, "-m", "packager", "serve", str(artifact)]
    with _listening(argv, dict(os.environ), payload) as server:
        yield server


@contextlib.contextmanager
def _listening(argv: list[str], env: dict[str, str], payload: bytes) -> Iterator[Server]:
    with socket.socket() as free:  # a port of its own: the server before may still be going down
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    server = subprocess.Popen(
        [*argv, "--port", str(port)],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while True:
            try:
                asked(port, payload)
                break
            except (urllib.error.URLError, ConnectionError):
                if server.poll() is not None or time.monotonic() - started > 120:
                    sys.exit(f"{' '.join(argv)} did not come up")
                time.sleep(0.02)
        up_ms = (time.monotonic() - started) * 1000
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            yield Server(server.pid, port, up_ms, connection)
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
