"""One copy of the model a device: loaded, found to be there, quickened as asked, warmed up."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from handlers.container_server import acceleration, accelerator, warmup
from handlers.container_server.runner import Runner
from handlers.container_server.settings import ServiceSettings
from handlers.manifest import Manifest
from handlers.scoring import predictor
from handlers.scoring.errors import ScoringError
from handlers.scoring.request_parsing import JSON
from handlers.scoring.scorer import Checked, Scorer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_LOG = logging.getLogger(__name__)
Load: TypeAlias = "Callable[[Manifest, Path], predictor.Predictor]"


@dataclass(frozen=True)
class Copy:
    """On one device; nothing was run on it yet where `warm` is None."""

    device: str
    placed: str
    """Where the model says that it is."""
    predictor: predictor.Predictor
    scorer: Scorer
    proof: acceleration.Proof = acceleration.PLAIN
    warm: warmup.Warm | None = None

    def runner(self) -> Runner:
        return Runner(self.scorer.predict, 1 if self.warm is None else self.warm.batch_rows)


def load(manifest: Manifest, folder: Path, device: str, loader: Load) -> Copy:
    """Raises what the loader raises, and NoAcceleratorError where the model is elsewhere."""
    before = _used_bytes(device)
    with accelerator.loading_on(device):
        found = loader(manifest, folder)
    placed = accelerator.confirm(found, device, _used_bytes(device) - before)
    return Copy(device, placed, found, Scorer(manifest, found))


def warm(copy: Copy, example: Checked | None, settings: ServiceSettings) -> Copy:
    """The copy with every size of batch run. Raises ScoringError where it cannot answer its own."""
    quick, proof = acceleration.accelerate_model(copy.predictor, copy.scorer, example, settings)
    if quick is not copy.predictor:
        copy = replace(copy, predictor=quick, scorer=Scorer(copy.scorer.manifest, quick))
    index = copy.device.partition(":")[2]
    memory = functools.partial(accelerator.memory, int(index)) if index else _ignore_memory
    alike = functools.partial(acceleration.alike, settings=settings) if proof.used else None
    rows = settings.batch_rows
    found = warmup.warm_up(copy.scorer.predict, example, rows, memory, alike)
    return replace(copy, proof=proof, warm=found)


def example(scorer: Scorer, folder: Path) -> Checked | None:
    """The request that was saved with the model, as the model is handed it."""
    if scorer.manifest.example is None:
        return None
    try:
        return scorer.read((folder / scorer.manifest.example).read_bytes(), JSON)
    except (OSError, ScoringError) as error:
        _LOG.warning(
            "The saved example cannot be read, so the model is not warmed up with it: %s", error
        )
        return None


def _used_bytes(device: str) -> int:
    """Read how much of a GPU's memory is used; 0 for a CPU."""
    held = None if device == "cpu" else accelerator.memory(int(device.partition(":")[2]))
    return 0 if held is None else held.used


def _ignore_memory() -> None:
    """A CPU's memory is the machine's: what it holds says nothing of a batch."""
