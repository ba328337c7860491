"""Requests to replay: the saved example, and more made from the signature and its values."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from packager.probes import examples, forms, refusals
from packager.probes.unseen import ROWS, Extremes, Gaps, Widest
from packager.probes.values import Values, parameter
from packager.types import Door, Json, ResolvedModel

__all__ = ["NOTHING_TO_REPLAY", "Probe", "of_rows", "of_sizes", "probes", "unseen"]

JSON: Final = "application/json"
CSV: Final = "text/csv"
NOTHING_TO_REPLAY: Final = (
    "The model has neither a signature nor a saved example, so there is nothing to replay. "
    "Give a request with --example FILE, or log the model with a signature."
)

_BATCH: Final = 100
_BODY_BYTES: Final = 900_000
_TIMED_BYTES: Final = 4_000_000
"""Of a request whose answer is timed: with all its quotes escaped an event of Lambda holds it."""
_ALL_BYTES: Final = 20_000_000
"""Where rows are so large that `rows` of them would take minutes, fewer are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    name: str
    body: bytes
    content_type: str
    rows: int
    """0 for an edge case, which most models refuse."""
    door: Door
    """`direct`: the body is the event; `http`: it comes in an API Gateway event."""
    unseen: bool = False
    """Made by `unseen`: nothing was slimmed by it."""


