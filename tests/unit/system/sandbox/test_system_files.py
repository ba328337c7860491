"""A function sees its platform's programs and libraries, never all of this machine's."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from packager import facts
from packager.environments import interpreters, surroundings
from packager.system import sandbox
from packager.system.sandbox import launch
from packager.system.sandbox.protections import LEVELS
from packager.system.sandbox.system_files import interpreter_paths

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not sandbox.has_own_root(),
    reason="this machine allows no namespaces",
)
TARGETS = ("aws-lambda", "azure-functions", "gpu-container")
"""Whose surroundings a host asks for: an image of Lambda is booted as its managed runtime."""
OTHERS = (
    *("libgomp.so.1", "libGL.so.1", "libquadmath.so.0", "libsndfile.so.1", "libgfortran.so.5"),
    *("libcurl.so.4", "libtk8.6.so", "libX11.so.6", "libxml2.so.2", "libtbb.so.12", "libz.so"),
)
PROGRAMS = ("git", "gcc", "cc", "ld", "ldconfig", "ffmpeg", "python3", "perl", "curl", "dot")


def inside(target: str) -> sandbox.Confinement:
    return surroundings.confine(
        target,
        interpreter=interpreters.find(f"3.{sys.version_info.minor}"),
        architecture="x86_64",
        memory_mb=None,
    )


def answer(code: str, target: str) -> object:
    done = sandbox.run(
        [interpreters.find(f"3.{sys.version_info.minor}").path, "-I", "-c", code],
        inside=inside(target),
        cwd=Path("/"),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        timeout_seconds=60,
    )
    return json.loads(done.stdout)


LOADED = """
import ctypes, ctypes.util, json, shutil, sys
loaded = []
for name in %r:
    try:
        loaded.append(ctypes.CDLL(name) and name)
    except OSError as error:
        assert "cannot open shared object file" in str(error)
found = [each for each in ("gomp", "GL", "sndfile") if ctypes.util.find_library(each)]
print(json.dumps([loaded, found, [each for each in %r if shutil.which(each)]]))
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("target", TARGETS)
def test_no_library_or_program_of_this_machine_is_there(target: str) -> None:
    # what this Python itself is linked to is there, whatever it is called
    linked = {path.name for path in inside(target).system or ()}
    others = [name for name in OTHERS if name not in linked]
    assert {"libgomp.so.1", "libGL.so.1", "libquadmath.so.0"} <= set(others)
    assert answer(LOADED % (others, PROGRAMS), target) == [[], [], []]


@pytest.mark.few(1)
@pytest.mark.parametrize("target", TARGETS)
def test_the_platform_s_own_are_there(target: str) -> None:
    own = sorted(surroundings._libraries(target, f"3.{sys.version_info.minor}", None))
    here = [name for name in own if not name.startswith(("ld-linux-aarch64", "libcuda"))]
    code = (
        "import ctypes, json, shutil, ssl, sqlite3, lzma, bz2, zoneinfo, subprocess\n"
        f"for name in {here!r}: ctypes.CDLL(name)\n"
        "zoneinfo.ZoneInfo('Europe/Berlin')\n"
        "said = subprocess.run('ls / | grep tmp', shell=True, capture_output=True, text=True)\n"
        "print(json.dumps([said.stdout, said.stderr]))"
    )
    assert answer(code, target) == ["tmp\n", ""]


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("target", "found"),
    [("aws-lambda", None), ("azure-functions", "libc.so.6"), ("gpu-container", "libc.so.6")],
)
def test_libraries_are_found_by_name_where_the_platform_has_ldconfig(
    target: str, found: str | None
) -> None:
    code = (
        "import ctypes, ctypes.util, json, os, subprocess\n"
        "names = [ctypes.util.find_library(each) for each in ('c', 'm', 'gomp', 'GL')]\n"
        "ctypes.CDLL(names[0]).getpid()\n"
        "said = []\n"
        "if os.path.exists('/sbin/ldconfig'):\n"
        "    done = subprocess.run(['/sbin/ldconfig', '-p'], capture_output=True, text=True)\n"
        "    said = [line.split()[0] for line in done.stdout.splitlines()]\n"
        "    for each in said: ctypes.CDLL(each)\n"
        "print(json.dumps([names, bool(said)]))"
    )
    names = [found, found and "libm.so.6", None, None]
    assert answer(code, target) == [names, found is not None]


