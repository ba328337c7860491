"""What the function can import, the Python processes that it starts can too."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from packager.system import process
from tests import tiny_elf
from tests.unit.pipeline.slim.storing.test_store import built

IMPORT = "import used.b, single, idle; print(used.b.B, single.X, idle.WORDS)"
RIGHT = "2 3 words"
SCRIPT = f'''"""Started as a file, and by multiprocessing."""


def work(number):
    import used.b, single
    return number + used.b.B + single.X


if __name__ == "__main__":
    {IMPORT}
'''


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    return built(folder / "a function").root


@pytest.fixture
def function(built_once: Path, tmp_path: Path) -> Path:
    tiny_elf.write(tmp_path / "scripts", {"worker.py": SCRIPT.encode()})
    return built_once


def ask(function: Path, tmp: Path, code: str, **variables: str) -> str:
    """Run code as the runtime does: the folder is on sys.path, and not in the environment."""
    started = f"import sys; sys.path.insert(0, {str(function)!r}); import handlers\n"
    # a socket's path has 107 bytes at most, of which a test's own folder leaves too few
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        done = process.run(
            [sys.executable, "-s", "-B", "-c", started + code],
            cwd=tmp,
            env={"TMPDIR": short, "PATH": "/usr/bin:/bin", **variables},
            timeout_seconds=60,
        )
    return done.stdout.strip()


CHILDREN = {
    "-c": "[sys.executable, '-c', CODE]",
    "a file": "[sys.executable, 'scripts/worker.py']",
    "-m": "[sys.executable, '-m', 'worker'], cwd='scripts'",
    "from another folder": "[sys.executable, '-c', CODE], cwd='/'",
    "by the shell": "f'exec \"{sys.executable}\" scripts/worker.py', shell=True",
    "an environment with a word more": "[sys.executable, '-c', CODE], env={**os.environ, 'X': '1'}",
    "an empty environment": "[sys.executable, '-c', CODE], env={}",
    "a path of its own": "[sys.executable, '-c', CODE], env={'PYTHONPATH': 'scripts'}",
    "flags": "[sys.executable, '-s', '-B', '-W', 'error', '-c', CODE]",
    "a child of a child": "[sys.executable, '-c', GRANDCHILD]",
}


@pytest.mark.few(4)
@pytest.mark.parametrize("child", CHILDREN)
def test_a_child_imports_as_its_parent(child: str, function: Path, tmp_path: Path) -> None:
    grandchild = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        f"{IMPORT!r}], env={{}}, check=True)"
    )
    code = (
        f"import os, subprocess\nCODE = {IMPORT!r}\nGRANDCHILD = {grandchild!r}\n"
        f"print(subprocess.run({CHILDREN[child]}, check=True, capture_output=True, text=True)"
        ".stdout.strip())"
    )
    assert ask(function, tmp_path, code) == RIGHT


@pytest.mark.few(1)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_imports_as_its_parent(method: str, function: Path, tmp_path: Path) -> None:
    code = (
        "import multiprocessing as m\n"
        "sys.path.append('scripts')\n"
        "import worker\n"
        f"context = m.get_context({method!r})\n"
        "with context.Pool(2) as pool: print(pool.map(worker.work, [0, 1, 2]))"
    )
    assert ask(function, tmp_path, code) == "[5, 6, 7]"


def test_a_sitecustomize_of_somebody_else_runs_too(function: Path, tmp_path: Path) -> None:
    theirs = tiny_elf.write(
        tmp_path / "layer", {"sitecustomize.py": b"import sys; sys.their_layer = 'here'\n"}
    )
    code = (
        "import subprocess\n"
        "told = 'import sys, sitecustomize as s; print(sys.their_layer, s.__file__)'\n"
        "print(subprocess.run([sys.executable, '-c', told], capture_output=True, text=True).stdout)"
    )
    said = ask(function, tmp_path, code, PYTHONPATH=str(theirs))
    assert said == f"here {theirs}/sitecustomize.py"


@pytest.mark.parametrize(
    ("given", "libraries"),
    [
        ("", ["/opt/lib"]),
        (", env=dict(os.environ)", ["/opt/lib"]),
        (", env={}", []),
        (", env={'LD_LIBRARY_PATH': '/mine'}", ["/mine"]),
    ],
)
def test_a_child_is_told_where_libraries_and_the_stand_in_lie(
    given: str, libraries: list[str], function: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(function, tmp_path / "f"))
    tiny_elf.write(root, {"lib/x.so": b"", "handlers/loaders/stub/mlflow/__init__.py": b"V = 1\n"})
    code = (
        "import json, os, subprocess\n"
        "told = 'import sys, os, json; print(json.dumps([sys.path, dict(os.environ)]))'\n"
        f"print(subprocess.run([sys.executable, '-c', told]{given}, stdout=-1, text=True).stdout)"
    )
    path, environment = json.loads(ask(root, tmp_path, code, LD_LIBRARY_PATH="/opt/lib"))
    assert environment["LD_LIBRARY_PATH"].split(os.pathsep) == [f"{root}/lib", *libraries]
    assert path[:3] == ["", str(root), f"{root}/handlers/loaders/stub"]


def test_handlers_outside_a_function_leave_the_environment_alone(tmp_path: Path) -> None:
    code = "import handlers, os; print(os.environ.get('PYTHONPATH'))"
    home = Path(__file__).parents[3]
    done = process.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(home)!r}); {code}"],
        cwd=tmp_path,
        env={},
    )
    assert done.stdout == "None\n"
