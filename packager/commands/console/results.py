"""Results for a person, on stdout; what failed, on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from packager.commands.console import costs
from packager.commands.console.interruption import describe_left
from packager.commands.console.live_progress import is_watched
from packager.commands.console.printable import escape
from packager.commands.targets.fit import format_quantity, format_share
from packager.errors import PackagerError
from packager.system.redaction import escape_controls
from packager.types import (
    ArtifactAudit,
    ArtifactVerification,
    DemoResult,
    EngineRow,
    FollowEvent,
    FunctionVersions,
    Inspection,
    Invocation,
    LedgerRow,
    MachineReport,
    PlanRows,
    PushedWeights,
    ReportPage,
    ReportSummary,
    SignedArtifact,
    TargetRow,
)

_OUT: Final = Console(highlight=False, emoji=False)
_ERR: Final = Console(stderr=True, highlight=False, emoji=False)
_MB: Final = 1_000_000
_SHOWN: Final = 6
"""Files of a pass that are named."""
_STYLES: Final = {"works": "green", "needed": "red", "missing": "yellow"}


def show_batch(found: Mapping[str, Any]) -> None:
    items = found["items"]
    results = found.get("results", {})
    rows = {
        "items": f"{items.get('succeeded', 0):,} of {items.get('total', 0):,} succeeded, "
        f"{items.get('failed', 0):,} failed, in {found['seconds']:,} s",
        "output": found["output"],
        "manifest": found.get("manifest"),
        "results": [path for paths in results.values() for path in paths],
        "execution": found["execution"],
    }
    _pairs(f"Batch {found['status'].lower()}", rows)


def show_error(error: PackagerError) -> None:
    # a file's name may hold bytes that are no text
    text = str(error).encode("utf-8", "backslashreplace").decode()
    _ERR.print(f"[bold red]error[/] {escape(text)}", soft_wrap=True)


def show_interrupted() -> None:
    _ERR.print(escape(describe_left()), soft_wrap=True)


def size(count: float | None) -> str:
    """Bytes as decimal megabytes."""
    return "-" if count is None else f"{count / _MB:,.1f} MB"


def _write_ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _pairs(title: str, rows: Mapping[str, object]) -> None:
    if title:
        _OUT.print(f"[bold]{escape(title)}[/]")
    shown = {
        key: "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for key, value in rows.items()
        if value not in (None, "", [], ())
    }
    if not is_watched(_OUT):
        # for grep and copying: a digest or an address is never broken
        wide = max(map(len, shown), default=0)
        for key, text in shown.items():
            for number, line in enumerate(text.splitlines()):
                label = "" if number else key
                _OUT.print(f"{escape(label):<{wide}} {escape(line)}", soft_wrap=True)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, text in shown.items():
        table.add_row(key, escape(text))
    _OUT.print(table)


def _print_bullets(title: str, lines: list[str]) -> None:
    if lines:
        _OUT.print(f"\n[bold]{title}[/]")
        for line in lines:
            _OUT.print(f"  - {escape(line)}", soft_wrap=True)


def _print_commands(title: str, lines: Sequence[str]) -> None:
    """To be copied: no line is broken, and nothing stands before or after it."""
    _OUT.print(f"\n[bold]{title}[/]")
    for line in lines:
        _OUT.print(f"    {escape_controls(line)}", markup=False, soft_wrap=True)


_TIERS: Final = {
    "native": "without MLflow",
    "stub": "with a stand-in for MLflow",
    "skinny": "with mlflow-skinny",
}
"""Share of MLflow that an attempt ships, in words."""


def show_plan(found: PlanRows) -> None:
    """The first attempt in full; of the others what is different about them."""
    _pairs("Model", found["model"])
    given = [
        f"{each['option']} = {each['value']}, from {each['source']}"
        for each in found.get("options", [])
    ]
    _print_bullets("Options", given)
    said: set[str] = set()
    shown = ""
    for number, attempt in enumerate(found["attempts"], start=1):
        _OUT.print()
        when = f", if attempt {number - 1} fails" if number > 1 else ""
        tier = f"{attempt['tier']} tier ({_TIERS[attempt['tier']]})"
        heading = f"Attempt {number}{when}: {tier}, {attempt['frame']}"
        heading += ", what serving needs" if attempt["requirements"] == "serving" else ""
        facts = {key: attempt[key] for key in ("runtime", "platform", "interpreter", "packages")}
        if number > 1:
            again = {"packages": f"{attempt['packages'].count(',') + 1}"}
            facts = again if attempt["runtime"] == shown else {**facts, **again}
        shown = attempt["runtime"]
        _pairs(heading, facts)
        _print_bullets("Why", [reason for reason in attempt["reasons"] if reason not in said])
        said.update(attempt["reasons"])


def show_report(found: ReportSummary) -> None:
    evidence = found["evidence"]
    proven = "[bold green]proven[/]" if evidence["proven"] else "[bold yellow]UNPROVEN[/]"
    _OUT.print(f"{proven}  {escape(found['artifact']['folder'])}", soft_wrap=True)
    if reused := found["artifact"].get("reused"):
        _OUT.print(escape(reused), soft_wrap=True)
    if resolved := found["artifact"].get("resolved"):
        _OUT.print(escape(resolved), soft_wrap=True)
    _pairs("", found["summary"])
    _print_bullets("Tried before", evidence["tried"])
    _print_bullets("Notes", found["notes"])
    _print_ledger(found["ledger"])
    _print_largest(found)
    _print_targets(found)
    if "choice" in found:
        costs.print_choice(_OUT, found["choice"])
    if found.get("targets"):
        _print_bullets("Why this target", found["reasons"])
    _print_commands("Next", found["next"])


def _print_ledger(entries: Sequence[LedgerRow]) -> None:
    if not entries:
        return
    table = Table(title="\nWhat each pass saved", title_justify="left", box=None, pad_edge=False)
    for name in ("pass", "saved", "files", "CPU", "why"):
        table.add_column(name, justify="left" if name in {"pass", "why"} else "right")
    for entry in entries:
        saved = entry["bytes_before"] - entry["bytes_after"]
        files = entry["files_before"] - entry["files_after"]
        cpu = _write_ms(entry.get("cpu_ms_saved"))
        table.add_row(entry["name"], size(saved), f"{files:,}", cpu, escape(entry["reason"]))
    _OUT.print(table)
    _print_bullets("How it is known", [f"{entry['name']}: {entry['proof']}" for entry in entries])
    taken_back = [
        f"{entry['name']}: {_list_some(entry['reverted'])}"
        for entry in entries
        if entry["reverted"]
    ]
    _print_bullets("Taken back", taken_back)


def _list_some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    some = ", ".join(names[:_SHOWN])
    return f"{some} and {more:,} more; --json has all" if more > 0 else some


def _print_largest(found: Inspection | ReportSummary) -> None:
    if not found.get("largest"):
        return
    table = Table(title="\nLargest packages", title_justify="left", box=None, pad_edge=False)
    table.add_column("package")
    table.add_column("unzipped", justify="right")
    for name, count in found["largest"]:
        table.add_row(escape(name), size(count))
    _OUT.print(table)
    _OUT.print(escape(found["room"]), soft_wrap=True)


def show_inspection(found: Inspection) -> None:
    if "attempts" in found:
        show_plan({"model": found["model"], "attempts": found["attempts"]})
    else:
        _pairs("Artifact", found["summary"])
    _print_ledger(found["ledger"])
    _print_largest(found)
    _print_targets(found)
    if found.get("engines"):
        _print_engines(found["engines"])
    _print_bullets("Notes", found.get("notes", []))


def _format_figures(row: EngineRow) -> tuple[str, ...]:
    error = f"{row['max_abs_error']:.1e}, relative {row['max_rel_error']:.1e}"
    return (
        size(row["unzipped_bytes"]),
        size(row["zipped_bytes"]),
        "" if row["start_cpu_ms"] is None else _write_ms(row["start_cpu_ms"]),
        "" if row["peak_rss_bytes"] is None else size(row["peak_rss_bytes"]),
        "" if row["warm_invoke_ms"] is None else _write_ms(row["warm_invoke_ms"]),
        f"{error}, of {row['rows_compared']:,} rows",
    )


def _print_engines(rows: Sequence[EngineRow]) -> None:
    """Show the figures of what was built; without them, only what can be tried."""
    table = Table(title="\nEngines", title_justify="left", box=None, pad_edge=False)
    built = [row for row in rows if "unzipped_bytes" in row]
    names = ("unzipped", "zipped", "start CPU", "peak", "warm", "largest difference")
    for name in ("engine", "applies", *(names if built else ())):
        table.add_column(name)
    for row in rows:
        empty = ("",) * len(names) if built else ()
        figures = _format_figures(row) if row in built else empty
        table.add_row(row["engine"], row["applies"], *figures)
    _OUT.print(table)
    for row in rows:
        if row["why"]:
            _OUT.print(f"  {row['engine']}: {escape(row['why'])}", soft_wrap=True)
    if not built:
        _OUT.print("  inspect --engines builds with each, and measures.")


def show_invocation(found: Invocation) -> None:
    _OUT.print(escape(found["response"]), soft_wrap=True)
    for sent in found["sent"]:
        _OUT.print(escape(f"sent to {sent['to']}: {sent['body']}"), soft_wrap=True)
    warm = "" if found["warm_ms"] is None else f"median warm {_write_ms(found['warm_ms'])}, "
    timing = (
        f"init {_write_ms(found['init_wall_ms'])}, first {_write_ms(found['first_ms'])}, "
        f"{warm}peak memory {size(found['peak_rss_bytes'])}"
    )
    _ERR.print(f"[dim]{timing}[/]")
    if found["refused"]:
        _ERR.print("[bold red]refused[/]")
    elif found["failed"]:
        _ERR.print(f"[bold red]failed[/]\n{escape(found['log'])}", soft_wrap=True)


def show_cache(found: dict[str, Any]) -> None:
    """Show the room that each kind of entry takes."""
    _OUT.print(escape(found["folder"]), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("kind", "entries", "size", "in use", "last used"):
        table.add_column(name, justify="left" if name in {"kind", "last used"} else "right")
    for row in found["kinds"]:
        counts = (str(row["entries"]), size(row["size_bytes"]), str(row["in_use"]))
        table.add_row(escape(row["kind"]), *counts, row["last_used"])
    _OUT.print(table)
    _OUT.print(f"{size(found['size_bytes'])} in all")


def show_machine(found: MachineReport) -> None:
    """Show each check, then what is lost without those that failed and how to get them."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        # a path is never cut short, however narrow the terminal is
        table.add_column(overflow="fold")
    for row in found["checks"]:
        state = "works" if row["works"] else "needed" if row["needed"] else "missing"
        word = f"[{_STYLES[state]}]{state}[/]"
        table.add_row(escape(row["name"]), word, escape(row["found"]))
    _OUT.print(table)
    for row in found["checks"]:
        if not row["works"]:
            _OUT.print(f"\n[bold]{escape(row['name'])}[/]: without it {escape(row['lost'])}.")
            _OUT.print(f"  To get it: {escape(row['remedy'])}", soft_wrap=True)
    ready = "This machine can build." if found["ready"] else "This machine cannot build yet."
    _OUT.print(f"\n{ready}")


