"""Requirement lines as people have them: used, read as others, left out, or refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.environments import interpreters, lockfile
from packager.environments.lockfile import Wanted
from packager.errors import PlanError, UnresolvableError
from packager.facts.modules import conda_names, module_names
from packager.models.code_imports import Need
from packager.models.model_imports import ImportedModule, ModelImports
from packager.pipeline.plan import _locks
from packager.pipeline.plan._modules import Needs
from packager.pipeline.plan._python import Candidate
from packager.pipeline.plan.requirements import _lines
from packager.types import Architecture, LineChange, Lock, Requirements, ResolvedModel
from tests import fake_plan, wheels
from tests.unit.pipeline.plan import test_plan
from tests.unit.pipeline.plan.test_plan import PINS

USED = (
    *("numpy==1.26.4", "numpy", "NumPy == 1.26.4", "numpy~=1.26.0", "numpy===1.26.4"),
    *("uvicorn[standard]==0.35.0", "zope.interface==7.0", "numpy>=1,<2", "torch==2.1.0+cpu"),
    *("own @ https://example.com/own-1.0-py3-none-any.whl", "code/own-1.0-py3-none-any.whl"),
    *("scikit_learn==1.5.2", "libgcc-ng==1.0", "libs/own-1.0-py3-none-any.whl"),
)
READ = (
    ("numpy=1.26.4", "numpy==1.26.4"),
    ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
    ("numpy = 1.26.4", "numpy==1.26.4"),
    ("tqdm=4.66.1=pyhd8ed1ab_0", "tqdm==4.66.1"),
    ("churn=0.1.0=pypi_0", "churn==0.1.0"),
    ("pytorch=2.1.0=py3.11_cuda12.1_cudnn8.9.2_0", "torch==2.1.0"),
    ("msgpack-python=1.0.3=py311hdb19cb5_0", "msgpack==1.0.3"),
    ("py-xgboost=1.7.6=py311h06a4308_0", "xgboost==1.7.6"),
    ("matplotlib-base=3.8.0=py311h54ef318_2", "matplotlib==3.8.0"),
    (
        "numpy @ file:///home/conda/feedstock_root/dist/numpy-1.25.0-cp310-cp310-linux_x86_64.whl",
        "numpy==1.25.0",
    ),
    (
        "numpy @ file:///C:/b/abs_f0/croot/dist/numpy-1.26.4-cp311-cp311-win_amd64.whl",
        "numpy==1.26.4",
    ),
    ("python-graphviz=0.20.1=pyh22cad53_0", "graphviz==0.20.1"),
    ("pytables=3.8.0=py311h3e8b7c9_0", "tables==3.8.0"),
    ("python-tzdata=2023.3=pyhd8ed1ab_0", "tzdata==2023.3"),
    ("py-opencv=4.8.0=py311hd1d1c7f_0", "opencv-python-headless==4.8.0.*"),
    (
        "https://example.com/dist/own-1.0-py3-none-any.whl",
        "own @ https://example.com/dist/own-1.0-py3-none-any.whl",
    ),
    (
        "https://example.com/own-1.0%2Bcu121-py3-none-any.whl#sha256=0a; os_name == 'posix'",
        "own @ https://example.com/own-1.0%2Bcu121-py3-none-any.whl#sha256=0a ; os_name == 'posix'",
    ),
)
LEFT_OUT = (
    *("_libgcc_mutex=0.1=main", "_openmp_mutex=5.1=1_gnu", "libgcc-ng=11.2.0=h1234567_1"),
    *("python_abi=3.11=4_cp311", "python=3.11.5=h955ad1f_0", "openssl=3.0.12=h7f8727e_0"),
    *("libopenblas=0.3.21=h043d6bf_0", "mkl=2023.1.0=h213fc3f_46344", "pip=23.3=py311h06a4308_0"),
    *("-e .", "-e ./packages/churn", "-e /home/me/churn", "-e file:///home/me/churn"),
    *("-e git+https://example.com/me/churn.git@0a#egg=churn", "-e C:\\Users\\me\\churn"),
    *("churn @ file:///home/me/churn", "churn@file:///home/me/churn", "file:///home/me/churn"),
    *("churn @ file:///C:/Users/me/churn", "C:\\Users\\me\\churn", "./churn", "../churn", "."),
    *("churn @ git+https://example.com/me/churn.git", "git+ssh://example.com/me/churn.git"),
    *("churn[all] @ file:///home/me/churn", "~/churn", "/home/me/churn"),
    *("churn/", "libs/churn", "libs\\churn", "libs/churn[dev]", ".[dev]", "..[dev]"),
    *("churn.zip", "churn-1.0.tar.gz", "libs/churn-1.0.tar.gz"),
    *("churn @ code/churn", "churn@churn", "git@example.com:me/churn.git"),
    *("churn @ code/churn-1.0-py3-none-any.whl#sha256=0",),
    *("numpy @ file:///croot/numpy_and_numpy_base_1682520569166/work",),
    *("churn @ file:///home/me/dist/churn-0.1.0-py3-none-any.whl",),
    *("own @ s3://bucket/own-1.0-py3-none-any.whl", "own @ https://example.com/own-1.0.tar.gz"),
    *("https://example.com/own/archive/main.zip", "own===weird", "own^1.0"),
    *("own[all]^0.23", "own[all, some] ^0.23", "own[all]==1.0-SNAPSHOT", "own [all] >= 1.*"),
    *("jpeg=9e=h5eee18b_1", "openssl=1.1.1w=h7f8727e_0", "openssl=1.1.1w", "libodd=2b_c=h0a_0"),
    *("pkg-resources==0.0.0", "pkg_resources == 0.0.0", "pkg-resources===0.0.0"),
    *("distro-info==1.1build1", "pytz==2004d", "own==1.0-SNAPSHOT", "own >= 1.*"),
)


def _settle(*lines: str) -> Requirements:
    model = fake_plan.model(requirements=Requirements(lines=lines))
    return _lines.settle_lines(model, conda_names()).requirements


@pytest.mark.parametrize("line", USED)
def test_a_line_is_used_as_it_is(line: str) -> None:
    assert _settle(line) == Requirements(lines=(line,))


@pytest.mark.parametrize(("line", "used"), READ)
def test_a_line_is_read_as_another(line: str, used: str) -> None:
    settled = _settle(line)
    assert settled.lines == (used,)
    assert [(each.line, each.used) for each in settled.changes] == [(line, used)]
    assert settled.declared == 1


@pytest.mark.parametrize("line", LEFT_OUT)
def test_a_line_is_left_out_with_a_reason(line: str) -> None:
    settled = _settle("six", line)
    assert settled.lines == ("six",)
    assert [(each.line, each.used) for each in settled.changes] == [(line, "")]
    assert settled.changes[0].reason
    assert settled.declared == 2


@pytest.mark.parametrize(
    ("flavors", "conda", "used"),
    [
        ({"sklearn": {"sklearn_version": "1.5.2"}}, (), ("scikit-learn==1.5.2",)),
        ({"scikit_learn": {"scikit_learn_version": "1.5.2"}}, (), ("scikit-learn==1.5.2",)),
        (
            {"sklearn": {"sklearn_version": "1.5.2"}},
            ("scikit-learn=1.6.0=py312_0",),
            ("scikit-learn==1.5.2",),
        ),
        ({}, ("scikit-learn=1.5.2=py312_0",), ("scikit-learn==1.5.2",)),
        ({"sklearn": {"sklearn_version": "unknown"}}, ("scikit-learn>=1.5",), ()),
    ],
)
@pytest.mark.parametrize(
    "folder",
    [
        "/home/conda/feedstock_root/build_artifacts/scikit-learn_17/work",
        "/tmp/abs_653_j00fmm/croots/recipe/scikit-learn_and_more/work",  # noqa: S108 - conda's
        "/private/var/folders/nz/j6p8/T/abs_35uvogxh/croot/scikit-learn_1680/work",
        "/work/ci_py311/scikit-learn_1676822698822/work",
        "/opt/concourse/worker/volumes/live/0b9/volume/scikit-learn_1625/../x_1637314298/work",
        "/D:/bld/scikit-learn_1691056431258/work",
        "/C:/ci_310/scikit-learn_1642601761909/work/dist/any",
    ],
)
def test_a_build_of_conda_has_the_version_that_the_model_s_other_files_have(
    flavors: dict[str, Any], conda: tuple[str, ...], used: tuple[str, ...], folder: str
) -> None:
    line = f"scikit-learn @ file://{folder}"
    requirements = Requirements(lines=(line,), conda=conda)
    model = fake_plan.model(requirements=requirements, flavors=flavors, mlflow_version=None)

    settled = _lines.settle_lines(model, conda_names()).requirements

    assert settled.lines == used
    assert [each.line for each in settled.changes] == [line]


@pytest.mark.parametrize(
    "line",
    [
        "-e /home/me/churn",
        "churn @ file:///home/me/churn",
        "churn==1.0-SNAPSHOT",
        "churn[all]^1.0",
        "churn @ file:///croot/churn_16/work",
    ],
)
def test_a_line_that_was_left_out_is_refused_where_it_is_needed(line: str) -> None:
    change = LineChange(line=line, reason="")
    model = fake_plan.model(requirements=Requirements(lines=("six",), changes=(change,)))

    refused = _lines.list_refused(model, {}, lambda _: "", lambda name: f"code needs {name}")

    assert len(refused) == 1
    assert refused[0].startswith(f"{line}: code needs churn; ")
    assert not _lines.list_refused(model, {}, lambda _: "", lambda _: "")


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        ("cffi @ file:///home/conda/feedstock_root/build_artifacts/cffi_17/work", False),
        ("cffi @ file:///home/me/cffi", True),
    ],
)
def test_what_another_requires_leads_to_a_version_of_conda_s_build_alone(
    line: str, *, is_refused: bool
) -> None:
    change = LineChange(line=line, reason="")
    model = fake_plan.model(requirements=Requirements(lines=("six",), changes=(change,)))

    refused = _lines.list_refused(model, {"cffi": "2.0"}, lambda _: "", lambda _: "")

    assert bool(refused) is is_refused


@pytest.mark.parametrize(
    "line",
    [
        "churn @ git+https://me:s3cret@example.com/me/churn.git",
        "git+https://me:s3cret@example.com/me/churn.git",
        "-e git+https://me:s3cret@example.com/me/churn.git#egg=churn",
    ],
)
def test_a_line_that_is_left_out_is_shown_without_its_password(line: str) -> None:
    (change,) = _settle(line).changes
    assert "s3cret" not in change.line
    assert _lines.name_line(change.line) == "churn"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("-e git+https://example.com/me/x.git@0a#egg=Churn_Model", "churn-model"),
        ("-e git+https://example.com/me/churn.git@0a", "churn"),
        ("git@example.com:me/churn.git", "churn"),
        ("churn @ code/other", "churn"),
        ("-e /home/me/churn", "churn"),
        ("-e C:\\Users\\me\\churn", "churn"),
        ("churn[all] @ file:///home/me/other", "churn"),
        ("./packages/churn[all]", "churn"),
        ("packages/churn/", "churn"),
        ("dist/churn-model-1.0.post1.tar.gz", "churn-model"),
        ("https://example.com/churn-0.1.0-rc1.zip#sha256=0a", "churn"),
        ("churn.tgz", "churn"),
        ("-e .", ""),
    ],
)
def test_a_folder_s_distribution(line: str, name: str) -> None:
    assert _lines.name_line(line) == name


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ('numpy==1.26.4 ; python_version < "3.12"', "numpy==1.26.4"),
        ('numpy==2.1.0 ; python_version >= "3.12"', 'numpy==2.1.0 ; python_version >= "3.12"'),
        (
            'audioop-lts ; python_version > "3.12"',
            'audioop-lts ; python_version > "3.12"',
        ),
        ('numpy==2.1.0 ; python_version < "3"', None),
        ('numpy==2.1.0 ; python_full_version >= "3.11.5"', "numpy==2.1.0"),
        ('pywin32==306 ; sys_platform == "win32"', None),
        ("colorama==0.4.6 ; platform_system == 'Windows'", None),
        ('uvloop==0.21 ; sys_platform != "win32"', "uvloop==0.21"),
        ('tomli==2 ; extra == "toml"', None),
        ("numpy==1.26.4", "numpy==1.26.4"),
    ],
)
def test_markers_hold_under_the_author_s_python(line: str, fixed: str | None) -> None:
    model = fake_plan.model(requirements=Requirements(lines=(line,)), python_version="3.11.7")
    found = _lines.fix_markers(model, "x86_64").requirements
    assert found.lines == (() if fixed is None else (fixed,))
    assert [each.line for each in found.changes] == ([line] if fixed is None else [])


@pytest.mark.parametrize(
    ("lines", "preferred"),
    [
        (("numpy==2.1.0 ; sys_platform == 'darwin'",), ("numpy==2.1.0",)),
        (("a==1; sys_platform == 'darwin'", "A==2; sys_platform == 'win32'"), ()),
        (("a==1; sys_platform == 'darwin'", "a==1; sys_platform == 'win32'"), ("a==1",)),
        (("numpy==2.1.0 ; sys_platform == 'darwin'", "numpy==2.0.0"), ()),
        (("numpy>=2.1.0 ; sys_platform == 'darwin'",), ()),
        (("tomli==2 ; python_version >= '3.12'",), ()),
    ],
)
def test_a_version_for_another_system_alone_is_the_one_that_others_get(
    lines: tuple[str, ...], preferred: tuple[str, ...]
) -> None:
    model = fake_plan.model(requirements=Requirements(lines=lines), python_version="3.11.7")
    found = _lines.fix_markers(model, "x86_64").requirements
    assert found.preferred == preferred
    assert found.constraints == ()


@pytest.mark.parametrize(("architecture", "taken"), [("x86_64", "1.18.0"), ("arm64", "1.17.0")])
def test_of_several_lines_of_a_name_the_function_s_machine_and_the_author_s_python_take_one(
    architecture: Architecture, taken: str
) -> None:
    lines = (
        'onnxruntime==1.18.0 ; platform_machine == "x86_64"',
        'onnxruntime==1.17.0 ; platform_machine == "aarch64"',
        'onnxruntime==1.16.0 ; python_version >= "3.13"',
    )
    model = fake_plan.model(requirements=Requirements(lines=lines), python_version="3.11.7")
    found = _lines.fix_markers(model, architecture).requirements
    assert found.lines == (f"onnxruntime=={taken}",)
    assert len(found.changes) == 2


@pytest.mark.parametrize(
    ("line", "used"),
    [
        ("openpyxl=3.0.5=py_0", "openpyxl==3.0.5"),
        ("pickleshare=0.7.5=py_1003", "pickleshare==0.7.5"),
        ("lightgbm=4.3.0=cpu_py311h1_0", "lightgbm==4.3.0"),
        ("xgboost=2.0.3=cpu_pyhb8f9a19_0", "xgboost==2.0.3"),
        ("setuptools=68.0.0=py311h06a4308_0", "setuptools==68.0.0"),
        ("llvm-openmp=14.0.6=h9e868ea_0", ""),
        ("happy=1.0=happy_0", ""),
    ],
)
def test_a_build_of_conda_tells_packages_of_python_from_libraries(line: str, used: str) -> None:
    model = fake_plan.model(requirements=Requirements(lines=(line,)))
    (change,) = _lines.settle_lines(model, {}).requirements.changes
    assert change.used == used


def _needs(module: str, need: Need, **changes: Any) -> Needs:
    """Needs of a model that lists numpy and whose code imports one module."""
    imports = ModelImports()
    imports.modules.append(ImportedModule(name=module, place="code/steps.py:1", need=need))
    requirements = Requirements(lines=("numpy==2.2.6",), **changes)
    return Needs(
        model=fake_plan.model(requirements=requirements),
        imports=imports,
        names=module_names(),
        required=("scikit-learn",),
        kept=frozenset({"kept"}),
        is_known=True,
    )


@pytest.mark.parametrize(
    ("module", "need", "name", "is_needed"),
    [
        ("numpy", Need.LOAD, "docopt", False),
        ("docopt", Need.LATER, "docopt", True),
        ("churn", Need.LATER, "", True),
        ("churnlib", Need.OPTIONAL, "acme-lib", True),
        ("churnlib", Need.LATER, "acme-lib", True),
        ("numpy", Need.LOAD, "acme-lib", False),
        ("numpy", Need.LOAD, "kept", True),
        ("numpy", Need.LOAD, "scikit-learn", True),
    ],
)
def test_what_nobody_has_read_is_needed_where_it_may_have_a_module(
    module: str, need: Need, name: str, *, is_needed: bool
) -> None:
    assert bool(_needs(module, need).explain_unseen(name)) is is_needed


def test_what_is_used_asked_for_or_perhaps_named_is_needed() -> None:
    needs = _needs("numpy", Need.LOAD)
    assert not needs.explain("openpyxl")
    assert not needs.explain("docopt")
    needs.imports.attributes["read_excel"] = "code/steps.py:2"
    assert needs.explain("openpyxl").startswith("code/steps.py:2 uses read_excel")
    needs.imports.distributions["DocOpt"] = "code/steps.py:3"
    assert needs.explain("docopt") == "code/steps.py:3 asks for its version"
    guess = ImportedModule(name="tabulate", place="model.pkl", need=Need.LATER, is_guess=True)
    needs.imports.modules.append(guess)
    assert needs.explain("tabulate") == "model.pkl names tabulate"


def test_what_an_index_that_is_not_asked_may_have_does_not_leave() -> None:
    assert not _needs("numpy", Need.LOAD).explain_wheelless("acme-churn")
    needs = _needs("numpy", Need.LOAD, unused_indexes=("https://pypi.acme.example",))
    assert "was not asked" in needs.explain_wheelless("acme-churn")


SAID = "No solution found\n  cause: Because {} and you require docopt==0.6.2, we can conclude"


@pytest.mark.parametrize(
    ("lines", "words", "left"),
    [
        (("docopt==0.6.2",), SAID.format("docopt==0.6.2 has no usable wheels"), ()),
        (
            ("pywin32==306",),
            SAID.format("pywin32==306 has no wheels with a matching platform tag"),
            (),
        ),
        (
            ("python-apt==2.4.0+ubuntu1",),
            "Because there is no version of python-apt==2.4.0+ubuntu1 and you require it",
            ("python-apt==2.4.0",),
        ),
        (
            ("torch==2.1.0+cu121",),
            "Because there is no version of torch==2.1.0+cu121 and you require",
            ("torch==2.1.0",),
        ),
        (("Pkg_Resources==0.0.0",), "Because pkg-resources was not found in the registry", ()),
        (
            ("num2words==0.5.10",),
            "Because docopt has no usable wheels and num2words==0.5.10 depends on docopt",
            (),
        ),
        (
            ("ydata-profiling==4.6.0", "numpy==1.26.4"),
            "Because ydata-profiling==4.6.0 depends on numpy<1.26 and you require numpy==1.26.4",
            None,
        ),
        (
            ("num2words==0.5.10", "pandas==2.3.2"),
            "Because docopt has no usable wheels and pandas==2.3.2 depends on numpy>=2",
            None,
        ),
        (
            ("mlflow[extras, db]==3",),
            "Because all versions of d have no usable wheels and mlflow[extras]==3 depends on d",
            ("mlflow==3",),
        ),
        (
            ("own[all]==1.0",),
            "Because needed has no usable wheels and own[all]==1.0 depends on needed",
            (),
        ),
        (("needed==1.0",), "Because needed==1.0 has no usable wheels", None),
        (("other==1.0",), "Because docopt==0.6.2 has no usable wheels", None),
    ],
)
def test_a_line_that_no_wheel_answers_is_left_out_where_nothing_needs_it(
    lines: tuple[str, ...], words: str, left: tuple[str, ...] | None
) -> None:
    model = fake_plan.model(requirements=Requirements(lines=lines))
    found = _lines.drop_wheelless(model, words, lambda name: "code" if name == "needed" else "")
    assert (None if found is None else found.requirements.lines) == left


CONFLICT = "No solution\n  cause: Because mlflow==2.9.2 depends on pandas<3.\n\nhint: none"


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        (("mlflow==2.9.2", "Pandas==3.0.6"), ("mlflow==2.9.2", "pandas==3.0.6")),
        (("mlflow[x,extras]==2.9.2", "a.whl"), ("mlflow[extras,x]==2.9.2",)),
        (("mlflow==2.9", "pandas==3.0.6"), ("mlflow==2.9.2", "pandas==3.0.6")),
        (("mlflow", "pandas==3.0.6"), ("mlflow==2.9.2", "pandas==3.0.6")),
        (("mlflow==2.9.2", "tomli==2 ; python_version < '3.11'"), ("mlflow==2.9.2",)),
        (("mlflow==2.9.2", "pandas"), None),
        (("mlflow==2.9.2", "pandas>=3"), None),
        (("a.whl",), None),
    ],
)
def test_pins_that_conflict_hold_as_they_are_listed(
    lines: tuple[str, ...], held: tuple[str, ...] | None
) -> None:
    model = fake_plan.model(requirements=Requirements(lines=lines), mlflow_version="2.9.2")

    found = _lines.hold_pins(model, CONFLICT)

    assert (None if found is None else found.requirements.overrides) == held
    if found is not None:
        assert found.requirements.conflict == "Because mlflow==2.9.2 depends on pandas<3."
        assert _lines.hold_pins(found, CONFLICT) is None


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("own[all]==1.0", ("other==1.0", "own==1.0")),
        ("own==1.0+cu121", ("other==1.0", "own==1.0")),
        ("docopt==0.6.2", ("other==1.0",)),
    ],
)
def test_pins_that_hold_are_those_of_the_lines_that_are_left(
    line: str, held: tuple[str, ...]
) -> None:
    model = fake_plan.model(requirements=Requirements(lines=("other==1.0", line)))
    model = _lines.hold_pins(model, CONFLICT) or model
    words = "there is no version of own==1.0+cu121 and you require" if "+" in line else ""
    words = words or "docopt==0.6.2 has no usable wheels and own[all]==1.0 depends on docopt"

    found = _lines.drop_wheelless(model, f"Because {words}", lambda name: "")

    assert found is not None
    assert found.requirements.overrides == held


def test_pins_that_conflict_are_installed_with_their_extras(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    for name, metadata in (
        ("own", "Provides-Extra: all\nRequires-Dist: extra; extra == 'all'\n"),
        ("user", "Requires-Dist: own>=2\n"),
        ("extra", ""),
        ("mlflow", ""),
    ):
        wheels.make(tmp_path / "links", name, {f"{name}/__init__.py": ""}, metadata=metadata)

    held, declared = _resolve(tmp_path, lines=("own[all]==1.0", "user==1.0", "mlflow==1.0"))

    assert held.requirements.overrides
    assert {"own", "user", "extra"} <= declared.keys()


def test_the_resolver_s_own_words_tell_which_preferred_version_does_not_go_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    for name, metadata in (
        ("user", "Requires-Dist: python-own>=1\nRequires-Dist: gone\nRequires-Dist: other\n"),
        ("python_own", ""),
        ("gone", ""),
        ("other", ""),
        ("mlflow", ""),
    ):
        wheels.make(tmp_path / "links", name, {f"{name}/__init__.py": ""}, metadata=metadata)

    found, declared = _resolve(
        tmp_path,
        lines=("user==1.0",),
        preferred=("python-own==0.9", "gone==4.6.0", "other==1.0", "idle==9"),
    )

    assert found.requirements.preferred == ("other==1.0", "idle==9")
    assert found.requirements.lines == ("user==1.0",)
    assert {"user", "python-own", "gone", "other"} <= declared.keys()


def _resolve(root: Path, **requirements: Any) -> tuple[ResolvedModel, Mapping[str, str]]:
    """Resolve the environment of a model for this Python, from the wheels in `root`/links alone."""
    options = ("--no-index", f"--find-links {root / 'links'}")
    model = fake_plan.model(
        root=root,
        requirements=Requirements(options=options, **requirements),
        mlflow_version=None,
        python_version=None,
    )
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    runtime = next(r for r in fake_plan.TARGET.runtimes if r.python_minor == minor)
    candidate = Candidate(runtime=runtime, interpreter=interpreters.find(minor), reasons=())
    return _locks.resolve_declared(fake_plan.request(), model, candidate, lambda _: "")


def test_a_freeze_of_what_conflicts_is_planned_at_its_own_versions(
    index: test_plan.Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Wanted] = []

    def lock(wanted: Wanted) -> Lock:
        asked.append(wanted)
        if not wanted.overrides:
            raise UnresolvableError(CONFLICT)
        return index.lock(wanted)

    monkeypatch.setattr(lockfile, "lock", lock)

    found = test_plan._plan(test_plan._model(tmp_path / "m"))[0]

    assert test_plan._said(found, "The listed versions are installed as they are")
    assert test_plan._said(found, "conflicts: Because mlflow==2.9.2 depends on pandas<3.")
    assert {each.overrides for each in asked[1:]} == {PINS}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> test_plan.Index:
    return test_plan._use(monkeypatch, test_plan._index())


def test_the_python_that_has_the_author_s_version_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = test_plan._index(minors={"numpy==2.2.6": ("3.11", "3.12")})
    brings = {**known.brings, "scikit-learn": ("numpy<2.3",)}
    test_plan._use(monkeypatch, replace(known, brings=brings))
    lines = (
        *(line for line in PINS if not line.startswith("numpy")),
        "numpy==2.2.6 ; python_version < '3.13'",
        "numpy==2.4.6 ; python_version >= '3.13'",
    )
    found = test_plan._plan(
        test_plan._model(tmp_path / "m", requirements=Requirements(lines=lines))
    )[0]
    assert found.runtime.python_minor == "3.12"
    assert found.lock.version("numpy") == "2.2.6"


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("scikit-learn @ file:///croot/scikit-learn_16/work", "", "the model's loader needs it"),
        ("-e /home/me/churn", "import churn\n", "imports churn"),
        ("-e /home/me/churn", "def f():\n    import churn\n", "imports churn"),
    ],
)
def test_a_line_of_the_author_s_machine_that_is_needed_is_refused(
    index: test_plan.Index, tmp_path: Path, line: str, code: str, why: str
) -> None:
    model = test_plan._model(tmp_path / "m")
    lines = (*(each for each in PINS if not each.startswith("scikit")), line)
    if code:
        lines = (*PINS, line)
        (model.root / "code").mkdir()
        (model.root / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
        (model.root / "code" / "steps.py").write_text(code, encoding="utf-8")
        pyfunc = {"loader_module": "steps", "code": "code"}
        model = replace(model, flavors={"python_function": pyfunc})
    with pytest.raises(PlanError, match=why):
        test_plan._plan(replace(model, requirements=Requirements(lines=lines)))


def test_a_package_without_wheels_leaves_the_plan(
    index: test_plan.Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lock(wanted: Wanted) -> Lock:
        if "docopt==0.6.2" in wanted.requirements:
            raise UnresolvableError("Because docopt==0.6.2 has no usable wheels")
        return index.lock(wanted)

    monkeypatch.setattr(lockfile, "lock", lock)
    lines = (*PINS, "docopt==0.6.2")
    found = test_plan._plan(
        test_plan._model(tmp_path / "m", requirements=Requirements(lines=lines))
    )[0]
    assert test_plan._said(found, "Requirement docopt==0.6.2 is left out: no wheel answers it")
    assert "docopt==0.6.2" not in found.model.requirements.lines


def test_a_pin_without_wheels_that_another_requires_says_which_version_ships(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = test_plan._index(brings={"scikit-learn": ("autograd-gamma",)})
    index = test_plan._use(
        monkeypatch, replace(known, versions={**known.versions, "autograd-gamma": ("0.4.2",)})
    )

    def lock(wanted: Wanted) -> Lock:
        if "autograd-gamma==0.5.0" in wanted.requirements:
            raise UnresolvableError("Because autograd-gamma==0.5.0 has no usable wheels")
        return index.lock(wanted)

    monkeypatch.setattr(lockfile, "lock", lock)
    lines = (*PINS, "autograd-gamma==0.5.0")
    found = test_plan._plan(
        test_plan._model(tmp_path / "m", requirements=Requirements(lines=lines))
    )[0]

    assert found.lock.version("autograd-gamma") == "0.4.2"
    assert not test_plan._said(found, "nothing that the model names needs it")
    assert test_plan._said(found, "requires it and gets 0.4.2, with which your registered model")
    (change,) = found.model.requirements.changes
    assert "UV_FIND_LINKS" in change.reason


def test_a_package_without_wheels_that_idle_ones_require_leaves_the_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = test_plan._index(brings={"sqlalchemy": ("greenlet",)})
    versions = {**known.versions, "sqlalchemy": ("2.0.58",), "greenlet": ("3.2.0",)}
    index = test_plan._use(monkeypatch, replace(known, versions=versions))

    def lock(wanted: Wanted) -> Lock:
        if "greenlet==3.5.6" in wanted.requirements:
            raise UnresolvableError("Because greenlet==3.5.6 has no usable wheels")
        return index.lock(wanted)

    monkeypatch.setattr(lockfile, "lock", lock)
    lines = (*PINS, "sqlalchemy==2.0.58", "greenlet==3.5.6")
    found = test_plan._plan(
        test_plan._model(tmp_path / "m", requirements=Requirements(lines=lines))
    )[0]
    assert test_plan._said(found, "Requirement greenlet==3.5.6 is left out: no wheel answers it")
