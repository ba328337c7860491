"""Libraries for the compressed store, and whether each loads from where it lands.

A library is loaded from below /tmp, where only what it is known to need lies beside it. So each is
loaded from there before it ships: alone in a process, and all of them in one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from packager.models import registered_model
from packager.pipeline.slim.native.library_needs import Needs, read_libraries, resolve_needs
from packager.system.resources import WORKERS
from packager.system.scratch import make_scratch
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import BuildPlan

_LOG = logging.getLogger(__name__)

_WORKER: Final = WORKERS / "load_stored_libraries.py"
_SECONDS: Final = 600


def read_needs(root: Path, files: Collection[str], plan: BuildPlan) -> Needs:
    """Read what each library of the tree loads on the target."""
    return resolve_needs(read_libraries(root, files), files, plan.target.tree.library_path)


def choose_libraries(
    needs: Needs, extensions: Collection[str], in_trees: Collection[str], stays: Collection[str]
) -> set[str]:
    """Extension modules that were not imported, and what they alone are linked to.

    What LD_LIBRARY_PATH leads to stays, as it does not lead below /tmp.
    """
    fixed = {*stays, *needs.by_environment}
    going = {path for path in extensions if path not in fixed} | {*in_trees}
    needers: dict[str, set[str]] = {}
    for path, needed in needs.direct.items():
        for each in needed:
            needers.setdefault(each, set()).add(path)
    while more := {
        path
        for path, by in needers.items()
        if path not in going and path not in fixed and by <= going
    }:
        going |= more
    return going


def load_libraries(
    root: Path, plan: BuildPlan, needs: Mapping[str, Collection[str]], stored: Collection[str]
) -> tuple[set[str], str]:
    """Load each stored library from below a temporary folder, as a miss would, in clean processes.

    Gives those that do not load, and what was done in a sentence. Raises ToolError where the
    target's Python fails.
    """
    libraries = sorted(path for path in stored if ".so" in path.rpartition("/")[2])
    if not libraries:
        return set(), "no library among them"
    if why_not_bootable(plan.request.target.architecture):
        why = "they are for another processor, and not loaded one by one"
        return {*libraries}, f"{len(libraries)} libraries stay beside it, as {why}"
    with make_scratch("load") as folder:
        asked = folder / "asked.json"
        asked.write_text(
            json.dumps({path: sorted(needs.get(path, ())) for path in libraries}), encoding="utf-8"
        )
        searched = ":".join(str(root / each) for each in plan.target.tree.library_path)
        done = registered_model.run(
            [plan.interpreter.path, "-I", "-B", _WORKER, root, asked],
            readable=(root, _WORKER, asked),
            network=False,
            more={"LD_LIBRARY_PATH": searched} if searched else {},
            timeout_seconds=_SECONDS,
        )
    said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    # what does not load first of all loads with those that load it, as libgfortran does
    with_others = {each for path in libraries if path not in said for each in needs.get(path, ())}
    failing = said.keys() - with_others
    for path in sorted(failing):
        _LOG.debug("Does not load from the store: %s: %s", path, said[path])
    loaded = len(libraries) - len(failing)
    return failing, f"{loaded} of {len(libraries)} libraries load from below /tmp"
