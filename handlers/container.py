"""The container's entry point: `python -m handlers.container [serve]`, or `batch IN OUT`.

Answers at once: liveness from the start, readiness when the model is loaded and every batch size
was run. SIGTERM and SIGINT stop it in order: what was taken is answered, what comes is refused with
503, and the process ends with 0. The argument `serve` is SageMaker's
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html). `batch`
scores files instead, and ends: see handlers.service.job.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from handlers.manifest import FILENAME, Manifest
from handlers.service.accelerator import NoAcceleratorError
from handlers.service.app import service_app
from handlers.service.service import Service
from handlers.service.settings import ServiceSettings

_LOG = logging.getLogger(__name__)
_FORMAT = '{"level":"%(levelname)s","logger":"%(name)s","message":"%(message)s"}'


class _Server(uvicorn.Server):
    """uvicorn, which drains before it closes its sockets."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._draining = False
        self._drain: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn calls it
        """The first signal drains; a second one stops at once."""
        if self._draining:
            self.force_exit = self.should_exit = True
            return
        self._draining = True
        # a handler runs between two instructions of whatever runs: the loop must take it from there
        self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        _LOG.info("Draining: what was taken is answered")
        self._drain = self._loop.create_task(self._drain_and_exit())

    async def _drain_and_exit(self) -> None:
        await self._service.drain()
        self.should_exit = True


async def _run_server(folder: Path, settings: ServiceSettings) -> int:
    manifest = Manifest.read(folder)
    service = Service(manifest, folder, settings, load=None)
    config = uvicorn.Config(
        service_app(service, folder),
        host="0.0.0.0",  # noqa: S104 - a container is asked from outside
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )
    server = _Server(config, service)
    running = asyncio.create_task(server.serve())
    starting = asyncio.create_task(service.start())
    await asyncio.wait((running, starting), return_when=asyncio.FIRST_COMPLETED)
    failed = starting.exception() if starting.done() else None
    if failed is not None:
        _LOG.error("The model cannot be served: %s: %s", type(failed).__name__, failed)
        server.should_exit = True
    await running
    if not starting.done():
        starting.cancel()
    return 3 if failed is not None else 0


def main(argv: list[str]) -> int:
    """Serve until a signal, or score files; 2 for bad settings, 3 where model or device fail."""
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    logging.basicConfig(level=level, format=_FORMAT, stream=sys.stdout)
    batch = len(argv) == 3 and argv[0] == "batch"
    if argv not in ([], ["serve"]) and not batch:
        _LOG.error("No such command: %s. There are `serve` and `batch IN OUT`.", " ".join(argv))
        return 2
    folder = Path(__file__).resolve().parent.parent
    if not (folder / FILENAME).is_file():
        _LOG.error("%s does not lie beside handlers/: this is no built container", FILENAME)
        return 2
    try:
        if batch:
            from handlers.service import job

            return job.run(folder, argv[1], argv[2])
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run_server(folder, ServiceSettings.read()))
    except ValueError as error:
        _LOG.error("%s", error)
        return 2
    except NoAcceleratorError as error:
        _LOG.error("%s", error)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
