"""Commands on an artifact that somebody rewrote: each says what is wrong, and none follows it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from packager.commands import artifact as artifacts
from packager.commands import console
from packager.commands.artifact.integrity import verify_artifact
from packager.commands.artifact.template_environment import read_environment
from packager.commands.cloud.stacks import read_stack_name
from packager.commands.inspect import inspect_artifact, summarize_artifact
from packager.commands.local_boot import read_sent
from packager.commands.targets.workload import Workload
from packager.deployments import _artifact
from packager.deployments._errors import DeploymentError
from packager.errors import IntegrityError, ModelFormatError, PackagerError
from packager.types import HostKind, Provided
from tests.unit.commands.artifact.test_integrity import _build, _edit

COMMANDS: Final[dict[str, Callable[[Path], object]]] = {
    "read": artifacts.read,
    "manifest": lambda folder: artifacts.read_manifest(folder / "function"),
    "verify": verify_artifact,
    "inspect": lambda folder: console.show_inspection(inspect_artifact(folder, Workload())),
    "summarize": lambda folder: console.show_report(summarize_artifact(Provided(folder=folder))),
    "environment": lambda folder: read_environment(folder, HostKind.LAMBDA),
    "stack": read_stack_name,
    "deployments": _artifact._read,
}
DOCUMENTS: Final = (
    *("report.json", "evidence.json", "template.yaml", "samconfig.toml", "sbom.cdx.json"),
    *("pylock.toml", "model-manifest.json", "function/model-manifest.json"),
    "function/numpy-2.5.5.dist-info/METADATA",
)
CONTENTS: Final = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"1e999",
    "deep": b"[" * 100_000,
    "deep in objects": b'{"a":' * 100_000,
    "deep tables": b"a = " + b"[" * 100_000,
    "an alias": b"a: &a [1]\nResources: [*a, *a]\n",
    "doubled": b"a: &a [x]\n" + b"".join(b"a%d: &a%d [*a, *a]\n" % (i, i) for i in range(40)),
    "many digits": b'{"schema_version": ' + b"9" * 10_000 + b"}",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


def _ask_all(folder: Path) -> None:
    for name, ask in COMMANDS.items():
        begun = time.process_time()
        with contextlib.suppress(PackagerError, DeploymentError):
            ask(folder)
        assert time.process_time() - begun < 10, name


def test_each_command_reads_what_a_build_left(artifact: Path) -> None:
    for ask in COMMANDS.values():
        ask(artifact)


@pytest.mark.few(1)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_of_anything_is_an_error_of_ours(artifact: Path, document: str) -> None:
    for content in CONTENTS.values():
        (artifact / document).write_bytes(content)
        _ask_all(artifact)


@pytest.mark.few(2)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_is_no_file_is_not_waited_for(artifact: Path, document: str) -> None:
    path = artifact / document
    makers: tuple[Callable[[Path], object], ...] = (
        os.mkfifo,
        lambda at: at.symlink_to("/dev/zero"),
        Path.mkdir,
    )
    for make in makers:
        path.unlink()
        make(path)
        _ask_all(artifact)


def _places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield (*path, name)
            yield from _places(each, (*path, name))


@pytest.mark.few(0)
@pytest.mark.parametrize("document", ["report.json", "evidence.json"])
def test_a_value_of_another_type_is_an_error_of_ours(artifact: Path, document: str) -> None:
    path = artifact / document
    whole = path.read_text(encoding="utf-8")
    for place in _places(json.loads(whole)):
        if len(place) > 2:
            continue
        for wrong in (None, ["x"]):
            changed = json.loads(whole)
            held = changed
            for name in place[:-1]:
                held = held[name]
            held[place[-1]] = wrong
            path.write_text(json.dumps(changed), encoding="utf-8")
            for name in ("read", "inspect", "summarize", "deployments"):
                with contextlib.suppress(PackagerError, DeploymentError):
                    COMMANDS[name](artifact)


def _replace_value(told: dict[str, Any], place: str, wrong: object) -> None:
    *holders, last = place.split(".")
    held: Any = told
    for name in holders:
        held = held[int(name)] if isinstance(held, list) else held[name]
    held[last] = wrong


@pytest.mark.parametrize(
    ("document", "place", "wrong"),
    [
        ("evidence.json", "evidence.cold_start.peak_rss_bytes", "x"),
        ("evidence.json", "evidence.cold_start.init_cpu_ms", ["x"]),
        ("evidence.json", "evidence.cold_start", "x"),
        ("evidence.json", "ledger", "x"),
        ("evidence.json", "ledger", [5]),
        ("evidence.json", "ledger.0.name", ["x"]),
        ("evidence.json", "ledger.0.bytes_after", "x"),
        ("evidence.json", "ledger.0.files_after", None),
        ("evidence.json", "ledger.0.reason", 5),
        ("evidence.json", "ledger.0.reverted", 5),
        ("evidence.json", "ledger.0.reverted", [5]),
        ("evidence.json", "ledger.0.cpu_ms_saved", "x"),
        ("report.json", "largest", 5),
        ("report.json", "largest", ["x"]),
        ("report.json", "largest", [[5, 5]]),
        ("report.json", "largest", [["x", "y"]]),
        ("report.json", "room", 5),
    ],
)
def test_a_figure_of_another_type_is_refused_before_it_is_shown(
    artifact: Path, document: str, place: str, wrong: object
) -> None:
    _edit(artifact / document, lambda told: _replace_value(told, place, wrong))

    for command in ("inspect", "summarize"):
        with pytest.raises(IntegrityError, match="do not have what a build writes"):
            COMMANDS[command](artifact)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("evidence.json", "evidence.notes"),
        ("evidence.json", "evidence.tried"),
        ("report.json", "plan.notes"),
        ("report.json", "plan.reasons"),
    ],
)
def test_a_note_that_is_no_text_is_refused_before_it_is_shown(
    artifact: Path, document: str, place: str
) -> None:
    _edit(artifact / document, lambda told: _replace_value(told, place, [5]))

    with pytest.raises(IntegrityError, match="do not have what a build writes"):
        COMMANDS["summarize"](artifact)


@pytest.mark.parametrize("example", ["/etc/passwd", "../../secret", "model/link", "model"])
def test_an_example_outside_of_the_function_is_not_read(artifact: Path, example: str) -> None:
    (artifact.parent / "secret").write_text("s")
    (artifact / "function" / "model").mkdir(exist_ok=True)
    (artifact / "function" / "model" / "link").symlink_to("/etc/passwd")
    _edit(artifact / "function" / "model-manifest.json", lambda told: told.update(example=example))

    with pytest.raises(ModelFormatError, match="is no file in it"):
        artifacts.read_manifest(artifact / "function")


@pytest.mark.parametrize("python", ["/tmp/python", "3.12; rm", "../3.12", "", "2.7"])  # noqa: S108
def test_a_python_that_is_no_version_is_not_looked_for(artifact: Path, python: str) -> None:
    _edit(artifact / "function" / "model-manifest.json", lambda told: told.update(python=python))

    with pytest.raises(ModelFormatError, match="is no version of Python"):
        artifacts.read_manifest(artifact / "function")


@pytest.mark.parametrize("line", ["{", "[" * 100_000, "[]", "1", '{"to": "s3"}', "{}"])
def test_a_line_that_a_model_wrote_is_nothing_that_was_sent(line: str) -> None:
    real: dict[str, Any] = {"to": "s3://b/k", "body": "{}"}

    assert read_sent(f"PACKAGER-SENT {line}\nPACKAGER-SENT {json.dumps(real)}\n") == [real]
