"""Ways to run a model whose weights fit no zip, weighed by measured start and by cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from packager import facts, targets
from packager.commands.targets.weighing import (
    Option,
    choose,
    describe_choice,
    list_options,
    weigh,
    write_choice,
)
from packager.commands.targets.workload import Measured, Workload
from packager.system.resources import FACTS
from packager.types import Weights

FETCH = Option("aws-lambda", Weights.FETCH)
MOUNT = Option("aws-lambda", Weights.MOUNT)
IMAGE = Option("aws-lambda-image", Weights.PACKAGE)
SERVER = Option("gpu-container", Weights.PACKAGE)
OPTIONS = tuple(list_options([*targets.TARGETS], None))
BUILT = Measured(
    unzipped_bytes=100_000_000,
    weights_bytes=300_000_000,
    outside_bytes=300_000_000,
    memory_bytes=900_000_000,
    init_seconds=2.0,
    seconds_by_rows={1: 0.01, 1000: 0.1},
    python_minor="3.13",
)
SLOW = Workload(requests_per_second=0.001)


class Builder:
    """Measures what the first build did, or what it is told to."""

    def __init__(self, **changes: object) -> None:
        self.changes = changes
        self.built: list[Option] = []

    def __call__(self, option: Option) -> Measured | str:
        self.built.append(option)
        found = replace(BUILT, **self.changes)  # type: ignore[arg-type]
        if option.weights is Weights.PACKAGE:
            return replace(found, unzipped_bytes=400_000_000, weights_bytes=0, outside_bytes=None)
        return replace(found, mounts_weights=option.weights is Weights.MOUNT)


def test_every_way_of_every_target_is_weighed_in_order() -> None:
    assert [each.label for each in OPTIONS] == [
        "aws-lambda, weights fetched",
        "aws-lambda, weights mounted",
        "aws-lambda, weights inside",
        "aws-lambda-image, weights inside",
        "azure-functions, weights mounted",
        "azure-functions, weights inside",
        "gpu-container, weights inside",
    ]


def test_the_first_that_starts_of_those_that_cost_as_little_is_built_and_taken() -> None:
    builder = Builder()
    weighed = weigh(FETCH, BUILT, OPTIONS, SLOW, builder)
    by = {each.option: each for each in weighed}

    # 300 MB: 6 s at 50 MB/s, 2.9 s at 100 MiB/s, 7 s at 43 MB/s; 2 s of CPU at 1,152 MB
    assert by[FETCH].placing_seconds == pytest.approx(6)
    assert by[MOUNT].placing_seconds == pytest.approx(300 / 104.8576)
    assert by[IMAGE].placing_seconds == pytest.approx(300 / 43)
    share = 1152 / 1769
    assert by[MOUNT].start_seconds == pytest.approx(2 / share + 300 / 104.8576)
    assert builder.built == [MOUNT]
    chosen = choose(weighed)
    assert chosen is not None
    assert (chosen.option, chosen.is_measured) == (MOUNT, True)


def test_what_cannot_be_better_is_not_built_and_says_so() -> None:
    weighed = weigh(FETCH, BUILT, OPTIONS, SLOW, Builder())
    rows = {row["name"]: row for row in describe_choice(weighed, SLOW, "Why.")["ways"]}

    server, image = (rows[each.label] for each in (SERVER, IMAGE))
    assert not server["measured"]
    assert not image["measured"]
    assert server["why"].startswith("not built: by the same measurements it would cost $7")
    assert image["why"] == "not built: by the same measurements it would start 4.1 s later"
    assert rows["aws-lambda, weights inside"]["why"].startswith("unpacked: 400 of 262.144 MB")
    azure = rows["azure-functions, weights inside"]
    assert azure["why"] == "not built: how fast a start has its weights there is stated nowhere"
    assert [row["name"] for row in rows.values() if row["chosen"]] == [MOUNT.label]


def test_what_is_measured_counts_and_not_what_was_expected() -> None:
    """The mounted one turns out to start late, so the fetched one stays."""
    weighed = weigh(FETCH, BUILT, OPTIONS, SLOW, Builder(init_seconds=6.0))
    chosen = choose(weighed)
    rows = {row["name"]: row for row in describe_choice(weighed, SLOW, "")["ways"]}

    assert chosen is not None
    assert chosen.option == FETCH
    assert rows[MOUNT.label]["measured"]
    assert rows[MOUNT.label]["why"].startswith("starts ")


def test_a_way_that_cannot_be_built_is_passed_over_with_the_reason() -> None:
    weighed = weigh(FETCH, BUILT, OPTIONS, SLOW, lambda _: "it could not be built: too odd")
    chosen = choose(weighed)
    rows = {row["name"]: row for row in describe_choice(weighed, SLOW, "")["ways"]}

    assert chosen is not None
    assert chosen.option == FETCH
    assert rows[MOUNT.label]["why"] == "it could not be built: too odd"


def test_a_start_that_is_too_long_with_its_weights_fits_nowhere_but_beside_a_snapshot() -> None:
    """1.5 GB take 30 s to fetch, 14 s to mount: Lambda gives 10 s. An image may have a snapshot."""
    large = replace(BUILT, weights_bytes=1_500_000_000, outside_bytes=1_500_000_000)

    def measure(_: Option) -> Measured:
        return replace(large, unzipped_bytes=1_600_000_000, weights_bytes=0, outside_bytes=None)

    weighed = weigh(FETCH, large, OPTIONS, SLOW, measure)
    by = {each.option: each for each in weighed}
    chosen = choose(weighed)

    assert "start" in by[FETCH].refused[0]
    assert "start" in by[MOUNT].refused[0]
    assert chosen is not None
    assert chosen.option == IMAGE


def test_where_requests_never_stop_the_server_may_be_the_cheapest() -> None:
    busy = Workload(requests_per_second=100, rows=1)
    builder = Builder()
    slow = replace(BUILT, seconds_by_rows={1: 0.3, 10: 0.3})
    weighed = weigh(FETCH, slow, [FETCH, IMAGE, SERVER], busy, builder)
    costs = {each.option: each.dollars for each in weighed}
    cheapest = min(costs, key=lambda option: costs[option])
    chosen = choose(weighed)

    assert chosen is not None
    assert chosen.is_measured
    assert costs[chosen.option] <= max(costs[cheapest] * 1.1, costs[cheapest] + 1)


def test_the_readme_says_why_with_sources() -> None:
    weighed = weigh(FETCH, BUILT, OPTIONS, SLOW, Builder())
    text = write_choice(describe_choice(weighed, SLOW, "It has 400 MB."))

    assert "## Why this target" in text
    assert "| aws-lambda, weights mounted | " in text
    assert "| chosen |" in text
    assert "https://repost.aws/" in text
    assert "0.001 requests a second of 1 row, these ways were weighed" in text


def test_a_folder_of_facts_without_speeds_leaves_the_time_out(tmp_path: Path) -> None:
    text = (FACTS / "aws_lambda_image.toml").read_text(encoding="utf-8")
    start = text.index("[[speeds]]")
    end = text.index("\n\n", start)
    (tmp_path / "aws_lambda_image.toml").write_text(text[:start] + text[end:], encoding="utf-8")

    assert facts.speeds("aws-lambda-image", tmp_path) == {}
    weighed = weigh(FETCH, BUILT, [FETCH, IMAGE], SLOW, Builder(), tmp_path)
    image = next(each for each in weighed if each.option == IMAGE)
    assert (image.placing_seconds, image.start_seconds, image.placing) == (None, None, "")
