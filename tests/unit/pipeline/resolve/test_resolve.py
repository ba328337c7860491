from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from packager.errors import ConfigurationError, ModelFormatError, ModelNotFoundError
from packager.models.registry import Fetched
from packager.pipeline.resolve import resolve
from packager.system import file_tree
from packager.types import ResolvedModel, make_request
from tests import models

COLUMNS = '[{"type": "double", "name": "a", "required": true}]'
PYFUNC: dict[str, Any] = {
    "loader_module": "mlflow.sklearn",
    "model_path": "model.skops",
    "python_version": "3.12.1",
}


class FolderRegistry:
    """A registry that knows one model."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def fetch(self, model_uri: str, into: Path) -> Fetched:
        folder = into / "model"
        shutil.copytree(self.source, folder, symlinks=True)
        return Fetched(name="churn", version="3", aliases=("champion",), folder=folder)


def _folder(tmp_path: Path, changes: dict[str, Any] | None = None, /, **files: str) -> Path:
    """A model folder; `changes` of MLmodel, and files by name with `__` for the dot."""
    folder = tmp_path / "source"
    folder.mkdir(exist_ok=True)
    values: dict[str, Any] = {"flavors": {"python_function": dict(PYFUNC)}, **(changes or {})}
    (folder / "MLmodel").write_text(yaml.safe_dump(values), encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def _resolve(folder: Path, tmp_path: Path, **request: Any) -> ResolvedModel:
    asked = make_request(model_uri="models:/churn@champion", out_dir=tmp_path / "out", **request)
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return resolve(asked, FolderRegistry(folder), work)


@pytest.mark.parametrize("name", models.names())
def test_every_logged_model_resolves(name: str, tmp_path: Path) -> None:
    source = models.folder(name)
    model = _resolve(source, tmp_path)
    assert (model.name, model.version, model.aliases) == ("churn", "3", ("champion",))
    assert model.mlflow_version
    assert model.python_version is not None
    assert model.python_version.count(".") == 2
    assert any(line.startswith("mlflow==") for line in model.requirements.lines)
    text = (model.root / "MLmodel").read_text(encoding="utf-8")
    assert "file:/" not in text
    assert ": /" not in text


def test_the_digest_is_the_source_s_and_the_source_stays(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"artifact_path": "file:///home/me/art"})
    before = file_tree.digest(file_tree.records(folder))
    model = _resolve(folder, tmp_path)
    assert model.digest == before == file_tree.digest(model.files)
    assert file_tree.digest(file_tree.records(folder)) == before
    assert file_tree.digest(file_tree.records(model.root)) != before


def test_a_registry_s_mark_is_no_part_of_the_model(tmp_path: Path) -> None:
    plain = _resolve(_folder(tmp_path), tmp_path).digest
    shutil.rmtree(tmp_path / "work")
    marked = _resolve(_folder(tmp_path, registered_model_meta="model_name: x"), tmp_path)
    assert marked.digest == plain
    assert not (marked.root / "registered_model_meta").exists()


def test_unknown_keys_are_let_be(tmp_path: Path) -> None:
    changes = {"from_the_future": {"a": [1]}, "auth_policy": None}
    model = _resolve(_folder(tmp_path, changes), tmp_path)
    assert yaml.safe_load((model.root / "MLmodel").read_text(encoding="utf-8"))["from_the_future"]


def test_the_author_s_paths_are_taken_out(tmp_path: Path) -> None:
    pyfunc = {
        **PYFUNC,
        "model_code_path": "/home/me/project/model.py",
        "config": {"lookup": "/opt/shared/data"},
        "artifacts": {"table": {"path": "artifacts/t.csv", "uri": "/home/me/t.csv"}},
    }
    folder = _folder(
        tmp_path,
        {"artifact_path": "s3://private/1/models/m-1", "flavors": {"python_function": pyfunc}},
        conda__yaml="dependencies: [python=3.12.1]\nprefix: /home/me/env\n",
    )
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "t.csv").write_text("a\n", encoding="utf-8")
    model = _resolve(folder, tmp_path)
    assert model.pyfunc["model_code_path"] == "model.py"
    assert model.pyfunc["artifacts"] == {
        "table": {"path": "artifacts/t.csv", "uri": "artifacts/t.csv"}
    }
    assert model.pyfunc["config"] == {"lookup": "/opt/shared/data"}
    shipped = "".join(path.read_text(encoding="utf-8") for path in model.root.glob("*.*"))
    shipped += (model.root / "MLmodel").read_text(encoding="utf-8")
    assert "/home/me" not in shipped
    assert "s3://" not in shipped


def test_an_mlmodel_without_absolute_paths_keeps_its_bytes(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"artifact_path": "model"})
    model = _resolve(folder, tmp_path)
    assert (model.root / "MLmodel").read_bytes() == (folder / "MLmodel").read_bytes()


@pytest.mark.parametrize(
    "text", ["[not, a, table]", "a: [", "", "\tx", "flavors:\n", "flavors: 3\n"]
)
def test_an_unreadable_mlmodel_is_said(text: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    with pytest.raises(ModelFormatError, match="MLmodel"):
        _resolve(folder, tmp_path)


def test_a_binary_mlmodel_is_said(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "MLmodel").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelFormatError, match="not UTF-8"):
        _resolve(folder, tmp_path)


def test_an_enormous_mlmodel_is_not_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "MLmodel").write_bytes(b"#" * (10 * 2**20 + 1))
    with pytest.raises(ModelFormatError, match="no more than 4,194,304 are read"):
        _resolve(folder, tmp_path)


def test_a_folder_without_mlmodel_says_what_there_is(tmp_path: Path) -> None:
    folder = _folder(tmp_path, notes__txt="x")
    (folder / "MLmodel").unlink()
    with pytest.raises(ModelNotFoundError, match=r"no file MLmodel.*notes\.txt"):
        _resolve(folder, tmp_path)


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    (folder := tmp_path / "empty").mkdir()
    with pytest.raises(ModelNotFoundError, match=r"no file MLmodel.*nothing"):
        _resolve(folder, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metadata": {"mlflow.model.isExternal": True}}, "registered as external"),
        ({"flavors": {"sklearn": {}}}, "no flavor python_function"),
        ({"flavors": {"python_function": None}}, "flavor python_function has no configuration"),
        ({"flavors": {"python_function": {"env": {}}}}, "names no loader_module"),
        ({"signature": "text"}, "signature is not a table"),
        ({"signature": {"inputs": "{]"}}, "inputs cannot be read as JSON"),
        ({"signature": {"outputs": '"text"'}}, "outputs are not a list"),
        ({"mlflow_version": "latest"}, "mlflow_version is 'latest', and not a version"),
        ({"mlflow_version": "2024-01-01"}, "mlflow_version is '2024-01-01', and not a version"),
        ({"mlflow_version": "v3"}, "mlflow_version is 'v3', and not a version"),
    ],
)
def test_what_mlflow_could_not_serve_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=said):
        _resolve(_folder(tmp_path, changes), tmp_path)


@pytest.mark.parametrize(
    ("path", "said"), [("../../etc/passwd", "lies outside"), ("artifacts/gone", "is missing")]
)
def test_an_artifact_is_in_the_model_and_there(path: str, said: str, tmp_path: Path) -> None:
    pyfunc = {**PYFUNC, "artifacts": {"x": {"path": path, "uri": "u"}}}
    with pytest.raises(ModelFormatError, match=said):
        _resolve(_folder(tmp_path, {"flavors": {"python_function": pyfunc}}), tmp_path)


def test_a_link_out_of_a_fetched_folder_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "stray").symlink_to("/etc/hostname")
    with pytest.raises(ModelFormatError, match="stray"):
        _resolve(folder, tmp_path)


def test_a_signature_is_decoded_out_of_its_strings(tmp_path: Path) -> None:
    signature = {"inputs": COLUMNS, "outputs": None, "params": None}
    model = _resolve(_folder(tmp_path, {"signature": signature}), tmp_path)
    assert model.signature == {"inputs": json.loads(COLUMNS), "outputs": None, "params": None}


def test_without_a_signature_a_note_says_so(tmp_path: Path) -> None:
    model = _resolve(_folder(tmp_path), tmp_path)
    assert model.signature is None
    assert any("no signature" in note for note in model.notes)
    assert any("no input example" in note for note in model.notes)
    assert any("no requirements" in note for note in model.notes)


def test_a_packed_environment_stays_out(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "_databricks").mkdir()
    (folder / "_databricks" / "model_environment.tar").write_bytes(b"x")
    model = _resolve(folder, tmp_path)
    assert not (model.root / "_databricks").exists()
    assert any("_databricks" in note for note in model.notes)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "3.12.1"),
        ({"python_env__yaml": "python: 3.11.7"}, "3.11.7"),
        ({"python_env__yaml": "python: '3.12'"}, "3.12.1"),
        ({"python_env__yaml": "python: '3.11'"}, "3.11"),
        ({"python_env__yaml": "python: 3.11"}, "3.11"),
        ({"python_env__yaml": "python: 3.10"}, "3.10"),
        ({"conda__yaml": "dependencies: [python=3.10.4, pip]"}, "3.10.4"),
        ({"conda__yaml": "dependencies: ['python==3.10.4']"}, "3.10.4"),
    ],
)
def test_the_author_s_python(files: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert _resolve(_folder(tmp_path, **files), tmp_path).python_version == expected


def test_requirements_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        requirements__txt="mlflow==3.1 # a comment\n\n# another\n-r more.txt\n-c limits.txt\n"
        "--extra-index-url https://example.com/simple\n-i https://example.com/main\n--pre\n"
        "numpy==2.0 ; python_version > '3.9'\nscipy==1.0 \\\n  "
        f"--hash=sha256:{'0a' * 32}\n"
        "code/own-1.0-py3-none-any.whl\n",
        more__txt="pandas[parquet]>=2\n",
        limits__txt="six<2\n",
        python_env__yaml="python: 3.12.1\ndependencies: [ignored]\n",
    )
    (folder / "code").mkdir()
    (folder / "code" / "own-1.0-py3-none-any.whl").write_bytes(b"")
    model = _resolve(folder, tmp_path)
    assert model.requirements.lines == (
        "mlflow==3.1",
        "pandas[parquet]>=2",
        "numpy==2.0 ; python_version > '3.9'",
        "scipy==1.0",
        "code/own-1.0-py3-none-any.whl",
    )
    assert model.requirements.constraints == ("six<2",)
    assert model.requirements.hashes == {"scipy==1.0": (f"sha256:{'0a' * 32}",)}
    assert model.requirements.options == ()
    assert model.requirements.unused_indexes == (
        "--extra-index-url example.com",
        "--index-url example.com",
    )
    assert any("`--pre` is not used" in note for note in model.notes)


def test_conda_s_pip_part_stands_in_for_requirements(tmp_path: Path) -> None:
    text = "dependencies: [python=3.12.1, pip<=24, graphviz=2, {pip: [mlflow, 'numpy==2.0']}]"
    model = _resolve(_folder(tmp_path, conda__yaml=text), tmp_path)
    assert model.requirements.lines == ("mlflow", "numpy==2.0")
    assert model.requirements.source == "conda.yaml"
    assert model.requirements.conda == ("graphviz=2",)


@pytest.mark.parametrize("line", ["-r requirements.txt", "--requirement=requirements.txt"])
def test_conda_s_pip_part_stands_in_for_a_file_that_is_missing(line: str, tmp_path: Path) -> None:
    conda = "dependencies: [python=3.12.1, {pip: [mlflow, 'numpy==2.0']}]"
    python_env = f"python: 3.12.1\ndependencies: ['{line}']"
    model = _resolve(_folder(tmp_path, conda__yaml=conda, python_env__yaml=python_env), tmp_path)
    assert model.requirements.lines == ("mlflow", "numpy==2.0")
    assert model.requirements.source == "conda.yaml"


@pytest.mark.parametrize(
    "conda", ["{}", "dependencies: [python=3.12.1, {pip: ['-r requirements.txt']}]"]
)
def test_a_file_that_is_missing_is_said_where_nothing_stands_in(conda: str, tmp_path: Path) -> None:
    python_env = "python: 3.12.1\ndependencies: ['-r requirements.txt']"
    with pytest.raises(ModelFormatError, match=r"requirements\.txt is included and is not in"):
        _resolve(_folder(tmp_path, conda__yaml=conda, python_env__yaml=python_env), tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r ../outside.txt", "outside of the model"),
        ("-r gone.txt", "not in the model"),
        ("-r requirements.txt", "without end"),
    ],
)
def test_requirements_that_lead_nowhere_are_refused(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=said):
        _resolve(_folder(tmp_path, requirements__txt=line + "\n"), tmp_path)


def _info(kind: str, **more: Any) -> dict[str, Any]:
    info = {"artifact_path": "input_example.json", "type": kind, **more}
    return {"saved_input_example_info": info}


@pytest.mark.parametrize(
    ("info", "saved", "expected"),
    [
        (
            _info("dataframe", pandas_orient="split"),
            {"columns": ["a"], "data": [[1]]},
            {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
        ),
        (
            _info("dataframe", pandas_orient="split"),
            {"index": [5], "columns": ["a"], "data": [[1]]},
            {"dataframe_split": {"index": [5], "columns": ["a"], "data": [[1]]}},
        ),
        (
            _info("dataframe", pandas_orient="records"),
            [{"a": 1}],
            {"dataframe_records": [{"a": 1}]},
        ),
        (_info("dataframe", pandas_orient="values"), [[1]], {"dataframe_split": {"data": [[1]]}}),
        (_info("ndarray"), {"inputs": [[1, 2]]}, {"inputs": [[1, 2]]}),
        (_info("ndarray"), [[1, 2]], {"inputs": [[1, 2]]}),
        (_info("json_object"), {"q": 1}, {"inputs": {"q": 1}}),
        (_info("json_object"), {"messages": []}, {"messages": []}),
        (
            _info("json_object", params="true"),
            {"inputs": [1], "params": {"k": 2}},
            {"inputs": [1], "params": {"k": 2}},
        ),
    ],
)
def test_a_saved_example_becomes_a_request(
    info: dict[str, Any], saved: Any, expected: Any, tmp_path: Path
) -> None:
    folder = _folder(tmp_path, info, input_example__json=json.dumps(saved))
    example = _resolve(folder, tmp_path).example
    assert example is not None
    assert json.loads(example.body) == expected
    assert example.content_type == "application/json"


def test_a_serving_example_is_taken_as_it_is(tmp_path: Path) -> None:
    info = _info("dataframe", serving_input_path="serving_input_example.json")
    body = '{ "dataframe_split": {"data": [[1]]} }'
    folder = _folder(tmp_path, info, serving_input_example__json=body, input_example__json="[1]")
    example = _resolve(folder, tmp_path).example
    assert example is not None
    assert example.body == body.encode()


def test_a_sparse_example_is_no_request(tmp_path: Path) -> None:
    folder = _folder(tmp_path, _info("sparse_matrix_csr"), input_example__json="{}")
    model = _resolve(folder, tmp_path)
    assert model.example is None
    assert any("sparse_matrix_csr" in note for note in model.notes)


def test_an_example_that_is_not_there_is_noted(tmp_path: Path) -> None:
    model = _resolve(_folder(tmp_path, _info("ndarray")), tmp_path)
    assert model.example is None
    assert any("is missing" in note for note in model.notes)


def test_a_broken_example_is_said(tmp_path: Path) -> None:
    folder = _folder(tmp_path, _info("ndarray"), input_example__json="{")
    with pytest.raises(ModelFormatError, match=r"input_example\.json cannot be read"):
        _resolve(folder, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("e.json", '{"inputs": [1], "params": {}}', "application/json"),
        ("e.json", '{"messages": []}', "application/json"),
        ("e.csv", "a,b\n1,2\n", "text/csv"),
    ],
)
def test_an_example_can_be_given(name: str, text: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    example = _resolve(_folder(tmp_path), tmp_path, example=path).example
    assert example is not None
    assert (example.body, example.content_type) == (text.encode(), kind)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("e.json", "{", "is not JSON"),
        ("e.json", "[[1]]", "not a JSON object"),
        ("e.json", "{}", "none of the four keys"),
        ("e.json", '{"inputs": 1, "instances": 2}', "instances and inputs"),
        ("e.csv", "a,b\n", "at least one row"),
        ("e.csv", "a,b\n1\n", "row 2 has 1 values"),
    ],
)
def test_an_example_that_is_no_request_is_refused(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        _resolve(_folder(tmp_path), tmp_path, example=path)


def test_a_link_to_itself_is_refused_with_its_name(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "round").symlink_to("round")

    with pytest.raises(ModelFormatError, match="lead out of it: round"):
        _resolve(folder, tmp_path)
