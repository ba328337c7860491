"""A page beside an artifact has the same shape whatever the model is called, on every target."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from packager import targets
from packager.pipeline.emit import _render_templates, _text
from packager.pipeline.emit._context import context
from packager.pipeline.emit._sizing import size
from packager.types import Artifact
from tests import fake_plan
from tests.unit.pipeline.emit.test_emit_dimensions import NAMES


@functools.cache
def render_texts(target: str, name: str) -> dict[str, str]:
    chosen = targets.load(target)
    runtime = next(each for each in chosen.runtimes if each.python_minor == "3.13")
    plan = fake_plan.plan(
        model=fake_plan.model(name, version="1"),
        request=fake_plan.request(target=target),
        target=chosen,
        runtime=runtime,
    )
    folder = Path("/build/out/function")
    artifact = Artifact(
        path=folder, folder=folder, sha256=fake_plan.DIGEST, size_bytes=1, unzipped_bytes=1
    )
    verified = fake_plan.verified(Path("/nonexistent"))
    values = context(artifact, verified, plan, size(plan, verified.evidence))
    return _render_templates(plan, values)


def read_shape(text: str) -> list[str]:
    """How each line begins, and how many cells a table's row has at least."""
    return [re.match(r"(#* *|\|?)", line)[0] for line in text.splitlines()]  # type: ignore[index]


@pytest.mark.parametrize("target", targets.TARGETS)
@pytest.mark.parametrize(
    "name", [*filter(None, NAMES), "\ud800", "`x` | y", "](http://x)", "x\n\n# y"]
)
def test_a_name_changes_no_line_of_a_page(target: str, name: str) -> None:
    plain, texts = render_texts(target, "churn"), render_texts(target, name)

    assert set(texts) == set(plain)
    for path, text in texts.items():
        text.encode("utf-8", "strict")
        if path.endswith(".md"):
            assert read_shape(text) == read_shape(plain[path]), path
        else:
            assert len(text.splitlines()) == len(plain[path].splitlines()), path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("churn", "/v2/models/churn/infer"),
        ("Kündigung (Q3) v2", "/v2/models/K%C3%BCndigung%20%28Q3%29%20v2/infer"),
        ("a`b?c#d", "/v2/models/a%60b%3Fc%23d/infer"),
    ],
)
def test_an_address_with_a_model_s_name_can_be_called(name: str, path: str) -> None:
    assert _text.code_span(path) in render_texts("gpu-container", name)["README.md"]
