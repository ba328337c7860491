"""`packager sign --keyless` and `packager verify --identity`, against a stand-in of sigstore."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packager.environments.machine.installation import name_install
from tests.attestations import FILE, make_key
from tests.sigstore import Instance, make_token, serving_sigstore
from tests.unit.commands.artifact.test_attestations import run
from tests.unit.commands.artifact.test_integrity import _build

BUNDLES = "attestations.sigstore.jsonl"
ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/team/churn/.github/workflows/release.yaml@refs/heads/main"
OTHER_ISSUER = "https://accounts.example.org"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Instance]:
    with serving_sigstore() as instance:
        yield instance


@pytest.fixture(autouse=True)
def no_ambient_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGSTORE_IDENTITY_TOKEN", "SIGSTORE_ID_TOKEN", "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def trust(sigstore: Instance, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(sigstore.describe()))
    yield path
    sigstore.refusal = None


@pytest.fixture
def sign(trust: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def sign_as(artifact: Path, name: str = "ann@example.org", issuer: str = OTHER_ISSUER) -> None:
        monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", make_token(name, issuer))
        assert run("sign", artifact, "--keyless", "--trust-config", trust) == (0, "")

    return sign_as


def verify(
    artifact: Path,
    trust: Path,
    *more: object,
    name: str = "ann@example.org",
    by: str = OTHER_ISSUER,
) -> tuple[int, str]:
    who = ("--identity", name, "--issuer", by, "--trust-config", trust)
    return run("verify", artifact, *who, *more)


def _read(artifact: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in (artifact / BUNDLES).read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "issuer"), [("ann@example.org", OTHER_ISSUER), (WORKFLOW, ISSUER)]
)
def test_what_a_login_signed_verifies_by_its_identity_and_issuer(
    name: str, issuer: str, artifact: Path, trust: Path, sign: Any
) -> None:
    sign(artifact, name, issuer)

    assert verify(artifact, trust, name=name, by=issuer) == (0, "")
    equal = ("--require-equivalence", "0", "--min-rows", "1")
    assert verify(artifact, trust, *equal, name=name, by=issuer) == (0, "")
    assert len(_read(artifact)) == 2
    assert not (artifact / FILE).exists()


def test_the_log_is_shown_the_statements_and_the_file_holds_no_token(
    artifact: Path, sigstore: Instance, sign: Any
) -> None:
    del sigstore.entries[:]
    sign(artifact)

    kinds = [each["predicateType"] for each in sigstore.entries]
    assert kinds == [
        "https://slsa.dev/provenance/v1",
        "urn:x-serverless-model-packager:model-equivalence:v1",
    ]
    assert make_token("ann@example.org", OTHER_ISSUER)[:30] not in (artifact / BUNDLES).read_text()


@pytest.mark.parametrize(
    ("name", "issuer"), [("bob@example.org", OTHER_ISSUER), ("ann@example.org", ISSUER)]
)
def test_another_identity_or_issuer_is_refused_and_says_who_signed(
    name: str, issuer: str, artifact: Path, trust: Path, sign: Any
) -> None:
    sign(artifact)

    code, said = verify(artifact, trust, name=name, by=issuer)
    assert code == 14
    assert f"signed by {name} (issuer {issuer})" in said
    assert f"signed by somebody else: ann@example.org (issuer {OTHER_ISSUER})" in said


def test_another_instance_s_certificates_are_not_believed(
    artifact: Path, trust: Path, sign: Any
) -> None:
    sign(artifact)
    with serving_sigstore() as other:
        trust.write_text(json.dumps(other.describe()))

    code, said = verify(artifact, trust)
    assert code == 14
    assert f"{BUNDLES}, line 1 does not hold" in said


def _change_payload(bundle: dict[str, Any]) -> None:
    envelope = bundle["dsseEnvelope"]
    text = base64.b64decode(envelope["payload"]).replace(b"release", b"other")
    envelope["payload"] = base64.b64encode(text + b" ").decode()


def _change_time(bundle: dict[str, Any]) -> None:
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)


def _change_type(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"


def _drop_log(bundle: dict[str, Any]) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


@pytest.mark.parametrize("change", [_change_payload, _change_time, _change_type, _drop_log])
def test_a_bundle_that_was_changed_does_not_hold(
    change: Any, artifact: Path, trust: Path, sign: Any
) -> None:
    sign(artifact)
    bundles = _read(artifact)
    change(bundles[0])
    (artifact / BUNDLES).write_text("".join(json.dumps(each) + "\n" for each in bundles))

    code, said = verify(artifact, trust)
    assert code == 14
    assert "line 1 does not hold" in said


def test_a_bundle_of_another_artifact_is_named(
    artifact: Path, trust: Path, sign: Any, tmp_path: Path
) -> None:
    other = _build(tmp_path / "other", extra={"model/more.txt": b"more"})
    sign(other)
    shutil.copy(other / BUNDLES, artifact)

    code, said = verify(artifact, trust)
    assert code == 14
    assert "is about another artifact" in said


@pytest.mark.parametrize("text", ["{", "[]\n", '{"dsseEnvelope": 3}\n', "\udcff"])
def test_a_file_that_is_no_bundle_is_named(text: str, artifact: Path, trust: Path) -> None:
    (artifact / BUNDLES).write_bytes(text.encode(errors="surrogateescape"))

    code, said = verify(artifact, trust)
    assert code == 14
    assert BUNDLES in said


def test_signing_again_replaces_own_statements_and_keeps_those_of_others(
    artifact: Path, trust: Path, sign: Any, tmp_path: Path
) -> None:
    private, public = make_key(tmp_path)
    assert run("sign", artifact, "--key", private) == (0, "")
    sign(artifact)
    sign(artifact, "bob@example.org")
    sign(artifact)

    assert len(_read(artifact)) == 4
    assert verify(artifact, trust, name="bob@example.org") == (0, "")
    assert verify(artifact, trust, "--key", public) == (0, "")


def test_an_image_is_signed_by_its_report_alone(trust: Path, sign: Any, tmp_path: Path) -> None:
    """Sigstore takes no digest that is not a common hash; the report has the tree's."""
    image = _build(tmp_path / "image", "aws-lambda-image")
    sign(image)
    assert verify(image, trust) == (0, "")
    report = image / "report.json"
    report.write_text(report.read_text() + " ")
    assert verify(image, trust)[0] != 0


