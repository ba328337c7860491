"""Layout of the folder that is deployed, from a slimmed tree."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from packager.system import destination_uri, file_tree, resources
from packager.system.templates import render
from packager.types import BuildPlan


def entry_files(plan: BuildPlan) -> dict[str, str]:
    """Return what the target wants beside the tree: names in the deployed folder, and texts."""
    folder = resources.TEMPLATES / plan.target.deployment.templates / "_function"
    if not folder.is_dir():
        return {}
    seconds = plan.request.target.timeout_seconds or plan.target.limits.timeout_seconds
    pinned = [(p.name, p.version) for p in plan.lock.packages]
    values = {
        "timeout": f"{timedelta(seconds=seconds)!s:0>8}",
        "pinned": pinned,
        "events": plan.request.events.sources,
        "output": destination_uri.of(plan),
        "opentelemetry": plan.request.http.opentelemetry,
    }
    return render([folder], values, {})


def lay_out(root: Path, plan: BuildPlan, folder: Path) -> Path:
    """The folder as it is deployed: `root` where the tree is all of it, else links to it.

    Raises OSError where the disk is full or takes no hard links.
    """
    home = folder / plan.target.tree.home
    if home == folder:
        return root
    for relative in file_tree.walk(root):
        (home / relative).parent.mkdir(parents=True, exist_ok=True)
        os.link(root / relative, home / relative)
    for name, text in entry_files(plan).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
