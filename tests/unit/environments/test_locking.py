from __future__ import annotations

import hashlib
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from packager.environments import interpreters, lockfile, uv_command
from packager.environments.lockfile import Wanted
from packager.errors import DigestError, IndexUnavailableError, ToolError, UnresolvableError
from packager.types import Interpreter, Lock, Requirements
from tests import wheels

PLATFORM = "x86_64-manylinux_2_34"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _wheel(folder: Path, name: str = "own", requires: str = "") -> str:
    """A wheel of our own under `folder`/code; returns its path relative to the folder."""
    path = wheels.make(folder / "code", name, {f"{name}/__init__.py": ""}, metadata=requires)
    return path.relative_to(folder).as_posix()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")


def _wanted(
    *requirements: str,
    base: Path,
    constraints: tuple[str, ...] = (),
    excluded: tuple[str, ...] = (),
) -> Wanted:
    return Wanted(
        requirements=requirements,
        interpreter=interpreters.find(HERE),
        platform=PLATFORM,
        base=base,
        options=("--no-index",),
        constraints=constraints,
        excluded=excluded,
    )


def test_a_wheel_in_the_model_is_locked_by_its_digest(offline: None, tmp_path: Path) -> None:
    path = _wheel(tmp_path)
    found = lockfile.lock(_wanted(path, base=tmp_path))
    assert [(p.name, p.version) for p in found.packages] == [("own", "1.0")]
    assert found.packages[0].size_bytes == (tmp_path / path).stat().st_size
    assert 'sha256 = "' in found.text


def test_a_lock_names_no_place_of_this_machine(offline: None, tmp_path: Path) -> None:
    found = lockfile.lock(_wanted(_wheel(tmp_path), base=tmp_path))
    assert str(tmp_path) not in found.text
    assert str(Path.home()) not in found.text
    assert "#" not in found.text


def test_the_same_requirements_in_another_place_give_the_same_lock(
    offline: None, tmp_path: Path
) -> None:
    texts = {
        lockfile.lock(_wanted(_wheel(tmp_path / name), base=tmp_path / name)).text
        for name in ("a", "b")
    }
    assert len(texts) == 1


def test_what_is_excluded_is_left_out_where_another_requires_it(
    offline: None, tmp_path: Path
) -> None:
    path = _wheel(tmp_path, requires="Requires-Dist: no-such-thing\n")
    with pytest.raises(UnresolvableError):
        lockfile.lock(_wanted(path, base=tmp_path))
    found = lockfile.lock(_wanted(path, base=tmp_path, excluded=("no-such-thing",)))
    assert [package.name for package in found.packages] == ["own"]


def test_a_pin_that_overrides_holds_whatever_another_requires(
    offline: None, tmp_path: Path
) -> None:
    path = _wheel(tmp_path, requires="Requires-Dist: more>=2\n")
    _wheel(tmp_path / "links", "more")
    links = f"--find-links {tmp_path / 'links' / 'code'}"
    wanted = replace(_wanted(path, "more==1.0", base=tmp_path), options=("--no-index", links))
    with pytest.raises(UnresolvableError, match="more"):
        lockfile.lock(wanted)

    found = lockfile.lock(replace(wanted, overrides=("more==1.0",)))

    assert [(p.name, p.version) for p in found.packages] == [("more", "1.0"), ("own", "1.0")]


def test_preferred_pins_hold_where_the_rest_allows_them(offline: None, tmp_path: Path) -> None:
    path = _wheel(tmp_path, requires="Requires-Dist: more\nRequires-Dist: other>=2\n")
    for name in ("more", "other"):
        for version in ("1.0", "2.0"):
            wheels.make(tmp_path / "links", name, {f"{name}/__init__.py": ""}, version=version)
    options = ("--no-index", f"--find-links {tmp_path / 'links'}")
    wanted = replace(_wanted(path, base=tmp_path), options=options)
    pins = ("more==1.0", "other==1.0", "absent==3")

    found = lockfile.lock(replace(wanted, preferred=pins))

    assert [(p.name, p.version) for p in found.packages] == [
        *(("more", "1.0"), ("other", "2.0"), ("own", "1.0"))
    ]
    newest = lockfile.lock(wanted)
    assert [p.version for p in newest.packages] == ["2.0", "2.0", "1.0"]
    # paths are relative to the model's folder, though uv writes the lock elsewhere
    agreed = replace(wanted, preferred=("more==2.0", "other==2.0"))
    assert lockfile.lock(agreed).text == newest.text