def show_removed(found: dict[str, Any]) -> None:
    """Show what went, and what stayed because a build uses it."""
    for name in found["removed"]:
        _OUT.print(f"removed {escape(name)}", soft_wrap=True)
    for name in found["kept"]:
        _OUT.print(f"kept {escape(name)}: in use, or not yours to remove", soft_wrap=True)
    _OUT.print(f"{size(found['freed_bytes'])} freed")


def show_checked(found: dict[str, Any]) -> None:
    """The entries that were damaged, and what became of them."""
    for row in found["damaged"]:
        gone = "removed" if row["name"] in found["removed"] else "it stays: in use, or not yours"
        line = f"[red]damaged[/] {escape(row['name'])}: {escape(row['why'])} ({gone})"
        _OUT.print(line, soft_wrap=True)
    _OUT.print(f"{found['checked']} entries read, {len(found['damaged'])} damaged")


def show_page(found: ReportPage) -> None:
    """Show where an artifact's page lies."""
    _OUT.print(escape(found["page"]), soft_wrap=True)


def show_verification(found: ArtifactVerification) -> None:
    """Show what was checked, all of which passed."""
    _OUT.print(f"[bold green]verified[/]  {escape(found['folder'])}", soft_wrap=True)
    names = [check["name"] for check in found["checks"]]
    rows = {
        "function": found["sha256"],
        "report.json": found["report_sha256"],
        "checked": ", ".join(names),
    }
    _pairs("", rows)
    _print_bullets("Notes", found["notes"])


