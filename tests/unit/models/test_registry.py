from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.environments.machine.installation import name_install
from packager.errors import (
    ConfigurationError,
    ModelFormatError,
    ModelNotFoundError,
    PackagerError,
    RegistryUnavailableError,
    StorageError,
)
from packager.models import mlflow_errors, model_uri
from packager.models.model_uri import Folder, Logged, OfRun, Registered, Stored
from packager.models.registry import Fetched, MlflowRegistry

ID = "m-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models:/churn/3", Registered(name="churn", version="3")),
        ("models:/churn@champion", Registered(name="churn", alias="champion")),
        ("models:/a@b@champion", Registered(name="a@b", alias="champion")),
        ("models:/churn/latest", Registered(name="churn", latest=True)),
        ("models:/churn/Latest", Registered(name="churn", latest=True)),
        ("models:/churn/Production", Registered(name="churn", stage="Production")),
        ("models:/churn", Registered(name="churn")),
        ("models:/churn/", Registered(name="churn")),
        ("models:/m-churn", Registered(name="m-churn")),
        (f"models:/{ID}", Logged(ID)),
        ("runs:/abc/model", OfRun("abc", "model")),
        ("runs:/abc/a/b", OfRun("abc", "a/b")),
        ("model", Folder(Path("model"))),
        ("/a/b", Folder(Path("/a/b"))),
        ("file:///a/b%20c", Folder(Path("/a/b c"))),
        ("s3://bucket/path", Stored("s3://bucket/path")),
        ("mlflow-artifacts:/1/x", Stored("mlflow-artifacts:/1/x")),
    ],
)
def test_what_a_uri_names(uri: str, expected: object) -> None:
    assert model_uri.parse(uri) == expected


@pytest.mark.parametrize(
    "uri",
    ["models:/", "models:/a/1/b", "models:/a@", "models:/@b", "runs:/", "runs:/x", "s3://[::1/x"],
)
def test_a_malformed_uri_is_answered_with_the_forms_there_are(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="models:/name@alias"):
        model_uri.parse(uri)


@given(
    st.text(alphabet=st.characters(exclude_characters="/@", exclude_categories=["Cs"]), min_size=1)
)
def test_any_name_comes_back_out_of_a_uri(name: str) -> None:
    assert model_uri.parse(f"models:/{name}/7") == Registered(name=name, version="7")


