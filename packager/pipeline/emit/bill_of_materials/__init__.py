"""A CycloneDX 1.6 bill of materials: what is in the function, from the function itself.

Nothing in it depends on when or where it was made: the serial number is derived from the
artifact's digest and there is no time stamp (both are optional in the specification,
https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from packager.commands.artifact.supply_chain.licences import read_licence
from packager.commands.artifact.supply_chain.requirers import read_requirers
from packager.commands.artifact.supply_chain.shipped_files import (
    LEFT_OUT,
    ShippedFiles,
    list_shipped,
)
from packager.commands.artifact.supply_chain.wheel_documents import (
    WheelParts,
    make_licences,
    read_documents,
)
from packager.pipeline.emit.bill_of_materials._formulation import (
    describe_formulation,
    list_compiled,
    list_weights,
)
from packager.pipeline.emit.bill_of_materials._libraries import (
    PACKAGE,
    Owners,
    describe_extensions,
    describe_libraries,
    name_owners,
)
from packager.pipeline.emit.bill_of_materials._model_card import describe_card
from packager.pipeline.emit.bill_of_materials._pedigree import (
    WheelChanges,
    count_changes,
    describe_pedigree,
)
from packager.pipeline.emit.bill_of_materials._vulnerabilities import add_vulnerabilities
from packager.pipeline.emit.bill_of_materials._wheels import wheel_digests
from packager.types import Artifact, BuildPlan, Bundle, ResolvedModel, VerifiedBundle

_NAMESPACE: Final = uuid.UUID("6f1d8f5e-6c0b-5d3e-9c57-3f0f6d1c2a41")
_TOOL: Final = "serverless-model-packager"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """The function's folder, and what is known of each distribution in it."""

    shipped: ShippedFiles
    metadata: Mapping[str, Message]
    """Of each distribution whose code ships, by name."""
    owners: Owners
    changes: Mapping[str, WheelChanges]
    parts: Mapping[str, WheelParts]
    """What wheels list of themselves, by distribution."""


def sbom(artifact: Artifact, verified: VerifiedBundle, plan: BuildPlan) -> str:
    """JSON text: packages as installed, the handlers, libraries, and the model.

    Raises IntegrityError where what was packed cannot be read again.
    """
    bundle = verified.bundle
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, artifact.sha256))
    tree = _read_tree(artifact.folder / plan.target.tree.home, bundle, plan)
    function = _describe_function(artifact, bundle, plan, tree)
    bom.metadata.component = function
    bom.metadata.tools = ToolRepository(components=[_describe_tool()])
    model = _describe_model(plan.model, plan.flavor)
    packages = dict(_describe_packages(tree, plan))
    staged = {str(each.path): each.sha256 for each in bundle.staged}
    libraries = [*describe_libraries(tree.shipped, staged, tree.owners, tree.parts)]
    compiled = [*list_compiled(artifact, bundle, plan, model)]
    weights = [*list_weights(bundle, plan)]
    others = _add_extensions(packages, tree, {each.name for each in compiled})
    parts = [model, _describe_handlers(), *packages.values(), *libraries, *others]
    parts += [*compiled, *weights]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(function, parts)
    _register_dependencies(bom, packages, libraries, tree, plan)
    add_vulnerabilities(bom, verified.supply_chain, packages)
    return _write_document(bom, plan)


def _add_extensions(
    packages: Mapping[str, Component], tree: _Tree, known: set[str]
) -> list[Component]:
    """Put each extension module into its package; return those that are of none."""
    others = []
    for owner, module in describe_extensions(tree.shipped, tree.owners):
        if owner in packages:
            packages[owner].components.add(module)
        elif module.name not in known:
            others.append(module)
    return others


def _write_document(bom: Bom, plan: BuildPlan) -> str:
    """Write what the library has types for, and what it has none for."""
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    # the library stamps the time of day unconditionally
    document["metadata"].pop("timestamp", None)
    for part in document["components"]:
        if part["bom-ref"] == "model":
            part["modelCard"] = describe_card(plan.model)
    if formulation := describe_formulation(plan):
        document["formulation"] = formulation
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _read_tree(root: Path, bundle: Bundle, plan: BuildPlan) -> _Tree:
    answered = dict(plan.answered).keys() - {package.name for package in plan.lock.packages}
    metadata: dict[str, Message] = {}
    folders: dict[str, str] = {}
    for path in sorted(root.glob("*.dist-info/METADATA")):
        meta = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
        name = str(canonicalize_name(str(meta["Name"])))
        if name not in answered:  # a name and a version, and no code
            metadata[name] = meta
            folders[path.parent.name] = name
    shipped = list_shipped(root)
    owners = name_owners(
        bundle.tops, {name: str(each["Version"]) for name, each in metadata.items()}
    )
    documents = read_documents(bundle.documents)
    return _Tree(
        shipped=shipped,
        metadata=metadata,
        owners=owners,
        changes=count_changes(bundle, shipped, owners),
        parts={folders[name]: each for name, each in documents.items() if name in folders},
    )


