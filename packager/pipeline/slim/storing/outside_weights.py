"""Move the model's large data files out of the tree that is deployed, once it is slimmed.

Every pass before sees the model whole: what it loads decides what stays. The function is proven
with its weights outside, as it is deployed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from handlers.manifest import FILENAME, Manifest
from packager.errors import PlanError
from packager.pipeline import sizes
from packager.pipeline.slim.passes import drop_empty_folders, read_records
from packager.types import BuildPlan, Bundle, FileRecord, Weights

_LOG = logging.getLogger(__name__)
FOLDER: Final = "weights"


def move_out(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Put them beside the tree, each called by its sha256, and list them in the manifest.

    The tree stays as it is where no file is one, and where all fits and the plan leaves it to that.
    Raises PlanError for one that no loader would find on a mounted file system.
    """
    wanted = plan.request.target.weights
    if wanted is Weights.PACKAGE:
        return bundle
    found = sizes.list_weights(bundle, plan)
    limit = plan.target.limits.unzipped_bytes
    if not found or (wanted is Weights.AUTO and bundle.size_bytes <= limit):
        return bundle
    way = plan.weights_way
    if way is Weights.MOUNT:
        _refuse_linked_data(bundle, found)
    manifest = Manifest.read(bundle.root)
    folder = bundle.root.parent / FOLDER
    folder.mkdir(exist_ok=True)
    weights = []
    for file in found:
        inside = file.path.relative_to(manifest.model_path)
        (bundle.root / file.path).replace(folder / file.sha256)
        (folder / file.sha256).chmod(0o644)
        weights.append(FileRecord(inside, file.sha256, file.size_bytes))
    drop_empty_folders(bundle.root / manifest.model_path)
    listed = replace(manifest, weights=list(map(_describe, weights)), weights_from=way.value)
    (bundle.root / FILENAME).write_text(listed.text(), encoding="utf-8")
    moved = replace(
        bundle,
        files=read_records(bundle.root),
        weights=tuple(weights),
        weights_root=folder,
    )
    _LOG.info(
        "Weights that lie outside of the function: %d, of %.1f MB",
        len({each.sha256 for each in weights}), moved.outside_bytes / 1e6,
    )  # fmt: skip
    return moved


def _refuse_linked_data(bundle: Bundle, found: Iterable[FileRecord]) -> None:
    """Raises PlanError for a graph's external data: onnxruntime 1.26 follows no link to it.

    A mounted file is linked to from the model's folder, a fetched one lies there.
    """
    graphs = {each.path.parent for each in bundle.files if each.path.suffix == ".onnx"}
    beside = [f.path for f in found if f.path.parent in graphs and f.path.suffix != ".onnx"]
    if beside:
        raise PlanError(
            f"--weights mount: {beside[0]} lies beside an ONNX graph, and onnxruntime takes a "
            "graph's data from the graph's own folder alone, through no link. Build with --weights "
            "fetch for aws-lambda, or for another target."
        )


def _describe(file: FileRecord) -> dict[str, str | int]:
    return {
        "path": file.path.as_posix(),
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
    }
