"""The short way that large bodies take gives what the general way gives, to the last bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.scoring import fast_json, fast_tables
from tests import examples
from tests.conformance.asking import ours
from tests.conformance.cases import ALL, CSV, Case, column
from tests.property.test_scoring_properties import cases

pytestmark = pytest.mark.usefixtures("quiet")
_ALL = [case for make in ALL for case in make()]


def answered(case: Case, large_bytes: int, frame: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_json, "LARGE_BYTES", large_bytes)
        patch.setattr(fast_json, "REPAID_BYTES", math.inf)
        scorer = ours(case.signature, frame=frame, type_hints=case.type_hints)
        return scorer.invocations(case.body, case.content_type)


def assert_both_ways_agree(case: Case) -> None:
    for frame in ("numpy", "pandas"):
        assert answered(case, 1, frame) == answered(case, 10**9, frame), (frame, case)


NUMBERS = st.one_of(
    st.floats(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -0.0, 2**53 + 1, 2**63, -(2**63) - 1, 10**309, 1e-320, True, None, "1"]),
)


@st.composite
def tables(draw: st.DrawFn) -> Case:
    """Signatures of numbers, bodies mostly of numbers."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    kinds = draw(st.lists(st.sampled_from(["double", "float"]), min_size=4, max_size=4))
    specs = [column(kind, name) for kind, name in zip(kinds, names, strict=False)]
    sent = draw(st.permutations([*names, *draw(st.sampled_from([[], ["z"], names[:1]]))]))
    values = draw(st.sampled_from([NUMBERS, st.floats(), st.integers(-5, 5)]))
    rows = draw(st.lists(st.lists(values, min_size=len(sent), max_size=len(sent)), max_size=4))
    extras: list[dict[str, Any]] = [{}, {"params": {"p": 1}}, {"other": 1}, {"instances": []}]
    extra = draw(st.sampled_from(extras))
    records = [dict(zip(sent, row, strict=True)) for row in rows]
    data: Any = {
        "dataframe_split": {"columns": sent, "data": rows},
        "dataframe_records": records,
        "inputs": {name: [record[name] for record in records] for name in sent},
        "instances": records,
    }
    key = draw(st.sampled_from(list(data)))
    return Case(key, {"inputs": specs}, json.dumps({key: data[key], **extra}).encode())


