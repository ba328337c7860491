"""`packager verify`: whether an artifact is as it was built, and what was signed of it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from packager.cli import _options as opt
from packager.cli import _request_options as ask
from packager.cli._common import show
from packager.cli._groups import OptionGroup, expand_groups
from packager.cli._operate.rebuild import check_rebuilt, read_given
from packager.cli._operate.sign import TrustConfig
from packager.cli._panels import Panel
from packager.commands import console
from packager.errors import AttestationError, IntegrityError
from packager.types import ArtifactCheck, ArtifactVerification, RebuildInputs

if TYPE_CHECKING:
    from packager.commands.artifact.attestations.keyless import Identity
    from packager.commands.artifact.attestations.policy import Policy

PublicKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="<key>",
        rich_help_panel=Panel.PROOF,
        help="Public key of somebody whom you trust: a PEM file, awskms:ID, or azurekms://... One "
        "of the keys given must have signed. Repeatable.",
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
SignedAs = Annotated[
    str | None,
    typer.Option(
        "--identity",
        metavar="<name>",
        rich_help_panel=Panel.PROOF,
        help="Who must have signed keyless, whoever else did: an e-mail address, or the URI of a "
        "workflow. With --issuer.",
        show_default=False,
    ),
]
Issuer = Annotated[
    str | None,
    typer.Option(
        "--issuer",
        metavar="<url>",
        rich_help_panel=Panel.PROOF,
        help="Who vouches for --identity: its OpenID Connect issuer, as https://gitlab.com.",
        show_default=False,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        rich_help_panel=Panel.PROOF,
        help="Check --identity by the roots of trust of sigstore that are on this machine.",
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
AllowSettings = Annotated[
    bool,
    typer.Option(
        "--allow-settings",
        rich_help_panel=Panel.PROOF,
        help="With --key, --require-signed-by, --identity or --sha256: let settings stand that "
        "none of them covers, as a changed samconfig.toml, *.tfvars, .terraform or .azure.",
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


App = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="<resource id>",
        rich_help_panel=Panel.PROOF,
        help="Compare also the runtime, identity and settings of an app of Azure, by the id that "
        "`az functionapp show --query id` prints. No value of a setting is shown.",
        show_default=False,
    ),
]


class Running(NamedTuple):
    """Places that the artifact may run at, and that are compared with it."""

    deployed: bool
    image: str | None
    package: str | None
    app: str | None
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
        if self.app is not None:
            from packager.commands.cloud.deployed_app import compare_app

            yield compare_app(artifact, self.app)


class SignedIdentity(NamedTuple):
    """Who must have signed keyless, and what that is checked by."""

    name: str | None
    issuer: str | None
    trust_config: Path | None
    offline: bool

    def open(self) -> Identity | None:
        """Raises ConfigurationError and CloudError as `open_identity` does."""
        from packager.commands.artifact.attestations.keyless import open_identity

        if self.name is None or self.issuer is None:
            return None
        return open_identity(
            self.name, self.issuer, trust_config=self.trust_config, offline=self.offline
        )


def _read_identity(
    *,
    identity: SignedAs = None,
    issuer: Issuer = None,
    trust_config: TrustConfig = None,
    offline: Offline = False,
) -> SignedIdentity:
    _check_named(identity, issuer)
    idle = [(offline, "--offline"), (trust_config, "--trust-config")]
    if identity is None and (given := [name for value, name in idle if value]):
        raise typer.BadParameter(
            "it has no effect without --identity: add --identity and --issuer, or leave it out",
            param_hint=given[0],
        )
    if offline and trust_config:
        raise typer.BadParameter(
            "--trust-config names all that is trusted, and nothing is fetched: leave --offline out",
            param_hint="--offline",
        )
    return SignedIdentity(identity, issuer, trust_config, offline)


def _check_named(identity: str | None, issuer: str | None) -> None:
    """Raises BadParameter for one of the two alone, and for one that is empty."""
    missing = [
        name for name, value in (("--identity", identity), ("--issuer", issuer)) if value is None
    ]
    if len(missing) == 1:
        raise typer.BadParameter(
            "an identity counts only by the word of its issuer: give --identity and --issuer",
            param_hint=missing[0],
        )
    if "" in (identity, issuer):
        raise typer.BadParameter(
            "it is empty, and nobody would be checked",
            param_hint="--issuer" if identity else "--identity",
        )


def _read_running(
    *,
    deployed: Deployed = False,
    image: ImageReference = None,
    package: Package = None,
    app: App = None,
    stack: ask.Stack = None,
) -> Running:
    if stack and not deployed:
        raise typer.BadParameter(
            "it has no effect without --deployed: add --deployed, or leave it out",
            param_hint="--stack",
        )
    return Running(deployed, image, package, app, stack)


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
    allow_settings: AllowSettings = False,
    signed_as: Annotated[SignedIdentity, OptionGroup(_read_identity)],
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
    of it is signed by that key, or what was signed does not hold or is not what you require. What
    was signed keyless is held to --identity and --issuer in the same way.

    With any of these a setting that is not covered is refused too, as what deploys the artifact
    reads it: a changed samconfig.toml, Terraform's and CDK's own files, azd's environments. Look at
    them, and pass --allow-settings.

    With --deployed the function that the artifact's stack runs is compared too: the digest of its
    code (of its image's files, for an image), its runtime, entry point, layers and variables.
    Lambda alone tells these. With --image an image is compared in its registry, with --package the
    package of an app of Azure, with --app its settings.

    With --rebuild it is built again from its own record, into a folder that goes away. Every file
    must come out the same, byte for byte, but for what a build measures: times, and memory.
    """
    from packager.commands.artifact.attestations.policy import check_attestations
    from packager.commands.artifact.integrity import add_check, check_settings, verify_artifact

    policy = _make_policy(key, require_signed_by, require_equivalence, min_rows, signed_as)
    settings = _asks_settings(policy, sha256, allow=allow_settings)
    with console.progress(verbose=verbose, quiet=quiet):
        found = verify_artifact(artifact, report_sha256=sha256)
        for check in running.compare(artifact, verified=found["verified"]):
            found = add_check(found, check)
        if settings:
            found = add_check(found, check_settings(artifact))
        if policy is not None:
            found = add_check(found, check_attestations(artifact, policy))
        named = [*(key or ()), *(require_signed_by or ())]
        found["notes"] += _note_signatures(artifact, policy, found, named)
        if again is not None and found["verified"]:
            with console.build_here():
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
    signed_as: SignedIdentity,
) -> Policy | None:
    """None where nobody is named: then nothing that was signed is looked at."""
    from packager.commands.cloud.signing.signers import make_policy

    if least_rows and not equivalence:
        raise typer.BadParameter(
            "it has no effect without --require-equivalence", param_hint="--min-rows"
        )
    if equivalence and not (keys or required or signed_as.name):
        raise typer.BadParameter(
            "anybody can state one: give the public key of whom you believe with --key, or who "
            "they are with --identity",
            param_hint="--require-equivalence",
        )
    return make_policy(
        keys or (), required or (), equivalence, least_rows, identity=signed_as.open()
    )


