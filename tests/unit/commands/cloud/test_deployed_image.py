"""`packager verify --image`: an image is the artifact's, or the difference is named."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from packager.cli import app
from packager.commands.cloud.deployed import compare_deployed
from packager.commands.cloud.deployed_image import _read_dockerfile, compare_image
from packager.commands.cloud.image_registry import ImageRegistry
from packager.errors import CloudError, ConfigurationError, IntegrityError, PackagerError
from tests.unit.commands.cloud.image_server import MANIFEST, Server, make_layer, pack_tree, serve
from tests.unit.commands.cloud.test_deployed import _build

ROOTS = {"aws-lambda-image": "/var/task", "gpu-container": "/opt/model"}


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture(scope="module", params=sorted(ROOTS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def artifact(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"), kind)


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as made:
        yield made


def _configure(artifact: Path) -> dict[str, Any]:
    """The configuration that a build of the Dockerfile leaves."""
    report = json.loads((artifact / "report.json").read_text())
    told = _read_dockerfile((artifact / "Dockerfile").read_text())
    return {
        "architecture": "amd64",
        "config": {
            **told.settings,
            "Env": [
                *("PATH=/usr/bin", "BASE_SETS=it"),
                *(f"{name}={value}" for name, value in told.variables.items()),
            ],
            "Healthcheck": {"Test": [*told.health]},
            "Labels": {"artifact.sha256": report["sha256"]},
        },
    }


def _push(server: Server, artifact: Path, kind: str, **changes: Any) -> str:
    """The image: a base, the packages, and the model above them."""
    packages = pack_tree(artifact / "function", ROOTS[kind])
    model = {name: packages.pop(name) for name in [*packages] if "/model" in name[8:]}
    layers = [{"etc/os-release": b"base"}, packages, model, *changes.pop("above", [])]
    config = changes.pop("config", _configure(artifact))
    return server.push([make_layer(each) for each in layers], config, **changes)


@pytest.mark.parametrize(("more", "asked"), [({}, 5), ({"index": True}, 6)])
def test_an_image_of_the_artifact_passes(
    artifact: Path,
    kind: str,
    server: Server,
    more: dict[str, Any],
    asked: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = compare_image(artifact, _push(server, artifact, kind, **more))

    assert found == {"name": "image", "passed": True, "problems": []}
    assert len(server.asked) == asked
    assert "names its base" in caplog.text


@pytest.mark.parametrize(
    ("above", "words"),
    [
        ({"{root}/handlers/__init__.py": b"import os"}, "handlers/__init__.py differs from"),
        ({"{root}/sitecustomize.py": b""}, "sitecustomize.py is in the image, and not in"),
        ({"./{root}/../../{root}/sitecustomize.py": b""}, "sitecustomize.py is in the image"),
        ({"{root}/.wh.handlers": b""}, "handlers/__init__.py is not in the image"),
        ({"{root}/numpy/.wh..wh..opq": b""}, "numpy/__init__.py is not in the image"),
        ({"{root}/numpy/__init__.py": None}, "numpy/__init__.py differs from"),
        ({"{root}/numpy/__init__.py/": b""}, "numpy/__init__.py is not in the image"),
        ({"{top}": None}, "is removed or is no folder"),
        ({"{top}/.wh.{last}": b""}, "is removed or is no folder"),
        ({".wh.{top}": b""}, "is removed or is no folder"),
        ({"{top}/.wh..wh..opq": b""}, "is removed or is no folder"),
        ({"{root}": None}, "is in the image, and not in"),
        ({"usr/lib/python3.13/sitecustomize.py": b""}, "sitecustomize.py is changed by a layer"),
        ({"usr/lib/.wh.libc.so.6": b""}, "/usr/lib/libc.so.6 is changed by a layer"),
        ({"usr/lib/libc.so.6/": b""}, "/usr/lib/libc.so.6 is in a layer above the base"),
        ({"{root}/a.py": b"", "{root}/./a.py": b""}, "a.py is in the image"),
    ],
)
def test_each_file_that_differs_is_named(
    artifact: Path, kind: str, server: Server, above: dict[str, bytes | None], words: str
) -> None:
    root = ROOTS[kind].lstrip("/")
    top, _, last = root.partition("/")
    named = {
        name.replace("{root}", root).replace("{top}", top).replace("{last}", last): content
        for name, content in above.items()
    }

    found = compare_image(artifact, _push(server, artifact, kind, above=[named]))

    assert not found["passed"]
    assert any(words in problem for problem in found["problems"]), found["problems"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.update(architecture="arm64"), "it is for arm64"),
        (lambda told: told["config"].update(User="root"), "User is root"),
        (lambda told: told["config"].update(Cmd=["sh"]), r"Cmd is \['sh'\]"),
        (lambda told: told["config"].update(Labels=None), "label artifact.sha256 is None"),
        (lambda told: told["config"].update(WorkingDir="/evil"), "WorkingDir is /evil"),
        (lambda told: told["config"].update(Entrypoint=["sh"]), r"Entrypoint is \['sh'\]"),
        (
            lambda told: told["config"].update(Healthcheck={"Test": ["CMD", "sh"]}),
            r"its health check is \['CMD', 'sh'\]",
        ),
        (lambda told: told["config"]["Env"].append("LD_PRELOAD=/x.so"), "variable LD_PRELOAD"),
        (lambda told: told["config"]["Env"].append("LD_AUDIT=/x.so"), "variable LD_AUDIT"),
        (lambda told: told["config"]["Env"].append("AWS_LAMBDA_EXEC_WRAPPER=/x"), "EXEC_WRAPPER"),
        (lambda told: told["config"]["Env"].append("PYTHONPATH=/evil"), "a variable twice|PYTHONP"),
        (lambda told: told["config"]["Env"].append("PATH=/x"), "a variable twice"),
        (lambda told: told["config"]["Env"].__setitem__(0, "PATH=/evil:/bin"), "PATH=/evil:/bin"),
    ],
)
def test_each_setting_that_differs_is_named(
    artifact: Path,
    kind: str,
    server: Server,
    change: Callable[[dict[str, Any]], object],
    words: str,
) -> None:
    config = _configure(artifact)
    change(config)

    found = compare_image(artifact, _push(server, artifact, kind, config=config))

    assert any(re.search(words, each) for each in found["problems"]), found["problems"]


def test_a_registry_that_gives_something_else_is_found_out(
    artifact: Path, kind: str, server: Server
) -> None:
    reference = _push(server, artifact, kind)
    for digest, held in [*server.blobs.items()]:
        server.blobs[digest] = held + b" "
        with pytest.raises(IntegrityError, match="was asked for"):
            compare_image(artifact, reference)
        server.blobs[digest] = held


def test_a_file_of_the_folder_in_a_layer_below_is_named(
    artifact: Path, kind: str, server: Server
) -> None:
    files = pack_tree(artifact / "function", ROOTS[kind])
    below = {f"{ROOTS[kind]}/sitecustomize.py": b""}
    reference = server.push([make_layer(below), make_layer(files)], _configure(artifact))

    (problem,) = compare_image(artifact, reference)["problems"]

    assert "sitecustomize.py is in the image, and not in function/" in problem


def _push_on_base(
    server: Server, artifact: Path, kind: str, own: list[bytes] | None = None, **settings: Any
) -> tuple[str, list[bytes]]:
    """An image whose Dockerfile names a base by its digest; `own` takes its layers' place."""
    layers = [make_layer({"etc/os-release": b"base"}), make_layer({"usr/bin/python3": b"p"})]
    base: dict[str, Any] = {
        "rootfs": {"diff_ids": [_name_content(each) for each in layers]},
        "config": {
            "Env": ["PATH=/opt/odd/bin", "LD_DEBUG=all"],
            "Entrypoint": ["/start"],
            "WorkingDir": "/work",
        },
    }
    named = server.push(layers, base).replace("@", ":3@")
    path = artifact / "Dockerfile"
    path.write_text(re.sub("(?m)^ARG BASE_IMAGE=.*", f"ARG BASE_IMAGE={named}", path.read_text()))
    config = _configure(artifact)
    whole = [*(own or layers), make_layer(pack_tree(artifact / "function", ROOTS[kind]))]
    config["rootfs"] = {"diff_ids": [_name_content(each) for each in whole]}
    variables = _read_dockerfile(path.read_text()).variables
    env = [*base["config"]["Env"], *(f"{name}={value}" for name, value in variables.items())]
    config["config"] = {**base["config"], **config["config"], "Env": env, **settings}
    return server.push(whole, config), layers


