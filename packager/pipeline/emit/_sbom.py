"""A CycloneDX 1.6 bill of materials: what is in the function, from the function itself.

Nothing in it depends on when or where it was made: the serial number is derived from the
artifact's digest and there is no time stamp (both are optional in the specification,
https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from packager.pipeline.emit._wheels import wheel_digests
from packager.system.file_tree import sha256
from packager.types import Artifact, BuildPlan, ResolvedModel

_NAMESPACE: Final = uuid.UUID("6f1d8f5e-6c0b-5d3e-9c57-3f0f6d1c2a41")
_SHORT_LICENCE: Final = 80
_EXTENSION: Final = re.compile(r"\.(cpython-|abi3\.)")


def sbom(artifact: Artifact, plan: BuildPlan) -> str:
    """JSON text: packages as installed, the handlers, supplied libraries, and the model."""
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, artifact.sha256))
    function = Component(
        name=artifact.path.name,
        version=plan.model.version or "",
        type=ComponentType.APPLICATION,
        bom_ref="function",
        hashes=[_describe_digest(artifact.sha256)],
    )
    bom.metadata.component = function
    tree = artifact.folder / plan.target.tree.home
    parts = [
        _model(plan.model, plan.flavor),
        _describe_handlers(),
        *_describe_packages(tree, plan),
        *_list_libraries(tree),
    ]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(function, parts)
    # the library stamps the time of day unconditionally
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _describe_digest(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _model(model: ResolvedModel, flavor: str) -> Component:
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
        version=version("serverless-model-packager"),
        type=ComponentType.LIBRARY,
        bom_ref="handlers",
        licenses=[LicenseFactory().make_from_string("MIT")],
    )


def _describe_packages(tree: Path, plan: BuildPlan) -> Iterator[Component]:
    digests = wheel_digests(plan)
    answered = dict(plan.answered).keys() - {package.name for package in plan.lock.packages}
    for path in sorted(tree.glob("*.dist-info/METADATA")):
        meta = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
        name, release = canonicalize_name(meta["Name"]), str(meta["Version"])
        if name in answered:
            continue  # a name and a version, and no code
        purl = PackageURL("pypi", None, name, release)
        digest = digests.get((name, release))
        yield Component(
            name=name,
            version=release,
            type=ComponentType.LIBRARY,
            bom_ref=purl.to_string(),
            purl=purl,
            description=meta.get("Summary"),
            licenses=_list_licences(meta),
            hashes=[_describe_digest(digest)] if digest else [],
        )


def _list_licences(meta: Message) -> list[Any]:
    """An SPDX expression where the package states one, else its classifiers, else a short name."""
    if expression := meta.get("License-Expression"):
        return [LicenseFactory().make_from_string(str(expression))]
    named = sorted(
        {
            line.rpartition(" :: ")[2]
            for line in map(str, meta.get_all("Classifier") or ())
            if line.startswith("License ::") and line != "License :: OSI Approved"
        }
    )
    if named:
        return [DisjunctiveLicense(name=name) for name in named]
    stated = str(meta.get("License") or "").strip()
    if stated and "\n" not in stated and len(stated) <= _SHORT_LICENCE:
        return [LicenseFactory().make_from_string(stated)]
    return []


def _list_libraries(tree: Path) -> Iterator[Component]:
    """List shared libraries: those that the build supplied in lib/, and those that wheels bring.

    A scanner knows no package of theirs: a wheel's OpenBLAS is in no index. Python's own extension
    modules are their package's code, and no libraries.
    """
    owners = {
        canonicalize_name(path.name.removesuffix(".dist-info").rpartition("-")[0])
        for path in tree.glob("*.dist-info")
    }
    for path in sorted(tree.rglob("lib*.so*")):
        name = path.relative_to(tree).as_posix()
        if _EXTENSION.search(path.name) or not path.is_file():
            continue
        owner = canonicalize_name(name.partition("/")[0].removesuffix(".libs"))
        yield Component(
            name=name,
            type=ComponentType.FILE,
            bom_ref=name,
            hashes=[_describe_digest(sha256(path))],
            properties=[Property(name="packager:package", value=owner)] * (owner in owners),
        )
