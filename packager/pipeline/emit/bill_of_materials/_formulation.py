"""Tools that a compiled model was made with, none of which ships.

Plain JSON, as the model's card is: https://cyclonedx.org/docs/1.6/json/#formulation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentType, Pedigree

from packager import facts
from packager.commands.artifact.supply_chain.shipped_files import LIES_OUTSIDE
from packager.engines import list_compiling_tools
from packager.system.file_tree import sha256
from packager.types import Artifact, BuildPlan, Bundle, Compiled

_SAID: Final = "The model was compiled, and answered as the registered one does row by row"


def describe_formulation(plan: BuildPlan) -> list[object]:
    """Return `formulation`; empty where the model ships as it was registered.

    Of several converters the evidence of the engine names those that were there.
    """
    names = list_compiling_tools(plan.engine)
    if not names or plan.compiled is None:
        return []
    tools = facts.tools(plan.request.target.facts_dir)
    told = plan.compiled.evidence.get("versions")
    there = told.keys() if isinstance(told, Mapping) else names
    wanted = [tools[name] for name in names if name in tools and name in there] or [
        tools[name] for name in names if name in tools
    ]
    return [
        {
            "bom-ref": "compilation",
            "components": [
                {
                    "type": "application",
                    "bom-ref": f"tool:{tool.name}",
                    "name": tool.name,
                    "version": tool.version,
                    "purl": f"pkg:pypi/{tool.name}@{tool.version}",
                }
                for tool in wanted
            ],
            "properties": [
                {"name": "packager:engine", "value": plan.engine.value},
                {"name": "packager:description", "value": _describe_answers(plan.compiled)},
            ],
        }
    ]


def _describe_answers(compiled: Compiled) -> str:
    if compiled.tolerance is None:
        return f"{_SAID}."
    relative, absolute = compiled.tolerance
    return f"{_SAID}, within a relative tolerance of {relative:g} and an absolute of {absolute:g}."


def list_weights(bundle: Bundle, plan: BuildPlan) -> Iterator[Component]:
    """Yield each file of the model that lies outside of the function and was not compiled."""
    compiled = () if plan.compiled is None else _list_names(plan.compiled)
    for file in sorted(bundle.weights, key=lambda each: each.path):
        if file.path.as_posix() not in compiled:
            yield Component(
                name=f"model/{file.path.as_posix()}",
                type=ComponentType.FILE,
                bom_ref=f"model/{file.path.as_posix()}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
                properties=[Property(name=LIES_OUTSIDE, value=f"weights/{file.sha256}")],
            )


def _list_names(compiled: Compiled) -> list[str]:
    return sorted(each.name for each in compiled.folder.iterdir() if each.is_file())


def list_compiled(
    artifact: Artifact, bundle: Bundle, plan: BuildPlan, model: Component
) -> Iterator[Component]:
    """Yield each file that ships in the model's place, with the model as its ancestor."""
    if plan.compiled is None:
        return
    home = artifact.folder / plan.target.tree.home
    outside = {file.path.as_posix(): file.sha256 for file in bundle.weights}
    for name in _list_names(plan.compiled):
        path = home / "model" / name
        digest = sha256(path) if path.is_file() else outside.get(name)
        if digest is None:
            continue
        properties = [Property(name="packager:engine", value=plan.engine.value)]
        if name in outside:
            properties.append(Property(name=LIES_OUTSIDE, value=f"weights/{digest}"))
        yield Component(
            name=f"model/{name}",
            type=ComponentType.FILE,
            bom_ref=f"model/{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            properties=properties,
            pedigree=Pedigree(
                ancestors=[
                    Component(
                        name=model.name,
                        version=model.version,
                        type=ComponentType.MACHINE_LEARNING_MODEL,
                        bom_ref="model#registered",
                        hashes=list(model.hashes),
                    )
                ],
                notes=_describe_answers(plan.compiled),
            ),
        )