@pytest.mark.parametrize("missing", [[], ["number_parser"], ["number_parser", "msgspec"]])
@given(case=tables())
@settings(max_examples=examples.count(25), deadline=None, derandomize=True)
def test_tables_of_numbers_are_read_the_same_both_ways(missing: list[str], case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in missing:
            patch.setattr(fast_json, name, lambda: None)
        patch.setattr(fast_tables, "_PIECE_BYTES", 3)
        assert_both_ways_agree(case)


@given(cases())
@settings(max_examples=examples.count(40), deadline=None, derandomize=True)
def test_any_body_is_read_the_same_both_ways(case: Case) -> None:
    assert_both_ways_agree(case)


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_the_conformance_cases_are_read_the_same_both_ways(frame: str) -> None:
    different = [
        case for case in _ALL[::46] if answered(case, 1, frame) != answered(case, 10**9, frame)
    ]
    assert different == []


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_every_conformance_case_is_read_the_same_both_ways(frame: str) -> None:
    different = [case for case in _ALL if answered(case, 1, frame) != answered(case, 10**9, frame)]
    assert different == []


SPLIT = '{"dataframe_split": {"columns": ["a", "b"], "data": %s}%s}'
AROUND = [
    SPLIT % ("[[1, 2], [3, 4]]", ""),
    SPLIT % ("[[1,2],[3,4]]", ', "params": {"p": "x"}'),
    SPLIT % ("[[1,2], [3,4]]", ""),
    SPLIT % ("[[1, 2],[3, 4]]", ""),
    SPLIT % ("[[1, 2],  [3, 4]]", ""),
    SPLIT % ("[ [1, 2], [3, 4] ]", ""),
    SPLIT % ("[[1, 2], [3]]", ""),
    SPLIT % ("[[1], [2, 3]]", ""),
    SPLIT % ("[[1, 2, 3], [4]]", ""),
    SPLIT % ("[[1, [2], 3]]", ""),
    SPLIT % ("[[1, 2]], [[3, 4]]", ""),
    SPLIT % ("[[1, 2] [3, 4]]", ""),
    SPLIT % ("[[1, 2], [3, 4],]", ""),
    SPLIT % ("[[1, 2], [, 4]]", ""),
    SPLIT % ("[[], []]", ""),
    SPLIT % ("[[]]", ""),
    SPLIT % ("[[-0, -0.0], [1e400, 4]]", ""),
    SPLIT % ('[["1", 2], [3, 4]]', ""),
    SPLIT % ("[[1, 2]]", ', "params": {"p": [[5, 6]]}'),
    SPLIT % ("[ [1, 2] ]", ', "params": {"p": [[5, 6]]}'),
    SPLIT % ('"<cells>"', ', "params": {"p": [[5, 6]]}'),
    SPLIT % ('"\\u003ccells>"', ', "params": {"p": [[5, 6]]}'),
    '{"params": {"p": [[5, 6]]}, ' + (SPLIT % ('"<cells>"', ""))[1:],
    '{"params": {"p": [[5, 6]]}, ' + (SPLIT % ('"\\u003ccells>"', ""))[1:],
    '{"params": {"p": [[5, 6]]}, ' + (SPLIT % ("[ [1, 2] ]", ""))[1:],
    '{"dataframe_split": {"data": [[1, 2], [3, 4]], "columns": ["b", "a"]}}',
    '{"dataframe_split": {"data": [[1, 2]], "data": [], "columns": ["b", "a"]}}',
    '{"dataframe_split": {"columns": ["[[1, 2]]", "a", "b"], "data": [ [1, 2, 3] ]}}',
    '{"dataframe_split": {"columns": ["[[1, 2]]", "a", "b"], "data": "<cells>"}}',
    '{"dataframe_split": {"columns": ["<cells>", "a", "b"], "data": [[1, 2, 3]]}}',
    '{"dataframe_split": {"columns": ["\\"[[1, 2]]", "a", "b"], "data": []}}',
    '{"dataframe_split": {"columns": [["a", "b"]], "data": [[1, 2]]}}',
    '{"dataframe_split": {"index": [[1]], "columns": ["a", "b"], "data": [[1, 2]]}}',
    '{"inputs": [[1, 2], [3, 4]]}',
    "[[1, 2], [3, 4]]",
    "]][[",
]


INPUTS = [
    '{"inputs": {"a": [1, 2], "b": [3, -0]}}',
    '{"inputs": {"a": [1, 2], "b": [3, 4]}, "params": {"p": "x"}}',
    '{"inputs": {"a": [1, 2], "b": [3, 4]}, "params": {"p": [5]}}',
    '{"inputs": {"a": [1, 2], "a": [3, 4], "b": [5, 6]}}',
    '{"inputs": {"a": [1, 2], "b": "<cells>"}}',
    '{"inputs": {"a": [[1], [2]], "b": [3, 4]}}',
    '{"inputs": {"a": [1, 2,], "b": [3, 4]}}',
    '{"inputs": {"a": [], "b": []}}',
    '{"inputs": {"a": [1], "b": 2}}',
    '{"inputs": {"a[": [1, 2], "b]": [3, 4]}}',
    '{"inputs": {"a]": [1, 2], "b[": [3, 4]}}',
    '{"inputs": {"a": [1, 2, 3], "b": [3, 4]}}',
    '{"inputs": {"a": [true], "b": [null]}}',
    '{"inputs": {"a": [9223372036854775807, 18446744073709551615], "b": [1, 2]}}',
    '{"inputs": {"a": [18446744073709551616, -9223372036854775809], "b": [1e400, 2]}}',
    '{"inputs": {"a": [9007199254740993, 1e22], "b": [1.7976931348623157e308, 5e-324]}}',
    '{"instances": {"a": [1, 2], "b": [3, 4]}}',
    '{"inputs": [5]}',
    '{"inputs": {}}',
    '["inputs"]',
    "[]",
    "][",
]


@pytest.mark.few(2)
@pytest.mark.parametrize("parser", ["number_parser", "msgspec", None])
@pytest.mark.parametrize("kind", ["double", "float"])
def test_rows_that_are_cut_out_are_those_that_json_finds(
    parser: str | None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {"number_parser", "msgspec"} - {parser}:
        monkeypatch.setattr(fast_json, name, lambda: None)
    monkeypatch.setattr(fast_tables, "_PIECE_BYTES", 2)
    signature = {"inputs": [column(kind, "a"), column("double", "b")]}
    for text in (*AROUND, *INPUTS):
        assert_both_ways_agree(Case("rows", signature, text.encode()))


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_rows_are_cut_out_of_what_a_client_writes(separators: tuple[str, str]) -> None:
    reader = fast_tables.Reader(ours({"inputs": [column("double", "a")]})._model.inputs)
    data = [[i / 7, -i] for i in range(10_000)]
    sent = {"dataframe_split": {"columns": ["a", "z"], "data": data}, "params": {"p": 1}}

    found = reader._split(json.dumps(sent, separators=separators).encode())

    assert found is not None
    assert found[0].columns["a"].cells.tolist() == [row[0] for row in data]
    assert found[1] == {"p": 1}


CELLS = st.one_of(
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.text(st.sampled_from('0123456789.,-+eE[]{}" \t\r\nNainfty'), max_size=6),
    st.sampled_from(["-0", "-0.0", "1],[2", "01", "1.", ".5", "NA", "NaN", "Infinity", ""]),
    st.sampled_from(["1e400", "-0e5", "- 0", "1 2", "+1"]),
)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=4),
    st.sampled_from(["a,b", "b,a", "a,b,c", "a,a,b", '"a",b', "a,b\r", "\ufeffa,b", " ,a,b", "a"]),
    st.sampled_from(["\n", "\r\n", "\n\n", "\n \n", "\r"]),
    st.sampled_from(["double", "float"]),
)
@settings(max_examples=examples.count(120), deadline=None, derandomize=True)
def test_csv_is_read_the_same_the_short_way(
    rows: list[list[str]], header: str, end: str, kind: str
) -> None:
    body = end.join([header, *map(",".join, rows), ""]).encode()
    signature = {"inputs": [column(kind, "a"), column("double", "b")]}
    for frame, large in (("numpy", 1), ("numpy", fast_json.LARGE_BYTES), ("pandas", 1)):
        short = ours(signature, frame=frame)
        general = ours(signature, frame=frame)
        general._reader = fast_tables.Reader(None)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast_json, "LARGE_BYTES", large)
            patch.setattr(fast_tables, "_PIECE_BYTES", 3)
            actual = short.invocations(body, CSV)
        assert actual == general.invocations(body, CSV), (frame, body)