@pytest.mark.few(1)
@pytest.mark.parametrize("level", ["namespaces", "privileged", "shared-proc", "shared-network"])
def test_memory_is_told_as_the_function_has_it(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not launch._holds(has := dict(LEVELS)[level]):
        pytest.skip(f"this machine has no {level}")
    code = (
        "import json\n"
        "lines = [line.split() for line in open('/proc/meminfo')]\n"
        "try:\n    open('/proc/meminfo', 'w')\n    written = True\n"
        "except OSError:\n    written = False\n"
        "print(json.dumps([{each[0]: int(each[1]) for each in lines}, written]))"
    )
    whole = answer(code, "aws-lambda")
    monkeypatch.setattr(launch, "features", lambda: has)
    own = inside("aws-lambda")
    monkeypatch.setattr(
        sys.modules[__name__], "inside", lambda _: replace(own, memory_bytes=512 << 20)
    )
    told, written = cast("tuple[dict[str, int], bool]", answer(code, "aws-lambda"))
    assert told["MemTotal:"] == told["MemAvailable:"] == 512 << 10
    assert told["SwapTotal:"] == 0
    assert not written
    whole_told, _ = cast("tuple[dict[str, int], bool]", whole)
    assert whole_told["MemTotal:"] == sandbox.machine_memory_bytes() >> 10


@pytest.mark.few(1)
@pytest.mark.parametrize("target", TARGETS)
def test_of_etc_there_is_little(target: str) -> None:
    listed = answer("import json, os; print(json.dumps(os.listdir('/etc')))", target)
    assert isinstance(listed, list)
    # a time zone, fonts and types of files are this machine's
    assert not {"localtime", "fonts", "mime.types", "shadow", "hostname", "timezone"} & {*listed}
    zone = answer("import json, time; print(json.dumps(time.tzname))", target)
    assert zone == ["UTC", "UTC"]


def test_landlock_hides_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    has = dict(LEVELS)["landlock"]
    if not launch._holds(has):
        pytest.skip("this machine has no Landlock")
    gomp = shutil.which("git") or "/usr/bin/git"
    monkeypatch.setattr(launch, "features", lambda: has)
    code = (
        "import json\n"
        f"try:\n    open({gomp!r})\n    print(json.dumps('opened'))\n"
        "except OSError as error:\n    print(json.dumps(type(error).__name__))\n"
    )
    assert answer(code, "aws-lambda") in {"PermissionError", "FileNotFoundError"}


def test_evidence_says_so() -> None:
    held = sandbox.describe(inside("aws-lambda"))
    assert any("those that the platform has too" in each for each in held)


def test_a_python_of_the_system_brings_no_library_beside_it(tmp_path: Path) -> None:
    prefix = tmp_path / "usr"
    for name in ("bin/python3.12", "lib/python3.12/os.py", "lib/libpython3.12.so.1.0",
                 "lib/libgomp.so.1", "lib/x86_64-linux-gnu/libGL.so.1", "bin/git"):  # fmt: skip
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).touch()
    shown = {str(path.relative_to(prefix)) for path in interpreter_paths(prefix / "bin/python3.12")}
    assert shown == {"bin/python3.12", "lib/python3.12", "lib/libpython3.12.so.1.0"}


def test_a_virtual_environment_is_shown_with_the_python_that_it_links_to(tmp_path: Path) -> None:
    base, venv = tmp_path / "base", tmp_path / "venv"
    for folder in (base / "bin", base / "lib/python3.12", venv / "bin", venv / "lib"):
        folder.mkdir(parents=True)
    (base / "bin/python3.12").touch()
    (venv / "pyvenv.cfg").touch()
    (venv / "bin/python").symlink_to(base / "bin/python3.12")
    shown = {str(path.relative_to(tmp_path)) for path in interpreter_paths(venv / "bin/python")}
    assert shown == {
        *("venv/bin/python", "venv/bin", "venv/pyvenv.cfg", "venv/lib"),
        *("base/bin/python3.12", "base/lib/python3.12"),
    }


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_names_a_compiler(target: str) -> None:
    # ldconfig is made, and lists what there is
    assert not ({*PROGRAMS} - {"ldconfig"}) & {*facts.surroundings(target).commands}
