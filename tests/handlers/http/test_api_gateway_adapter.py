"""Mangum's readers, imported without the modules that they have no need of."""

from __future__ import annotations

import json
from pathlib import Path

from tests.handlers.modelling import REPOSITORY, fresh

IMPORTED = """
import json, sys
from handlers.http.api_gateway_adapter import import_readers
readers = import_readers()
loaded = "typing_extensions" in sys.modules
import typing_extensions
print(json.dumps([[each.__name__ for each in readers], loaded, typing_extensions.__name__]))
"""


def test_the_readers_do_without_typing_extensions_which_is_itself_afterwards() -> None:
    readers, loaded, name = json.loads(fresh(IMPORTED))
    assert readers == ["ALB", "HTTPGateway", "APIGateway"]
    assert not loaded
    assert name == "typing_extensions"


def test_a_version_that_takes_more_from_it_has_it_imported(tmp_path: Path) -> None:
    folder = tmp_path / "mangum"
    (folder / "handlers").mkdir(parents=True)
    (folder / "__init__.py").touch()
    # what `typing` has on no Python
    (folder / "types.py").write_text("from typing_extensions import deprecated, IntVar\n")
    (folder / "handlers/__init__.py").write_text("import mangum.types\n")
    (folder / "handlers/alb.py").write_text("class ALB: ...\n")
    (folder / "handlers/api_gateway.py").write_text("class HTTPGateway: ...\nclass APIGateway: ...")

    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{IMPORTED}"
    readers, loaded, _ = json.loads(fresh(code, cwd=REPOSITORY))

    assert readers == ["ALB", "HTTPGateway", "APIGateway"]
    assert loaded
