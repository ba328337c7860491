"""Distributions that declare a group of entry points, in an environment's folder."""

from __future__ import annotations

from pathlib import Path

from packager.environments.entry_points import list_declaring


def _install(folder: Path, name: str, entry_points: str) -> None:
    info = folder / "lib" / "python3.12" / "site-packages" / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if entry_points:
        (info / "entry_points.txt").write_text(entry_points)


def test_each_is_listed_with_the_first_of_the_groups_that_it_declares(tmp_path: Path) -> None:
    _install(tmp_path, "Own.Plugin", "[own.kinds]\na = own:a\n\n[own.colours]\nb = own:b\n")
    _install(tmp_path, "plain", "")
    _install(tmp_path, "other", "[own.colours]\nc = other:c\n")
    _install(tmp_path, "tool", "[console_scripts]\nown.kinds = tool:main\n")
    python = tmp_path / "bin" / "python"
    assert list_declaring(python, ["own.kinds"]) == {"own-plugin": "own.kinds"}
    assert list_declaring(python, ["own.kinds", "own.colours"]) == {
        "other": "own.colours", "own-plugin": "own.colours"
    }  # fmt: skip
    assert list_declaring(python, []) == {}
    assert list_declaring(tmp_path / "no" / "bin" / "python", ["own.kinds"]) == {}
