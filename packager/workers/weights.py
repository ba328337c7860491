"""Write the pickled weights of a Hugging Face model as safetensors, and hold one to the other.

    python weights.py FOLDER CLASS

Run with the target's interpreter and the bundle on sys.path. FOLDER is what `from_pretrained` of
transformers' CLASS takes or, where CLASS is `SentenceTransformer`, that class itself; other folders
with weights may lie in it. Weights are read without running what a pickle names
(torch.load, weights_only).

Exit 0: every tensor of the loaded model is the same, bit for bit, from the new files, and the
pickled ones are gone; a JSON list of those is printed. Exit 3: it is not, or the library reads no
such file; why is said on standard error. What was moved until then is called NAME.aside, for the
caller to put back, who must do so for a run that was killed too.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PICKLED = "pytorch_model.bin"
INDEX = f"{PICKLED}.index.json"
WRITTEN = "model.safetensors"


class UnlikeError(Exception):
    """The new files do not give the same model."""


def parts(folder: Path) -> list[Path]:
    """The pickled files of one folder's weights, the index first where there is one."""
    if (index := folder / INDEX).is_file():
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [index, *(folder / name for name in sorted(set(named)))]
    return [folder / PICKLED]


def tensors(files: list[Path]) -> dict[str, object]:
    """By name; of names that share one piece of memory (tied weights) the first alone."""
    import torch

    found: dict[str, Any] = {}
    seen = set()
    for file in files:
        if file.name == INDEX:
            continue
        read = torch.load(file, map_location="cpu", weights_only=True)
        for name, tensor in read.items():
            place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            if tensor.numel() and place in seen:
                continue
            seen.add(place)
            found[name] = tensor.contiguous().clone()
    return found


def digests(folder: Path, name: str) -> dict[str, str]:
    """Digest every tensor of the model as its library loads it.

    What no file gives is drawn alike.
    """
    import torch

    torch.manual_seed(0)
    if name == "SentenceTransformer":
        import sentence_transformers

        model: Any = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    else:
        import transformers

        model = getattr(transformers, name).from_pretrained(str(folder))
    return {key: digest(tensor) for key, tensor in model.state_dict().items()}


def digest(tensor: torch.Tensor) -> str:
    """Digest a tensor's type, shape and bytes."""
    import torch

    data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    form = f"{tensor.dtype} {tuple(tensor.shape)}"
    return f"{form} {hashlib.sha256(data).hexdigest()}"


def check_alike(before: dict[str, str], after: dict[str, str]) -> None:
    """Raises UnlikeError, which names the first tensors that differ."""
    if unlike := sorted({key for key, _ in before.items() ^ after.items()}):
        raise UnlikeError(f"{len(unlike)} tensors differ: {', '.join(unlike[:3])}")


def convert(folder: Path, name: str) -> list[str]:
    """The pickled files that are replaced, relative to `folder`. Raises UnlikeError."""
    from safetensors.torch import save_file

    homes = {path.parent for path in (*folder.rglob(PICKLED), *folder.rglob(INDEX))}
    homes = {home for home in homes if not list(home.glob("*.safetensors*"))}
    if not homes:
        return []
    before = digests(folder, name)
    moved: list[Path] = []
    for home in sorted(homes):
        files = parts(home)
        save_file(tensors(files), home / WRITTEN, metadata={"format": "pt"})
        for file in files:
            file.rename(_aside(file))
        moved += files
    check_alike(before, digests(folder, name))
    for file in moved:
        _aside(file).unlink()
    return [file.relative_to(folder).as_posix() for file in moved]


def _aside(file: Path) -> Path:
    return file.with_name(f"{file.name}.aside")


def main(argv: list[str]) -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder, name = argv
    try:
        replaced = convert(Path(folder), name)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise, the pickle stays
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 3
    sys.stdout.write(json.dumps(replaced) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
