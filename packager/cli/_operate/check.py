"""`packager sign` and `packager verify`: what is stated of an artifact, and whether it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from packager.cli import _options as opt
from packager.cli import _request_options as ask
from packager.cli._common import show
from packager.cli._groups import OptionGroup, expand_groups
from packager.cli._operate.rebuild import check_rebuilt, read_given
from packager.cli._panels import Panel
from packager.commands import console
from packager.errors import AttestationError, IntegrityError
from packager.types import ArtifactCheck, ArtifactVerification, RebuildInputs

if TYPE_CHECKING:
    from packager.commands.artifact.attestations.policy import Policy

SigningKey = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="<key>",
        rich_help_panel=Panel.PROOF,
        help="Private key: a PEM file, or awskms:ID for AWS KMS (an id, an ARN or an alias).",
        show_default=False,
    ),
]
BuilderId = Annotated[
    str | None,
    typer.Option(
        "--builder-id",
        metavar="<uri>",
        rich_help_panel=Panel.PROOF,
        help="URI of the system that built it, for the provenance. Name what you trust to build.",
        show_default=False,
    ),
]
Tag = Annotated[
    bool,
    typer.Option(
        "--tag",
        rich_help_panel=Panel.MODEL,
        help="Tag the model version with packager.attested.<target>: digests, verdict, largest "
        "difference, key. Without it nothing is written to the registry.",
    ),
]
PublicKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="<key>",
        rich_help_panel=Panel.PROOF,
        help="Public key of somebody whom you trust: a PEM file, or awskms:ID. One of the keys "
        "given must have signed. Repeatable.",
        show_default=False,
    ),
]
SignedBy = Annotated[
    list[str] | None,
    typer.Option(
        "--require-signed-by",
        metavar="<key>",
        rich_help_panel=Panel.PROOF,
        help="Public key whose holder must have signed, whoever else did. Repeatable.",
        show_default=False,
    ),
]
RequiredEquivalence = Annotated[
    str | None,
    typer.Option(
        "--require-equivalence",
        metavar="<difference>",
        rich_help_panel=Panel.PROOF,
        help="How equal the signed proof must say that the answers are: bit-equal, or the largest "
        "difference of a number, as 1e-6.",
        show_default=False,
    ),
]
LeastRows = Annotated[
    int | None,
    typer.Option(
        "--min-rows",
        min=1,
        metavar="<count>",
        rich_help_panel=Panel.PROOF,
        help="Rows that the signed proof must have compared, with --require-equivalence.",
        show_default=False,
    ),
]
ReportDigest = Annotated[
    str | None,
    typer.Option(
        "--sha256",
        metavar="<digest>",
        rich_help_panel=Panel.PROOF,
        help="The sha256 that report.json must have. A build prints it, and so does `verify`.",
        show_default=False,
    ),
]
Deployed = Annotated[
    bool,
    typer.Option(
        "--deployed",
        rich_help_panel=Panel.PROOF,
        help="Compare also the function that is deployed.",
    ),
]


ImageReference = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="<image>",
        rich_help_panel=Panel.PROOF,
        help="Compare also the image that was built of it and pushed: REGISTRY/NAME@sha256:DIGEST.",
        show_default=False,
    ),
]


Package = Annotated[
    str | None,
    typer.Option(
        "--package",
        metavar="<file or uri>",
        rich_help_panel=Panel.PROOF,
        help="Compare also the package that an app of Azure runs: released-package.zip of its "
        "deployment container. The token to read it is in AZURE_STORAGE_SAS_TOKEN.",
        show_default=False,
    ),
]


class Running(NamedTuple):
    """Places that the artifact may run at, and that are compared with it."""

    deployed: bool
    image: str | None
    package: str | None
    stack: str | None

    def compare(self, artifact: Path, *, verified: bool) -> Iterator[ArtifactCheck]:
        """Yield each comparison; an image only with an artifact that is as it was built."""
        if self.deployed:
            from packager.commands.cloud.deployed import compare_deployed

            yield compare_deployed(artifact, stack=self.stack)
        if self.image is not None and verified:
            from packager.commands.cloud.deployed_image import compare_image

            yield compare_image(artifact, self.image)
        if self.package is not None:
            from packager.commands.cloud.deployed_package import compare_package

            yield compare_package(artifact, self.package)


def _read_running(
    *,
    deployed: Deployed = False,
    image: ImageReference = None,
    package: Package = None,
    stack: ask.Stack = None,
) -> Running:
    if stack and not deployed:
        raise typer.BadParameter(
            "it has no effect without --deployed: add --deployed, or leave it out",
            param_hint="--stack",
        )
    return Running(deployed, image, package, stack)


def sign(
    artifact: opt.Artifact,
    *,
    key: SigningKey,
    builder_id: BuilderId = None,
    tag: Tag = False,
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Sign an artifact: where it is from, and how equal its answers are to its model's.

    Writes attestations.intoto.jsonl into the artifact: in-toto statements in DSSE envelopes. The
    provenance is SLSA's, the proof is a predicate of our own. Statements of other keys stay.

    The artifact must verify: ends with 12 where anything in it was changed. The passphrase of an
    encrypted key is read from PACKAGER_KEY_PASSPHRASE.

    With --tag the model version that it was built from is tagged too, through an MLflow server.
    """
    from packager.commands.artifact.attestations.statements import UNNAMED_BUILDER
    from packager.commands.cloud.attested_versions import sign_and_tag
    from packager.commands.cloud.kms_keys import sign_by

    if not tag and (tracking_uri or registry_uri):
        raise typer.BadParameter(
            "it has no effect without --tag: add --tag, or leave it out",
            param_hint="--tracking-uri" if tracking_uri else "--registry-uri",
        )
    if builder_id is not None and not _is_uri(builder_id):
        raise typer.BadParameter(
            f"{builder_id!r} is no URI: give one such as https://ci.example.org/builds.",
            param_hint="--builder-id",
        )
    with console.progress(verbose=verbose, quiet=quiet):
        builder = builder_id or UNNAMED_BUILDER
        if tag:
            made = sign_and_tag(
                artifact,
                key,
                builder_id=builder,
                tracking_uri=tracking_uri,
                registry_uri=registry_uri,
            )
        else:
            made = sign_by(artifact, key, builder_id=builder)
    show(made, as_json=as_json, human=console.show_signed)


