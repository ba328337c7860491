"""Take out of shared libraries what no loader reads; a library that then does not load is put back.

GNU strip does this wrongly for libraries that patchelf has touched (it exits 0 and they no longer
load), and no strip cuts out GPU code. See packager.system.elf.compact.py for what is kept.
"""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from packager.errors import ToolError
from packager.models import registered_model
from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.passes import Pass, account_for, check_wanted
from packager.system import elf
from packager.system.elf.compact import NotCompactableError, compact_library
from packager.system.resources import WORKERS
from packager.system.scratch import make_scratch
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import BuildPlan, Bundle, PassName

_LOG = logging.getLogger(__name__)

_GPU_CODE: Final = (".nv_fatbin",)
"""Read by CUDA's driver alone, which no function of a CPU target has."""
_WORKER: Final = WORKERS / "load_libraries.py"
_SECONDS: Final = 600
_KILLED: Final = f"the process ended with {-signal.SIGKILL}"
"""Of the worker: a library ends its process by many a signal, and never by this one."""


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Rewrite every library that gets smaller, and load each of them in a clean process."""
    originals: dict[Path, bytes] = {}
    left: dict[str, str] = {}
    for file in bundle.files:
        path = bundle.root / file.path
        if ".so" not in path.name or matches(file.path, plan.keep) or not elf.is_elf(path):
            continue
        check_wanted()
        data = path.read_bytes()
        try:
            smaller = compact_library(data, _GPU_CODE)
        except NotCompactableError as error:
            left[file.path.as_posix()] = str(error)
            _LOG.debug("Left as it is: %s: %s", file.path, error)
            continue
        if len(smaller) < len(data):
            originals[path] = data
            path.write_bytes(smaller)
    reverted, checked = _put_back_what_fails(bundle.root, originals, plan)
    proof = (
        f"{len(originals) - len(reverted)} libraries rewritten, every mapped byte the same; "
        f"{checked}" + (f"; {len(left)} left as they were" if left else "")
    )
    return account_for(
        bundle,
        PASS,
        proof=proof,
        reverted=tuple(path.relative_to(bundle.root).as_posix() for path in reverted),
    )


def _put_back_what_fails(
    root: Path, originals: dict[Path, bytes], plan: BuildPlan
) -> tuple[list[Path], str]:
    """Restore each library that no longer loads and did before; say what was checked."""
    if not originals:
        return [], "nothing to check"
    if why_not_bootable(plan.request.target.architecture):
        return [], "not loaded one by one, as they are for another processor"
    reverted: list[Path] = []
    failing = failures(originals, root, plan)
    for path in failing:
        path.write_bytes(originals[path])
    unrelated = set(failures(failing, root, plan)) if failing else set()
    for path in failing:
        if path in unrelated:
            # it does not load alone either way: that is not this pass's doing
            path.write_bytes(compact_library(originals[path], _GPU_CODE))
        else:
            reverted.append(path)
    loaded = len(originals) - len(failing)
    return reverted, f"{loaded} of {len(originals)} load in a clean process" + (
        f", {len(unrelated)} need another loaded first, as before" if unrelated else ""
    )


def failures(paths: Iterable[Path], root: Path, plan: BuildPlan) -> list[Path]:
    """Those that the target's Python cannot load, each tried in a process of its own.

    Raises ToolError where one of these was killed: how much memory was left decides no artifact.
    """
    with make_scratch("load") as folder:
        listed = folder / "libraries.txt"
        listed.write_text("".join(f"{path}\n" for path in sorted(paths)), encoding="utf-8")
        done = registered_model.run(
            [plan.interpreter.path, "-I", "-B", _WORKER, listed],
            readable=(root, _WORKER, listed),
            network=False,
            more={"LD_LIBRARY_PATH": f"{root}:{root / 'lib'}"},
            timeout_seconds=_SECONDS,
        )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    for path, said in found.items():
        if said == _KILLED:
            raise ToolError(
                f"Loading {Path(path).name} was ended by SIGKILL; the system may be out of memory. "
                "Close other programs, then build again."
            )
        _LOG.debug("Does not load alone: %s: %s", path, said)
    return [Path(path) for path in found]


PASS: Final = Pass(
    name=PassName.COMPACT,
    reason="debug symbols, section tables and GPU code in shared libraries are never mapped",
    apply=apply,
)