def show_audit(found: ArtifactAudit) -> None:
    """Show what is known of an artifact's packages, nothing of which counts."""
    audit = found["audit"]
    _OUT.print(f"[bold green]audited[/]  {escape(found['folder'])}", soft_wrap=True)
    rows = {
        "function": found["sha256"],
        "asked": f"{audit['source']} about {audit['packages']} packages, {audit['day']}",
        "known": f"{len(audit['vulnerabilities'])} vulnerabilities, none of which counts",
    }
    _pairs("", rows)
    for each in audit["vulnerabilities"]:
        name = f"{each['id']} ({each['package']} {each['version']}, {each['severity']})"
        _OUT.print(escape(f"  {name}: {each['detail']}"), soft_wrap=True)
    unknown = [
        f"{each['package']}: no licence that can be judged" for each in found["licences"]["unknown"]
    ]
    _print_bullets("Notes", [*audit["notes"], *unknown])


def show_signed(made: SignedArtifact) -> None:
    """Show by which key what was stated."""
    _OUT.print(f"[bold green]signed[/]  {escape(made['folder'])}", soft_wrap=True)
    rows = {
        "file": made["file"],
        "key": f"{made['key']} ({made['scheme']})",
        "states": ", ".join(made["statements"]),
    }
    _pairs("", rows)
    for name, value in made["parameters"].items():
        _OUT.print(
            f"To demand it of each new version: sam deploy --parameter-overrides {name}={value}",
            soft_wrap=True, highlight=False,
        )  # fmt: skip
    _print_bullets("Notes", made["notes"])