def _is_uri(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", text) is not None


@expand_groups
def verify(
    artifact: opt.Artifact,
    *,
    again: Annotated[RebuildInputs | None, OptionGroup(read_given)],
    sha256: ReportDigest = None,
    key: PublicKeys = None,
    require_signed_by: SignedBy = None,
    require_equivalence: RequiredEquivalence = None,
    min_rows: LeastRows = None,
    running: Annotated[Running, OptionGroup(_read_running)],
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Check that no file of an artifact was changed since it was built.

    The zip, the unpacked function and every file beside them are held to the digests in
    report.json. The evidence, the bill of materials and the lock must tell of this function and of
    this model.

    Somebody who rewrites all of the files can rewrite report.json too. Keep its sha256 elsewhere,
    and give it with --sha256. Ends with 12 where anything differs.

    Or let `packager sign` sign it, and give the public key with --key. Ends with 14 where nothing
    of it is signed by that key, or what was signed does not hold or is not what you require.

    With --deployed the function that the artifact's stack runs is compared too: the digest of its
    code (of its image's files, for an image), its runtime, entry point, layers and variables.
    Lambda alone tells these. With --image an image is compared in its registry, with --package the
    package of an app of Azure.

    With --rebuild it is built again from its own record, into a folder that goes away. Every file
    must come out the same, byte for byte, but for what a build measures: times, and memory.
    """
    from packager.commands.artifact.attestations.policy import check_attestations
    from packager.commands.artifact.integrity import add_check, verify_artifact

    policy = _make_policy(key, require_signed_by, require_equivalence, min_rows)
    with console.progress(verbose=verbose, quiet=quiet):
        found = verify_artifact(artifact, report_sha256=sha256)
        for check in running.compare(artifact, verified=found["verified"]):
            found = add_check(found, check)
        if policy is not None:
            found = add_check(found, check_attestations(artifact, policy))
        if again is not None and found["verified"]:
            found = add_check(found, check_rebuilt(artifact, again))
    _show_verdict(found, as_json=as_json)


def _show_verdict(found: ArtifactVerification, *, as_json: bool) -> None:
    """Raises AttestationError or IntegrityError where it did not verify."""
    if as_json or found["verified"]:
        show(found, as_json=as_json, human=console.show_verification)
    if not found["verified"]:
        error = _describe_failure(found)
        if as_json:
            raise typer.Exit(error.exit_code)
        raise error


def _make_policy(
    keys: list[str] | None,
    required: list[str] | None,
    equivalence: str | None,
    least_rows: int | None,
) -> Policy | None:
    """None where no key is given: then nothing that was signed is looked at."""
    from packager.commands.cloud.kms_keys import make_policy

    if least_rows and not equivalence:
        raise typer.BadParameter(
            "it has no effect without --require-equivalence", param_hint="--min-rows"
        )
    if equivalence and not (keys or required):
        raise typer.BadParameter(
            "anybody can state one: give the public key of whom you believe with --key",
            param_hint="--require-equivalence",
        )
    return make_policy(keys or (), required or (), equivalence, least_rows)


def _describe_failure(found: ArtifactVerification) -> AttestationError | IntegrityError:
    """A changed file is more than a signature that is missing."""
    from packager.commands.artifact.attestations.policy import CHECK
    from packager.commands.artifact.integrity import list_problems

    failed = {check["name"] for check in found["checks"] if not check["passed"]}
    kind = AttestationError if failed == {CHECK} else IntegrityError
    return kind.of_problems(found["folder"], list_problems(found))
