"""report.html: an artifact's evidence as one page that asks nothing of anybody.

Its scripts and its style are in the page, and the page's own policy allows these alone, by their
digests: https://www.w3.org/TR/CSP3/#framework-directive-source-list. Names of others are text.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.report_page.figures import (
    format_bytes,
    format_ms,
    show_controls,
)
from packager.commands.artifact.report_page.sections import Cell, Documents, Section
from packager.commands.artifact.report_page.views import list_sections
from packager.commands.artifact.report_values import read_amount, read_count, read_text
from packager.system import resources
from packager.types import Json

if TYPE_CHECKING:
    import jinja2

PAGE: Final = "report.html"
_FOLDER: Final = resources.TEMPLATES / "_report"


def render_page(
    evidence: Json,
    report: Json,
    drift: Json = None,
    *,
    example: bytes | None = None,
    facts_dir: Path | None = None,
    problems: Sequence[str] = (),
) -> str:
    """Render the page of evidence.json, report.json and drift.json, the same each time.

    `example` is the request that was saved with the model, `facts_dir` the user's own facts,
    `problems` how the artifact is not as it was built.
    Raises LookupError, TypeError, AttributeError or ValueError for what no build writes.
    """
    report = show_controls(report)
    documents = Documents(show_controls(evidence), report, show_controls(drift), example, facts_dir)
    proven = report["proven"] is True
    return render_sections(
        Head(
            title=f"{read_text(report['name'])} {read_text(report['version'])}".strip(),
            verdict="changed" if problems else "proven" if proven else "unproven",
            is_good=proven and not problems,
            warning=_warn_of(problems),
            facts=_list_facts(documents),
            tiles=_summarize(documents),
            made_of="this artifact's evidence.json and report.json",
        ),
        list_sections(documents),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Top of a page, and what the page says of itself at the end."""

    title: str
    verdict: str
    is_good: bool
    facts: Mapping[str, str]
    tiles: Sequence[tuple[str, Cell, str]]
    """Figures, each with its title and a remark."""
    made_of: str
    warning: str = ""
    """Stands before everything else."""


def render_sections(head: Head, sections: Sequence[Section]) -> str:
    """Render a page of texts in which `show_controls` left no character that hides another."""
    from markupsafe import Markup  # noqa: PLC0415 - most commands make no page

    scripts = [_read(name) for name in ("charts.js", "page.js")]
    style = _read("page.css")
    data = {chart.key: chart.data for section in sections for chart in section.charts}
    return _make_template(_read("page.html.j2")).render(
        policy=make_policy(scripts, style),
        head=head,
        sections=sections,
        data=Markup(embed_json(data)),  # noqa: S704 - no character of HTML is left in it
        scripts=[Markup(each) for each in scripts],  # noqa: S704 - our own files
        style=Markup(style),  # noqa: S704
    )


@functools.lru_cache(maxsize=1)
def _make_template(text: str) -> jinja2.Template:
    import jinja2  # noqa: PLC0415

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)


def make_policy(scripts: list[str], style: str) -> str:
    """Content security policy under which these scripts run, and no request is made.

    The chart library sets styles of its own shapes; an attribute can ask nothing of anybody.
    """
    allowed = " ".join(map(_digest, scripts))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed}",
            f"style-src {_digest(style)}",
            "style-src-attr 'unsafe-inline'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def embed_json(value: Mapping[str, object]) -> str:
    """JSON that cannot end the element it is in, whatever its texts are."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    made = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{made}'"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _warn_of(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return (
        "This artifact is not as it was built, so that figures on this page may be made up: "
        f"{show_controls(problems[0])}{more} Run packager verify on it."
    )


def _summarize(documents: Documents) -> list[tuple[str, Cell, str]]:
    """Figures at the top, each with its title and a remark."""
    evidence, report = documents.evidence, documents.report
    found, cold = evidence["evidence"], evidence["evidence"]["cold_start"]
    unzipped, zipped = read_count(report["unzipped_bytes"]), read_count(report["zipped_bytes"])
    declared = read_amount(found.get("declared_bytes"))
    error = read_amount(found["max_abs_error"]) or 0.0
    rows = read_count(found["rows_compared"]) + read_count(found.get("unseen_rows", 0))
    differ = f"{read_count(found['mismatches']):,} differ"
    size = Cell(format_bytes(unzipped), unzipped)
    tiles = [("Size, unzipped", size, f"{format_bytes(zipped)} zipped")]
    if declared and unzipped:
        smaller, remark = Cell(f"{declared / unzipped:,.1f} times"), "as the model declares it"
        tiles.append(("Smaller than declared", smaller, f"{format_bytes(declared)} {remark}"))
    if cold is not None:
        init, warm = read_amount(cold["init_cpu_ms"]) or 0.0, read_amount(cold["warm_invoke_ms"])
        start = Cell(format_ms(init), init)
        tiles.append(("Start, CPU", start, f"then {format_ms(warm or 0.0)} an answer"))
    tiles.append(("Rows compared", Cell(f"{rows:,}", rows), differ))
    difference = Cell(f"{error:.3g}", error)
    tiles.append(("Largest difference", difference, "between the two sides' answers"))
    return tiles


def _list_facts(documents: Documents) -> dict[str, str]:
    evidence, report = documents.evidence, documents.report
    target, attempt = report["target"], evidence["attempt"]
    return {
        "Model": read_text(evidence["model"]["uri"]),
        "Target": f"{read_text(target['name'])}, {read_text(target['runtime'])}, "
        f"{read_text(target['architecture'])}",
        "Engine": read_text(attempt["engine"]),
        "Artifact": read_text(evidence["artifact"]["sha256"]),
        "Model's digest": read_text(evidence["model"]["digest"]),
        "packager": read_text(report["packager"]),
    }
