"""Check of a build for a GPU: CUDA is in the tree once, and no framework is a CPU's."""

from __future__ import annotations

import re
from typing import Final

from packager.types import BuildPlan, Bundle, Check, Device, Finding

_RUNTIME: Final = re.compile(r"libcudart[-.0-9a-f]*\.so[.0-9]*")
_CPU_BUILD: Final = re.compile(r"(?:\+|\.)cpu$")


def check(bundle: Bundle, plan: BuildPlan) -> tuple[list[Finding], str]:
    """Findings, and the result in a sentence; neither where nothing is built for a GPU.

    Two copies of CUDA's runtime library are two CUDAs, which take gigabytes and may load beside
    each other.
    """
    if plan.device is Device.CPU:
        return [], ""
    found = sorted(str(f.path) for f in bundle.files if _RUNTIME.fullmatch(f.path.name))
    if len(found) == 1:
        return [], f"CUDA's runtime is there once: {found[0]}."
    if found:
        message = f"CUDA's runtime is there {len(found)} times: {', '.join(found)}."
        hint = "Pin frameworks that are built for one CUDA, as --driver chooses it."
        return [Finding(check=Check.CUDA, message=message, hint=hint)], ""
    cpu = [p.name for p in plan.lock.packages if _CPU_BUILD.search(p.version)]
    if not cpu:
        return [], "CUDA's runtime is no file of its own: XGBoost, for one, has it linked in."
    finding = Finding(
        check=Check.CUDA,
        message=f"The artifact cannot use a GPU: {', '.join(cpu)} is built for a CPU.",
        hint="Build with --device cpu, or list a CUDA build in the model's requirements.",
    )
    return [finding], ""