def test_what_does_not_resolve_is_said_in_the_resolver_s_words(
    offline: None, tmp_path: Path
) -> None:
    wanted = _wanted(_wheel(tmp_path), "no-such-thing==1", base=tmp_path)
    with pytest.raises(UnresolvableError, match="no-such-thing"):
        lockfile.lock(wanted)
    assert lockfile.unavailable(wanted) == ("no-such-thing==1",)
    held = replace(wanted, overrides=("no-such-thing<9", "own==9"))
    assert lockfile.unavailable(held) == ("no-such-thing==1",)


@pytest.mark.parametrize("right", [True, False])
def test_a_file_has_one_of_the_digests_that_are_asked_for(
    offline: None, tmp_path: Path, *, right: bool
) -> None:
    path = _wheel(tmp_path)
    own = hashlib.sha256((tmp_path / path).read_bytes()).hexdigest()
    digests = {"own": frozenset({own, "0" * 64} if right else {"0" * 64})}
    wanted = replace(_wanted(path, base=tmp_path), digests=digests)
    if right:
        assert own in lockfile.lock(wanted).text
        return
    with pytest.raises(DigestError, match=r"own 1\.0"):
        lockfile.lock(wanted)


def test_of_several_wheels_those_of_another_digest_are_left_out() -> None:
    wheels = "".join(
        f'    {{ url = "https://example.com/{n}.whl", hashes = {{ sha256 = "{n * 64}" }} }},\n'
        for n in "ab"
    )
    text = f'[[packages]]\nname = "Own"\nversion = "1"\nwheels = [\n{wheels}]\n'
    held = lockfile._hold_digests(text, {"own": frozenset({"b" * 64})})
    assert [line for line in held.splitlines() if "url" in line] == [wheels.splitlines()[1]]
    assert lockfile._hold_digests(text, {"other": frozenset()}) == text


@pytest.mark.parametrize(
    "line",
    ["Own_Pkg==1.0", "own.pkg [x] >= 1 ; python_version > '3'", "code/own_pkg-1-py3-none-any.whl"],
)
def test_digests_are_kept_by_distribution(line: str) -> None:
    requirements = Requirements(lines=(line,), hashes={line: ("sha256:" + "a" * 64,)})
    assert lockfile.read_digests(requirements) == {"own-pkg": frozenset({"a" * 64})}


def test_a_constraint_holds(offline: None, tmp_path: Path) -> None:
    with pytest.raises(UnresolvableError):
        lockfile.lock(_wanted(_wheel(tmp_path), base=tmp_path, constraints=("own<1",)))


def test_a_lock_is_installed_as_copies_without_a_trace_of_the_tool(
    offline: None, tmp_path: Path
) -> None:
    found = lockfile.lock(_wanted(_wheel(tmp_path), base=tmp_path))
    target = tmp_path / "function"
    interpreter = interpreters.find(HERE)
    lockfile.install(found, target, interpreter=interpreter, platform=PLATFORM, cwd=tmp_path)
    assert sorted(path.name for path in target.iterdir()) == ["own", "own-1.0.dist-info"]
    assert (target / "own" / "__init__.py").stat().st_nlink == 1


def test_a_local_wheel_needs_the_folder_that_it_lies_in(tmp_path: Path) -> None:
    text = '[[packages]]\nname = "own"\narchive = { path = "code/own.whl" }\n'
    interpreter = Interpreter(path=Path(sys.executable), version="3.13.0", found_by="test")
    with pytest.raises(ToolError, match=r"code/own\.whl, and no folder"):
        lockfile.install(
            Lock(text=text, packages=()), tmp_path, interpreter=interpreter, platform=PLATFORM
        )