def _model(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    (folder / "data" / "x.bin").write_bytes(b"x")
    return folder


def test_a_local_folder_is_copied_and_left_as_it_was(tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    before = sorted(path.stat().st_mtime_ns for path in source.rglob("*"))
    found = MlflowRegistry().fetch(str(source), tmp_path / "work")
    assert found.folder == tmp_path / "work" / "model"
    assert (found.name, found.version) == ("source", None)
    assert (found.folder / "data" / "x.bin").read_bytes() == b"x"
    assert sorted(path.stat().st_mtime_ns for path in source.rglob("*")) == before


def test_a_local_folder_costs_no_import_of_mlflow(tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    code = (
        "import sys; from pathlib import Path\n"
        "from packager.models.registry import MlflowRegistry\n"
        f"MlflowRegistry().fetch({str(source)!r}, Path({str(tmp_path / 'w')!r}))\n"
        "print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_link_inside_the_folder_is_copied_as_a_file(tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    (source / "again.bin").symlink_to(source / "data" / "x.bin")
    folder = MlflowRegistry().fetch(str(source), tmp_path / "work").folder
    assert (folder / "again.bin").read_bytes() == b"x"
    assert not (folder / "again.bin").is_symlink()


def test_a_link_out_of_the_folder_is_refused_and_named(tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    (source / "stray").symlink_to(tmp_path / "secret")
    (source / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(ModelFormatError, match="elsewhere, stray"):
        MlflowRegistry().fetch(str(source), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_pipe_in_the_folder_is_refused(tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    os.mkfifo(source / "pipe")
    with pytest.raises(ModelFormatError, match="pipe"):
        MlflowRegistry().fetch(str(source), tmp_path / "work")


@pytest.mark.parametrize("name", ["MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"])
def test_a_description_of_gigabytes_is_refused_before_it_is_copied(
    name: str, tmp_path: Path
) -> None:
    source = _model(tmp_path / "source")
    with (source / name).open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(ModelFormatError, match=f"{name} has 3,221,225,472 bytes"):
        MlflowRegistry().fetch(str(source), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_folder_that_is_no_model_is_not_walked(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(30):
        (source / f"{number:02}" / "deep").mkdir(parents=True)
    with pytest.raises(ModelNotFoundError, match=r"no file MLmodel\. It holds: .* and more\."):
        MlflowRegistry().fetch(str(source), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_folder_of_more_files_than_a_model_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_uri, "MOST_FILES", 1)
    with pytest.raises(ModelFormatError, match="more than 1 files"):
        MlflowRegistry().fetch(str(_model(tmp_path / "source")), tmp_path / "work")


def test_so_is_one_of_more_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _model(tmp_path / "source")
    for number in range(30):
        (source / "empty" / f"{number}").mkdir(parents=True)
    monkeypatch.setattr(model_uri, "MOST_FILES", 25)

    with pytest.raises(ModelFormatError, match="more than 25 files and folders"):
        MlflowRegistry().fetch(str(source), tmp_path / "work")


def test_a_model_larger_than_the_disk_s_room_is_not_copied(tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    os.truncate(source / "MLmodel", 1 << 20)
    with (source / "weights.bin").open("wb") as file:
        file.truncate(1 << 42)  # holes alone: 4 TB of which this disk has nothing

    with pytest.raises(StorageError, match=r"has 4,398,\d+,\d+,\d+ bytes, and .* are free"):
        MlflowRegistry().fetch(str(source), tmp_path / "work")

    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", [b"caf\xe9.bin", b"\xff", b"data/\xfe.txt", b"d\xe9r/x"])
def test_a_name_that_is_not_utf_8_is_refused_and_shown(name: bytes, tmp_path: Path) -> None:
    source = _model(tmp_path / "source")
    path = Path(os.fsdecode(os.fsencode(source) + b"/" + name))
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(ModelFormatError, match=r"not UTF-8: .*\\udc") as caught:
        MlflowRegistry().fetch(str(source), tmp_path / "work")
    assert str(caught.value).encode()


def test_a_model_s_folder_whose_own_name_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    source = _model(Path(os.fsdecode(os.fsencode(tmp_path) + b"/mod\xe9l")))
    with pytest.raises(ModelFormatError, match=r"mod\\udce9l"):
        MlflowRegistry().fetch(str(source), tmp_path / "work")


@pytest.mark.parametrize("name", ["a" * 5_000, "a\0b", "mod\udce9l", "~nobody/x", ""])
def test_a_folder_that_cannot_be_is_no_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(PackagerError) as caught:
        MlflowRegistry().fetch(f"{tmp_path}/none/{name}", tmp_path / "work")
    assert str(caught.value).encode()


def test_an_address_that_is_no_store_s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"MLflow cannot read http://127\.0\.0\.1/model"):
        MlflowRegistry().fetch("http://127.0.0.1/model", tmp_path)


def test_a_folder_that_is_not_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="There is no folder"):
        MlflowRegistry().fetch(str(tmp_path / "nope"), tmp_path / "work")


@pytest.mark.parametrize(("name", "told"), [("churn", True), ("models/churn", False)])
def test_a_bare_name_may_be_meant_for_a_build_of_a_file(
    name: str, *, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError) as caught:
        MlflowRegistry().fetch(name, tmp_path / "work")
    assert ("the name of a build in a packager.toml" in str(caught.value)) is told


def test_a_full_disk_is_told_from_an_unreadable_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageError, match="No space left on device"):
        MlflowRegistry().fetch(str(_model(tmp_path / "source")), tmp_path / "work")


def test_a_source_that_cannot_be_read_is_not_our_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr("shutil.copyfile", denied)
    with pytest.raises(RegistryUnavailableError, match="Permission denied"):
        MlflowRegistry().fetch(str(_model(tmp_path / "source")), tmp_path / "work")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nosuchscheme://x", "unsupported URI"),
        ("mysql+nodriver://u:secret@127.0.0.1:1/db", "could not be fetched|not installed"),
    ],
)
def test_an_address_that_mlflow_cannot_use_is_said(uri: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailableError, match=said) as caught:
        MlflowRegistry(tracking_uri=uri).fetch("models:/x/1", tmp_path)
    assert "secret" not in str(caught.value)


def test_settings_hold_for_the_call_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "5")
    before = dict(os.environ)
    level = logging.getLogger("mlflow").level
    with mlflow_errors.quiet():
        assert os.environ["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"] == "0"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
    assert dict(os.environ) == before
    assert logging.getLogger("mlflow").level == level


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), StorageError),
        (RuntimeError("[Errno 28] No space left on device: '/x'"), StorageError),
        (RuntimeError("AccessDenied when calling ListObjectsV2"), RegistryUnavailableError),
        (RuntimeError("NoSuchBucket: it does not exist"), ModelNotFoundError),
        (ModuleNotFoundError("No module named 'boto3'"), RegistryUnavailableError),
        (RuntimeError("Max retries exceeded with url"), RegistryUnavailableError),
        (RuntimeError(""), RegistryUnavailableError),
    ],
)
def test_each_failure_has_its_own_class(error: Exception, kind: type[Exception]) -> None:
    found = mlflow_errors.explain_error(error, "s3://b/x", "http://registry", Path("/work"))
    assert type(found) is kind


_ASKED = "API request to endpoint /api/2.0/mlflow/registered-models/get failed with error code"
_NO_JSON = "API request to endpoint was successful but the response body was not in a valid JSON"
_RETRIED = (
    "API request to http://registry/api failed with exception HTTPConnectionPool: Max retries"
)
_STRANGER = "http://registry is no MLflow server, or an old one. Is the address right?"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{_ASKED} 401 != 200. Response body: ''", "MLFLOW_TRACKING_TOKEN"),
        (f"{_ASKED} 403 != 200. Response body: ''", "MLFLOW_TRACKING_TOKEN"),
        (f"{_ASKED} 404 != 200. Response body: '<html>'", _STRANGER),
        (f"{_ASKED} 302 != 200. Response body: ''", _STRANGER),
        (f"{_NO_JSON} format. Response body: '<html>'", _STRANGER),
        (f"{_ASKED} 502 != 200. Response body: ''", "http://registry failed to answer, with 502"),
        (
            f"{_RETRIED} exceeded (Caused by ResponseError('too many 500 error responses')",
            "http://registry failed to answer, with 500",
        ),
        (f"{_RETRIED} exceeded (refused)", "nothing answers at http://registry"),
        ("Unable to locate credentials", "check the credentials"),
    ],
)
def test_what_a_server_answers_says_what_to_do(words: str, said: str) -> None:
    error = RuntimeError(words)
    found = mlflow_errors.explain_error(error, "models:/a/1", "http://registry", Path("/work"))
    assert type(found) is RegistryUnavailableError
    assert said in str(found)


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("pymysql", "pymysql"),
        ("google.cloud", "google-cloud-storage"),
        ("psycopg2", "psycopg2-binary"),
        ("psycopg", "psycopg[binary]"),
        ("azure.storage", "azure-storage-blob azure-identity"),
        (None, "NAME"),
    ],
)
def test_a_client_that_is_not_installed_is_named(module: str | None, package: str) -> None:
    error = ImportError("No module", name=module)
    found = mlflow_errors.explain_error(error, "models:/a/1", "there", Path("/x"))
    assert f"`{name_install(*package.split())}`" in str(found)


