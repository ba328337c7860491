"""Check for packages that the artifact's host would then run on, and break."""

from __future__ import annotations

from packaging.version import Version

from packager.types import BuildPlan, Check, Finding, Shadow


def check(plan: BuildPlan) -> tuple[list[Finding], str]:
    """Findings, and the result in a sentence; "" where the target has nothing to shadow."""
    relevant = [
        shadow
        for shadow in plan.target.tree.shadows
        if Version(plan.runtime.python_minor) < Version(shadow.below_python)
    ]
    findings = [
        _finding(shadow, version)
        for shadow in relevant
        if (version := plan.lock.version(shadow.name)) is not None
        and Version(version) < Version(shadow.least)
    ]
    if not relevant:
        return findings, ""
    names = ", ".join(f"{shadow.name} {shadow.least}" for shadow in relevant)
    return findings, f"Nothing older than {names} is brought, which the host would run on."


def _finding(shadow: Shadow, version: str) -> Finding:
    return Finding(
        check=Check.SHADOWING,
        message=f"{shadow.name} {version} is brought: {shadow.why} ({shadow.source}).",
        hint=shadow.hint,
    )