def _note_signatures(
    artifact: Path, policy: Policy | None, found: ArtifactVerification, names: list[str]
) -> list[str]:
    """Tell who signed it, where that was asked and holds; else what nobody has checked."""
    from packager.commands.artifact.attestations import policy as attestations

    if policy is None:
        return attestations.note_unchecked(artifact)
    if not found["verified"]:
        return []
    keys = [each.keyid for each in (*policy.trusted, *policy.required)]
    return attestations.note_signers(artifact, policy, dict(zip(keys, names, strict=True)))


def _asks_settings(policy: Policy | None, digest: str | None, *, allow: bool) -> bool:
    """Tell whether settings that nothing covers are refused. Raises BadParameter."""
    held = policy is not None or digest is not None
    if allow and not held:
        raise typer.BadParameter(
            "it has no effect without --key, --require-signed-by, --identity or --sha256: leave it "
            "out",
            param_hint="--allow-settings",
        )
    return held and not allow


def _describe_failure(found: ArtifactVerification) -> AttestationError | IntegrityError:
    """A changed file is more than a signature that is missing."""
    from packager.commands.artifact.attestations.policy import CHECK
    from packager.commands.artifact.integrity import list_problems

    failed = {check["name"] for check in found["checks"] if not check["passed"]}
    kind = AttestationError if failed == {CHECK} else IntegrityError
    return kind.of_problems(found["folder"], list_problems(found))
