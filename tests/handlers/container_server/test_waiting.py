"""Threads of numeric libraries sleep while they wait, before one of the libraries is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

_CODE = """
import json, os, sys
import handlers
print(json.dumps([{name: os.environ[name] for name in handlers.WAITING}, "numpy" in sys.modules]))
"""


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {"OPENBLAS_THREAD_TIMEOUT": "4", "OMP_WAIT_POLICY": "PASSIVE"}),
        (
            {"OMP_WAIT_POLICY": "ACTIVE"},
            {"OPENBLAS_THREAD_TIMEOUT": "4", "OMP_WAIT_POLICY": "ACTIVE"},
        ),
    ],
)
def test_they_sleep_unless_the_user_says_otherwise(
    given: dict[str, str], found: dict[str, str]
) -> None:
    env = {name: value for name, value in os.environ.items() if name not in found}
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        env={**env, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [found, False]
