from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.pipeline.plan._pickles import why_bound

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.just("CodeTyp"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
)


def _why(data: bytes) -> str | None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "model.pkl").write_bytes(data)
        return why_bound(Path(name), ("model.pkl",))


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_data_alone_hangs_on_no_python(value: Any, protocol: int) -> None:
    assert _why(pickle.dumps(value, protocol=protocol)) is None


def test_a_class_that_is_imported_hangs_on_no_python() -> None:
    assert _why(cloudpickle.dumps(Path("x"))) is None


@pytest.mark.parametrize("value", [lambda x: x, type("Own", (), {"f": lambda self: 1})])
def test_code_by_value_hangs_on_its_python(value: object) -> None:
    assert _why(cloudpickle.dumps({"deep": [value]})) == "model.pkl holds compiled code"


@pytest.mark.parametrize("data", [b"", b"\x80\x05", b"no pickle at all", b"\x1f\x8b\x08"])
def test_what_cannot_be_looked_into_is_taken_as_bound(data: bytes) -> None:
    assert _why(data) == "model.pkl is no plain pickle that could be looked into"


def test_an_unknown_loader_is_taken_as_bound(tmp_path: Path) -> None:
    assert why_bound(tmp_path, (".",)) == "what its loader unpickles is not known"
