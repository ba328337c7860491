"""`packager sign`: state what is known of an artifact, and sign it by a key or a login."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from packager.cli import _options as opt
from packager.cli._common import show
from packager.cli._panels import Panel
from packager.commands import console

if TYPE_CHECKING:
    from packager.commands.artifact.attestations.keyless import Keyless

SigningKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="<key>",
        rich_help_panel=Panel.PROOF,
        help="Private key: a PEM file, awskms:ID for AWS KMS (an id, an ARN or an alias), or "
        "azurekms:// and the address of a key in Azure Key Vault.",
        show_default=False,
    ),
]
SignKeyless = Annotated[
    bool,
    typer.Option(
        "--keyless",
        rich_help_panel=Panel.PROOF,
        help="Sign by a login in place of a key, through sigstore: the identity of the CI job, or "
        "yours. Its public log shows that identity to everybody.",
    ),
]
TrustConfig = Annotated[
    Path | None,
    typer.Option(
        "--trust-config",
        metavar="<file>",
        rich_help_panel=Panel.PROOF,
        help="Trust configuration of an instance of sigstore of your own, as JSON. Default: the "
        "public instance.",
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
SignedImage = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="<name@sha256:digest>",
        rich_help_panel=Panel.PROOF,
        help="Image that was built of it and pushed, by its digest. It is compared with the "
        "artifact as `verify --image` does, and its digest is signed too.",
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


def sign(
    artifact: opt.Artifact,
    *,
    key: SigningKey = None,
    keyless: SignKeyless = False,
    trust_config: TrustConfig = None,
    builder_id: BuilderId = None,
    image: SignedImage = None,
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

    With --keyless nobody keeps a key: sigstore certifies who you are for this one signature, and
    its log keeps the record. The statements lie in attestations.sigstore.jsonl. The token is the CI
    job's own, or in SIGSTORE_IDENTITY_TOKEN; in a terminal your browser asks for your login.

    With --image the image's digest is signed too: the check of a rollout can demand it, as Lambda
    knows an image by its digest alone.

    The artifact must verify: ends with 12 where anything in it was changed. The passphrase of an
    encrypted key is read from PACKAGER_KEY_PASSPHRASE.

    With --tag the model version that it was built from is tagged too, through an MLflow server.
    """
    from packager.commands.cloud.signing.attested_versions import sign_and_tag
    from packager.commands.cloud.signing.signers import sign_by

    if not tag and (tracking_uri or registry_uri):
        raise typer.BadParameter(
            "it has no effect without --tag: add --tag, or leave it out",
            param_hint="--tracking-uri" if tracking_uri else "--registry-uri",
        )
    builder = _name_builder(builder_id)
    signer = _choose_signer(key, trust_config, keyless=keyless)
    with console.progress(verbose=verbose, quiet=quiet):
        if tag:
            made = sign_and_tag(
                artifact,
                signer,
                builder_id=builder,
                image=image,
                tracking_uri=tracking_uri,
                registry_uri=registry_uri,
            )
        else:
            made = sign_by(artifact, signer, builder_id=builder, image=image)
    show(made, as_json=as_json, human=console.show_signed)


def _choose_signer(key: str | None, trust_config: Path | None, *, keyless: bool) -> str | Keyless:
    """Raises BadParameter for both or neither of --key and --keyless."""
    from packager.commands.artifact.attestations.keyless import Keyless

    if keyless:
        if key is not None:
            raise typer.BadParameter(
                "one of --key and --keyless signs: leave one out, or sign twice",
                param_hint="--keyless",
            )
        return Keyless(trust_config)
    if trust_config is not None:
        raise typer.BadParameter(
            "it has no effect without --keyless: add --keyless, or leave it out",
            param_hint="--trust-config",
        )
    if key is None:
        raise typer.BadParameter(
            "say what signs: --key with a PEM file or a key of a cloud, or --keyless",
            param_hint="--key",
        )
    return key


def _name_builder(uri: str | None) -> str:
    """Raises BadParameter for what is no URI."""
    from packager.commands.artifact.attestations.statements import UNNAMED_BUILDER

    if uri is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", uri):
        raise typer.BadParameter(
            f"{uri!r} is no URI: give one such as https://ci.example.org/builds.",
            param_hint="--builder-id",
        )
    return uri or UNNAMED_BUILDER
