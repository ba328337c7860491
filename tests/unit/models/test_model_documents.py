"""What a model brings is bounded before it is built: bytes, values, depth, digits."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from packager.errors import ModelFormatError
from packager.models import model_documents


@pytest.fixture
def quickly() -> Iterator[None]:
    """Little time, and little memory: whoever waits for a bomb can still be interrupted."""
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def _bomb(levels: int, width: int = 10) -> str:
    lines = [f"x0: &x0 [{','.join(['a'] * width)}]"]
    lines += [f"x{i + 1}: &x{i + 1} [{','.join([f'*x{i}'] * width)}]" for i in range(levels)]
    return "\n".join(lines)


def _merged_bomb(levels: int) -> str:
    lines = ["x0: &x0 {a: 1, b: 2}"]
    for i in range(levels):
        keys = ", ".join(f"k{j}: *x{i}" for j in range(10))
        lines.append(f"x{i + 1}: &x{i + 1} {{{keys}}}")
    return "\n".join([*lines, f"y: {{<<: *x{levels}}}"])


YAML_TOO_MUCH = {
    "aliases": _bomb(11),
    "aliases, few levels and wide": _bomb(2, width=200),
    "merged aliases": _merged_bomb(8),
    "nine megabytes": "x: [" + "a," * 4_500_000 + "a]",
    "just below the bytes": "x: [" + "a," * 2_000_000 + "a]",
    "deep lists": "x: " + "[" * 100_000,
    "deep closed lists": "x: " + "[" * 5_000 + "]" * 5_000,
    "deep tables": "".join(f"{' ' * i}a:\n" for i in range(500)),
    "deep by aliases": "x0: &x0 [a]\n"
    + "".join(f"x{i + 1}: &x{i + 1} [*x{i}]\n" for i in range(200)),
    "an alias of itself": "x: &x [*x]",
    "an alias of what it stands in": "x: &x {a: [{b: *x}]}",
    "an alias of nothing": "x: *y",
    "a number": "x: " + "9" * 5_000,
    "a number in base 60": "x: " + "1:" * 500_000 + "1",
    "a tagged number": 'x: !!int "' + "9" * 5_000 + '"',
    "a signed number": "x: +" + "9" * 5_000,
    "a date": "x: 2026-13-45",
    "a tag of Python's": "x: !!python/object/apply:os.system [true]",
    "a key that is none": "? [a]\n: b",
    "keys that are numbers": "1: a",
    "a list": "- a",
    "a text": "a",
    "half of a pair": 'x: "\\ud800"',
    "no YAML": "a: [",
}


@pytest.mark.parametrize("text", YAML_TOO_MUCH.values(), ids=YAML_TOO_MUCH)
def test_yaml_that_is_too_much_or_none_is_refused(text: str, tmp_path: Path, quickly: None) -> None:
    (path := tmp_path / "MLmodel").write_text(text, encoding="utf-8")
    with pytest.raises(ModelFormatError, match="MLmodel"):
        model_documents.read_yaml(path)


def test_yaml_without_the_parser_in_c_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_documents, "SAFE_LOADER", yaml.SafeLoader)
    (path := tmp_path / "MLmodel").write_text(_bomb(11), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="its aliases written out"):
        model_documents.read_yaml(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a: &x [1, 2]\nb: *x\nc: *x", {"a": [1, 2], "b": [1, 2], "c": [1, 2]}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: '" + "9" * 5_000 + "'", {"a": "9" * 5_000}),
        ("a: " + "x" * 100_000, {"a": "x" * 100_000}),
        ("\ufeffa: ä", {"a": "ä"}),
    ],
)
def test_what_people_write_is_read(text: str, expected: object, tmp_path: Path) -> None:
    (path := tmp_path / "MLmodel").write_text(text, encoding="utf-8")
    assert model_documents.read_yaml(path) == expected


def test_a_wide_model_s_description_is_read(tmp_path: Path) -> None:
    columns = ", ".join(
        f'{{"type": "double", "name": "column number {i}", "required": true}}'
        for i in range(40_000)
    )
    (path := tmp_path / "MLmodel").write_text(f"inputs: '[{columns}]'", encoding="utf-8")
    text = model_documents.read_yaml(path)["inputs"]
    assert len(model_documents.parse_json(text, "signature")) == 40_000


JSON_TOO_MUCH = {
    "deep": "[" * 100_000,
    "a little too deep": "[" * 101 + "]" * 101,
    "deep and closed": "[" * 100_000 + "]" * 100_000,
    "deep tables": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "digits": "[" + "9" * 5_000 + "]",
    "values": "[" + "1," * 3_000_000 + "1]",
    "empty lists": "[" + "[]," * 1_500_000 + "[]]",
    "half of a pair": '["\\ud800"]',
    "half of a pair as a key": '{"\\udfff": 1}',
    "nothing": "",
    "no JSON": "{",
    "quotes": '"' * 1_000_001,
    "escapes": '"' + "\\" * 1_000_001,
}


@pytest.mark.parametrize("text", JSON_TOO_MUCH.values(), ids=JSON_TOO_MUCH)
def test_json_that_is_too_much_or_none_is_refused(text: str, quickly: None) -> None:
    with pytest.raises(ModelFormatError, match="example"):
        model_documents.parse_json(text, "example")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["[[[[", "\\"[", "\\ud83d\\ude00"]', ["[[[[", '"[', "\N{GRINNING FACE}"]),
        ("[" * 99 + "]" * 99, None),
        ('"' + "[" * 1000 + '"', "[" * 1000),
        ("NaN", None),
    ],
)
def test_json_that_people_write_is_read(text: str, expected: object) -> None:
    found = model_documents.parse_json(text, "example")
    assert expected is None or found == expected


@pytest.mark.parametrize("name", ["a\0b", "a" * 5_000, "a/" * 3_000, "\ud800", "nothing", ""])
def test_a_name_that_no_file_has_is_not_there(name: str, tmp_path: Path) -> None:
    found = model_documents.find_inside(tmp_path, name)
    assert found is None or found == tmp_path.resolve()
    assert not model_documents.is_file(tmp_path / name)


@pytest.mark.parametrize("name", ["..", "../x", "/etc/passwd", "a/../../x", "loop/../.."])
def test_what_lies_outside_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="outside of the model"):
        model_documents.find_inside(tmp_path, name)


@pytest.mark.parametrize(("size", "is_read"), [(10, True), (11, False)])
def test_a_text_is_read_up_to_its_bound(size: int, tmp_path: Path, *, is_read: bool) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    if is_read:
        assert model_documents.read_text(tmp_path / "file", 10) == "x" * 10
        return
    with pytest.raises(ModelFormatError, match="file has 11 bytes; no more than 10 are read"):
        model_documents.read_text(tmp_path / "file", 10)
