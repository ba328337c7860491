"""What is printed can be copied and typed."""

from __future__ import annotations

import logging
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from packager.commands import console
from packager.commands.console import results
from packager.commands.inspect import list_ledger
from packager.commands.targets.selection import list_verdicts, verdicts_of
from packager.commands.targets.workload import Measured, Workload
from packager.errors import ConfigurationError
from packager.system.resources import own_command
from packager.types import AttemptRow, Inspection, LedgerEntry, Tier


def test_into_a_pipe_no_value_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    long, listed = "ab" * 100, ["x" * 90, "y"]

    results._pairs("Title", {"digest": long, "empty": "", "names": listed})

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Title", f"digest {long}", f"names  {listed[0]}", "       y"]


def test_the_command_to_type_is_one_that_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "packager"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")

    assert own_command() == "bin/packager"
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command() == "packager"


def test_the_ledger_says_what_was_saved_how_it_is_known_and_what_was_taken_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = LedgerEntry(
        name="defer",
        bytes_before=5_000_000,
        bytes_after=2_000_000,
        files_before=30,
        files_after=10,
        reason="imported, never used",
        proof="replayed",
        reverted=("sklearn/tree",),
        cpu_ms_saved=120.4,
    )
    many = replace(entry, name="cold", reverted=tuple(f"{each}.so" for each in range(150)))
    found: Inspection = {
        "summary": {},
        "ledger": list_ledger([entry, replace(entry, name="prune", cpu_ms_saved=None), many]),
        "largest": [("scipy", 50_000_000)],
        "room": "62.1 MB are left.",
    }

    console.show_inspection(found)

    lines = capsys.readouterr().out.splitlines()
    (defer,) = (line for line in lines if line.startswith("defer"))
    assert defer.split()[1:6] == ["3.0", "MB", "20", "120", "ms"]
    (prune,) = (line for line in lines if line.startswith("prune"))
    assert prune.split()[4] == "-"
    assert "  - defer: replayed" in lines
    assert "  - defer: sklearn/tree" in lines
    first = "0.so, 1.so, 2.so, 3.so, 4.so, 5.so"
    assert f"  - cold: {first} and 144 more; --json has all" in lines
    assert "62.1 MB are left." in lines


def test_margins_are_one_table_in_units_that_people_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = Measured(
        unzipped_bytes=84_123_456,
        memory_bytes=301_234_567,
        init_seconds=0.6123456789,
        answer_seconds=0.00123456789,
        request_bytes=512,
        response_bytes=7_000_001,
    )

    targets = list_verdicts(verdicts_of(measured, Workload()))
    console.show_inspection({"summary": {}, "ledger": [], "targets": targets})

    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "aws-lambda unpacked 84.1 MB 262 MB 68 % left" in lines
    assert "start 612 ms 130 s >99 % left" in lines
    assert "…" not in out
    assert "answer 1.2 ms 1,800 s >99 % left" in lines
    assert "request 512 bytes 6.3 MB >99 % left" in lines
    assert "answer's body 7 MB 6.3 MB 11 % over" in lines
    assert not re.search(r"\d\.\d{3}", out.partition("Margins")[2].partition("\n\n")[0])
    assert (
        max(len(line) for line in out.partition("Margins")[2].split("\n\n")[0].splitlines()) <= 80
    )
    # what a program reads is whole
    ceiling = targets[0]["ceilings"][0]
    assert (ceiling["what"], ceiling["used"], ceiling["unit"]) == ("unpacked", 84.123456, "MB")


def test_costs_are_one_table_the_cheapest_target_that_fits_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = Measured(
        unzipped_bytes=300_000_000,
        memory_bytes=301_234_567,
        init_seconds=0.6,
        answer_seconds=0.005,
        seconds_by_rows={1: 0.005, 10: 0.007},
    )
    targets = list_verdicts(verdicts_of(measured, Workload(requests_per_second=0.01, rows=10)))
    console.show_inspection({"summary": {}, "ledger": [], "targets": targets})

    out = capsys.readouterr().out
    table = out.partition("Targets")[2].partition("compute, HTTP")[0].splitlines()
    lines = [" ".join(line.split()) for line in table]
    named = [line for line in lines if line.endswith((" yes", " no"))]
    assert named == [
        "aws-lambda-image yes", "azure-functions yes", "gpu-container yes", "aws-lambda no",
    ]  # fmt: skip
    dollars = [float(line.split()[-1].rstrip("?").replace(",", "")) for line in lines[3:6]]
    assert dollars == sorted(dollars)
    assert max(map(len, table)) <= 80
    assert "…" not in out
    assert "?: a price in it was not read at its vendor's page" in out
    assert "for 26,280 requests a month of 10 rows, 0.01 a second\n" in out
    assert "price of on demand, SnapStart, provisioned: https://aws.amazon.com/lambda/" in out
    assert "price of HTTP endpoint: https://docs.aws.amazon.com/whitepapers/" in out
    assert re.search(r"price of g5.xlarge: .*, read more than 90 days ago\n", out)
    assert "old_prices" in targets[0]["ways"][0]
    assert "cold: an instance is taken to be gone after 10 min without a request" in out
    assert "512 MB for 24.2 ms a request of 10 rows (measured), 0.0" not in out
    assert "of 10 rows (measured)" in out


