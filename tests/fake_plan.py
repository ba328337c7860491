"""A fixed, made-up build: what the last two stages are given, without the first four."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from handlers.events import aws_sources, destinations
from handlers.manifest import FILENAME, Manifest
from packager import targets
from packager.system.file_tree import records
from packager.types import (
    BuildPlan,
    BuildRequest,
    Bundle,
    ColdStart,
    Compute,
    Deployment,
    EventSupport,
    Evidence,
    FileRecord,
    Frame,
    HostKind,
    Interpreter,
    LedgerEntry,
    Limits,
    LoaderSpec,
    Lock,
    LockedPackage,
    Machine,
    Program,
    Removal,
    Replay,
    ReplaySample,
    Requirements,
    ResolvedModel,
    Runtime,
    SavedExample,
    Target,
    Tier,
    Trace,
    Tree,
    VerifiedBundle,
    make_request,
)

DIGEST = "ab" * 32
BODY = b'{"dataframe_split": {"columns": ["x", "y"], "data": [[1.5, "a"]]}}'
LIMITS = Limits(
    unzipped_bytes=262_144_000,
    zipped_bytes=None,
    request_bytes=6_291_456,
    response_bytes=6_291_556,
    memory_mb=(128, 10_240),
    memory_sizes_mb=(),
    whole_cpu_mb=1769,
    timeout_seconds=900,
    tmp_bytes=512 << 20,
    init_seconds=10,
    source="https://example.org/quotas",
    as_of=date(2026, 11, 1),
)
RUNTIME = Runtime(
    name="python3.13",
    python_minor="3.13",
    os="Amazon Linux 2023",
    glibc=(2, 34),
    end_of_life=date(2029, 6, 30),
    snapstart=True,
    platforms={"x86_64": "x86_64-manylinux_2_34", "arm64": "aarch64-manylinux_2_34"},
    provides=frozenset({"boto3"}),
    libraries=frozenset({"libc.so.6"}),
    source="https://example.org/runtimes",
    as_of=date(2026, 11, 1),
)
OLD_RUNTIME = replace(RUNTIME, name="python3.11", python_minor="3.11", snapstart=False)
TARGET = Target(
    name="aws-lambda",
    way_out="aws-lambda-image",
    doors=("direct", "http"),
    limits=LIMITS,
    runtimes=(RUNTIME, OLD_RUNTIME),
    program=Program(
        host=HostKind.LAMBDA,
        entrypoint="handlers.aws_lambda.handler",
        requires=(),
        handlers=("aws_lambda.py",),
    ),
    deployment=Deployment(templates="aws_lambda", deploy="sam deploy --guided"),
    tree=Tree(root=PurePosixPath("/var/task")),
    events=EventSupport(
        sources=aws_sources.SOURCES,
        source_modules=PurePosixPath("events"),
        answering=frozenset({"stepfunctions"}),
        outputs=destinations.KINDS,
        failures="sqs",
        remembers=True,
    ),
    machine=Machine(told_memory=True),
)
SIGNATURE = {
    "inputs": [{"name": "x", "type": "double"}, {"name": "y", "type": "string"}],
    "outputs": [{"type": "double"}],
    "params": None,
}
LOCK = """lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "numpy"
version = "2.5.5"
wheels = [
  { url = "https://example.org/numpy-2.5.5-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", hashes = { sha256 = "1111111111111111111111111111111111111111111111111111111111111111" } },
  { url = "https://example.org/numpy-2.5.5-cp313-cp313-manylinux_2_28_x86_64.whl", hashes = { sha256 = "2222222222222222222222222222222222222222222222222222222222222222" } },
  { url = "https://example.org/numpy-2.5.5-cp313-cp313-manylinux_2_28_aarch64.whl", hashes = { sha256 = "3333333333333333333333333333333333333333333333333333333333333333" } },
  { url = "https://example.org/numpy-2.5.5-cp313-cp313-manylinux_2_40_x86_64.whl", hashes = { sha256 = "4444444444444444444444444444444444444444444444444444444444444444" } },
]
"""  # noqa: E501 - as uv writes them: a wheel a line
EVIDENCE = Evidence(
    proven=True,
    replay=Replay(
        rows_compared=1001,
        requests_compared=13,
        refusals_agreed=2,
        read_only="mounted without the right to write; a write was tried and refused.",
        cold_start=ColdStart(
            init_wall_ms=400.0,
            init_cpu_ms=380.0,
            first_invoke_ms=20.0,
            warm_invoke_ms=1.5,
            peak_rss_bytes=120 << 20,
            modules=321,
        ),
    ),
    oracle="Python 3.13.0, mlflow 3.17.2, made by uv from requirements.txt",
    declared_bytes=900_000_000,
    declared_start_cpu_ms=4200.0,
    tried=("native/numpy: row 7 differs",),
    checks={"budget": "12 % of the limit", "linkage": "every library is there"},
)


def model(name: str = "churn", **changes: Any) -> ResolvedModel:
    made = ResolvedModel(
        uri=f"models:/{name}@champion",
        name=name,
        version="7",
        aliases=("champion",),
        run_id="0123456789abcdef0123456789abcdef",
        model_id="m-0123456789abcdef",
        mlflow_version="3.17.2",
        python_version="3.11.7",
        flavors={"python_function": {}, "sklearn": {}},
        signature=SIGNATURE,
        example=SavedExample(
            body=BODY, content_type="application/json", source="serving_input_example.json"
        ),
        requirements=Requirements(lines=("scikit-learn==1.8.0",)),
        root=Path("/build/model"),
        files=(FileRecord(PurePosixPath("model.skops"), DIGEST, 1234),),
        digest=DIGEST,
    )
    return replace(made, **changes)


def request(**changes: Any) -> BuildRequest:
    return make_request("models:/churn@champion", **changes)


def plan(
    *,
    model: ResolvedModel | None = None,
    request: BuildRequest | None = None,
    **changes: Any,
) -> BuildPlan:
    made = BuildPlan(
        request=request or globals()["request"](),
        model=model or globals()["model"](),
        flavor="sklearn",
        tier=Tier.NATIVE,
        frame=Frame.PANDAS,
        loader=LoaderSpec(loader="sklearn", options={"file": "model.skops", "format": "skops"}),
        target=TARGET,
        runtime=RUNTIME,
        interpreter=Interpreter(
            path=Path("/opt/python/bin/python3.13"), version="3.13.0", found_by="PATH"
        ),
        lock=Lock(text=LOCK, packages=(LockedPackage(name="numpy", version="2.5.5"),)),
        passes=("prune",),
        reasons=("skops needs no Python of its own, so the newest runtime was taken",),
    )
    return replace(made, **changes)


def plan_on_instances(target: str = "aws-lambda", **settings: Any) -> BuildPlan:
    """The same build for managed instances, of the real target."""
    asked = request(target=target, compute=Compute.MANAGED_INSTANCES, **settings)
    adapted = targets.load_for(asked.target)
    runtime = next(each for each in adapted.runtimes if each.python_minor == "3.13")
    return plan(request=asked, target=adapted, runtime=runtime)


def evidence(**changes: Any) -> Evidence:
    """The evidence of a build whose replay came to other figures."""
    return replace(EVIDENCE, replay=replace(EVIDENCE.replay, **changes))


METADATA = """Metadata-Version: 2.4
Name: NumPy
Version: 2.5.5
Summary: Arrays
License-Expression: BSD-3-Clause
"""


def tree(root: Path, plan: BuildPlan, extra: Mapping[str, bytes] | None = None) -> Path:
    """A function's folder with one package, one handler and the model."""
    manifest = Manifest(
        model_name=plan.model.name,
        digest=plan.model.digest,
        flavor=plan.flavor,
        loader=plan.loader.loader,
        python=plan.runtime.python_minor,
        request_bytes=LIMITS.request_bytes,
        response_bytes=LIMITS.response_bytes,
    )
    handler = json.dumps({"made": "up"})
    files = {
        "handlers/__init__.py": b"",
        "handlers/aws_lambda.py": (
            f"def handler(event, context):\n    return {{'given': event, 'is': {handler!r}}}\n"
        ).encode(),
        "model/model.skops": b"\0" * 100,
        "numpy/__init__.py": b"",
        "numpy-2.5.5.dist-info/METADATA": METADATA.encode(),
        "lib/libgomp.so.1": b"\x7fELF",
        FILENAME: manifest.text().encode(),
        **(extra or {}),
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def verified(root: Path, evidence: Evidence = EVIDENCE) -> VerifiedBundle:
    bundle = Bundle(
        root=root,
        files=tuple(records(root)),
        staged=(
            *records(root),
            FileRecord(PurePosixPath("numpy/tests/test_a.py"), DIGEST, 1000),
        ),
        removed=(Removal(PurePosixPath("numpy/tests/test_a.py"), 1000, "tests"),),
        ledger=(
            LedgerEntry(
                name="prune",
                bytes_before=2000,
                bytes_after=1000,
                files_before=9,
                files_after=8,
                reason="tests are never imported",
                proof="replay",
            ),
        ),
    )
    sample = ReplaySample(
        name="example", rows=1, request='{"inputs":{"x":[1.0]}}', answer='{"predictions":[1.0]}'
    )
    return VerifiedBundle(bundle=bundle, evidence=evidence, samples=(sample,))


def trace(**seen: Any) -> Trace:
    """A trace that saw nothing but what is given."""
    nothing: dict[str, Any] = {
        **dict.fromkeys(("init", "answering", "refusing", "opened", "answers"), ()),
        **dict.fromkeys(("files", "own_cpu_ms"), MappingProxyType({})),
    }
    return Trace(**(nothing | seen))