def _name_content(layer: bytes) -> str:
    return f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}"


@pytest.fixture
def own_copy(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "copied"))


def test_an_image_on_its_base_passes(
    own_copy: Path, kind: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reference, layers = _push_on_base(server, own_copy, kind)
    assert compare_image(own_copy, reference)["problems"] == []
    assert not any(server.add(each) in "".join(server.asked) for each in layers)

    packed_anew = [gzip.compress(gzip.decompress(each), 1) for each in layers]
    assert packed_anew != layers
    reference, _ = _push_on_base(server, own_copy, kind, packed_anew)
    assert compare_image(own_copy, reference)["problems"] == []
    assert "names its base" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"Env": ["PATH=/evil"]}, "the variable PATH is '/evil', and '/opt/odd/bin' in the base"),
        ({"Env": ["MORE=1"]}, "the variable MORE is '1', and None in the base"),
        ({"Entrypoint": ["sh", "-c"]}, r"Entrypoint is \['sh', '-c'\]"),
        ({"WorkingDir": "/evil"}, "WorkingDir is /evil"),
    ],
)
def test_each_setting_that_is_not_the_bases_is_named(
    own_copy: Path, kind: str, server: Server, settings: dict[str, Any], words: str
) -> None:
    reference, _ = _push_on_base(server, own_copy, kind, **settings)

    problems = compare_image(own_copy, reference)["problems"]

    assert any(re.search(words, each) for each in problems), problems