def test_a_key_is_not_satisfied_by_a_login_and_says_what_to_ask(
    artifact: Path, trust: Path, sign: Any, tmp_path: Path
) -> None:
    sign(artifact)
    _, public = make_key(tmp_path)

    code, said = run("verify", artifact, "--key", public)
    assert code == 14
    assert "keyless (see --identity and --issuer)" in said
    code, said = verify(artifact, trust, "--key", public)
    assert code == 14


def test_a_login_is_not_satisfied_by_a_key(artifact: Path, trust: Path, tmp_path: Path) -> None:
    private, _ = make_key(tmp_path)
    run("sign", artifact, "--key", private)

    code, said = verify(artifact, trust)
    assert code == 14
    assert f"No provenance in {BUNDLES} is signed by ann@example.org" in said


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "found no identity"),
        ("no.token", "malformed"),
        (make_token("ann@example.org", OTHER_ISSUER, expires=-60), "cannot be used"),
        (make_token("ann@example.org", OTHER_ISSUER, audience="other"), "cannot be used"),
    ],
)
def test_a_token_that_cannot_be_used_is_named(
    token: str, said: str, artifact: Path, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", token)

    code, message = run("sign", artifact, "--keyless", "--trust-config", trust)
    assert code == 2
    assert said in message
    assert "no.token" not in message
    assert not (artifact / BUNDLES).exists()


def test_without_an_identity_nothing_is_fetched(artifact: Path) -> None:
    """There is no network here: it would end with 11."""
    code, message = run("sign", artifact, "--keyless")
    assert code == 2
    assert "found no identity" in message


@pytest.mark.parametrize(
    "refusal", [(403, '{"message": "the token is not for this instance"}'), (500, "x")]
)
def test_what_sigstore_refuses_is_told(
    refusal: tuple[int, str],
    artifact: Path,
    sigstore: Instance,
    trust: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sigstore.refusal = refusal
    monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", make_token("ann@example.org", OTHER_ISSUER))

    code, message = run("sign", artifact, "--keyless", "--trust-config", trust)
    assert code == 11
    assert str(refusal[0]) in message
    assert "Nothing was written" in message
    assert not (artifact / BUNDLES).exists()


def test_no_network_says_what_else_there_is(
    artifact: Path, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust.write_text(trust.read_text().replace("http://127.0.0.1:", "http://127.0.0.1:1/"))
    monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", make_token("ann@example.org", OTHER_ISSUER))

    code, message = run("sign", artifact, "--keyless", "--trust-config", trust)
    assert code == 11
    assert "cannot be reached" in message
    assert "--key instead" in message


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"mediaType": "other"}', "\udcff"])
def test_a_trust_configuration_that_is_none_is_named(
    text: str, artifact: Path, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust.write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", make_token("ann@example.org", OTHER_ISSUER))

    for code, message in (
        run("sign", artifact, "--keyless", "--trust-config", trust),
        verify(artifact, trust),
    ):
        assert code == 2
        assert "is no trust configuration" in message


def test_a_trust_configuration_that_is_missing_is_named(artifact: Path, tmp_path: Path) -> None:
    code, message = verify(artifact, tmp_path / "gone.json")
    assert code == 2
    assert "gone.json cannot be read" in message


def test_the_public_instance_s_roots_are_there_without_a_network(
    artifact: Path, trust: Path, sign: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of sigstore's own wheel: the stand-in's certificate is none of the public instance's."""
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    sign(artifact)

    who = ("--identity", "ann@example.org", "--issuer", OTHER_ISSUER)
    code, message = run("verify", artifact, *who, "--offline")
    assert code == 14
    assert "line 1 does not hold" in message


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("sign", (), "--key"),
        ("sign", ("--keyless", "--key", "x.pem"), "one of --key and --keyless"),
        ("sign", ("--key", "x.pem", "--trust-config", "x"), "without --keyless"),
        ("verify", ("--identity", "ann"), "give --identity and --issuer"),
        ("verify", ("--issuer", "https://x"), "give --identity and --issuer"),
        ("verify", ("--identity", "", "--issuer", "https://x"), "nobody would be checked"),
        ("verify", ("--identity", "ann", "--issuer", ""), "nobody would be checked"),
        ("verify", ("--offline",), "without --identity"),
        ("verify", ("--trust-config", "x"), "without --identity"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    command: str, words: tuple[str, ...], said: str, artifact: Path
) -> None:
    code, message = run(command, artifact, *words)
    assert code == 2
    assert said in " ".join(message.replace("│", " ").split())


def test_without_the_extra_the_command_says_what_to_install(
    artifact: Path, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.sign", None)

    for code, message in (
        run("sign", artifact, "--keyless", "--trust-config", trust),
        verify(artifact, trust),
    ):
        assert code == 2
        assert name_install(extra="keyless") in message
