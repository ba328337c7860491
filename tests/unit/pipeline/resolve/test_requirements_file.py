"""What a model's requirements may say of where packages come from, and of other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from packager.errors import ModelFormatError
from packager.pipeline.plan.requirements import _lines
from packager.pipeline.resolve import _environment
from packager.types import Requirements
from tests import fake_plan

DIGEST = "sha256:" + "0a" * 32
VARIABLES = (
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"),
)


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("packager.pipeline.resolve._indexes._PIP_FILES", ())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "wheels").mkdir(parents=True)
    (folder / "code").mkdir()
    (folder / "code" / "own-1.0-py3-none-any.whl").write_bytes(b"")
    (folder / "more.txt").write_text("six\n", encoding="utf-8")
    (tmp_path / "links").mkdir()
    (tmp_path / "out-1.0-py3-none-any.whl").write_bytes(b"")
    return folder


def _read(root: Path, text: str | bytes, *, trusted: bool = False) -> Requirements:
    content = text if isinstance(text, bytes) else text.encode()
    (root / "requirements.txt").write_bytes(content)
    return _environment.read(root, {}, trust_index=trusted).requirements


@pytest.mark.parametrize(
    "line",
    [
        "--extra-index-url http://user:${MLFLOW_TRACKING_PASSWORD}@example.com/simple",
        "--extra-index-url http://example.com/${AWS_SECRET_ACCESS_KEY}/simple",
        "--index-url=https://$HOST/simple",
        "--find-links ${HOME}",
        "-i https://example.com/$(id)/",
        "-r ${HOME}/requirements.txt",
        "-c ${HOME}/limits.txt",
        "own @ https://${VAR}.example.com/own-1.0-py3-none-any.whl",
        "own @ file:///${PROJECT_ROOT}/own-1.0-py3-none-any.whl",
        "own @ {root:uri}/own-1.0-py3-none-any.whl",
        "own ; python_version > '${VAR}'",
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_a_placeholder_is_refused_wherever_it_stands(
    line: str, root: Path, *, trusted: bool
) -> None:
    with pytest.raises(ModelFormatError, match="a placeholder such as"):
        _read(root, f"six\n{line}\n", trusted=trusted)


@pytest.mark.parametrize("name", ["more.txt", "limits.txt"])
def test_a_placeholder_in_an_included_file_is_refused(name: str, root: Path) -> None:
    (root / name).write_text("--index-url https://example.com/${TOKEN}\n", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="a placeholder such as"):
        _read(root, f"-{name[0].replace('m', 'r').replace('l', 'c')} {name}\n")


@pytest.mark.parametrize(
    "text",
    [
        "dependencies: ['six\\n--extra-index-url https://example.com/${TOKEN}']",
        "dependencies: ['--extra-index-url https://example.com/${TOKEN}', six]",
    ],
)
@pytest.mark.parametrize("file", ["python_env.yaml", "conda.yaml"])
def test_an_entry_of_yaml_is_read_line_by_line(text: str, file: str, root: Path) -> None:
    if file == "conda.yaml":
        text = text.replace("[", "[{pip: [").replace("]", "]}]")
    (root / file).write_text(text.replace("'", '"'), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="a placeholder such as"):
        _environment.read(root, {})


@pytest.mark.parametrize(
    ("line", "unused", "options"),
    [
        (
            "--extra-index-url https://u:p@example.com:8443/simple",
            ("--extra-index-url example.com:8443",),
            ("--extra-index-url https://u:p@example.com:8443/simple",),
        ),
        (
            "-i=https://example.com",
            ("--index-url example.com",),
            ("--index-url https://example.com",),
        ),
        (
            "-f https://example.com/w",
            ("--find-links example.com",),
            ("--find-links https://example.com/w",),
        ),
        ("--find-links wheels", (), ("--find-links wheels",)),
        ("--find-links ./wheels/", (), ("--find-links wheels",)),
        ("--no-index\n--find-links wheels", (), ("--no-index", "--find-links wheels")),
    ],
)
def test_an_index_that_only_the_model_names_is_used_where_it_is_trusted(
    line: str, unused: tuple[str, ...], options: tuple[str, ...], root: Path
) -> None:
    found = _read(root, f"{line}\nsix\n")
    assert found.unused_indexes == unused
    assert found.options == (() if unused else options)
    trusted = _read(root, f"{line}\nsix\n", trusted=True)
    assert (trusted.options, trusted.unused_indexes) == (options, ())


def test_a_folder_outside_of_the_model_is_asked_where_it_is_trusted(root: Path) -> None:
    links = root.parent / "links"
    for line in (f"--find-links {links}", "-f ../links", f"--find-links file://{links}"):
        found = _read(root, f"--no-index\n{line}\nsix\n")
        assert found.options == ()
        assert len(found.unused_indexes) == 1
        trusted = _read(root, f"{line}\nsix\n", trusted=True)
        assert trusted.options == (f"--find-links {links}",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UV_EXTRA_INDEX_URL", "https://other.org/simple https://me:pw@Example.com/simple/"),
        ("UV_INDEX", "corp=https://example.com/simple"),
        ("PIP_INDEX_URL", "https://example.com/simple"),
    ],
)
def test_an_index_that_the_user_configured_is_used(
    name: str, value: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    found = _read(root, "--extra-index-url https://example.com/simple\nsix\n")
    assert found.options == ("--extra-index-url https://example.com/simple",)


def test_the_default_index_is_the_user_s_where_no_other_is_set(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "-i https://pypi.org/simple/\nsix\n"
    assert _read(root, line).unused_indexes == ()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://corp.example.com/simple")
    assert _read(root, line).unused_indexes == ("--index-url pypi.org",)


def test_an_index_of_pip_s_configuration_is_the_user_s(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nextra-index-url =\n  https://a.org\n  https://b.org/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert _read(root, "-i https://b.org/simple\nsix\n").unused_indexes == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r /etc/passwd", "passwd is included and lies outside of the model"),
        ("-c ../limits.txt", "lies outside of the model"),
        ("-r gone.txt", "is not in the model"),
        ('-r "gone too.txt"', "gone too.txt is included and is not in the model"),
        ("-r", "name one file"),
        ("--constraint", "name one file"),
        ("-r a.txt -c b.txt", "name one file"),
        (f"own ; {'x' * 3000}", "no requirement has more than 2,000 letters"),
        ("-r https://u:p@example.com/r.txt", "only files in the model's folder are read"),
        ("--find-links ./gone", "there is no such folder"),
        ("--index-url file:///etc", "named by its http"),
        ("--extra-index-url ./simple", "named by its http"),
        ("--find-links ftp://example.com/w", "named by its http"),
        ("--index-url", "names no address"),
        ("code/-1.0-py3-none-any.whl", "is not in the model"),
        ("six==1.16 --hash=md5:abc", "cannot be held"),
        (f"six==1.16 --hash=sha512:{'0' * 128}", "cannot be held"),
    ],
)
def test_what_would_reach_beyond_the_model_is_refused(line: str, said: str, root: Path) -> None:
    with pytest.raises(ModelFormatError, match=said):
        _read(root, f"six\n{line}\n")


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("code/gone-1.0-py3-none-any.whl", "gone @ file:code/gone-1.0-py3-none-any.whl"),
        ("../out-1.0-py3-none-any.whl", "out @ ../out-1.0-py3-none-any.whl"),
        ("own @ ../out-1.0-py3-none-any.whl", "own @ ../out-1.0-py3-none-any.whl"),
        ("dbfs:/jars/acme-1.0-py3-none-any.whl", "acme @ file:/jars/acme-1.0-py3-none-any.whl"),
        ("/Workspace/Shared/acme.whl", "acme @ /Workspace/Shared/acme.whl"),
        (r"C:\\w\\acme-1.0-py3-none-any.whl", r"acme @ file:C:\\w\\acme-1.0-py3-none-any.whl"),
    ],
)
def test_a_wheel_that_is_not_in_the_model_is_an_address_of_the_author_s(
    line: str, read: str, root: Path
) -> None:
    lines = _read(root, f"six\n{line}\n").lines
    assert lines == ("six", read)
    model = fake_plan.model(requirements=Requirements(lines=lines), root=root)
    assert _lines.settle_lines(model, {}).requirements.lines == ("six",)


@pytest.mark.parametrize("line", ["code/a@b/own-1.0-py3-none-any.whl", "own @ {}"])
def test_a_wheel_whose_path_reads_as_an_address_is_refused(line: str, root: Path) -> None:
    path = "code/a@b/own-1.0-py3-none-any.whl"
    (root / path).parent.mkdir(parents=True)
    (root / path).touch()
    with pytest.raises(ModelFormatError, match="a wheel's path has no @"):
        _read(root, line.format(path))


def test_a_folder_that_is_trusted_must_be_there(root: Path) -> None:
    with pytest.raises(ModelFormatError, match="there is no such folder"):
        _read(root, "--find-links /no/such/folder\n", trusted=True)


def test_everything_that_is_wrong_is_said_at_once_and_without_passwords(root: Path) -> None:
    with pytest.raises(ModelFormatError) as caught:
        _read(root, "-c\n-r gone.txt\n-i ftp://me:pw@example.com\n-r http://me:pw@b.org/x\n")
    said = str(caught.value)
    assert said.count("\n  - ") == 4
    assert "pw" not in said


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"six==1.16.0\r\nnumpy>=2\r\n", ("six==1.16.0", "numpy>=2")),
        (b"\xef\xbb\xbfsix==1.16.0\n", ("six==1.16.0",)),
        ("six==1.16.0\n".encode("utf-16"), ("six==1.16.0",)),
        (
            b"six==1.16.0 \\\r\n  ; python_version > '3'\r\n",
            ("six==1.16.0    ; python_version > '3'",),
        ),
        (b"six\nsix\n", ("six",)),
        (b"six===1.16.0  # pinned\n", ("six===1.16.0",)),
        (b"torch==2.1+cpu\n", ("torch==2.1+cpu",)),
        (b"own @ ./code/own-1.0-py3-none-any.whl\n", ("code/own-1.0-py3-none-any.whl",)),
        (b'six==1.16.0 --config-settings="a=b" --global-option=x\n', ("six==1.16.0",)),
        (b"--pre\n--trusted-host example.com\n--no-binary :all:\nsix\n", ("six",)),
    ],
)
def test_lines_are_read_as_pip_reads_them(
    content: bytes, expected: tuple[str, ...], root: Path
) -> None:
    assert _read(root, content).lines == expected


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
def test_a_file_is_read_in_the_encodings_that_people_save_it_in(encoding: str, root: Path) -> None:
    text = "six==1.16.0\r\n" + (
        "# Gr\u00f6\u00dfe\r\n" if encoding in {"latin-1", "cp1252"} else ""
    )
    assert _read(root, text.encode(encoding)).lines == ("six==1.16.0",)


def test_a_file_that_is_no_text_is_refused(root: Path) -> None:
    with pytest.raises(ModelFormatError, match="it is not UTF-8"):
        _read(root, b"caf\xe9==1\n")


@pytest.mark.parametrize(
    "text",
    [
        f"six==1.16.0 --hash={DIGEST}\n",
        f"six==1.16.0 \\\n    --hash {DIGEST}\n",
        f"six==1.16.0 --hash={DIGEST} --hash={DIGEST}\n",
    ],
)
def test_hashes_are_kept(text: str, root: Path) -> None:
    found = _read(root, text)
    assert found.lines == ("six==1.16.0",)
    assert found.hashes == {"six==1.16.0": (DIGEST,)}


def test_no_password_stays_in_the_model_s_files(root: Path) -> None:
    (root / "more.txt").write_text("--index-url https://me:pw@example.com\n", encoding="utf-8")
    (root / "conda.yaml").write_text("channels: ['https://me:pw@example.com']\n", encoding="utf-8")
    text = "--extra-index-url https://me:pw@example.com/simple\n-r more.txt\nsix\n"
    assert _read(root, text, trusted=True).lines == ("six",)
    for path in root.glob("*.*"):
        assert "pw" not in path.read_text(encoding="utf-8")


def test_files_that_include_each_other_end(root: Path) -> None:
    (root / "more.txt").write_text("-r requirements.txt\n", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="include each other without end"):
        _read(root, "-r more.txt\n")


@pytest.mark.parametrize("content", [b"\n" * 50_001, b"#" * 20_000_001], ids=["lines", "bytes"])
def test_a_file_that_is_too_large_is_refused(content: bytes, root: Path) -> None:
    with pytest.raises(ModelFormatError, match="Log the model again"):
        _read(root, content)