def test_another_base_is_named(own_copy: Path, kind: str, server: Server) -> None:
    evil = make_layer({"usr/lib/python3.13/sitecustomize.py": b"evil"})
    base = [make_layer({"etc/os-release": b"base"}), make_layer({"usr/bin/python3": b"p"})]

    for own in ([evil, base[1]], [base[0], evil, base[1]], [base[0]], [*base, evil]):
        reference, _ = _push_on_base(server, own_copy, kind, own)
        problems = compare_image(own_copy, reference)["problems"]
        expected = "sitecustomize.py is changed" if own[:2] == base else "not those of its base"
        assert any(expected in each for each in problems), problems


def test_a_layer_that_only_claims_to_be_the_bases_is_found_out(
    own_copy: Path, kind: str, server: Server
) -> None:
    reference, _ = _push_on_base(server, own_copy, kind)
    manifest = json.loads(server.blobs[reference.partition("@")[2]])
    manifest["layers"][1]["digest"] = server.add(make_layer({"usr/bin/python3": b"evil"}))
    digest = server.add_json(manifest, MANIFEST)

    problems = compare_image(own_copy, f"{server.host}/team/churn@{digest}")["problems"]

    assert any("is none of its base" in each for each in problems), problems


def test_a_base_that_cannot_be_read_is_told(own_copy: Path, kind: str, server: Server) -> None:
    reference, _ = _push_on_base(server, own_copy, kind)
    named = (own_copy / "Dockerfile").read_text()
    (digest,) = re.findall("BASE_IMAGE=.*:3@(.*)", named)
    del server.blobs[digest]

    with pytest.raises(CloudError, match=r"base of the image is compared, too.*no such image"):
        compare_image(own_copy, reference)


@pytest.mark.parametrize("fault", ["short", "reset", "chunk"])
@pytest.mark.parametrize("place", ["manifest", "config", "layer"])
def test_an_answer_that_breaks_off_is_told(
    artifact: Path, kind: str, server: Server, fault: str, place: str
) -> None:
    reference = _push(server, artifact, kind)
    digest = reference.partition("@")[2]
    manifest = json.loads(server.blobs[digest])
    server.fault = fault
    server.fault_at = {
        "manifest": digest,
        "config": manifest["config"]["digest"],
        "layer": manifest["layers"][1]["digest"],
    }[place]

    with pytest.raises(CloudError, match=r"broke off .*Try again"):
        compare_image(artifact, reference)


def test_dockers_own_registry_is_asked_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    login = {"https://index.docker.io/v1/": {"auth": base64.b64encode(b"me:secret").decode()}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": login}))
    digest = f"sha256:{'0' * 64}"

    found = ImageRegistry.parse(f"docker.io/team/churn@{digest}")
    base = ImageRegistry.parse_base(f"python:3.13-slim@{digest}")

    assert found.address == "https://registry-1.docker.io/v2/team/churn"
    assert found.login == ("me", "secret")
    assert base is not None
    assert base.address == "https://registry-1.docker.io/v2/library/python"
    assert ImageRegistry.parse_base("python:3.13-slim") is None


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_login_is_used_and_goes_to_its_own_registry_alone(
    artifact: Path, kind: str, server: Server, scheme: str, tmp_path: Path
) -> None:
    reference = _push(server, artifact, kind)
    server.scheme = scheme
    with pytest.raises(CloudError, match="docker login"):
        compare_image(artifact, reference)

    (tmp_path / "docker").mkdir()
    login = {"auth": base64.b64encode(b"me:secret").decode()}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {server.host: login}}))
    assert compare_image(artifact, reference)["passed"]
    with serve() as store:
        store.blobs, server.moved_to = server.blobs, store.host
        assert compare_image(artifact, reference)["passed"]
        assert set(store.authorized) == {""}


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "churn",
        "example.org/churn:latest",
        "example.org/churn@sha256:00",
        f"churn@sha256:{'0' * 64}",
        f"http://example.org/churn@sha256:{'0' * 64}",
    ],
)
def test_what_names_no_image_by_its_digest_is_refused(artifact: Path, reference: str) -> None:
    with pytest.raises(ConfigurationError, match="A tag can be moved"):
        compare_image(artifact, reference)