FLOATS = st.one_of(
    st.floats(),
    st.floats(1e-4, 1e16, exclude_max=True),
    st.floats(-1e16, -1e-4, exclude_min=True),
    st.sampled_from([0.0, -0.0, 1e16, 1e-4, math.nextafter(1e-4, 0), 123456.0]),
)


@given(st.lists(FLOATS), st.sampled_from(["f8", "f4", "f2", "i8", "u2"]))
@settings(max_examples=examples.count(300), deadline=None, derandomize=True)
def test_numbers_are_written_as_json_writes_them(values: list[float], dtype: str) -> None:
    with np.errstate(all="ignore"):
        flat = np.array(values).astype(dtype)
    shaped = flat.reshape(-1, 2) if len(values) % 2 == 0 else flat
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_json, "LARGE_BYTES", 0)

        written = fast_json.encode_numbers(shaped)

    assert written in {None, json.dumps(shaped.tolist())}


def test_a_large_plain_body_takes_the_short_way() -> None:
    schema = ours({"inputs": [column("double", "a"), column("float", "b")]})._model.inputs
    reader = fast_tables.Reader(schema)
    body = {"columns": ["b", "a"], "data": [[1.5, 2]] * 10_000}

    found = reader.json(json.dumps({"dataframe_split": body}).encode())

    assert found is not None
    columns = found[0].columns
    assert {name: str(made.cells.dtype) for name, made in columns.items()} == {
        "a": "float64",
        "b": "float32",
    }
    assert (columns["a"].cells == 2).all()
    assert (columns["b"].cells == 1.5).all()
    table = reader.csv("a,b\n" + "1,2.5\n" * 30_000)
    assert table is not None
    assert table.rows == 30_000
    assert fast_json.encode_numbers(np.full(10_000, 0.25)) is not None


def test_numbers_are_rounded_as_python_rounds_them() -> None:
    bits = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    numbers = bits.view(np.float64)
    texts = list(map(repr, numbers[np.isfinite(numbers)].tolist()))
    texts += [f"{n}.{n:020d}{m}" for n, m in enumerate(bits[:2000].tolist())]

    found = fast_tables._numbers(",".join(texts).encode(), large=True)

    assert found is not None
    assert found.tolist() == list(map(float, texts))
