"""What a build makes of a worker, a form or a C compiler that fails, and of a library proven."""

from __future__ import annotations

import ast
import json
import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from packager import engines
from packager.engines import _machine_code, _worker_call
from packager.engines.machine_code import toolchain
from packager.engines.machine_code.extraction.program import Program
from packager.environments import virtual_environments
from packager.errors import StorageError, ToolError, VerificationError
from packager.models import flavors
from packager.system import resources
from packager.types import BuildPlan, Engine, EngineOptions, Frame, HostKind
from tests import fake_plan

ALLOWED = {"rtol": 1e-12, "atol": 1e-10}
PROVEN = {"options": {"file": "model.so"}, "evidence": {"seed": 0, **ALLOWED}, "adversarial": []}
_MACHINES = {"x86_64": 62, "aarch64": 183, "riscv64": 243}


def write_elf(machine: str) -> str:
    """What `printf` makes a header of a library of: one that needs nothing and does nothing."""
    head = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0, 0, 3, _MACHINES[machine], 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0),
    )
    return "".join(f"\\{byte:03o}" for byte in head)


COMPILER = f"""
case "$5" in x86_64*) made='{write_elf("x86_64")}';; *) made='{write_elf("aarch64")}';; esac
while [ "$1" != -o ]; do shift; done
printf "$made" > "$2"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Stand-ins for the model's Python and the compiler's; a test writes what they do."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    python, compiler = tmp_path / "python", tmp_path / "compiler"
    monkeypatch.setattr(virtual_environments, "of_model", lambda *_, **__: python)
    monkeypatch.setattr(virtual_environments, "ensure", lambda *_, **__: compiler)
    monkeypatch.setattr(_machine_code, "host_architecture", lambda: "x86_64")
    monkeypatch.setattr(_worker_call, "SECONDS", 5)
    monkeypatch.setattr(_worker_call, "ROWS", 10)

    def write(worker: str, compile_: str = COMPILER) -> None:
        for path, script in ((python, worker), (compiler, compile_)):
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)

    return write


def write_form(folder: Path, *, exact: bool = True) -> Path:
    """A form of a threshold over one column, in a folder that is made."""
    program = Program()
    column = program.add_input("double")
    program.set_answer(
        program.add("arithmetic", [column], "double", 1, sign="+", constants=np.ones(1))
    )
    program.exact = exact
    folder.mkdir()
    program.write(folder)
    return folder


def compile_here(tmp_path: Path, architecture: Literal["x86_64", "arm64"] = "x86_64") -> BuildPlan:
    plan = fake_plan.plan(engine=Engine.MACHINE_CODE)
    target = replace(plan.request.target, architecture=architecture)
    engine = EngineOptions(kind=Engine.MACHINE_CODE)
    plan = replace(plan, request=replace(plan.request, target=target, engine=engine))
    return engines.compile_model(plan, tmp_path / "work")


def worker_of(form: Path, proven: Any = PROVEN) -> str:
    """A script that hands over a form, and then says what was proven once there is a library."""
    done = {"result.json": json.dumps(proven).encode()}
    read = {name: (form / name).read_bytes() for name in ("form.json", "constants.bin")}
    hand, prove = (
        "\n".join(
            f'echo {b64encode(each).decode()} | base64 -d > "$5/{name}"'
            for name, each in files.items()
        )
        for files in (read, done)
    )
    wait = 'touch "$5/read"; while [ ! -e "$7" ]; do sleep 0.02; done; [ -s "$7" ] || exit 0'
    return f"{hand}\n{wait}\n{prove}"


def compile_by_itself(tmp_path: Path, rtol: float | None = None) -> BuildPlan:
    """As a build does that names no engine."""
    plan = fake_plan.plan(engine=Engine.MACHINE_CODE)
    request = replace(plan.request, engine=EngineOptions(kind=None, rtol=rtol))
    return engines.compile_model(replace(plan, request=request), tmp_path / "work")


def test_what_is_not_equal_to_the_last_bit_is_for_those_who_ask(
    programs: Callable[..., None], tmp_path: Path
) -> None:
    """And nothing is compiled to find out."""
    programs(worker_of(write_form(tmp_path / "form", exact=False)), "exit 1")
    with pytest.raises(VerificationError, match="is not equal to the last bit") as caught:
        compile_by_itself(tmp_path)
    assert "--engine machine-code, or give --rtol" in caught.value.findings[0].hint


@pytest.mark.parametrize(("exact", "rtol"), [(True, None), (False, 1e-3)])
def test_a_build_that_names_no_engine_takes_a_library(
    exact: bool,  # noqa: FBT001 - of a table
    rtol: float | None,
    programs: Callable[..., None],
    tmp_path: Path,
) -> None:
    programs(worker_of(write_form(tmp_path / "form", exact=exact)))
    compiled = compile_by_itself(tmp_path, rtol).compiled
    assert compiled is not None
    assert compiled.tolerance == (None if exact else (1e-12, 1e-10))


WORKERS = {
    "an operation that is missing": (
        'echo \'{"refused": ["no operation for the transformer sklearn.X"]}\' > "$5/result.json"',
        r"no operation for the transformer sklearn\.X",
    ),
    "a crash": ("kill -SEGV $$", "ended by SIGSEGV"),
    "an end that does not come": ("sleep 30", "ran past 5 seconds"),
    "a failure": ("echo no memory >&2; exit 1", "no memory"),
    "nothing": ("true", "left no result"),
    "no form": ('touch "$5/read"', "no form"),
    "a form that is none": (
        'echo 7 > "$5/form.json"; touch "$5/constants.bin" "$5/read"',
        "no form",
    ),
    "a result that is none": ('echo 7 > "$5/result.json"', "left no result"),
    "a result that is no JSON": ('echo "{" > "$5/result.json"', "left no result"),
    "a link": (
        'ln -s /etc/passwd "$5/form.json"; ln -s /etc/passwd "$5/constants.bin"; touch "$5/read"',
        "no form",
    ),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_that_fails_is_a_refusal(
    name: str, programs: Callable[..., None], tmp_path: Path
) -> None:
    script, why = WORKERS[name]
    programs(script)
    with pytest.raises(VerificationError, match=why) as caught:
        compile_here(tmp_path)
    (finding,) = caught.value.findings
    assert finding.check == "engine"
    assert finding.message.startswith("The model cannot be compiled to machine code")
    assert "--engine native" in finding.hint


@pytest.mark.parametrize(
    "proven",
    [{"refused": ["3 rows differ"]}, {**PROVEN, "evidence": 7, "refused": ["3 rows differ"]}],
)
def test_rows_that_differ_are_named(
    proven: Any, programs: Callable[..., None], tmp_path: Path
) -> None:
    programs(worker_of(write_form(tmp_path / "form"), proven))
    with pytest.raises(VerificationError, match="3 rows differ"):
        compile_here(tmp_path)


COMPILERS = {
    "a failure": ("echo no such target >&2; exit 1", r"failed.*\n?.*no such target"),
    "no compiler": ("echo No module named ziglang >&2; exit 1", "No module named ziglang"),
    "a crash": ("kill -SEGV $$", "was ended by SIGSEGV"),
    "killed for memory": ("kill -KILL $$", "was ended by SIGKILL; the system may be out of memory"),
    "an end that does not come": ("exec sleep 30", "ran past 2 seconds"),
    "no library": ("true", "it ended well and left no model.so"),
    "an empty library": (
        'while [ "$1" != -o ]; do shift; done; : > "$2"',
        r"left a model\.so that is none",
    ),
    "a text": (
        'while [ "$1" != -o ]; do shift; done; echo done > "$2"',
        r"left a model\.so that is none",
    ),
    "a library for another machine": (
        f'while [ "$1" != -o ]; do shift; done; printf "{write_elf("riscv64")}" > "$2"',
        "asked for a library for x86_64 and left one for riscv",
    ),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", COMPILERS)
def test_a_compiler_that_fails_is_named_with_its_words(
    name: str, programs: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, why = COMPILERS[name]
    programs(worker_of(write_form(tmp_path / "form")), script)
    monkeypatch.setattr(toolchain, "_SECONDS", 2)
    with pytest.raises(VerificationError, match=rf"(?s)compiler ziglang==[\d.]+ failed.*{why}"):
        compile_here(tmp_path)


@pytest.mark.parametrize(
    "words", ["error: unable to build glibc: NoSpaceLeft", "No space left on device"]
)
def test_a_disk_that_is_full_is_no_fault_of_the_model(
    words: str, programs: Callable[..., None], tmp_path: Path
) -> None:
    programs(worker_of(write_form(tmp_path / "form")), f"echo '{words}' >&2; exit 1")
    with pytest.raises(StorageError, match="the disk is full"):
        compile_here(tmp_path)


def test_a_compiler_that_cannot_be_installed_is_named(
    programs: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise ToolError("there is no wheel")

    programs(worker_of(write_form(tmp_path / "form")))
    monkeypatch.setattr(virtual_environments, "ensure", fail)
    with pytest.raises(VerificationError, match=r"ziglang==[\d.]+ cannot be installed: there is"):
        compile_here(tmp_path)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_the_target_s_library_takes_the_model_s_place(
    architecture: Literal["x86_64", "arm64"], programs: Callable[..., None], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    programs(worker_of(write_form(tmp_path / "form")), f'echo "$@" >> {told}; {COMPILER}')
    plan = compile_here(tmp_path, architecture)
    assert plan.loader.options == PROVEN["options"]
    assert plan.compiled is not None
    assert [path.name for path in plan.compiled.folder.iterdir()] == ["model.so"]
    assert plan.compiled.evidence["asked_on"] == "x86_64"
    targets = {line.split()[4].split("-")[0] for line in told.read_text().splitlines()}
    assert targets == {"x86_64", {"arm64": "aarch64"}.get(architecture, architecture)}


@pytest.mark.parametrize(("exact", "tolerance"), [(True, None), (False, (1e-12, 1e-10))])
def test_the_artifact_answers_to_the_last_bit_where_the_form_does(
    exact: bool,  # noqa: FBT001 - of a table
    tolerance: Any,
    programs: Callable[..., None],
    tmp_path: Path,
) -> None:
    programs(worker_of(write_form(tmp_path / "form", exact=exact)))
    compiled = compile_here(tmp_path).compiled
    assert compiled is not None
    assert compiled.tolerance == tolerance


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ({"rtol": 1e-12, "atol": 1e9}, (1e-12, 1e-6)),
        ({"rtol": 1e9, "atol": 0.0}, (1e-5, 0.0)),
    ],
)
def test_a_worker_widens_no_tolerance(
    said: Any, taken: Any, programs: Callable[..., None], tmp_path: Path
) -> None:
    """It ran the model's code: what it says is a stranger's."""
    programs(worker_of(write_form(tmp_path / "form", exact=False), {**PROVEN, "evidence": said}))
    compiled = compile_here(tmp_path).compiled
    assert compiled is not None
    assert compiled.tolerance == taken


@pytest.mark.few(2)
@pytest.mark.parametrize("said", [{}, {"rtol": -1.0, "atol": 0.0}, {"rtol": True, "atol": "x"}])
def test_a_proof_without_a_tolerance_is_none(
    said: Any, programs: Callable[..., None], tmp_path: Path
) -> None:
    programs(worker_of(write_form(tmp_path / "form", exact=False), {**PROVEN, "evidence": said}))
    with pytest.raises(VerificationError, match="left no tolerance"):
        compile_here(tmp_path)


def test_a_flavor_without_a_reader_is_refused_before_anything_is_installed() -> None:
    model = fake_plan.model()
    assert "pytorch is not compiled" in engines.why_not(model, "pytorch", Engine.MACHINE_CODE)
    assert "onnx is not compiled" in engines.why_not(model, "onnx", Engine.MACHINE_CODE)
    assert not engines.why_not(model, "sklearn", Engine.MACHINE_CODE)
    assert set(flavors.FLAVORS) >= _machine_code.FLAVORS


def _loaders(
    inputs: list[dict[str, Any]] | None = None, params: Any = None, **changes: Any
) -> list[tuple[Frame, str, tuple[str, ...]]]:
    request = changes.pop("request", fake_plan.plan().request)
    target = changes.pop("target", fake_plan.TARGET)
    signature = {"inputs": inputs or [{"name": "x", "type": "double"}], "params": params}
    model = replace(fake_plan.model(), signature=signature, **changes)
    made = engines.list_loaders(Engine.MACHINE_CODE, model, request, target)
    assert all(each.alone for _, each in made)
    return [(frame, each.loader, each.requires) for frame, each in made]


ARRAYS = (Frame.NUMPY, "machine_code", ("numpy",))
KINDS = ("boolean", "integer", "long", "float", "double", "string")


def test_a_library_asks_for_nothing_and_then_for_numpy_alone() -> None:
    both = [(Frame.PLAIN, "machine_code_plain", ()), ARRAYS]
    assert _loaders() == both
    kinds = [{"name": kind, "type": kind, "required": False} for kind in KINDS]
    assert _loaders(kinds) == both
    assert _loaders([{"type": "double"}]) == both
    assert _loaders(params=[{"name": "p", "type": "long", "default": 1, "shape": None}]) == both


def test_what_is_not_read_without_numpy_is_read_with_it() -> None:
    tensor = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}
    for spec in (tensor, {"name": "t", "type": "datetime"}, {"name": "a", "type": "array"}):
        assert _loaders([spec]) == [ARRAYS]
    time = {"name": "p", "type": "datetime", "default": "2024-01-02", "shape": None}
    assert _loaders(params=[time]) == [ARRAYS]
    assert _loaders(signature_from_type_hints=True) == [ARRAYS]
    program = replace(fake_plan.TARGET.program, host=HostKind.SERVER)
    assert _loaders(target=replace(fake_plan.TARGET, program=program)) == [ARRAYS]
    request = fake_plan.plan().request
    slimming = replace(request.slimming, keep_packages=("numpy",))
    assert _loaders(request=replace(request, slimming=slimming)) == [ARRAYS]


OWN = Path(_worker_call.__file__).parent
HANDLERS = resources.handlers_root()
WORKER_FILES = [
    *(OWN / "machine_code" / f"{name}.py" for name in ("edges", "library_under_test", "worker")),
    *sorted((OWN / "machine_code" / "extraction").rglob("*.py")),
    *sorted((OWN / "proof").glob("*.py")),
    *(
        HANDLERS / "loaders" / f"{name}.py"
        for name in ("_libraries", "_sessions", "_threads", "compiled", "machine_code")
    ),
    *(resources.WORKERS / f"{name}.py" for name in ("oracle", "serve")),
    HANDLERS / "__init__.py",
]
"""What runs of ours in the model's own environment, which may have Python 3.8."""
_LATER = {"strict", "slots", "kw_only"}
"""Keywords of `zip` and `dataclass` that came with 3.10."""
_BUILTIN = {"dict", "frozenset", "list", "set", "tuple", "type"}


@pytest.mark.parametrize("path", WORKER_FILES, ids=str)
def test_what_runs_beside_the_model_is_run_by_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    keywords = {each.arg for each in ast.walk(tree) if isinstance(each, ast.keyword)}
    assert not keywords & _LATER
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    assert not [
        each.lineno
        for each in calls
        if isinstance(each.func, ast.Name)
        and each.func.id in {"isinstance", "issubclass"}
        and isinstance(each.args[1], ast.BinOp)
    ]
    imported = [each for each in tree.body if isinstance(each, ast.ImportFrom)]
    generic = _BUILTIN | {
        name.name for each in imported if each.module == "collections.abc" for name in each.names
    }
    # what runs when the module is read: annotations do not, nor what is for mypy alone
    assigned = [each.value for each in tree.body if isinstance(each, ast.Assign)]
    subscripted = {
        each.value.id
        for value in assigned
        for each in ast.walk(value)
        if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name)
    }
    assert not subscripted & generic
