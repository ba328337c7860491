"""Result of a comparison, as it is printed and serialised; `a` is before, `b` after."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Side(TypedDict):
    """One of the two."""

    given: str
    """Folder or model's address, as it was named."""
    made: str
    """How its artifact came to be."""
    name: str
    version: str
    target: str
    engine: str
    model_digest: str


class Amounts(TypedDict):
    """One figure of both; `growth` is a share of `a`, None where `a` is nothing."""

    a: float
    b: float
    growth: float | None


class ChangedValue(TypedDict):
    """Something that one has and the other has not, or has otherwise; None where it is missing."""

    name: str
    a: str | None
    b: str | None


class ChangedSize(TypedDict):
    name: str
    a: int
    b: int


class ChangedSpec(ChangedValue):
    """Column, tensor or parameter of the signature."""

    part: str
    """`inputs`, `outputs` or `params`."""
    change: str
    """`added`, `removed` or `retyped`."""


class ChangedFile(TypedDict):
    """A file of the model."""

    name: str
    change: str
    """`added`, `removed` or `changed`."""
    is_code: bool


class LabelMove(TypedDict):
    """A label of `a` that is another in `b`, and how many values have it."""

    a: str
    b: str
    values: int


class Output(TypedDict):
    """One place of the answers, over all rows."""

    place: str
    kind: str
    """`label` or `number`."""
    values: int
    changed: int
    share: float
    unlike: int
    """Values that are a number in one answer alone."""
    mean_change: NotRequired[float]
    """Of `b` minus `a`."""
    mean: NotRequired[float]
    """Of the absolute differences, as the quantiles and the largest are."""
    p50: NotRequired[float]
    p90: NotRequired[float]
    p99: NotRequired[float]
    max: NotRequired[float]
    by_power: NotRequired[dict[str, int]]
    """Power of ten -> numbers that are so far apart: -3 counts those from 0.001 below 0.01."""
    moves: NotRequired[list[LabelMove]]


class ColumnGroup(TypedDict):
    """Rows whose value of a column is in one range, or is one value."""

    values: str
    rows: int
    measure: float


class Column(TypedDict):
    """A column of the requests, and how far its value tells where answers differ."""

    name: str
    explains: float
    """Share of the measure's variance, adjusted for the number of groups."""
    groups: list[ColumnGroup]


class Answers(TypedDict):
    """Answers of both to the same requests."""

    requests: int
    rows: dict[str, int]
    """Rows that were asked, by where they are from."""
    seed: int
    rows_compared: int
    refused: dict[str, int]
    """Requests by who refused them: `a`, `b` or `both`."""
    refusals: list[str]
    rows_changed: int
    """Rows with another label, or an answer of another shape."""
    rows_reshaped: int
    outputs: list[Output]
    measure: str
    """What `columns` go by: `changed labels` or `mean difference`."""
    overall: float
    columns: list[Column]


class Limit(TypedDict):
    """One --fail-on."""

    name: str
    limit: float
    value: float | None
    passed: bool
    words: str


class Comparison(TypedDict):
    """Result of `packager diff`."""

    a: Side
    b: Side
    same_model: bool
    sizes: dict[str, Amounts]
    package_sizes: list[ChangedSize]
    packages: list[ChangedValue]
    facts: list[ChangedValue]
    signature: list[ChangedSpec]
    files: list[ChangedFile]
    start: dict[str, Amounts] | None
    """CPU time and memory up to the first answer; None where nothing was started."""
    answers: Answers | None
    limits: list[Limit]
    passed: bool
    notes: list[str]
