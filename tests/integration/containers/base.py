"""Base images made of this machine's own C library and Python: nothing is pulled from a registry.

They are laid out as the images that a Dockerfile of ours names, and hold no more than these need
to build and to run it: a shell, a few of its tools, Python, and the libraries that the platform is
said to have. What they are not: Amazon Linux, or of its version of the C library.
"""

from __future__ import annotations

import io
import re
import shutil
import ssl
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from packager import facts
from packager.environments import interpreters
from packager.targets.lambda_emulator import parts
from tests.integration.containers.engine import Engine

PYTHON: Final = "3.13"
_TOOLS: Final = ("sh", "cat", "ls", "mkdir", "mv", "id", "touch")
_LEFT_OUT: Final = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "site-packages")
_TRUST: Final = "/etc/ssl/certs/ca-certificates.crt"
_MULTIARCH: Final = "x86_64-linux-gnu"
_LINKED: Final = re.compile(r"(?:=> )?(/\S+) \(0x")

_BOOTSTRAP: Final = """#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python{python} PYTHONPATH="$LAMBDA_RUNTIME_DIR"
exec /var/lang/bin/python{python} -m awslambdaric "$_HANDLER"
"""
_ENTRYPOINT: Final = """#!/bin/sh
if [ $# -ne 1 ]; then echo "the handler's name must be the one argument" >&2; exit 142; fi
export _HANDLER="$1"
if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then exec /var/runtime/bootstrap; fi
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
"""


def plain(engine: Engine) -> str:
    """As `python:3.13-slim`: Python at /usr/local/bin. Its id."""
    return _imported(
        engine,
        _system("/usr/local"),
        ["ENV PATH=/usr/local/bin:/usr/bin:/bin", "CMD python3"],
    )


def with_pip(engine: Engine) -> str:
    """As `python:3.13-slim` with all that builds an image in it: pip, and this machine's trust.

    Its id.
    """
    files = dict(_system("/usr/local"))
    library = interpreters.find(PYTHON).path.resolve().parent.parent / "lib" / f"python{PYTHON}"
    for path in (library / "site-packages").glob("pip*/**/*"):
        if path.is_file() and path.suffix != ".pyc":
            files[f"usr/local/lib/python{PYTHON}/{path.relative_to(library)}"] = path
    trust = Path(ssl.get_default_verify_paths().cafile or _TRUST)
    files[_TRUST.strip("/")] = trust if trust.is_file() else Path(_TRUST)
    for name in ("chmod", "rm", "true"):
        files[f"usr/bin/{name}"] = Path(shutil.which(name, path="/usr/bin:/bin") or name).resolve()
    changes = [
        f"ENV PATH=/usr/local/bin:/usr/bin:/bin SSL_CERT_FILE={_TRUST} PIP_CERT={_TRUST}",
        "CMD python3",
    ]
    return _imported(engine, files, changes)


def lambda_python(engine: Engine) -> str:
    """As `public.ecr.aws/lambda/python:3.13`, with AWS's own client and emulator. Its id."""
    interpreter = interpreters.find(PYTHON)
    client = parts.runtime_client(interpreter).parent.parent
    (packages,) = client.glob("lib/python*/site-packages")
    files: dict[str, bytes | Path] = {
        **_system("/var/lang"),
        "usr/local/bin/aws-lambda-rie": parts.emulator_binary(interpreter),
        "lambda-entrypoint.sh": _ENTRYPOINT.encode(),
        "var/runtime/bootstrap": _BOOTSTRAP.format(python=PYTHON).encode(),
    }
    for path in packages.rglob("*"):
        if path.is_file():
            files[f"var/runtime/{path.relative_to(packages)}"] = path
    libraries = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib"
    changes = (
        "ENV LANG=en_US.UTF-8 PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        f"ENV LD_LIBRARY_PATH={libraries}:/var/task:/var/task/lib:/opt/lib",
        "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
        "WORKDIR /var/task",
        'ENTRYPOINT ["/lambda-entrypoint.sh"]',
    )
    return _imported(engine, files, changes)


def _system(prefix: str) -> Mapping[str, bytes | Path]:
    """Path in the image to a file here: tools, Python under `prefix`, all that they link to."""
    binary = interpreters.find(PYTHON).path.resolve()
    home = binary.parent.parent
    inside = prefix.strip("/")
    library = home / "lib" / f"python{PYTHON}"
    files: dict[str, bytes | Path] = {
        f"{inside}/bin/{name}": binary for name in ("python", "python3", f"python{PYTHON}")
    }
    for path in library.rglob("*"):
        relative = path.relative_to(library)
        if path.is_file() and relative.parts[0] not in _LEFT_OUT and path.suffix != ".pyc":
            files[f"{inside}/lib/python{PYTHON}/{relative}"] = path
    for path in home.glob("lib/libpython*"):
        # as it is asked for, and where the loader finds it in an image that has run ldconfig
        for folder in (f"{inside}/lib", f"usr/lib/{_MULTIARCH}"):
            files[f"{folder}/{path.name}"] = path
    tools = [Path(found) for name in _TOOLS if (found := shutil.which(name, path="/usr/bin:/bin"))]
    for tool in tools:
        files[f"usr/bin/{tool.name}"] = tool.resolve()
    extensions = [p for p in files.values() if isinstance(p, Path) and p.suffix == ".so"]
    for path in _libraries([binary, *tools, *extensions]):
        if not path.is_relative_to(home):
            # as it is asked for, and where the loader looks by itself
            for place in (path, path.resolve().parent / path.name):
                files[_merged(str(place).strip("/"))] = path
    files["etc/passwd"] = b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nowhere:/bin/sh\n"
    return files


def _libraries(files: Iterable[Path]) -> set[Path]:
    done = subprocess.run(
        ["ldd", *map(str, files)], capture_output=True, check=False, text=True, timeout=60
    )
    linked = {Path(name) for name in _LINKED.findall(done.stdout)}
    cached = subprocess.run(["ldconfig", "-p"], capture_output=True, check=True, text=True).stdout
    (provided,) = (
        runtime.libraries
        for runtime in facts.runtimes("aws-lambda")
        if runtime.python_minor == PYTHON
    )
    places = dict(re.findall(r"\t(\S+) \(libc6,x86-64\S*\) => (\S+)", cached))
    return linked | {Path(places[name]) for name in provided if name in places}


def _imported(engine: Engine, files: Mapping[str, bytes | Path], changes: Iterable[str]) -> str:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("bin", "lib", "lib64", "sbin"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
        for folder in ("tmp", "proc", "sys", "dev", "usr", "usr/lib64", "usr/sbin", "root"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for name, source in sorted(files.items()):
            _add(archive, name, source)
    options = [part for change in changes for part in ("--change", change)]
    return engine.run("import", *options, "-", stdin=made.getvalue())


def _merged(name: str) -> str:
    """/lib and /bin are links into /usr, as in every Debian and Amazon Linux of today."""
    first = name.partition("/")[0]
    return f"usr/{name}" if first in {"bin", "lib", "lib64", "sbin"} else name


def _add(archive: tarfile.TarFile, name: str, source: bytes | Path) -> None:
    data = source if isinstance(source, bytes) else source.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    runs = isinstance(source, bytes) or source.stat().st_mode & 0o100
    entry.mode = 0o755 if runs else 0o644
    archive.addfile(entry, io.BytesIO(data))
