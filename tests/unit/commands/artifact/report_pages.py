"""Documents that a page is made of, and a page taken apart."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import ColdStart, Distances, ImportedModule, LedgerEntry, Replay
from tests import fake_plan

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">'&lt;{{7*7}}\u2028\u202e"
DRIFT = {
    "source": "train.csv",
    "rows": 500,
    "inputs": [
        {
            "name": "age", "shares": [0.5, 0.25, 0.25], "edges": [30.0, 50.0], "low": 18.0,
            "high": 99.0, "categories": None, "known": [],
        },
        {
            "name": "town", "shares": [0.6, 0.3, 0.1], "edges": [], "low": None, "high": None,
            "categories": [7, 9], "known": [7, 9],
        },
        {
            "name": "empty", "shares": [], "edges": [], "low": None, "high": None,
            "categories": None, "known": [],
        },
    ],
    "predictions": [
        {
            "name": "answer", "shares": [0.5, 0.5], "edges": [0.5], "low": 0.0,
            "high": float("inf"), "categories": None, "known": [],
        }
    ],
}  # fmt: skip


def build(base: Path) -> Path:
    """An artifact's folder, with figures for every section but drift."""
    plan = fake_plan.plan()
    start = ColdStart(
        init_wall_ms=800.5, init_cpu_ms=350.25, first_invoke_ms=20.0, warm_invoke_ms=4.5,
        peak_rss_bytes=110_000_000, response_bytes=22, invoke_ms_by_rows={"1": 4.5, "100": 9.0},
    )  # fmt: skip
    apart = Distances(equal=2190, random=12, by_power={-9: 30, -7: 7})
    replayed = Replay(
        rows_compared=1018, requests_compared=41, unseen_rows=1209, cold_start=start,
        differences=apart,
    )  # fmt: skip
    evidence = replace(
        fake_plan.EVIDENCE,
        replay=replayed,
        declared_bytes=600_000_000,
        declared_start_cpu_ms=2376.0,
        imports={
            when: tuple(
                ImportedModule(name, depth, cpu / part)
                for name, depth, cpu in (
                    ("handlers.aws_lambda", 0, 300.0),
                    ("sklearn.tree", 1, 200.0),
                    ("scipy.sparse", 2, 120.0),
                    ("numpy", 2, 60.0),
                    ("json", 1, 12.0),
                    ("skops.io", 0, 40.0),
                )
            )
            for when, part in (("before", 1), ("after", 2))
        },
    )
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan), evidence)
    grown = LedgerEntry(
        name="bytecode", bytes_before=1000, bytes_after=1500, files_before=8, files_after=9,
        reason="compiled once", reverted=("a.py",), cpu_ms_saved=12.5,
    )  # fmt: skip
    bundle = replace(verified.bundle, ledger=(*verified.bundle.ledger, grown))
    verified = replace(verified, bundle=bundle)
    out = base / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


def read(folder: Path) -> tuple[Any, Any]:
    """evidence.json and report.json."""
    return tuple(
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("evidence.json", "report.json")
    )


def make_hostile(evidence: Any, report: Any) -> tuple[Any, Any, Any]:
    """The same, and a baseline, with a hostile text wherever the page shows one."""
    figures = {"schema_version", "front", "compute", "limits", "target", "content_type"}

    def rename(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            names = {"sizes", "before", "after", "checks", "reasons"}
            return {
                (f"{name}{HOSTILE}" if key in names - {"sizes"} else name): rename(each, name)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [rename(each) for each in value]
        return f"{value}{HOSTILE}" if isinstance(value, str) and key not in figures else value

    return rename(evidence), rename(report), rename(DRIFT)


@dataclass
class Parsed(HTMLParser):
    """Elements and the texts of scripts, styles and cells."""

    page: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._inside: list[str] = []
        self.feed(self.page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag not in {"meta", "link"}:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._inside[-2:]:
            self.texts[tag][-1] += data

    @property
    def charts(self) -> dict[str, Any]:
        return dict(json.loads(self.texts["script"][0]))

    @property
    def values(self) -> list[str]:
        """The figures of every cell and tile, as the documents have them."""
        return [given["data-value"] or "" for _, given in self.elements if "data-value" in given]
