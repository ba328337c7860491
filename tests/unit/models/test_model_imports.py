"""Files of a model are read within bounds, whatever they hold."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath
from typing import IO, cast

import pytest

from packager.models import code_imports
from packager.models.code_imports import parse_file, read_imports
from packager.models.flavors import _look, _stub
from packager.models.pickles import pickle_names
from packager.models.pickles.pickle_names import read_pickle
from packager.pipeline.slim import imports
from packager.pipeline.slim.native.library_loaders import read_mentions

DEEP = {
    "operators": "import churn\nx = " + "-" * 100_000 + "1",
    "lambdas": "import churn\nx = " + "lambda: " * 20_000 + "1",
    "branches": "import churn\nif a: pass\n" + "elif b: pass\n" * 20_000,
    "a sum": "import churn\nx = " + " + ".join(["1"] * 3000),
    "attributes": "import churn\nx = a" + ".b" * 3000,
    "calls": "import churn\nx = f" + "()" * 3000,
    "a context": "import churn\nwith a" + ".b" * 950 + ":\n    import late\n",
    "a context's sum": "import churn\nwith " + " + ".join(["a"] * 950) + ":\n    import late\n",
    "a handler": "try:\n    import churn\nexcept a" + ".b" * 950 + ":\n    pass\n",
    "a called name": "import churn\na" + ".b" * 950 + "('mlflow.x')\n",
}


@pytest.mark.few(4)
@pytest.mark.parametrize("name", DEEP)
def test_code_nested_too_deep_is_read_or_left(tmp_path: Path, name: str) -> None:
    path = tmp_path / "deep.py"
    path.write_text(DEEP[name])
    parsed = parse_file(path) is not None
    assert ("churn" in {each.name for each in read_imports(path).modules}) is parsed
    assert ("churn" in _stub.imported_modules(path)) is parsed
    assert _stub.find_missing(path) == ()
    relative = PurePosixPath("deep.py")
    assert (PurePosixPath("churn") in imports.modules(path, relative)) is parsed
    assert ("churn" in read_mentions(path.read_bytes(), relative)) is parsed


def test_a_source_that_nobody_wrote_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long.py").write_text("import churn\n" * 10)
    assert read_imports(tmp_path / "long.py").modules
    monkeypatch.setattr(code_imports, "_MOST_BYTES", 100)
    assert not read_imports(tmp_path / "long.py").modules
    assert parse_file(tmp_path / "missing.py") is None


@pytest.mark.few(5)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("compressed", [True, False])
def test_long_arguments_are_passed_over(tmp_path: Path, protocol: int, *, compressed: bool) -> None:
    held = {"long": bytes(2_000_000), "text": "x" * 2_000_000, "short": "word", "class": complex}
    content = pickle.dumps([held, bytearray(2_000_000), PurePosixPath("p")], protocol)
    path = tmp_path / "model.pkl"
    path.write_bytes(gzip.compress(content, 1) if compressed else content)
    with gzip.open(path) if compressed else path.open("rb") as file:
        seen = read_pickle(cast("IO[bytes]", file))
    assert {"short", "word", "text"} <= seen.words
    assert all(len(word) < 1000 for word in seen.words)
    # Python 3.13 says pathlib._local
    assert [name for name in seen.globals if name.endswith(".PurePosixPath")]
    assert [name for name in seen.globals if name.endswith(".complex")]
    if not compressed:
        names = _look.read_pickled(path).names
        assert {name.rpartition(".")[2] for name in seen.globals} <= {
            name.rpartition(".")[2] for name in names
        }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_ends_in_a_long_argument_is_noticed(protocol: int) -> None:
    content = pickle.dumps(["x" * 3_000_000], protocol)
    with pytest.raises(ValueError, match=r"newline|expected|exhausted|remain"):
        read_pickle(io.BytesIO(content[:2_000_000]))


@pytest.mark.few(0)
def test_a_small_file_that_stands_for_much_takes_no_memory(tmp_path: Path) -> None:
    # of this process alone: getrusage begins with that of the process that started it
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(b"\x80\x05\x8e" + struct.pack("<Q", 3_000_000_000))
        for _ in range(60):
            file.write(bytes(10_000_000))
    code = (
        "import gzip, re, sys\n"
        "from packager.models.pickles.pickle_names import read_pickle\n"
        "try:\n    read_pickle(gzip.open(sys.argv[1]))\n"
        "except ValueError as error:\n    print(error)\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    said, peak_mb = done.stdout.splitlines()
    assert "remain" in said
    assert int(peak_mb) < 200


def test_what_it_comes_to_and_its_opcodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pickle.dumps([str(at) for at in range(1000)])
    assert len(read_pickle(io.BytesIO(content)).words) == 1000
    into = pickle_names.PickleNames()
    with pytest.raises(ValueError, match="more than 100 opcodes"):
        read_pickle(io.BytesIO(content), into, most=100)
    assert "1" in into.words
    monkeypatch.setattr(pickle_names, "_MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        read_pickle(io.BytesIO(content))


def test_a_long_run_of_line_ends_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text('x = """' + "\n" * 200_000 + '"""\nexec(x)\n')
    started = time.process_time()

    read_imports(path)

    assert time.process_time() - started < 5