def show_pushed_weights(found: PushedWeights) -> None:
    """Show what was sent of each file, and what to deploy with."""
    for row in found["files"]:
        sent = f"{size(row['sent_bytes'])} sent" if row["sent_bytes"] else "there already"
        path, whole = escape(row["path"]), size(row["size_bytes"])
        _OUT.print(f"{path}: {whole}, {sent}", soft_wrap=True, highlight=False)
    told = " ".join(f"{name}={value}" for name, value in found["parameters"].items())
    _OUT.print(f"Deploy with: sam deploy --guided --parameter-overrides {told}", soft_wrap=True)


def show_versions(found: FunctionVersions) -> None:
    """Show each version and its share of the requests."""
    title = f"Versions of {found['function']}, alias {found['alias']}"
    table = Table(title=escape(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("version", justify="right")
    table.add_column("traffic", justify="right")
    table.add_column("published")
    table.add_column("description", overflow="fold")
    for row in found["versions"]:
        here = " (this artifact)" if row["this_artifact"] else ""
        share = f"{row['percent']:g} %" if row["percent"] else "-"
        table.add_row(
            row["version"], share, row["published"], escape(row["description"]) + here,
            style="" if row["percent"] else "dim",
        )  # fmt: skip
    _OUT.print(table)


_STEPS: Final = {
    "started": "Following {model}@{alias}; what deploys: {deploys}",
    "listening": "Taking deliveries at {address}",
    "webhook": "MLflow says that the alias moved",
    "unchanged": "Version {version} is deployed",
    "building": "Building version {version}",
    "superseded": "Version {version} is not deployed: the alias names {by} by now",
    "deploying": "Deploying version {version}",
    "deployed": "Version {version} is deployed now",
    "tagged": "Version {version} has the tag",
    "skipped": "Version {version} failed before ({stage}: {error}) and is not tried now",
    "failed": "Failed ({stage}: {error})",
}


def show_step(found: FollowEvent) -> None:
    """Show one step of a follower as a line; an error's own words go to stderr."""
    line = _STEPS[found["event"]].format(**found)
    ends = {
        "retry_at": "the next try is at {}",
        "serving": "version {} was deployed last",
    }
    if found["event"] == "failed" and found.get("stage") == "deploy" and "serving" not in found:
        line += "; no version is known to have been deployed before"
    more = [text.format(found[key]) for key, text in ends.items() if key in found]  # type: ignore[literal-required]
    if "version" in found and found["version"] not in line:
        more.insert(0, f"version {found['version']}")
    _OUT.print(escape("; ".join([f"{found['time']}  {line}", *more])), soft_wrap=True)
    if found["event"] == "failed":
        text = found["message"].encode("utf-8", "backslashreplace").decode()
        _ERR.print(f"[bold red]error[/] {escape(text)}", soft_wrap=True)


def show_demo(found: DemoResult) -> None:
    table = Table(title="From the registry to a function that answers", title_justify="left")
    table.add_column("")
    table.add_column("as declared", justify="right")
    table.add_column("artifact", justify="right")
    table.add_column("ratio", justify="right")
    for row in found["table"]:
        table.add_row(*(escape(str(cell)) for cell in row))
    _OUT.print(table)
    for door in found["doors"]:
        _OUT.print(f"  [green]{door['status']}[/] {door['door']}: {escape(door['answer'])}")
    _pairs("\nProof", found["proof"])
    _print_commands("What to type next", found["next"])


def _print_targets(found: Inspection | ReportSummary) -> None:
    """Show what each way of running it would cost, and which targets take it by how much."""
    if not found.get("targets"):
        return
    costs.print_costs(_OUT, found["targets"])
    _print_margins(found["targets"])
    for row in found["targets"]:
        lines = [reason for reason in row["reasons"] if reason not in row["margins"]]
        _print_bullets(row["target"], [*lines, f"cost: {row['reckoned']}"])


def _print_margins(rows: Sequence[TargetRow]) -> None:
    """Every limit of every target beside what was measured."""
    table = Table(title="\nMargins", title_justify="left", box=None, pad_edge=False)
    for name in ("target", "limit", "measured", "allowed", "margin"):
        table.add_column(name, justify="left" if name in {"target", "limit"} else "right")
    for row in rows:
        for number, each in enumerate(row["ceilings"]):
            table.add_row(
                "" if number else row["target"],
                each["what"],
                format_quantity(each["used"], each["unit"]),
                format_quantity(each["limit"], each["unit"]),
                f"[{'green' if each['fits'] else 'red'}]{format_share(each['left'])}[/]",
            )
    _OUT.print(table)
    if any(each["unit"] != "MB" for row in rows for each in row["ceilings"]):
        _OUT.print("start and answer: time on one whole CPU of this machine", style="dim")
