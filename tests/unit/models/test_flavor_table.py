"""The table of docs/flavors.md says what builds reported, and nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models import flavor_table


def kept(folder: Path, name: str, **changes: Any) -> None:
    found = {
        "flavor": "catboost",
        "target": "aws-lambda",
        "instead": None,
        "tier": "native",
        "frame": "pandas",
        "zipped_bytes": 79_811_086,
        "unzipped_bytes": 238_030_514,
        "proven": True,
        "rows_compared": 1025,
        "max_abs_error": 0.0,
        "cold_start": {"init_cpu_ms": 510.0},
        **changes,
    }
    (folder / f"{name}.json").write_text(json.dumps(found))


def test_a_row_for_each_artifact_in_order(tmp_path: Path) -> None:
    kept(tmp_path, "z")
    kept(tmp_path, "a", flavor="spacy", proven=False, cold_start=None)
    kept(tmp_path, "m", flavor="pytorch", zipped_bytes=None, instead="aws-lambda-image")
    *_, first, second, third = flavor_table.table(tmp_path).splitlines()
    assert first == (
        "| catboost | z | aws-lambda | native, pandas | 79.8 MB | 238.0 MB | 0.5 s | 1,025 | 0 |"
    )
    assert "| pytorch | m | too large; aws-lambda-image | native, pandas | none |" in second
    assert "| not measured | unproven |" in third


def test_only_what_stands_between_the_markers_changes() -> None:
    text = f"before\n{flavor_table.START}\nold\n{flavor_table.END}\nafter\n"
    made = flavor_table.put(text, "new")
    assert made == text.replace("old", "new")
    assert flavor_table.put(made, "new") == made


def test_a_text_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers"):
        flavor_table.put("text", "new")


def test_no_evidence_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no evidence"):
        flavor_table.table(tmp_path)


def test_the_page_has_the_markers() -> None:
    text = flavor_table.PAGE.read_text(encoding="utf-8")
    assert flavor_table.put(text, "new") != text