def test_what_is_not_there_is_told(artifact: Path, server: Server) -> None:
    with pytest.raises(CloudError, match="no such image"):
        compare_image(artifact, f"{server.host}/team/churn@sha256:{'0' * 64}")
    with pytest.raises(CloudError, match="did not answer"):
        compare_image(artifact, f"127.0.0.1:1/team/churn@sha256:{'0' * 64}")


def test_a_layer_that_is_no_tar_is_told(artifact: Path, kind: str, server: Server) -> None:
    reference = server.push([b"no tar" * 1000], _configure(artifact))

    with pytest.raises(CloudError, match="cannot be read as a tar"):
        compare_image(artifact, reference)


def test_the_command_ends_with_its_codes(
    artifact: Path, kind: str, server: Server, tmp_path: Path
) -> None:
    def verify(folder: Path, *words: str) -> int:
        done = CliRunner().invoke(app, ["verify", str(folder), *words])
        error = done.exception
        return error.exit_code if isinstance(error, PackagerError) else done.exit_code

    good = _push(server, artifact, kind)
    other = _push(server, artifact, kind, above=[{f"{ROOTS[kind]}/a.py": b""}])

    assert verify(artifact, "--image", good) == 0
    assert verify(artifact, "--image", other) == 12
    assert verify(artifact, "--image", "churn:latest") == 2
    assert verify(artifact, "--image", good.replace("@", "x@")) == 0  # by its digest alone
    assert verify(_build(tmp_path), "--image", good) == 2


class _Function:
    """Lambda and ECR as far as an image's function goes."""

    def __init__(self, reference: str, **configuration: Any) -> None:
        self.reference = reference
        self.configuration = {
            "PackageType": "Image",
            "Architectures": ["x86_64"],
            **configuration,
        }

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        arn = "arn:aws:lambda:eu-west-1:123456789012:function:churn:live"
        return {"Stacks": [{"Outputs": [{"OutputKey": "AliasArn", "OutputValue": arn}]}]}

    def get_alias(self, **_: str) -> dict[str, Any]:
        return {"FunctionVersion": "3"}

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        return self.configuration

    def get_function(self, **_: str) -> dict[str, Any]:
        return {
            "Configuration": self.configuration,
            "Code": {"ImageUri": "x:latest", "ResolvedImageUri": self.reference},
        }


@pytest.mark.parametrize("kind", ["aws-lambda-image"], indirect=True)
def test_the_image_of_a_function_is_compared(artifact: Path, kind: str, server: Server) -> None:
    good = _push(server, artifact, kind)
    bad = _push(server, artifact, kind, above=[{"var/task/a.py": b""}])
    changed = {"ImageConfigResponse": {"ImageConfig": {"EntryPoint": ["sh"], "Command": []}}}

    def compare(function: _Function) -> list[str]:
        return compare_deployed(artifact, stack="mine", clients=lambda _: function)["problems"]

    assert compare(_Function(good)) == []
    assert "a.py is in the image" in compare(_Function(bad))[0]
    (problem,) = compare(_Function(good, **changed))
    assert "its own EntryPoint" in problem
    (problem,) = compare(_Function(good, Architectures=["arm64"]))
    assert "Architectures is ['arm64']" in problem
    (problem,) = compare(_Function(good, PackageType="Zip"))
    assert "PackageType is Zip" in problem


def test_an_image_of_ecr_is_read_by_its_own_login() -> None:
    from packager.commands.cloud.deployed_image import _find_ecr_login

    token = base64.b64encode(b"AWS:pass:word").decode()
    asked: list[Any] = []

    def answer(**given: Any) -> dict[str, Any]:
        asked.append(given)
        return {"authorizationData": [{"authorizationToken": token}]}

    client = SimpleNamespace(get_authorization_token=answer)
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn@sha256:" + "0" * 64
    assert _find_ecr_login(client, image) == ("AWS", "pass:word")
    assert asked == [{"registryIds": ["123456789012"]}]
    assert _find_ecr_login(client, "ghcr.io/churn@sha256:" + "0" * 64) is None
    assert len(asked) == 1
