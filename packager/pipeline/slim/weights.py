"""Weights that are mapped instead of unpickled: safetensors in place of `pytorch_model.bin`.

A pickle is read through memory twice and can name any code; https://github.com/huggingface/safetensors
is tensors and a table. transformers has written it by itself since 4.35, so this is for models from
before. The model is loaded from either, and every tensor held to its like, bit for bit.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Final

from packager.errors import ToolError
from packager.models import registered_model
from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.passes import Pass, account_for
from packager.pipeline.slim.stage import MODEL
from packager.system.process import Done
from packager.system.resources import WORKERS
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import BuildPlan, Bundle, PassName, Removal

_WORKER: Final = WORKERS / "weights.py"
_SECONDS: Final = 1800
_PICKLED: Final = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def _explain_unconverted(bundle: Bundle, plan: BuildPlan) -> str:
    """Say why nothing is to be replaced; empty where the model's code is asked."""
    found = [file.path for file in bundle.files if file.path.name in _PICKLED]
    if not found:
        return "no pickled weights"
    if kept := [path.as_posix() for path in found if matches(path, plan.keep)]:
        return f"left as they were: {', '.join(kept)} is to be kept"
    if why_not_bootable(plan.request.target.architecture):
        return "left as they were: the model is not loaded alone for another processor"
    return ""


def loads_model(bundle: Bundle, plan: BuildPlan) -> bool:
    """Tell whether the pass would load the model."""
    return not _explain_unconverted(bundle, plan)


def _read_last_line(done: Done) -> str:
    said = [line for line in done.stderr.split("\n") if line]
    return said[-1] if said else f"it ended with {done.returncode}"


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Replace what the libraries then load alike; anything else stays as it was logged.

    Raises ToolError where a signal ended the worker: how much memory was left decides no artifact.
    """
    if why := _explain_unconverted(bundle, plan):
        return account_for(bundle, PASS, proof=why)
    folder, name = _find_loaded_folder(bundle.root, plan)
    sizes = {file.path: file.size_bytes for file in bundle.files}
    done = registered_model.run(
        [plan.interpreter.path, "-s", "-B", _WORKER, folder, name],
        readable=(bundle.root, _WORKER),
        writable=(folder,),
        network=plan.request.model.allow_network,
        more={
            "PYTHONPATH": str(bundle.root),
            "LD_LIBRARY_PATH": f"{bundle.root}:{bundle.root / 'lib'}",
        },
        timeout_seconds=_SECONDS,
        check=False,
    )
    links = _remove_links(folder)
    if done.returncode != 0 or links:
        _put_back(folder, bundle)
        if done.returncode < 0:
            raise ToolError(
                f"Replacing pickled weights was ended by signal {-done.returncode}. Where memory "
                "is short, close other programs and build again. To ship the weights as they were "
                f"logged, give --keep '**/{_PICKLED[0]}*'.\n{done.stderr.strip()[-2000:]}".rstrip()
            )
        said = f"the model's code left {links} links" if links else _read_last_line(done)
        return account_for(bundle, PASS, proof=f"left as they were: {said[:300]}")
    at = PurePosixPath(folder.relative_to(bundle.root).as_posix())
    replaced = [at / path for path in json.loads(done.stdout.splitlines()[-1])]
    for path in folder.rglob("model.safetensors"):
        path.chmod(0o644)
    return account_for(
        bundle,
        PASS,
        proof=f"{len(replaced)} files replaced; every tensor of the loaded model is the same",
        removed=[Removal(path, sizes[path], PASS.name) for path in replaced],
    )


def _remove_links(folder: Path) -> int:
    """Remove links and count them: what is packed next would read what they lead to."""
    links = [path for path in folder.rglob("*") if path.is_symlink()]
    for path in links:
        path.unlink()
    return len(links)


def _put_back(folder: Path, bundle: Bundle) -> None:
    """Put back what a worker left that found no likeness, or was killed, for its memory say."""
    logged = {bundle.root / file.path for file in bundle.files}
    for path in sorted(folder.rglob("*.aside")):
        path.rename(path.with_suffix(""))
    for path in folder.rglob("model.safetensors"):
        if path not in logged:
            path.unlink()


def _find_loaded_folder(root: Path, plan: BuildPlan) -> tuple[Path, str]:
    """The folder that the model's library loads, and the class that loads it."""
    options, model = plan.loader.options, root / MODEL
    conf = plan.model.flavors[plan.flavor]
    if plan.flavor == "sentence_transformers":
        return model / (options.get("folder") or plan.model.pyfunc["data"]), "SentenceTransformer"
    name = options.get("model_class") or conf.get("pipeline_model_type") or "AutoModel"
    return model / (options.get("model") or conf.get("model_binary") or "model"), name


PASS: Final = Pass(
    name=PassName.WEIGHTS,
    reason="safetensors are mapped, where pickled weights are read twice and can name any code",
    apply=apply,
)