def _describe_digest(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _describe_function(
    artifact: Artifact, bundle: Bundle, plan: BuildPlan, tree: _Tree
) -> Component:
    """The function itself; its notes say which distributions were left out whole."""
    installed = (each.path for each in bundle.staged if each.path.match("*.dist-info/METADATA"))
    folders = [each.parent.name.removesuffix(".dist-info") for each in installed]
    gone = sorted(
        each.replace("-", " ", 1)
        for each in folders
        if str(canonicalize_name(each.rpartition("-")[0])) not in tree.metadata
        and str(canonicalize_name(each.rpartition("-")[0])) not in dict(plan.answered)
    )
    notes = f"Installed, and left out whole, as nothing was seen to touch it: {', '.join(gone)}."
    return Component(
        name=artifact.path.name,
        version=plan.model.version or "",
        type=ComponentType.APPLICATION,
        bom_ref="function",
        hashes=[_describe_digest(artifact.sha256)],
        pedigree=Pedigree(notes=notes) if gone else None,
    )


def _describe_tool() -> Component:
    return Component(
        name=_TOOL, version=version(_TOOL), type=ComponentType.APPLICATION, bom_ref="packager"
    )


def _describe_model(model: ResolvedModel, flavor: str) -> Component:
    facts = {
        "mlflow:flavor": flavor,
        "mlflow:run-id": model.run_id,
        "mlflow:model-id": model.model_id,
        "mlflow:logged-by": model.mlflow_version,
    }
    return Component(
        name=model.name,
        version=model.version or "",
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        hashes=[_describe_digest(model.digest)],
        properties=[Property(name=name, value=value) for name, value in facts.items() if value],
    )


def _describe_handlers() -> Component:
    return Component(
        name="serverless-model-packager-handlers",
        version=version(_TOOL),
        type=ComponentType.LIBRARY,
        bom_ref="handlers",
        licenses=[LicenseFactory().make_from_string("MIT")],
    )


def _describe_packages(tree: _Tree, plan: BuildPlan) -> Iterator[tuple[str, Component]]:
    digests = wheel_digests(plan)
    for name, meta in tree.metadata.items():
        release = str(meta["Version"])
        purl = PackageURL("pypi", None, name, release)
        digest = digests.get((canonicalize_name(name), release))
        listed = tree.parts.get(name, WheelParts())
        licence = read_licence(meta)
        yield (
            name,
            Component(
                name=name,
                version=release,
                type=ComponentType.LIBRARY,
                bom_ref=purl.to_string(),
                purl=purl,
                description=meta.get("Summary"),
                licenses=make_licences(licence),
                hashes=[_describe_digest(digest)] if digest else [],
                pedigree=describe_pedigree(name, tree.changes[name], tree.owners, digest),
                components=list(_describe_parts(purl, listed)),
                properties=[
                    *(
                        [Property(name="packager:licence-from", value=licence.field)]
                        if licence.field
                        else []
                    ),
                    *(Property(name="packager:unread", value=each) for each in listed.unread),
                    *(
                        [Property(name=LEFT_OUT, value=", ".join(tree.changes[name].left_out))]
                        if tree.changes[name].left_out
                        else []
                    ),
                ],
            ),
        )


def _describe_parts(wheel: PackageURL, listed: WheelParts) -> Iterator[Component]:
    """Yield what a wheel's own documents list of it, each once."""
    for number, part in enumerate(listed.parts):
        yield Component(
            name=part.name,
            version=part.version or None,
            type=ComponentType.LIBRARY,
            bom_ref=f"{wheel.to_string()}#{number}",
            purl=part.purl,
            licenses=part.licenses,
            properties=[Property(name="packager:listed-in", value=part.document)],
        )


def _register_dependencies(
    bom: Bom,
    packages: Mapping[str, Component],
    libraries: list[Component],
    tree: _Tree,
    plan: BuildPlan,
) -> None:
    """Register what each package requires of those that ship, and its own libraries."""
    needs: dict[str, list[Component]] = {name: [] for name in packages}
    for required, requirers in read_requirers(
        tree.shipped.root, plan.runtime.python_minor, plan.request.target.architecture
    ).items():
        for owner in requirers:
            if owner in needs and required in packages and required != owner:
                needs[owner].append(packages[required])
    for library in libraries:
        named = (each.value for each in library.properties if each.name == PACKAGE)
        for owner in filter(None, named):
            needs.get(owner, []).append(library)
    for name, wanted in needs.items():
        if wanted:
            bom.register_dependency(packages[name], wanted)
