"""Where namespaces are refused, the strongest that is left is taken, and said once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from packager.system.sandbox import launch
from packager.system.sandbox.protections import LEVELS

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

REFUSING = """
import ctypes, os, struct, sys
sys.path.insert(0, sys.argv[1])
from confine import kernel
def instruction(code, yes, no, value):
    return struct.pack("=HBBI", code, yes, no, value)
table, _ = kernel._MACHINES[os.uname().machine]
program = [instruction(0x20, 0, 0, 0)]
for name in ("unshare", "mount", "pivot_root"):
    program += [instruction(0x15, 0, 1, table[name]), instruction(6, 0, 0, 0x00050001)]
code = b"".join([*program, instruction(6, 0, 0, 0x7FFF0000)])
kernel.control(kernel.PR_SET_NO_NEW_PRIVS, 1)
buffer = ctypes.create_string_buffer(code)
head = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
number = ctypes.c_ulong
assert ctypes.CDLL(None).prctl(22, number(2), head, number(0), number(0)) == 0
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""
"""A filter of system calls as a container's, which a program cannot take off again."""
ASKED = """
import json, sys
from pathlib import Path
from packager.environments import interpreters, surroundings
from packager.system import sandbox
from packager.system.sandbox import launch
python = interpreters.find("3.%d" % sys.version_info.minor)
inside = surroundings.confine(
    "aws-lambda", interpreter=python, architecture="x86_64", memory_mb=None
)
code = '''
import ctypes, os
try:
    print(ctypes.CDLL("libgomp.so.1"))
except OSError as error:
    print(error)
'''
runs = [
    sandbox.run([python.path, "-I", "-c", code], inside=inside, cwd=Path("/tmp"), env={},
                timeout_seconds=60).stdout
    for _ in range(2)
]
print(json.dumps([sorted(launch.features()), sandbox.describe(inside), runs]))
"""


@pytest.mark.few(0)
def test_a_user_without_namespaces_gets_the_strongest_that_is_left() -> None:
    expected = next(
        has for name, has in LEVELS if "mount" not in has and launch._holds(has) and name
    )
    done = subprocess.run(
        [sys.executable, "-c", REFUSING, str(ROOT / "packager" / "workers"), ASKED],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    features, held, runs = json.loads(done.stdout)
    assert features == sorted(expected)
    assert done.stderr.count("does not let the packager run a model's code in namespaces") == 1
    assert not any("namespace" in each or "root of its own" in each for each in held)
    if "landlock" in expected:
        assert all("libgomp.so.1: cannot open shared object file" in each for each in runs)
        assert any(each.startswith("Landlock") for each in held)
