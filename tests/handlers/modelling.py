"""A model folder as the stages would hand it over: resolved, and laid out as a function."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import handlers
from handlers.manifest import Manifest
from packager.models.flavors import choose
from packager.models.model_documents import read_yaml
from packager.types import Frame, LoaderSpec, Requirements, ResolvedModel, Tier
from packager.workers import skops_types

REPOSITORY = Path(handlers.__file__).resolve().parent.parent


def resolved(folder: Path) -> ResolvedModel:
    """A model folder read as `resolve` reads it, without a registry."""
    conf = read_yaml(folder / "MLmodel")
    signature = conf.get("signature")
    return ResolvedModel(
        uri=str(folder),
        name=folder.name,
        version="1",
        mlflow_version=conf["mlflow_version"],
        python_version=conf["flavors"]["python_function"]["python_version"],
        flavors=conf["flavors"],
        signature=signature and {k: v and json.loads(v) for k, v in signature.items()},
        signature_from_type_hints=bool(conf.get("is_signature_from_type_hint")),
        requirements=Requirements(lines=()),
        root=folder,
        files=(),
        digest="0" * 64,
    )


def options(folder: Path, spec: LoaderSpec) -> dict[str, Any]:
    """The loader's options with the trusted types that a build would have filled in."""
    made = dict(spec.options)
    if made.get("format") == "skops":
        found, untrusted = skops_types.types(str(folder / made["file"]), made["trusted"])
        assert not untrusted
        made["trusted"] = found
    return made


def laid_out(
    folder: Path, into: Path, tier: Tier = Tier.NATIVE, frame: Frame = Frame.NUMPY
) -> tuple[Manifest, Path]:
    """(manifest, the function's folder) for a model, its files copied to `into`/model."""
    model = resolved(folder)
    flavor = choose(model)
    spec = flavor.read(model, tier, frame)
    shutil.copytree(folder, into / "model")
    manifest = Manifest(
        model_name=model.name,
        model_version="7",
        mlflow_version=model.mlflow_version,
        digest=model.digest,
        flavor=flavor.name,
        tier=str(tier),
        frame=str(frame),
        loader=spec.loader,
        options=options(folder, spec),
        signature=dict(model.signature) if model.signature else None,
        signature_from_type_hints=model.signature_from_type_hints,
        python="3.13",
        request_bytes=6_291_456,
        response_bytes=6_291_556,
    )
    (into / "model-manifest.json").write_text(manifest.text(), encoding="utf-8")
    return manifest, into


def with_handlers(into: Path) -> Path:
    """Put handlers/ beside the manifest, so that the entry point finds its model."""
    shutil.copytree(
        REPOSITORY / "handlers", into / "handlers", ignore=shutil.ignore_patterns("__pycache__")
    )
    return into


_ABSENT = """
import sys
class _Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, _Absent())
"""


def without(*absent: str) -> str:
    """Code after which an interpreter cannot import these, as if they were not installed."""
    return _ABSENT.format(absent=repr(set(absent) or {""}))


def fresh(code: str, *arguments: object, cwd: Path = REPOSITORY, **environment: str) -> str:
    """What a fresh interpreter prints, started in `cwd` with `cwd` first on its path."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
