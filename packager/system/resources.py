"""Places of the project's data: in an installed wheel, or beside packager/ in a checkout."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent.parent
_DATA: Final = PACKAGE / "_data"
_BASE: Final = _DATA if _DATA.is_dir() else PACKAGE.parent

TEMPLATES: Final = _BASE / "templates"
INFRA: Final = _BASE / "infra"
FACTS: Final = PACKAGE / "facts"
WORKERS: Final = PACKAGE / "workers"


def own_command() -> str:
    """Return what to type for this very program.

    That is its path, where its folder is not on the PATH.
    """
    own = Path(sys.executable).with_name("packager")
    if shutil.which("packager") is not None or not own.is_file():
        return "packager"
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def find_home() -> Path | None:
    """The user's home folder; None where there is none, as in a container with any user's number.

    It need not exist.
    """
    try:
        return Path.home()
    except RuntimeError:
        return None


def handlers_root() -> Path:
    """The folder of the `handlers` package, found without importing it."""
    spec = find_spec("handlers")
    if spec is None or spec.origin is None:
        msg = "the handlers package is not installed beside packager"
        raise ModuleNotFoundError(msg)
    return Path(spec.origin).parent
