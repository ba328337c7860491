"""`packager sign`, and `packager verify --key`: what is signed, and what is refused, each named."""

from __future__ import annotations

import base64
import copy
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib import dsse
from typer.testing import CliRunner

from packager.cli import app
from packager.commands.artifact.attestations import envelopes
from packager.commands.artifact.attestations.keys import load_signer
from packager.environments.machine.installation import name_install
from packager.errors import PackagerError
from packager.system.file_tree import sha256
from tests.attestations import FILE, SCHEMA, make_key, read_lines, read_statements, write_lines
from tests.unit.commands.artifact.test_integrity import _build

RUN = CliRunner()
PAGE = Path(__file__).parents[4] / "docs" / "reference" / "attestations.md"
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


@pytest.fixture
def signed(artifact: Path, keys: tuple[Path, Path]) -> Path:
    assert run("sign", artifact, "--key", keys[0]) == (0, "")
    return artifact


def run(*words: object) -> tuple[int, str]:
    """(exit code, message) of a command."""
    done = RUN.invoke(app, [*map(str, words)])
    error = done.exception
    if isinstance(error, PackagerError):
        return error.exit_code, str(error)
    assert error is None or isinstance(error, SystemExit), error
    return done.exit_code, done.output if done.exit_code else ""


def sign_again(artifact: Path, key: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Sign what was signed by that key once more, changed: the signatures hold."""
    lines = []
    for statement in read_statements(artifact):
        change(statement)
        envelope = dsse.Envelope(json.dumps(statement).encode(), envelopes.PAYLOAD_TYPE, {})
        envelope.sign(load_signer(key))
        lines.append(envelope.to_dict())
    write_lines(artifact, lines)


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "p521", "rsa"])
def test_what_a_key_signed_verifies_by_its_public_half(
    kind: str, artifact: Path, tmp_path: Path
) -> None:
    private, public = make_key(tmp_path, kind)

    assert run("sign", artifact, "--key", private) == (0, "")
    assert run(
        *("verify", artifact, "--key", public, "--require-signed-by", public),
        *("--require-equivalence", "bit-equal", "--min-rows", "1000"),
    ) == (0, "")


@pytest.mark.parametrize("target", ["aws-lambda", "aws-lambda-image", "azure-functions"])
def test_what_is_stated_is_what_the_artifact_says(
    target: str, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    artifact = _build(tmp_path, target)
    run("sign", artifact, "--key", keys[0], "--builder-id", "https://me:secret@ci.example.org/1")
    built, proof = read_statements(artifact)
    report = json.loads((artifact / "report.json").read_text())
    found = json.loads((artifact / "evidence.json").read_text())["evidence"]

    for statement in (built, proof):
        digests = {each["name"]: each["digest"] for each in statement["subject"]}
        assert digests.pop("report.json") == {"sha256": sha256(artifact / "report.json")}
        assert next(iter(digests.values())) == (
            {"packagerTree": report["sha256"]}
            if target == "aws-lambda-image"
            else {"sha256": sha256(artifact / "function.zip")}
        )
    assert built["predicateType"] == "https://slsa.dev/provenance/v1"
    definition = built["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["target"] == target
    model, lock = definition["resolvedDependencies"]
    assert model["annotations"]["runId"] == report["model"]["run_id"]
    assert lock["digest"] == {"sha256": sha256(artifact / "pylock.toml")}
    assert built["predicate"]["runDetails"]["builder"]["id"].endswith("ci.example.org/1")
    assert "secret" not in json.dumps(built)
    assert proof["predicate"]["comparison"]["rows"] == found["rows_compared"]
    assert proof["predicate"]["comparison"]["bitEqual"] is True
    assert proof["predicate"]["oracle"]["environment"] == found["oracle"]
    assert run("verify", artifact, "--key", keys[1]) == (0, "")


def test_the_predicate_is_as_its_schema_says(signed: Path) -> None:
    from jsonschema import Draft202012Validator

    check = Draft202012Validator(SCHEMA)
    predicate = read_statements(signed)[1]["predicate"]
    assert list(check.iter_errors(predicate)) == []

    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda p: p["comparison"].pop("rows"),
        lambda p: p["comparison"].update(largestDifference=-1),
        lambda p: p["comparison"].update(largestDifference=0.1),
        lambda p: p["comparison"].update(comparedByType=["yhat"]),
        lambda p: p["comparison"].pop("comparedByType"),
        lambda p: p.pop("model"),
    )
    for change in changes:
        wrong = copy.deepcopy(predicate)
        change(wrong)
        assert list(check.iter_errors(wrong)) != []


def test_another_tool_reads_the_envelopes(signed: Path, keys: tuple[Path, Path]) -> None:
    """By the words of DSSE's specification alone, and by openssl's primitives."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(keys[1].read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    for line in read_lines(signed):
        kind, body = line["payloadType"], base64.b64decode(line["payload"])
        pae = f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body
        key.verify(base64.b64decode(line["signatures"][0]["sig"]), pae)


def test_signing_again_replaces_own_statements_and_keeps_those_of_others(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other_private, other = make_key(tmp_path, "p256")
    before = (signed / FILE).read_text().splitlines()
    run("sign", signed, "--key", other_private)
    run("sign", signed, "--key", other_private)

    assert (signed / FILE).read_text().splitlines()[:2] == before
    assert len(read_lines(signed)) == 4
    both = ("--require-signed-by", other, "--require-signed-by", keys[1])
    assert run("verify", signed, *both) == (0, "")


def test_an_encrypted_key_opens_with_its_passphrase(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_key(tmp_path, passphrase="correct horse")

    code, said = run("sign", artifact, "--key", private)
    assert code == 2
    assert "is encrypted. Set PACKAGER_KEY_PASSPHRASE" in said
    monkeypatch.setenv("PACKAGER_KEY_PASSPHRASE", "wrong")
    code, said = run("sign", artifact, "--key", private)
    assert code == 2
    assert "does not open with the passphrase" in said
    assert not (artifact / FILE).exists()
    monkeypatch.setenv("PACKAGER_KEY_PASSPHRASE", "correct horse")
    assert run("sign", artifact, "--key", private) == (0, "")
    assert run("verify", artifact, "--key", public) == (0, "")
    assert "correct horse" not in (artifact / FILE).read_text()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("rsa-1024", "an RSA key of 1024 bits"),
        ("secp256k1", "a key of another kind than RSA"),
        ("x25519", "a key of another kind than RSA"),
        ("dsa", "a key of another kind than RSA"),
    ],
    ids=map(str, range(4)),
)
def test_a_key_that_is_weak_or_of_another_kind_is_refused(
    kind: str, said: str, signed: Path, tmp_path: Path
) -> None:
    private, public = make_key(tmp_path, kind)
    for words in (("sign", signed, "--key", private), ("verify", signed, "--key", public)):
        code, message = run(*words)
        assert code == 2
        assert said in message


def test_what_is_no_key_is_refused(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    none, large, certificate = (tmp_path / name for name in ("none.pem", "large", "cert.pem"))
    none.write_text("no key")
    large.write_text("x" * 100_000)
    certificate.write_text("-----BEGIN CERTIFICATE-----\n")
    for words, said in {
        ("sign", "--key", none): "holds no private key in PEM",
        ("sign", "--key", public): "is a public key, which signs nothing",
        ("sign", "--key", tmp_path / "gone"): "cannot be read: No such file",
        ("sign", "--key", tmp_path): "cannot be read: Is a directory",
        ("sign", "--key", large): "which no key has",
        ("sign", "--key", "gcpkms:projects/p"): "packager signs nothing in",
        ("sign", "--key", private, "--builder-id", "ci"): "is no URI",
        ("verify", "--key", none): "holds no public key in PEM",
        ("verify", "--key", private): "is a private key",
        ("verify", "--key", certificate): "is a certificate",
        ("verify", "--key", public, "--require-equivalence", "nan"): "neither bit-equal nor",
        ("verify", "--key", public, "--require-equivalence", "-1"): "neither bit-equal nor",
        ("verify", "--require-equivalence", "bit-equal"): "anybody can state one",
        ("verify", "--key", public, "--min-rows", "5"): "no effect without",
    }.items():
        code, message = run(words[0], signed, *words[1:])
        assert code == 2, words
        assert said in " ".join(message.replace("│", "").split()), words


def test_what_was_changed_is_not_signed(artifact: Path, keys: tuple[Path, Path]) -> None:
    with (artifact / "function.zip").open("ab") as file:
        file.write(b"x")

    code, said = run("sign", artifact, "--key", keys[0])
    assert code == 12
    assert "function.zip was changed" in said
    assert not (artifact / FILE).exists()


def test_an_unproven_artifact_states_no_equivalence(
    artifact: Path, keys: tuple[Path, Path]
) -> None:
    rewrite_all(artifact, lambda proof: proof.update(proven=False, why_unproven="nothing to ask"))

    assert run("sign", artifact, "--key", keys[0]) == (0, "")
    assert len(read_lines(artifact)) == 1
    assert run("verify", artifact, "--key", keys[1]) == (0, "")
    code, said = run("verify", artifact, "--key", keys[1], "--require-equivalence", "1")
    assert code == 14
    assert "No model equivalence is stated" in said


def rewrite_all(artifact: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the proof, and every digest with it: what `verify` alone cannot see."""
    evidence = json.loads((artifact / "evidence.json").read_text())
    report = json.loads((artifact / "report.json").read_text())
    change(evidence["evidence"])
    (artifact / "evidence.json").write_text(json.dumps(evidence))
    report["evidence"] = evidence["evidence"]
    report["emitted"]["evidence.json"] = sha256(artifact / "evidence.json")
    (artifact / "report.json").write_text(json.dumps(report))


def test_an_artifact_whose_every_digest_was_rewritten_is_found_out(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    rewrite_all(signed, lambda proof: proof.update(rows_compared=10**6))

    assert run("verify", signed) == (0, "")
    code, said = run("verify", signed, "--key", keys[1])
    assert code == 14
    assert "is about another artifact: report.json has" in said


def test_a_changed_file_is_no_matter_of_signatures(signed: Path, keys: tuple[Path, Path]) -> None:
    (signed / "evidence.json").write_text("{}")

    assert run("verify", signed, "--key", keys[1])[0] == 12


def _set(name: str, value: object) -> Callable[[Lines], object]:
    return lambda lines: lines[0].update({name: value})


def _change_payload(lines: Lines) -> None:
    payload = base64.b64decode(lines[1]["payload"]).replace(b'"mismatches":0', b'"mismatches":1')
    lines[1]["payload"] = base64.b64encode(payload).decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_change_payload, "line 2 was changed since it was signed"),
        (_set("payloadType", "text/plain"), "line 1 was changed since it was signed"),
        (_set("payload", "!!"), "The payload of attestations.intoto.jsonl, line 1 is no base64"),
        (_set("payload", 7), "no DSSE envelope: it has no payload"),
        (_set("signatures", []), "no list of 1 to 20 signatures"),
        (_set("signatures", [{}] * 21), "no list of 1 to 20 signatures"),
        (_set("signatures", [{"keyid": "x"}]), "a signature in it has no sig"),
        (lambda lines: lines.clear(), "Nobody signed it"),
    ],
    ids=map(str, range(8)),
)
def test_a_changed_envelope_is_named(
    change: Callable[[Lines], object], said: str, signed: Path, keys: tuple[Path, Path]
) -> None:
    lines = read_lines(signed)
    change(lines)
    write_lines(signed, lines)

    code, message = run("verify", signed, "--key", keys[1])
    assert code == 14
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"payload": "", "payload": "", "signatures": []}', "has 'payload' twice"),
        ("[" * 200 + "]" * 200, "more than 100 deep"),
        ("[]", "is no JSON object"),
        ('{"payload": "e30', "cannot be read as JSON"),
        ("x" * (5 << 20), "has more than 4,194,304 bytes"),
        ("{}\n" * 200, "or 100 lines"),
    ],
    ids=map(str, range(6)),
)
def test_a_file_that_no_tool_wrote_is_refused(
    text: str, said: str, signed: Path, keys: tuple[Path, Path]
) -> None:
    (signed / FILE).write_text(text)
    for words in (("verify", signed, "--key", keys[1]), ("sign", signed, "--key", keys[0])):
        code, message = run(*words)
        assert code == 14
        assert said in message
        assert (signed / FILE).read_text() == text


def test_a_link_is_not_followed(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    (signed / FILE).rename(tmp_path / "elsewhere")
    (signed / FILE).symlink_to(tmp_path / "elsewhere")

    for words in (("verify", signed, "--key", keys[1]), ("sign", signed, "--key", keys[0])):
        code, said = run(*words)
        assert code == 14
        assert "is a link" in said


def test_a_signature_by_another_key_is_named(signed: Path, tmp_path: Path) -> None:
    _, other = make_key(tmp_path, "p256")

    code, said = run("verify", signed, "--key", other)
    assert code == 14
    assert "No provenance is signed by a key of --key" in said
    assert f"signed by another key: {read_lines(signed)[0]['signatures'][0]['keyid']}" in said


def test_a_required_key_must_have_signed_whoever_else_did(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    _, other = make_key(tmp_path, "rsa")

    code, said = run("verify", signed, "--key", keys[1], "--require-signed-by", other)
    assert code == 14
    assert "of --require-signed-by" in said


def test_an_envelope_chooses_neither_its_key_nor_its_algorithm(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """A key id is a hint; what an attacker signs under the id of a trusted key is found out."""
    private, _ = make_key(tmp_path, "rsa")
    trusted = read_lines(signed)[0]["signatures"][0]["keyid"]
    sign_again(signed, private, lambda _: None)
    lines = read_lines(signed)
    for line in lines:
        line["signatures"][0].update(keyid=trusted, scheme="rsassa-pss-sha256", alg="none")
    write_lines(signed, lines)

    code, said = run("verify", signed, "--key", keys[1])
    assert code == 14
    assert "the signature by the key" in said


def test_a_key_id_is_not_needed(signed: Path, keys: tuple[Path, Path]) -> None:
    lines = read_lines(signed)
    for line in lines:
        del line["signatures"][0]["keyid"]
    write_lines(signed, lines)

    assert run("verify", signed, "--key", keys[1]) == (0, "")


def test_an_envelope_of_another_artifact_is_named(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other = _build(tmp_path, extra={"more.txt": b"another"})
    shutil.copy(signed / FILE, other / FILE)

    code, said = run("verify", other, "--key", keys[1])
    assert code == 14
    assert "is about another artifact: function.zip has" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "no statement of the type"),
        (lambda s: s.update(subject=[]), "no in-toto statement"),
        (lambda s: s["subject"].append(s["subject"][0]), "two subjects have one name"),
        (lambda s: s["subject"].pop(), "it does not name report.json"),
        (lambda s: s["subject"][0].update(name="f.zip"), "this one has no 'f.zip'"),
        (lambda s: s["subject"][0].update(digest={}), "a subject has no digest"),
        (lambda s: s.update(predicate=None), "no in-toto statement"),
        (
            lambda s: s.update(predicateType="https://slsa.dev/verification_summary/v1"),
            "no https://slsa.dev/provenance/v1: https://slsa.dev/verification_summary/v1",
        ),
        (
            lambda s: s["subject"][1].update(digest={"sha512": "0" * 128}),
            "has no sha256 of report.json",
        ),
        (
            lambda s: s["subject"][1]["digest"].update(sha256="0" * 64),
            f"and {'0' * 64} was signed",
        ),
    ],
    ids=map(str, range(10)),
)
def test_a_statement_of_another_kind_is_named(
    change: Callable[[dict[str, Any]], object], said: str, signed: Path, keys: tuple[Path, Path]
) -> None:
    sign_again(signed, keys[0], change)

    code, message = run("verify", signed, "--key", keys[1])
    assert code == 14
    assert said in message


def test_a_digest_of_another_algorithm_beside_the_known_one_is_ignored(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    """As in-toto's DigestSet has it: one that is known, and matches, is enough."""
    sign_again(signed, keys[0], lambda s: s["subject"][0]["digest"].update(sha512="0" * 128))

    assert run("verify", signed, "--key", keys[1])[0] == 0


def _sign_twice(lines: Lines, first: str) -> None:
    other = {"keyid": first, "sig": "AAAA"}
    for line in lines:
        line["signatures"] = [other, *line["signatures"]]


@pytest.mark.parametrize("first", ["own", "other", ""])
def test_a_bad_signature_beside_a_good_one_is_no_matter(
    signed: Path, keys: tuple[Path, Path], first: str
) -> None:
    lines = read_lines(signed)
    key = lines[0]["signatures"][0]["keyid"]
    _sign_twice(lines, key if first == "own" else first)
    write_lines(signed, lines)

    assert run("verify", signed, "--key", keys[1])[0] == 0


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 256, 100_000])
@pytest.mark.parametrize("kind", ["ed25519", "p256", "rsa"])
def test_a_signature_of_any_size_is_no_signature(
    signed: Path, tmp_path: Path, size: int, kind: str
) -> None:
    private, public = make_key(tmp_path.parent, kind)
    key = load_signer(private).public_key.keyid
    lines = read_lines(signed)
    for line in lines:
        line["signatures"] = [{"keyid": key, "sig": base64.b64encode(bytes(size)).decode()}]
    write_lines(signed, lines)

    code, said = run("verify", signed, "--key", public)
    assert code == 14
    assert "No provenance is signed by a key of --key" in said


@pytest.mark.parametrize("text", ["payloadType", "payload", "keyid"])
def test_half_of_a_pair_of_characters_is_refused(
    signed: Path, keys: tuple[Path, Path], text: str
) -> None:
    lines = read_lines(signed)
    where = lines[0]["signatures"][0] if text == "keyid" else lines[0]
    where[text] = "\ud800"
    write_lines(signed, lines)

    code, said = run("verify", signed, "--key", keys[1])
    assert code == 14
    assert "cannot be read as JSON" in said
    assert "a model" not in said


def test_what_was_signed_as_another_payload_is_no_statement(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    """By a trusted key, with a signature that holds: only the payload's type tells them apart."""
    payload = base64.b64decode(read_lines(signed)[0]["payload"])
    envelope = dsse.Envelope(payload, "application/vnd.in-toto.layout+json", {})
    envelope.sign(load_signer(keys[0]))
    write_lines(signed, [envelope.to_dict()])

    code, said = run("verify", signed, "--key", keys[1])
    assert code == 14
    assert "has the payloadType 'application/vnd.in-toto.layout+json'" in said


def _compare(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda s: s["predicate"].get("comparison", {}).update(changed)


@pytest.mark.few(5)
@pytest.mark.parametrize(
    ("change", "wanted", "said"),
    [
        (_compare(), "bit-equal", ""),
        (_compare(largestDifference=1e-9, bitEqual=False), "1e-6", ""),
        (
            _compare(largestDifference=1e-3, bitEqual=False),
            "1e-6",
            "difference of 0.001, more than",
        ),
        (_compare(largestDifference=1e-9, bitEqual=False), "bit-equal", "to the last bit"),
        (_compare(largestDifference=1e-9), "bit-equal", "to the last bit"),
        (_compare(bitEqual=False, comparedByType=["yhat"]), "bit-equal", "1 outputs were compared"),
        (_compare(bitEqual="yes"), "bit-equal", "to the last bit"),
        (_compare(bitEqual=True, comparedByType=["yhat"]), "bit-equal", "1 outputs were compared"),
        (_compare(mismatches=3), "1", "3 answers that differ"),
        (_compare(rows=0), "1", "0 rows, fewer than"),
        (_compare(rows="many"), "1", "as it is specified"),
        (_compare(largestDifference=None), "1", "as it is specified"),
        (_compare(largestDifference=-1), "1", "as it is specified"),
    ],
    ids=map(str, range(13)),
)
def test_a_policy_holds_the_proof_to_what_it_asks(
    change: Callable[[dict[str, Any]], object],
    wanted: str,
    said: str,
    signed: Path,
    keys: tuple[Path, Path],
) -> None:
    sign_again(signed, keys[0], change)

    code, message = run("verify", signed, "--key", keys[1], "--require-equivalence", wanted)
    assert (code, said in message) == (14 if said else 0, True)


def test_an_output_that_is_random_is_not_bit_equal(artifact: Path, keys: tuple[Path, Path]) -> None:
    rewrite_all(artifact, lambda proof: proof.update(random=["yhat_lower"]))
    run("sign", artifact, "--key", keys[0])

    told = read_statements(artifact)[1]["predicate"]["comparison"]
    assert told["bitEqual"] is False
    assert told["comparedByType"] == ["yhat_lower"]


def test_the_verdict_is_told_as_json(signed: Path, keys: tuple[Path, Path]) -> None:
    done = RUN.invoke(app, ["verify", str(signed), "--key", str(keys[1]), "--json"])
    assert json.loads(done.stdout)["checks"][-1] == {
        "name": "attestations",
        "passed": True,
        "problems": [],
    }
    (signed / FILE).unlink()
    done = RUN.invoke(app, ["verify", str(signed), "--key", str(keys[1]), "--json"])
    assert done.exit_code == 14
    assert json.loads(done.stdout)["verified"] is False


def test_an_artifact_that_is_signed_says_so_where_nobody_asks(signed: Path) -> None:
    done = RUN.invoke(app, ["verify", str(signed), "--json"])
    (note,) = (each for each in json.loads(done.stdout)["notes"] if FILE in each)
    assert "--key" in note


def test_who_checks_a_signature_is_told_whose_it_is(signed: Path, keys: tuple[Path, Path]) -> None:
    done = RUN.invoke(app, ["verify", str(signed), "--key", str(keys[1]), "--json"])
    notes = json.loads(done.stdout)["notes"]

    (note,) = (each for each in notes if each.startswith("Signed by "))
    assert f"({keys[1]})" in note
    assert "statements" in note
    assert " rows held." in note
    assert not any("not checked" in each for each in notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text, "were not checked"),
        (lambda text: "", "holds nothing"),
        (lambda text: "{", "can be read"),
        (lambda text: text.replace("in-toto", "other"), "payloadType"),
    ],
)
def test_what_nobody_checks_is_told_as_that(
    signed: Path, change: Callable[[str], str], said: str
) -> None:
    (signed / FILE).write_text(change((signed / FILE).read_text()))
    shutil.rmtree(signed / "rollout", ignore_errors=True)

    notes = json.loads(RUN.invoke(app, ["verify", str(signed), "--json"]).stdout)["notes"]

    (note,) = (each for each in notes if FILE in each)
    assert said in note


def test_signing_tells_of_a_builder_without_a_name_and_not_of_itself(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    words = ["sign", str(signed), "--key", str(keys[0]), "--json"]
    notes = json.loads(RUN.invoke(app, words).stdout)["notes"]
    assert [each for each in notes if "--builder-id" in each]
    assert not [each for each in notes if FILE in each]

    named = json.loads(RUN.invoke(app, [*words, "--builder-id", "https://ci.example.org"]).stdout)
    assert not [each for each in named["notes"] if "--builder-id" in each]


def test_a_failure_to_write_leaves_what_was_signed(
    signed: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (signed / FILE).read_bytes()

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(signed))

    monkeypatch.setattr(Path, "replace", fail)
    code, said = run("sign", signed, "--key", keys[0])
    assert code == 9
    assert "cannot be written: Permission denied" in said
    assert (signed / FILE).read_bytes() == before
    assert [each.name for each in signed.iterdir() if each.name.startswith(".")] == []


def test_without_the_extra_the_way_to_it_is_told(
    artifact: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    code, said = run("sign", artifact, "--key", keys[0])
    assert code == 2
    assert name_install(extra="sign") in said


def test_the_page_s_commands_run_as_they_stand(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each indented line, in order; one that ends with `# 14` ends with that code."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(built, tmp_path / "dist" / "churn")
    lines = [each[4:] for each in PAGE.read_text().splitlines() if each.startswith("    ")]
    commands = [each for each in lines if each.startswith(("packager ", "openssl ", "echo "))]
    ran = 0
    for command in commands:
        words = shlex.split(command, comments=True)
        wanted = int(command.rpartition("# ")[2]) if "# 1" in command else 0
        if any(each in command for each in ("kms:", "--tag", "--keyless", "--identity")):
            continue  # tests/unit/commands/cloud, and test_keyless.py
        if words[0] == "packager":
            assert run(*words[1:])[0] == wanted, command
        else:
            subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path, capture_output=True)
        ran += 1
    assert ran >= 6
