from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packager.commands.artifact import is_artifact
from packager.errors import ConfigurationError, PackagerError, StorageError
from packager.pipeline.output import place as output_place
from packager.system import atomic_output
from packager.types import make_request


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, home beside it, a model and a registry."""
    for name in ("work/here", "home", "model/data", "store/mlruns"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").touch()
    (tmp_path / "store" / "mlflow.db").touch()
    (tmp_path / "link").symlink_to(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "work" / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _check(out: str, model: str = "models:/x/1", tracking: str | None = None) -> None:
    output_place.check_place(
        make_request(model_uri=model, out_dir=Path(out), tracking_uri=tracking)
    )


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("/", "other folders than an artifact's"),
        ("{root}", "other folders|the folder that you are in"),
        ("{root}/home", "your home"),
        (".", "the folder that you are in"),
        ("", "the folder that you are in"),
        ("..", "the folder that you are in"),
        ("{root}/work", "the folder that you are in"),
        ("{root}/model", "is the folder of a model"),
        ("{root}/model/dist", "in the folder of a model"),
        ("{root}/model/data/a/b", "in the folder of a model"),
        ("{root}/link/dist", "in the folder of a model"),
        ("/proc", "mounted there"),
        ("a" * 256, "longer than a name may be"),
        ("x/" + "ä" * 128 + "/y", "longer than a name may be"),
        ("a\nb", "no line breaks"),
        ("a\0b", "no line breaks"),
        ("a\x1bb", "no line breaks"),
        ("caf\udce9", "not UTF-8"),
    ],
)
def test_a_place_that_is_not_free_is_refused(out: str, said: str, here: Path) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        _check(out.format(root=here))
    assert str(caught.value).encode()


@pytest.mark.parametrize(
    ("out", "model", "tracking"),
    [
        ("{root}/model", "{root}/model", None),
        ("{root}/model/dist", "file://{root}/model", None),
        ("{root}/store", "models:/x/1", "sqlite:///{root}/store/mlflow.db"),
        ("{root}/store", "models:/x/1", "sqlite+pysqlite:///{root}/store/mlflow.db?timeout=1"),
        ("{root}/store/mlruns/dist", "models:/x/1", "{root}/store/mlruns"),
        ("{root}/store", "models:/x/1", "file://{root}/store/mlruns"),
    ],
)
def test_a_place_around_or_in_what_is_read_is_refused(
    out: str, model: str, tracking: str | None, here: Path
) -> None:
    told = tracking and tracking.format(root=here)
    with pytest.raises(ConfigurationError, match=r"which the build reads|folder of a model"):
        _check(out.format(root=here), model.format(root=here), told)


def test_a_folder_around_the_model_s_is_refused(here: Path) -> None:
    (here / "dist").mkdir()
    (here / "model").rename(here / "dist" / "model")
    with pytest.raises(ConfigurationError, match="which the build reads"):
        _check(str(here / "dist"), str(here / "dist" / "model"))


def test_a_registry_in_the_environment_is_known(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/store/mlflow.db")
    with pytest.raises(ConfigurationError, match="which the build reads"):
        _check(str(here / "store"))


@pytest.mark.parametrize("out", ["dist", "a/b/c", "../dist", "{root}/home/dist", "{root}/store/d"])
def test_where_people_put_it_is_fine(out: str, here: Path) -> None:
    _check(out.format(root=here), tracking=f"sqlite:///{here}/store/mlflow.db")


@pytest.mark.parametrize("length", [200, 230, 250, 255])
def test_a_long_name_is_built_and_swept(length: int, here: Path) -> None:
    final = here / ("ü" * (length // 2) + "x" * (length % 2))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = here / f".{atomic_output._shorten(final.name)}.partial-{dead.pid}"
    left.mkdir()
    with atomic_output.replacing(final) as place:
        (place.out / "report.json").touch()
    assert (final / "report.json").is_file()
    assert not left.exists()


def test_a_name_with_a_pattern_in_it_is_swept(here: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (left := here / f".dist[1].partial-{dead.pid}").mkdir()
    with atomic_output.replacing(here / "dist[1]") as place:
        (place.out / "report.json").touch()
    assert not left.exists()


@pytest.mark.parametrize(
    "name", ["file/dist", "file/a/b", "dangling/x", "loop/dist", "a" * 300, "a" * 300 + "/b"]
)
def test_a_parent_that_cannot_be_one_is_said(name: str, here: Path) -> None:
    (here / "file").touch()
    (here / "loop").symlink_to(here / "loop")
    (here / "dangling").symlink_to(here / "none")
    with pytest.raises(PackagerError), atomic_output.replacing(here / name):
        pass


@pytest.mark.parametrize("number", [13, 30, 5])
def test_a_place_that_cannot_be_written_is_said(
    number: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with (
        pytest.raises(StorageError, match="cannot be read or written"),
        atomic_output.replacing(here / "dist"),
    ):
        pass


def test_a_swap_that_fails_puts_the_earlier_artifact_back(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = here / "dist"
    final.mkdir()
    (final / "report.json").write_text("old")
    renamed = Path.rename

    def rename(source: Path, target: Path) -> Path:
        if source.name == "out":
            raise OSError(16, "Device or resource busy", str(source))
        return renamed(source, target)

    monkeypatch.setattr(Path, "rename", rename)

    def build() -> None:
        with atomic_output.replacing(final) as place:
            (place.out / "report.json").write_text("new")

    with pytest.raises((OSError, PackagerError)):
        build()
    assert (final / "report.json").read_text() == "old"
    assert sorted(path.name for path in here.iterdir() if path.name.startswith(".")) == []


def refuse_to_look(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have the system refuse each look at what is below `folder`, as to another user."""

    def look(path: Path, *_: object, **__: object) -> os.stat_result:
        if folder in path.parents:
            raise PermissionError(13, os.strerror(13), str(path))
        return os.stat(path)  # noqa: PTH116 - Path.stat is what is replaced

    monkeypatch.setattr(Path, "stat", look)


@pytest.mark.parametrize(
    ("out", "uri"),
    [
        ("secret/dist", "models:/a/1"),
        ("dist", "secret/model"),
        ("dist", "models:/a/1"),
        ("secret/a/b/dist", "secret/model"),
    ],
)
def test_places_that_may_not_be_looked_at_are_no_bug(
    out: str, uri: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads or writes there says so."""
    (here / "secret").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/secret/mlflow.db")
    refuse_to_look(monkeypatch, here / "secret")
    output_place.check_place(make_request(model_uri=uri, out_dir=here / out))
    assert not is_artifact(here / "secret" / "model")


@pytest.mark.parametrize("out", ["dist", "a/b/dist"])
def test_a_dry_run_looks_whether_a_build_could_write(
    out: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic_output.check_writable(here / out)
    assert not (here / Path(out).parts[0]).exists()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != here)
    with pytest.raises(StorageError, match="Permission denied"):
        atomic_output.check_writable(here / out)


@pytest.mark.parametrize(
    ("out", "error"), [("file/dist", ConfigurationError), ("secret/a/dist", StorageError)]
)
def test_a_parent_that_no_build_could_use_is_said(
    out: str, error: type[PackagerError], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").touch()
    (here / "secret").mkdir()
    refuse_to_look(monkeypatch, here / "secret")
    with pytest.raises(error):
        atomic_output.check_writable(here / out)


def test_a_file_system_that_is_read_only_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly)
    with pytest.raises(StorageError, match="Read-only file system"):
        atomic_output.check_writable(here / "dist")
