"""A light client: keep-alive connections over plain asyncio streams, closed and open loop."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came of one run."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    """Of those that were answered with 200."""

    @property
    def answered_a_second(self) -> float:
        return self.statuses[200] / self.seconds

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.latencies_ms) or [0.0]
        return {
            "answered_a_second": round(self.answered_a_second, 1),
            "p50_ms": round(statistics.median(ordered), 2),
            "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
            "errors_5xx": sum(n for status, n in self.statuses.items() if status >= 500),
            "shed_429": self.statuses[429],
            "lost": self.statuses[0],
        }


class Connection:
    """One at a time; 0 stands for a connection that broke."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        self._port = port
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.body = b""

    async def ask(self) -> int:
        try:
            if self._writer is None or self._reader is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(self._request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").lower().split("\r\n")
            length = next(int(x.split(":")[1]) for x in lines if x.startswith("content-length"))
            self.body = await self._reader.readexactly(length)
            if "connection: close" in lines:
                self.close()
            return int(lines[0].split()[1])
        except (OSError, asyncio.IncompleteReadError, StopIteration):
            self.close()
            return 0

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


async def closed_loop(port: int, path: str, body: bytes, clients: int, seconds: float) -> Load:
    """So many clients, each asking again as soon as it is answered."""
    load = Load()
    until = time.perf_counter() + seconds

    async def client() -> None:
        connection = Connection(port, path, body)
        while time.perf_counter() < until:
            await _timed(connection, load)
        connection.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    load.seconds = time.perf_counter() - begun
    return load


async def open_loop(port: int, path: str, body: bytes, rate: float, seconds: float) -> Load:
    """So many requests a second, whatever comes of the earlier ones."""
    load = Load()
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        connection = idle.pop() if idle else Connection(port, path, body)
        await _timed(connection, load)
        idle.append(connection)

    begun = time.perf_counter()
    sent = 0
    while (now := time.perf_counter() - begun) < seconds:
        due = int(now * rate) - sent
        for _ in range(due):
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        sent += due
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    # what was answered while requests still came, and what waited after that
    load.seconds = time.perf_counter() - begun
    for connection in idle:
        connection.close()
    return load


async def _timed(connection: Connection, load: Load) -> None:
    begun = time.perf_counter()
    status = await connection.ask()
    load.statuses[status] += 1
    if status == 200:
        load.latencies_ms.append((time.perf_counter() - begun) * 1000)