def test_millions_of_dollars_fit_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measured(
        unzipped_bytes=1, memory_bytes=1 << 29, init_seconds=0.6, answer_seconds=0.5, rows=1
    )
    asked = Workload(requests_per_second=1e6, rows=1000)
    console.show_inspection(
        {"summary": {}, "ledger": [], "targets": list_verdicts(verdicts_of(measured, asked))}
    )

    out = capsys.readouterr().out
    table = out.partition("Targets")[2].partition("for 2,628,000,000,000 requests")[0]
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"on demand +x86 +<0.001 % +[\d,]+M", table)
    assert re.search(r"[\d,]+ instances at work at once on average", out)


def test_of_a_model_that_was_only_planned_there_is_one_margin_a_target(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = list_verdicts(
        verdicts_of(Measured(unzipped_bytes=10**12, needs_gpu="it asks for one"), Workload())
    )
    console.show_inspection({"summary": {}, "ledger": [], "targets": found})

    out = capsys.readouterr().out
    assert out.count(" % over") == len(found)
    assert "no GPU, and it asks for one" in out


def test_counts_that_follow_each_other_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("packager.some")
    with console.progress(verbose=False):
        log.info("Compressing")
        for at in range(100):
            log.info("Compressing block %d of 100", at + 1, extra={"counted": True})
        log.info("Done")
    said = capsys.readouterr().err.splitlines()
    assert [line.split("s  ", 1)[1] for line in said] == ["Compressing", "Done"]


def test_a_count_is_told_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with console.progress(verbose=False):
        for at in range(10):
            logging.getLogger("packager").info("%d of 10", at + 1, extra={"counted": True})
    said = capsys.readouterr().err.splitlines()
    assert 2 <= len(said) <= 5
    assert said[0].endswith(" of 10")


_ORDERS = ":cat: a\x1b]0;owned\x07b\x9b2Jc\u202ed"
_ESCAPED = ":cat: a\\x1b]0;owned\\x07b\\x9b2Jc\\x202ed"


def test_nothing_that_a_model_wrote_is_an_order_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.show_invocation(
        {
            "response": _ORDERS, "sent": [{"to": "s3", "body": _ORDERS}], "failed": True,
            "refused": False, "init_wall_ms": 1.0, "cpu_ms": 1.0, "peak_rss_bytes": 1,
            "first_ms": 1.0, "warm_ms": None, "log": _ORDERS,
        }
    )  # fmt: skip
    results._pairs("", {"name": _ORDERS})
    results._print_commands("Next", [_ORDERS])
    console.show_error(ConfigurationError(_ORDERS))
    with console.progress(verbose=True):
        logging.getLogger("packager").info("%s", _ORDERS)

    out, err = capsys.readouterr()
    assert not [each for each in out + err if each in "\x1b\x07\x9b\u202e"]
    assert [out.count(_ESCAPED), err.count(_ESCAPED)] == [4, 3]


def test_a_plan_says_what_each_attempt_ships_and_when_it_is_tried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    attempts: list[AttemptRow] = [
        {
            "engine": "native",
            "target": "aws-lambda",
            "passes": [],
            "tier": str(tier),
            "frame": "pandas",
            "requirements": "declared",
            "runtime": "python3.13",
            "platform": "x86_64",
            "interpreter": "3.13.0",
            "packages": "numpy 2, pandas 3",
            "reasons": [],
        }
        for tier in Tier
    ]
    console.show_plan({"model": {"name": "churn"}, "attempts": attempts})
    said = capsys.readouterr().out
    assert "Attempt 1: native tier (without MLflow), pandas" in said
    assert "Attempt 2, if attempt 1 fails: stub tier (with a stand-in for MLflow), pandas" in said
    assert "Attempt 3, if attempt 2 fails: skinny tier (with mlflow-skinny), pandas" in said
