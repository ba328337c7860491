"""Requests that both artifacts are asked: their own, and more made of their signatures."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.commands.artifact.description import find_inside
from packager.commands.artifact.recorded_requests import find_recorded
from packager.commands.difference.documents import Compared
from packager.errors import ModelFormatError
from packager.pipeline.answers.recorded import read_replay
from packager.probes import examples, forms
from packager.probes.values import Values
from packager.types import Json

GENERATED: Final = "generated"
_BATCH: Final = 10
"""Rows of a generated request: what refuses one row refuses no more than these."""
_BODY_BYTES: Final = 900_000
_WIDER: Final = ("boolean", "integer", "long", "float", "double")
"""A value of each is one of those after it too."""
_SIDES: Final = ("a", "b")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, in strict JSON."""

    source: str
    """`a` or `b`, whose own it is, or `generated`."""
    body: Json
    rows: int

    def encode(self) -> bytes:
        return json.dumps(self.body).encode()


def make_requests(before: Compared, after: Compared, *, rows: int, seed: int) -> list[Asked]:
    """Return each artifact's recorded requests and example, and at least `rows` generated rows.

    No request is there twice. Generated rows have every column that either signature has: a model
    leaves out a column that it does not know. Raises ModelFormatError for recorded requests that
    no build wrote.
    """
    own = [
        each
        for name, side in zip(_SIDES, (before, after), strict=True)
        for each in _read_own(name, side)
    ]
    bodies = [_read_example(side) for side in (before, after)]
    made = _generate_requests(before, after, bodies, rows, random.Random(f"difference {seed}"))  # noqa: S311 - repeatable on purpose, no secret
    found: dict[bytes, Asked] = {}
    for asked in (*own, *made):
        found.setdefault(asked.encode(), asked)
    return list(found.values())


def _read_own(source: str, side: Compared) -> Iterator[Asked]:
    example = _read_example(side)
    if isinstance(example, dict):
        yield Asked(source, example, examples.row_count(example))
    recorded = find_recorded(side.built.home)
    if recorded is None:
        return
    try:
        _, samples = read_replay(recorded)
        asked = [
            Asked(source, _make_strict(each["request"]), int(each["rows"])) for each in samples
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(
            f"{recorded} cannot be read as what a build wrote ({error}). Build the artifact again, "
            "or check it with `packager verify`."
        ) from error
    yield from asked


def _read_example(side: Compared) -> Json:
    """Return the request that was saved or made when the artifact was built; None: there is none.

    Lambda's is strict JSON already; a model may have saved what is no JSON.
    """
    home = side.built.home
    places = [find_inside(home, name) for name in ("events/direct.json", "request.json")]
    if side.manifest.example is not None:
        places.append(find_inside(side.tree, side.manifest.example))
    for path in places:
        if path is not None and (body := _read_body(path)) is not None:
            return body
    return None


def _read_body(path: Path) -> Json:
    try:
        return _make_strict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def _make_strict(value: Json) -> Json:
    """Write null for what only MLflow's JSON has: NaN and Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_make_strict(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _make_strict(each) for name, each in value.items()}
    return value


def _generate_requests(
    before: Compared, after: Compared, bodies: Sequence[Json], rows: int, rng: random.Random
) -> Iterator[Asked]:
    inputs = merge_inputs(before.signature["inputs"], after.signature["inputs"])
    done = 0
    if not inputs:
        while done < rows:
            drawn = next(
                filter(None, (examples.resample_rows(b, _BATCH, rng) for b in bodies)), None
            )
            if drawn is None:
                return
            yield Asked(GENERATED, drawn, _BATCH)
            done += _BATCH
        return
    raw = before.manifest.signature_from_type_hints or after.manifest.signature_from_type_hints
    maker = forms.maker(inputs, Values(rng, _merge_columns(bodies)), raw=raw)
    room = max(1, _BODY_BYTES // (len(maker.one().body) + 1))
    while done < rows:
        made = maker.make(maker.forms[0], min(_BATCH, rows - done, room))
        yield Asked(GENERATED, _make_strict(json.loads(made.body)), made.rows)
        done += max(1, made.rows)


def _merge_columns(bodies: Sequence[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for body in bodies:
        for name, values in examples.columns(body).items():
            found.setdefault(name, []).extend(values)
    return found


def merge_inputs(
    before: Sequence[Mapping[str, Json]], after: Sequence[Mapping[str, Json]]
) -> list[Mapping[str, Json]]:
    """Return the inputs that rows for both are made of; [] where they have no rows in common.

    Named columns of both; of two types of number the narrower, whose values are of the other type
    too. Else they must be the same inputs. Where one model has no signature the other's is taken.
    """
    if not before or not after:
        return list(before or after)
    if not (_has_columns(before) and _has_columns(after)):
        return list(before) if _strip(before) == _strip(after) else []
    found = {str(spec["name"]): spec for spec in before}
    for spec in after:
        name = str(spec["name"])
        found[name] = _choose_narrower(found[name], spec) if name in found else spec
    return list(found.values())


def _has_columns(inputs: Sequence[Mapping[str, Json]]) -> bool:
    return all("name" in spec and not forms.is_tensor(spec) for spec in inputs)


def _strip(inputs: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
    return [{key: value for key, value in spec.items() if key != "required"} for spec in inputs]


def _choose_narrower(one: Mapping[str, Json], other: Mapping[str, Json]) -> Mapping[str, Json]:
    kinds = one.get("type"), other.get("type")
    if not set(kinds) <= set(_WIDER):
        return one
    return min(one, other, key=lambda spec: _WIDER.index(str(spec["type"])))