def test_the_address_of_a_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://me:word@host")
    with pytest.raises(RegistryUnavailableError, match="fetched from nonsense://") as caught:
        MlflowRegistry(None, None).fetch("models:/churn/1", tmp_path)
    assert "word" not in str(caught.value)


def test_no_password_is_in_a_message() -> None:
    error = RuntimeError("cannot reach postgresql://me:secret@db/x")
    found = mlflow_errors.explain_error(error, "models:/a/1", "here", Path("/work"))
    assert "secret" not in str(found)


def test_a_file_that_has_not_changed_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    (source := tmp_path / "store").mkdir()
    (source / "MLmodel").write_text("one")
    (database := tmp_path / "mlflow.db").write_bytes(b"as it is")
    asked: list[str] = []

    def ask(_registry: MlflowRegistry, _found: object, uri: str, into: Path) -> Fetched:
        asked.append(uri)
        model_uri.copy_folder(source, into / "model")
        return Fetched(
            name="churn", version="7", aliases=("a",), notes=("b",),
            folder=into / "model", source=source,
        )  # fmt: skip

    monkeypatch.setattr(MlflowRegistry, "_ask", ask)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    registry = MlflowRegistry(f"sqlite:///{database}", None)

    def fetch(folder: str) -> Fetched:
        (tmp_path / folder).mkdir()
        return registry.fetch("models:/churn@a", tmp_path / folder)

    first = fetch("1")
    (source / "MLmodel").write_text("two")  # its own files are read each time
    second = fetch("2")
    assert len(asked) == 1
    assert (second.folder / "MLmodel").read_text() == "two"
    assert replace(second, folder=first.folder) == first
    database.write_bytes(b"another version")
    fetch("3")
    (source / "MLmodel").unlink()
    with pytest.raises(ModelNotFoundError):
        fetch("4")  # the registry is asked, and says what is wrong
    assert len(asked) == 3