def probes(model: ResolvedModel, rows: int, seed: int) -> tuple[Probe, ...]:
    """The saved example and at least `rows` further rows; () with neither example nor signature.

    The same model, rows and seed give the same requests. MLflow's answer to each, whether
    predictions or a refusal, is what the artifact is held to.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
    found = list(_yield_saved_example(model))
    body = None if model.example is None else examples.decode_example(model.example)
    inputs = (model.signature or {}).get("inputs")
    if inputs:
        values = Values(rng, examples.columns(body))
        found += _make_probes(model, inputs, values, rows)
        found += [
            _make_probe(f"edge case: {name}", content, kind, 0, "http")
            for name, content, kind in refusals.bodies(inputs, values)
        ]
    elif body is not None:
        sizes = (1, 2, *([_BATCH] * (rows // _BATCH + 1)))
        found += _draw_rows(body, rng, sizes, "request", rows)
    return tuple(found)


def unseen(model: ResolvedModel, seed: int) -> tuple[Probe, ...]:
    """Requests that nothing was slimmed by: drawn with another seed, and from wider ranges.

    Batches of 1, 2 and 1,000 rows; columns at their extremes and beyond; missing values where the
    signature lets them be; words that the example does not have. () as for `probes`.
    """
    rng = random.Random(f"unseen {seed}")  # noqa: S311 - repeatable on purpose, no secret
    body = None if model.example is None else examples.decode_example(model.example)
    inputs = (model.signature or {}).get("inputs")
    if not inputs:
        drawn = () if body is None else _draw_rows(body, rng, ROWS, "unseen request")
        return tuple(replace(probe, unseen=True) for probe in drawn)
    seen, found = examples.columns(body), []
    kinds: tuple[tuple[str, type[Values], Sequence[int]], ...] = (
        ("drawn anew", Values, ROWS),
        ("extremes", Extremes, (1, 2, _BATCH)),
        ("gaps", Gaps, (1, 2, _BATCH)),
        ("the widest numbers", Widest, (1, 1)),
    )
    for what, kind, sizes in kinds:
        maker = forms.maker(inputs, kind(rng, seen), raw=model.signature_from_type_hints)
        room = max(1, _BODY_BYTES // (len(maker.one().body) + 1))
        for number, size in enumerate(sizes):
            form = maker.forms[number % len(maker.forms)]
            made = maker.make(form, min(size, room))
            name = f"unseen request: {what}, {made.rows} rows as {form}"
            door = _door(made.body, made.content_type, number)
            found.append(_make_probe(name, made.body, made.content_type, made.rows, door))
    return tuple(replace(probe, unseen=True) for probe in found)


def _door(body: bytes, content_type: str, number: int) -> Door:
    """Every third request goes directly, where it can."""
    direct = content_type == JSON and number % 3 == 0 and _is_strict(body)
    return "direct" if direct else "http"


def of_rows(tables: Sequence[Mapping[str, object]], model: ResolvedModel) -> tuple[Probe, ...]:
    """A request for each table, given as values by column (a tensor's by position)."""
    found = []
    for number, table in enumerate(tables):
        rows = [list(row) for row in zip(*table.values(), strict=True)]
        tensor = forms.is_tensor(((model.signature or {}).get("inputs") or [{}])[0])
        named = "name" in ((model.signature or {}).get("inputs") or [{}])[0]
        body: Json = {"dataframe_split": {"columns": list(table), "data": rows}}
        if tensor:
            body = {"inputs": rows}
        elif not named:
            body = {"dataframe_split": {"data": rows}}
        content = json.dumps(body).encode()
        name = f"adversarial {number}: {len(rows)} rows"
        found.append(_make_probe(name, content, JSON, len(rows), "http"))
    return tuple(found)


def of_sizes(model: ResolvedModel, sizes: Sequence[int], seed: int) -> tuple[Probe, ...]:
    """A request over HTTP of each size in rows, in one form; a size that is too large is left out.

    () as for `probes`.
    """
    rng = random.Random(f"sizes {seed}")  # noqa: S311 - repeatable on purpose, no secret
    body = None if model.example is None else examples.decode_example(model.example)
    inputs = (model.signature or {}).get("inputs")
    if not inputs:
        drawn = () if body is None else _draw_rows(body, rng, sizes, "request")
        return tuple(replace(probe, door="http") for probe in drawn)
    values = Values(rng, examples.columns(body))
    maker = forms.maker(inputs, values, raw=model.signature_from_type_hints)
    found = []
    of_row = float(len(maker.one().body))
    for size in sizes:
        if size > 1 and of_row * size > _TIMED_BYTES:
            break
        made = maker.make(maker.forms[0], size)
        of_row = len(made.body) / max(1, made.rows)
        if made.rows == size:
            name = f"request of {size} rows as {maker.forms[0]}"
            found.append(_make_probe(name, made.body, made.content_type, size, "http"))
    return tuple(found)


def _yield_saved_example(model: ResolvedModel) -> Iterator[Probe]:
    if model.example is None:
        return
    body, kind = model.example.body, model.example.content_type
    count = examples.row_count(examples.decode_example(model.example))
    yield _make_probe("the saved example over HTTP", body, kind, count, "http")
    if kind.startswith(JSON) and _is_strict(body):
        yield _make_probe("the saved example, directly", body, kind, count, "direct")


def _make_probes(
    model: ResolvedModel, inputs: Sequence[Mapping[str, object]], values: Values, rows: int
) -> Iterator[Probe]:
    """Single rows, pairs and batches, in every form that the signature allows, by both doors."""
    maker = forms.maker(inputs, values, raw=model.signature_from_type_hints)
    parameters = (model.signature or {}).get("params") or []
    room = max(1, _BODY_BYTES // (len(maker.one().body) + 1))
    done = spent = number = 0
    # each form with one row, then with two, then batches until there are enough rows
    sizes = [1] * len(maker.forms) + [2] * len(maker.forms)
    while number < len(sizes) or done < rows:
        size = min(sizes[number] if number < len(sizes) else _BATCH, room)
        form = maker.forms[number % len(maker.forms)]
        made = maker.make(form, size)
        body = made.body
        if parameters and made.content_type == JSON and number % 2:
            body = _with_parameters(body, parameters, values.rng)
        name = f"request {number}: {made.rows} rows as {form}"
        door = _door(body, made.content_type, number)
        yield _make_probe(name, body, made.content_type, made.rows, door)
        done, spent, number = done + made.rows, spent + len(body), number + 1
        if spent > _ALL_BYTES:
            return


def _with_parameters(
    body: bytes, parameters: Sequence[Mapping[str, object]], rng: random.Random
) -> bytes:
    chosen = {spec["name"]: parameter(spec, rng) for spec in parameters if rng.random() < 0.8}
    return json.dumps({**json.loads(body), "params": chosen}).encode()


def _draw_rows(
    body: object, rng: random.Random, sizes: Sequence[int], name: str, rows: int | None = None
) -> Iterator[Probe]:
    """The example's rows, drawn again; `rows` ends it once there are so many."""
    done = spent = 0
    for number, size in enumerate(sizes):
        drawn = examples.resample_rows(body, size, rng)
        if drawn is None or spent > _ALL_BYTES or (rows is not None and done >= rows):
            return
        content = json.dumps(drawn).encode()
        door: Door = "http" if number % 2 or not _is_strict(content) else "direct"
        what = f"{name} {number}: {size} rows of the example"
        yield _make_probe(what, content, JSON, size, door)
        done, spent = done + size, spent + len(content)


def _is_strict(body: bytes) -> bool:
    """Lambda takes an event in strict JSON alone; over HTTP MLflow's NaN and Infinity go too."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(body, parse_constant=refuse)
    except ValueError:
        return False
    return True


def _make_probe(name: str, body: bytes, content_type: str, rows: int, door: Door) -> Probe:
    return Probe(name=name, body=body, content_type=content_type, rows=rows, door=door)
