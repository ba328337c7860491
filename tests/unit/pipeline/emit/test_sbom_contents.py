"""The bill of materials tells of libraries, changes, wheels' own lists, the model and its tools."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from packager.pipeline.emit.bill_of_materials import sbom
from packager.pipeline.package import package
from packager.types import (
    AnalysisState,
    Audit,
    BuildPlan,
    Compiled,
    Engine,
    FileRecord,
    Removal,
    Severity,
    SupplyChain,
    TrainingData,
    TrainingRecord,
    Vulnerability,
    WheelDocument,
)
from tests import fake_plan
from tests.unit.pipeline.emit.test_sbom import find_error

NOTHING = SupplyChain()
_BLAS = b"\x7fELF OpenBLAS 0.3.29 and so on"
_SBOMS = "numpy-2.5.5.dist-info/sboms"
_CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.4",
    "components": [
        {"type": "library", "name": "numpy", "version": "2.5.5", "purl": "pkg:pypi/numpy@2.5.5"},
        {
            "type": "library",
            "name": "libgomp",
            "version": "8.5.0-28.el8",
            "purl": "pkg:rpm/almalinux/libgomp@8.5.0-28.el8#c61017",
            "components": [{"type": "library", "name": "inner", "version": "1"}],
        },
        {
            "type": "library",
            "name": "libc",
            "version": "0.2.186",
            "purl": "pkg:cargo/libc@0.2.186?download_url=file:///home/ada/libc",
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        },
    ],
}
_SPDX: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {
            "name": "zlib",
            "versionInfo": "1.3.1",
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "Zlib",
            "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:generic/zlib@1.3.1"}
            ],
        }
    ],
}


def _write(
    base: Path,
    *,
    more: Mapping[str, bytes] | None = None,
    documents: Mapping[str, bytes] | None = None,
    plan: BuildPlan | None = None,
    chain: SupplyChain = NOTHING,
    **changes: Any,
) -> dict[str, Any]:
    """The document, held to the schema."""
    plan = plan or fake_plan.plan()
    root = fake_plan.tree(base / "tree", plan, more)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    brought = tuple(
        WheelDocument(PurePosixPath(f"{_SBOMS}/{name}"), content)
        for name, content in (documents or {}).items()
    )
    bundle = replace(verified.bundle, documents=brought, **changes)
    verified = replace(verified, bundle=bundle, supply_chain=chain)
    artifact = package(verified, plan, out)
    text = sbom(artifact, verified, plan)
    assert find_error(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def _find(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in document["components"] if each["name"] == name]
    return dict(found)


def _properties(part: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in part.get("properties", ())}


def test_each_extension_module_is_in_its_package(tmp_path: Path) -> None:
    inside = "numpy/_core/_multiarray_umath.cpython-313-x86_64-linux-gnu.so"
    more = {
        inside: b"\x7fELF one",
        "numpy/plain.so": b"\x7fELF two",
        "nobodys.abi3.so": b"\x7fELF three",
    }
    document = _write(tmp_path, more=more)

    told = {each["name"]: each for each in _find(document, "numpy")["components"]}
    assert {*told} == {inside, "numpy/plain.so"}
    digest = hashlib.sha256(b"\x7fELF one").hexdigest()
    assert told[inside]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert _find(document, "nobodys.abi3.so")["type"] == "file"


def test_a_library_has_the_release_that_it_or_its_wheel_states(tmp_path: Path) -> None:
    more = {
        "numpy.libs/libscipy_openblas64_-32a4b2a6.so": _BLAS,
        "numpy.libs/libgomp-e985bcbb.so.1.0.0": b"\x7fELF",
        "numpy.libs/libquadmath-96973f99-934c22de.so.0.0.0": b"\x7fELF",
    }
    document = _write(
        tmp_path, more=more, documents={"auditwheel.cdx.json": json.dumps(_CYCLONEDX).encode()}
    )
    blas = _find(document, "numpy.libs/libscipy_openblas64_-32a4b2a6.so")
    gomp = _find(document, "numpy.libs/libgomp-e985bcbb.so.1.0.0")
    other = _find(document, "numpy.libs/libquadmath-96973f99-934c22de.so.0.0.0")

    assert blas["version"] == "0.3.29"
    assert blas["hashes"][0]["content"] == hashlib.sha256(_BLAS).hexdigest()
    assert gomp["version"] == "8.5.0-28.el8"
    assert gomp["components"][0]["purl"] == "pkg:rpm/almalinux/libgomp@8.5.0-28.el8"
    assert "version" not in other
    assert _properties(other)["packager:file-version"] == "0.0.0"
    assert _properties(gomp)["packager:wheel"] == "pkg:pypi/numpy@2.5.5"


def test_of_two_libraries_of_a_name_the_one_that_was_copied_from_a_system_is_meant(
    tmp_path: Path,
) -> None:
    more = {
        "numpy.libs/libgomp-e985bcbb.so.1.0.0": b"\x7fELF",
        "numpy.libs/libgomp-040039e1-0352e75f.so.1.0.0": b"\x7fELF",
    }
    document = _write(
        tmp_path, more=more, documents={"auditwheel.cdx.json": json.dumps(_CYCLONEDX).encode()}
    )

    assert _find(document, "numpy.libs/libgomp-e985bcbb.so.1.0.0")["version"] == "8.5.0-28.el8"
    assert "version" not in _find(document, "numpy.libs/libgomp-040039e1-0352e75f.so.1.0.0")


def test_a_package_depends_on_its_libraries_and_on_what_it_requires(tmp_path: Path) -> None:
    more = {
        "numpy.libs/libgomp-e985bcbb.so.1.0.0": b"\x7fELF",
        "top-1.dist-info/METADATA": b"Name: top\nVersion: 1\nRequires-Dist: numpy>=2\n",
    }
    document = _write(tmp_path, more=more)
    needs = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}

    assert needs["pkg:pypi/top@1"] == ["pkg:pypi/numpy@2.5.5"]
    assert needs["pkg:pypi/numpy@2.5.5"] == ["numpy.libs/libgomp-e985bcbb.so.1.0.0"]
    assert {"model", "pkg:pypi/top@1"} <= set(needs["function"])


def test_what_a_wheel_lists_of_itself_is_inside_it(tmp_path: Path) -> None:
    documents = {
        "a.cdx.json": json.dumps(_CYCLONEDX).encode(),
        "b.spdx.json": json.dumps(_SPDX).encode(),
    }
    numpy = _find(_write(tmp_path, documents=documents), "numpy")
    inside = {each["name"]: each for each in numpy["components"]}

    assert inside.keys() == {"libgomp", "inner", "libc", "zlib"}
    assert inside["libc"]["purl"] == "pkg:cargo/libc@0.2.186"
    assert inside["libc"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert inside["zlib"]["licenses"] == [{"license": {"id": "Zlib"}}]
    assert _properties(inside["zlib"])["packager:listed-in"] == f"{_SBOMS}/b.spdx.json"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"bomFormat": "CycloneDX"', "no JSON, or"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[1]", "no JSON object"),
        (b"{}", "neither CycloneDX nor SPDX"),
        (b"[" * 5000, "deeper"),
        (
            json.dumps(
                {"bomFormat": "CycloneDX", "components": [{"name": f"p{n}"} for n in range(2001)]}
            ).encode(),
            "more than 2,000 components",
        ),
    ],
    ids=["broken", "not text", "a list", "something else", "deep", "huge"],
)
def test_a_list_that_cannot_be_read_is_named_and_the_build_goes_on(
    tmp_path: Path, content: bytes, why: str
) -> None:
    numpy = _find(_write(tmp_path, documents={"own.json": content}), "numpy")

    assert "components" not in numpy
    assert f"{_SBOMS}/own.json" in _properties(numpy)["packager:unread"]
    assert why in _properties(numpy)["packager:unread"]


def test_hostile_names_of_a_list_are_words_alone(tmp_path: Path) -> None:
    parts = [
        {"name": "\x1b[2J<script>alert(1)</script>\n" + "x" * 5000, "version": 3},
        {"name": ["no", "text"]},
        {"name": "ok", "purl": "not a purl", "licenses": [{"license": {"id": "No-Such"}}]},
        {"name": "ok2", "licenses": "MIT"},
        "no component",
    ]
    document = {"bomFormat": "CycloneDX", "components": parts}
    numpy = _find(_write(tmp_path, documents={"own.json": json.dumps(document).encode()}), "numpy")
    names = [each["name"] for each in numpy["components"]]

    assert len(names) == 3
    assert not any("\x1b" in name or "\n" in name or len(name) > 300 for name in names)
    ok = next(each for each in numpy["components"] if each["name"] == "ok")
    assert ok["licenses"] == [{"license": {"name": "No-Such"}}]


def test_what_slimming_did_to_a_wheel_is_its_pedigree(tmp_path: Path) -> None:
    gone = (
        Removal(PurePosixPath("numpy/tests/test_a.py"), 10, "tests"),
        Removal(PurePosixPath("numpy/tests/test_b.py"), 10, "tests"),
        Removal(PurePosixPath("numpy/a.h"), 10, "sources"),
        Removal(PurePosixPath("numpy/rare.py"), 10, "cold"),
    )
    numpy = _find(
        _write(tmp_path, removed=gone, tops={"numpy": frozenset({"numpy", "numpy.libs"})}), "numpy"
    )

    assert (
        "3 of 2 installed files were left out (sources: 1, tests: 2)."
        in (numpy["pedigree"]["notes"])
    )
    (wheel,) = numpy["pedigree"]["ancestors"]
    assert wheel["hashes"] == [{"alg": "SHA-256", "content": "2" * 64}]


def test_a_library_that_was_stripped_has_the_one_that_it_was(tmp_path: Path) -> None:
    name = "numpy.libs/libgomp-e985bcbb.so.1.0.0"
    before = (FileRecord(PurePosixPath(name), "c" * 64, 100),)
    library = _find(_write(tmp_path, more={name: b"\x7fELF"}, staged=before), name)

    (ancestor,) = library["pedigree"]["ancestors"]
    assert ancestor["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    assert library["pedigree"]["patches"] == [{"type": "unofficial"}]


def test_a_distribution_that_was_left_out_whole_is_no_part_and_is_named(tmp_path: Path) -> None:
    before = (FileRecord(PurePosixPath("idle-1.2.dist-info/METADATA"), "c" * 64, 100),)
    document = _write(tmp_path, staged=before)

    assert "idle 1.2" in document["metadata"]["component"]["pedigree"]["notes"]
    assert "idle" not in {each["name"] for each in document["components"]}


@pytest.mark.few(0)
def test_the_model_s_card_has_what_mlflow_knows(tmp_path: Path) -> None:
    record = TrainingRecord(
        metrics={"auc": 0.91},
        params={"depth": "4"},
        tags={"team": "risk"},
        datasets=(
            TrainingData(
                name="iris",
                digest="abc",
                context="training",
                source="https://example.org/iris.csv",
                rows=150,
            ),
        ),
        left_out=1,
    )
    plan = fake_plan.plan(model=fake_plan.model(training=record))
    card = _find(_write(tmp_path, plan=plan), "churn")["modelCard"]

    assert card["quantitativeAnalysis"]["performanceMetrics"] == [{"type": "auc", "value": "0.91"}]
    (data,) = card["modelParameters"]["datasets"]
    assert (data["name"], data["contents"]["url"]) == ("iris", "https://example.org/iris.csv")
    formats = [json.loads(each["format"]) for each in card["modelParameters"]["inputs"]]
    assert formats == fake_plan.SIGNATURE["inputs"]
    assert len(card["modelParameters"]["outputs"]) == 1
    assert _properties(card) == {
        "mlflow:entries-left-out": "1",
        "mlflow:param:depth": "4",
        "mlflow:tag:team": "risk",
        "mlflow:python": "3.11.7",
    }


def test_a_model_of_no_run_has_a_card_all_the_same(tmp_path: Path) -> None:
    plan = fake_plan.plan(model=fake_plan.model(signature=None, python_version=None))

    assert _find(_write(tmp_path, plan=plan), "churn")["modelCard"] == {
        "bom-ref": "model-card",
        "modelParameters": {},
    }


def test_a_compiled_model_names_its_compiler_and_what_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "model.so").write_bytes(b"\x7fELF")
    plan = fake_plan.plan(engine=Engine.MACHINE_CODE, compiled=Compiled(folder=folder, evidence={}))
    document = _write(tmp_path, plan=plan, more={"model/model.so": b"\x7fELF"})

    (formula,) = document["formulation"]
    assert [each["name"] for each in formula["components"]] == ["ziglang"]
    (ancestor,) = _find(document, "model/model.so")["pedigree"]["ancestors"]
    assert ancestor["hashes"] == [{"alg": "SHA-256", "content": fake_plan.DIGEST}]


def test_what_lies_outside_of_the_function_is_a_part(tmp_path: Path) -> None:
    graph = FileRecord(PurePosixPath("model.onnx"), "d" * 64, 1 << 21)
    words = FileRecord(PurePosixPath("data/words.bin"), "e" * 64, 1 << 21)
    folder = tmp_path / "graph"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")
    compiled = Compiled(folder=folder, evidence={}, tolerance=(1e-5, 1e-8))
    plan = fake_plan.plan(engine=Engine.ONNX, compiled=compiled)
    document = _write(tmp_path, plan=plan, weights=(graph, words))

    parts = [_find(document, f"model/{each.path}") for each in (graph, words)]
    for part, each in zip(parts, (graph, words), strict=True):
        assert part["hashes"] == [{"alg": "SHA-256", "content": each.sha256}]
        assert _properties(part)["packager:lies-outside"] == f"weights/{each.sha256}"
    assert parts[0]["pedigree"]["ancestors"][0]["hashes"][0]["content"] == fake_plan.DIGEST
    assert "within a relative tolerance of 1e-05" in parts[0]["pedigree"]["notes"]


def test_a_model_that_ships_as_it_was_registered_has_no_formulation(tmp_path: Path) -> None:
    assert "formulation" not in _write(tmp_path)


def test_the_tool_that_wrote_it_is_named(tmp_path: Path) -> None:
    (tool,) = _write(tmp_path)["metadata"]["tools"]["components"]

    assert tool["name"] == "serverless-model-packager"


def test_a_vulnerability_says_what_it_means_for_the_artifact(tmp_path: Path) -> None:
    gone = Vulnerability(
        id="CVE-2026-1",
        aliases=("GHSA-1",),
        package="numpy",
        version="2.5.5",
        severity=Severity.CRITICAL,
        score=9.8,
        vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        summary="Runs code",
        fixed_in=("2.6",),
        state=AnalysisState.NOT_AFFECTED,
        justification="code_not_present",
        detail="It was left out.",
    )
    there = Vulnerability(
        id="CVE-2026-2", package="numpy", version="2.5.5", detail="It ships.", ignored=True
    )
    audit = Audit(
        asked=True, done=True, source="https://osv", day="2026-11-30", found=(gone, there)
    )
    document = _write(tmp_path, chain=SupplyChain(audit=audit))
    found = {each["id"]: each for each in document["vulnerabilities"]}

    assert found["CVE-2026-1"]["analysis"] == {
        "state": "not_affected",
        "justification": "code_not_present",
        "detail": "It was left out.",
    }
    assert found["CVE-2026-1"]["affects"] == [{"ref": "pkg:pypi/numpy@2.5.5"}]
    assert found["CVE-2026-1"]["ratings"][0]["severity"] == "critical"
    assert found["CVE-2026-2"]["analysis"] == {
        "state": "in_triage",
        "response": ["will_not_fix"],
        "detail": "It ships.",
    }
    assert _properties(document["metadata"])["packager:audit"] == "audited"


def test_an_audit_that_was_not_made_is_no_clean_one(tmp_path: Path) -> None:
    audit = Audit(asked=True, why_not="Nobody answered.", source="https://osv")
    told = _properties(_write(tmp_path, chain=SupplyChain(audit=audit))["metadata"])

    assert told["packager:audit"] == "not audited"
    assert told["packager:audit-missing"] == "Nobody answered."


def test_modules_that_were_left_out_are_named_by_their_folder(tmp_path: Path) -> None:
    names = ("numpy/tests/test_a.py", "numpy/tests/deep/test_b.py", "numpy/rare.py", "numpy/a.h")
    before = tuple(FileRecord(PurePosixPath(name), "c" * 64, 1) for name in names)
    numpy = _find(_write(tmp_path, staged=before), "numpy")

    assert _properties(numpy)["packager:left-out"] == "numpy/rare.py, numpy/tests/"
