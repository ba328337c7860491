"""A service over a tiny model, started and asked in this process, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from handlers.container import make_app
from handlers.container_server.service import Service
from handlers.container_server.settings import ServiceSettings
from handlers.manifest import FILENAME
from tests.handlers.scorers import TWO_COLUMNS, manifest

EXAMPLE = {"dataframe_split": {"columns": ["x", "kind"], "data": [[1.0, "a"], [2.0, "b"]]}}


def service(
    model: Any,
    folder: Path,
    *,
    signature: Any = TWO_COLUMNS,
    example: Any = EXAMPLE,
    **settings: Any,
) -> Service:
    """Not started."""
    (folder / "example.json").write_text(json.dumps(example), encoding="utf-8")
    made = manifest(
        signature, model_version="3", example=None if example is None else "example.json"
    )
    (folder / FILENAME).write_text(made.text(), encoding="utf-8")
    quick = {"linger_seconds": 0.0, **settings}
    return Service(made, folder, ServiceSettings(**quick), load=lambda _, __: model)


@asynccontextmanager
async def client(service: Service, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(service, folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as made:
        yield made


def run(service: Service, folder: Path, ask: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """Start, ask, drain; what `ask` returns."""

    async def main() -> Any:
        await service.start()
        async with client(service, folder) as made:
            try:
                return await ask(made)
            finally:
                await service.drain()

    return asyncio.run(main())
