"""Files beside the function that no build wrote: told of, or refused where a tool takes them up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from packager.commands.artifact.attestations.envelopes import ATTESTATIONS, BUNDLES
from packager.commands.artifact.description import WEIGHTS, DescribedArtifact
from packager.system.atomic_output import MARKER

HOOK: Final = "rollout"
"""Folder of the function that asks a new version before traffic moves."""
SIGNED_HOOK: Final = "terraform/rollout.signed.zip"
"""That function with what was signed of the artifact: Terraform takes it where it is there."""
_CHECKED_ELSEWHERE: Final = frozenset({"function", WEIGHTS, HOOK})
_SAMPLES: Final = "events"
"""Sample events, which nothing deploys: your own may lie beside them."""
SAM_BUILD: Final = ".aws-sam"
"""`sam deploy` takes the template in it before the one that lies in the folder."""
AZD: Final = ".azure"
"""`azd` keeps its environments in it, and fills the parameters of infra/ from them."""
_TAKEN_UP: Final = frozenset(
    {".dockerignore", "Dockerfile.dockerignore", "samconfig.yaml", "samconfig.yml"}
)
"""`docker build` and `sam` read them without being told to."""
_TOOLS_OWN: Final = (
    *("terraform/.terraform", "terraform/.terraform.lock.hcl", "terraform/.terraform.tfstate.*"),
    *("terraform/terraform.tfstate*", "terraform/*.tfvars", "terraform/*.tfvars.json"),
    *("terraform/tfplan", "terraform/*.tfplan"),
    *("cdk/cdk.out", "cdk/cdk.context.json", "cdk/.venv", "cdk/node_modules"),
)
"""State and settings that Terraform and CDK keep in the folders that they are run in."""
_SHOWN: Final = 5


def check_added(artifact: DescribedArtifact) -> Iterator[str]:
    """Name files that a tool would take along: it packs or compiles a whole folder."""
    for name in sorted(_list_taken_up(artifact)):
        if name == SAM_BUILD:
            yield (
                f"{name} was added: `sam deploy` takes the template in it, and not template.yaml. "
                "Remove it."
            )
        else:
            yield (
                f"{name} was added: no build wrote it, and what deploys the artifact may take it "
                "along. Remove it."
            )


def note_added(artifact: DescribedArtifact) -> Iterator[str]:
    """Tell of the files that nothing names, and of those that are a tool's own."""
    if (artifact.home / SAM_BUILD).exists() and artifact.archive is None:
        yield (
            f"{SAM_BUILD} is what `sam build` made, and `sam deploy` takes it. It is not compared "
            "with the artifact: build it again, or compare what runs with --deployed."
        )
    if own := list_tools_own(artifact):
        yield (
            f"These files are your tools' own, which read them unasked, and are not compared: "
            f"{_show(own)}."
        )
    if (artifact.home / AZD).exists() and "azure.yaml" in artifact.emitted:
        yield (
            f"{AZD} is azd's own: it fills the parameters of infra/ from it. It is not compared "
            "with the artifact."
        )
    known = {*_list_folders(artifact), *artifact.emitted, *_CHECKED_ELSEWHERE, SAM_BUILD}
    known |= {_SAMPLES, MARKER, ATTESTATIONS, BUNDLES, "function.zip", *_TAKEN_UP}
    known |= {AZD} if "azure.yaml" in artifact.emitted else set()
    others = sorted(each.name for each in os.scandir(artifact.home) if each.name not in known)
    if others:
        yield (
            f"No build wrote these files, and nothing of the artifact names them: {_show(others)}."
        )


def list_tools_own(artifact: DescribedArtifact) -> list[str]:
    """Name what Terraform and CDK keep beside the artifact's files, sorted."""
    return sorted(name for name in _walk_beside(artifact) if _is_tools_own(name))


def _list_taken_up(artifact: DescribedArtifact) -> Iterator[str]:
    for name in _TAKEN_UP - artifact.emitted.keys():
        if (artifact.home / name).exists() or (artifact.home / name).is_symlink():
            yield name
    sam = artifact.home / SAM_BUILD
    if artifact.archive is not None and (sam.exists() or sam.is_symlink()):
        yield SAM_BUILD
    yield from (name for name in _walk_beside(artifact) if not _is_tools_own(name))


def _walk_beside(artifact: DescribedArtifact) -> Iterator[str]:
    """Walk the build's own folders for what is not of the build; a link is not entered."""
    for top in sorted(_list_folders(artifact)):
        for here, folders, files in os.walk(artifact.home / top):
            below = Path(here).relative_to(artifact.home)
            links = [name for name in folders if (Path(here) / name).is_symlink()]
            own = [name for name in folders if _is_tools_own((below / name).as_posix())]
            folders[:] = sorted({*folders} - {*links, *own})
            for name in sorted({*files, *links, *own}):
                found = (below / name).as_posix()
                if found not in artifact.emitted and found != SIGNED_HOOK:
                    yield found


def _list_folders(artifact: DescribedArtifact) -> set[str]:
    """Folders beside the function that the build wrote files into."""
    found = {name.partition("/")[0] for name in artifact.emitted if "/" in name}
    return found - _CHECKED_ELSEWHERE - {_SAMPLES}


def _is_tools_own(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _TOOLS_OWN)


def _show(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