@pytest.mark.slow
def test_an_index_that_is_down_is_not_a_missing_wheel(tmp_path: Path) -> None:
    wanted = Wanted(
        requirements=("numpy",),
        options=("--index-url http://127.0.0.1:9/simple",),
        interpreter=interpreters.find(HERE),
        platform=PLATFORM,
    )
    with pytest.raises(IndexUnavailableError, match=r"127\.0\.0\.1:9 did not answer"):
        lockfile.lock(wanted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "tag"),
    [("x86_64-manylinux_2_34", "x86_64"), ("aarch64-manylinux_2_34", "aarch64")],
)
def test_wheels_are_those_of_the_platform_that_is_asked_for(platform: str, tag: str) -> None:
    wanted = Wanted(
        requirements=("numpy==2.4.6",),
        interpreter=interpreters.find(HERE),
        platform=platform,
        python_minor="3.13",
    )
    found = lockfile.lock(wanted)
    assert f"cp313-cp313-manylinux_2_27_{tag}" in found.text
    assert found.packages[0].size_bytes is not None
    assert found == lockfile.lock(wanted)


@pytest.mark.slow
def test_today_s_numpy_has_no_wheel_for_the_old_system() -> None:
    wanted = Wanted(
        requirements=("numpy==2.4.6", "threadpoolctl==3.8.0"),
        interpreter=interpreters.find(HERE),
        platform="x86_64-manylinux_2_17",
        python_minor="3.11",
    )
    with pytest.raises(UnresolvableError):
        lockfile.lock(wanted)
    assert lockfile.unavailable(wanted) == ("numpy==2.4.6",)


@pytest.mark.slow
def test_what_was_fetched_once_is_installed_without_an_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    interpreter = interpreters.find(HERE)
    wanted = Wanted(requirements=("jmespath==1.1.0",), interpreter=interpreter, platform=PLATFORM)
    found = lockfile.lock(wanted)
    for name in ("first", "again"):
        lockfile.install(found, tmp_path / name, interpreter=interpreter, platform=PLATFORM)
        assert (tmp_path / name / "jmespath" / "__init__.py").is_file()
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    other = Lock(text=found.text.replace('sha256 = "', 'sha256 = "0'), packages=())
    with pytest.raises(ToolError):
        lockfile.install(other, tmp_path / "other", interpreter=interpreter, platform=PLATFORM)


@pytest.mark.slow
def test_what_another_program_fetched_is_not_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    interpreter = interpreters.find(HERE)
    wanted = Wanted(requirements=("jmespath==1.1.0",), interpreter=interpreter, platform=PLATFORM)
    found = lockfile.lock(wanted)
    (wheel,) = tomllib.loads(found.text)["packages"][0]["wheels"]
    listed = tmp_path / "requirements.txt"
    listed.write_text(f"jmespath==1.1.0 --hash=sha256:{wheel['hashes']['sha256']}\n")
    uv_command.run_pip("install", ["--target", tmp_path / "theirs", "-r", listed])
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    lockfile.install(found, tmp_path / "ours", interpreter=interpreter, platform=PLATFORM)
    assert (tmp_path / "ours" / "jmespath" / "__init__.py").is_file()


LOCKED = """lock-version = "1.0"

[[packages]]
name = "public"
wheels = [{ url = "https://files.pythonhosted.org/packages/a/public-1.0-py3-none-any.whl" }]

[[packages]]
name = "mirrored"
wheels = [{ url = "https://index.example/files.pythonhosted.org/mirrored-1.0-py3-none-any.whl" }]

[[packages]]
name = "told"
index = "https://index.example/simple"
wheels = [{ url = "https://files.pythonhosted.org/packages/b/told-1.0-py3-none-any.whl" }]

[[packages]]
name = "own"
archive = { path = "code/own-1.0-py3-none-any.whl" }
"""


def test_the_public_index_is_named_where_its_files_are() -> None:
    packages = tomllib.loads(lockfile.name_public_index(LOCKED))["packages"]
    assert {each["name"]: each.get("index") for each in packages} == {
        "public": "https://pypi.org/simple",
        "mirrored": None,
        "told": "https://index.example/simple",
        "own": None,
    }


def test_a_lock_of_nothing_names_no_index() -> None:
    text = 'lock-version = "1.0"\npackages = []\n'
    assert lockfile.name_public_index(text) == text
