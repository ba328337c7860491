"""Signatures without a key, over sigstore: by a login, of which a public log keeps a record.

A certificate authority (Fulcio) is shown an OpenID Connect token and certifies a key that lives as
long as the command. A transparency log (Rekor) keeps what was signed by it. Whoever verifies names
the identity and the issuer of the token, and believes the authority and the log.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.attestations.envelopes import (
    BUNDLES,
    Envelope,
    encode_statement,
    read_bundles,
    write_envelopes,
)
from packager.commands.artifact.attestations.sign import state_artifact
from packager.commands.artifact.attestations.statements import keep_common_digests
from packager.environments.machine.installation import name_install
from packager.errors import AttestationError, CloudError, ConfigurationError
from packager.types import SignedArtifact

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.verify import Verifier

TOKEN_VARIABLE: Final = "SIGSTORE_IDENTITY_TOKEN"  # noqa: S105 - a variable's name
_ISSUER: Final = "1.3.6.1.4.1.57264.1.8"
"""Extension of Fulcio's certificates:
https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md."""
_OLD_ISSUER: Final = "1.3.6.1.4.1.57264.1.1"
_MOST_CONFIG: Final = 4 * 2**20
_NO_TOKEN: Final = (
    "--keyless found no identity to sign as: this is no job of a CI system that gives one, and no "
    f"terminal that a browser could be opened from. Set {TOKEN_VARIABLE} to an OpenID Connect "
    "token for the audience `sigstore` (in GitHub Actions: `permissions: id-token: write`)."
)


@dataclass(frozen=True, slots=True)
class Keyless:
    """A request to sign by a login; `trust_config` names another instance of sigstore."""

    trust_config: Path | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who is believed: who they are, by whose word, and what that word is checked by."""

    name: str
    issuer: str
    verifier: Verifier

    @property
    def label(self) -> str:
        return f"{self.name} (issuer {self.issuer})"

    def find_fault(self, envelope: Envelope) -> Fault | None:
        """None where this identity signed the bundle."""
        from sigstore.verify.policy import Identity as Named  # noqa: PLC0415 - an extra

        try:
            bundle = _parse_bundle(envelope.line)
            held = self.verifier.verify_dsse(bundle, Named(identity=self.name, issuer=self.issuer))
        except Exception as error:  # noqa: BLE001 - a stranger's certificate, read by a library
            return self._explain(envelope, error)
        if held == (envelope.payload_type, envelope.payload):
            return None
        return Fault("", f"{envelope.place} is read differently by two readers.")

    def _explain(self, envelope: Envelope, error: Exception) -> Fault:
        """Tell a bundle that somebody else signed from one that does not hold."""
        try:
            bundle = _parse_bundle(envelope.line)
            self.verifier.verify_dsse(bundle, _Anybody())
            return Fault(" (issuer ".join(_read_holder(bundle.signing_certificate)) + ")", "")
        except Exception:  # noqa: BLE001 - the first error is the one to tell
            why = str(error) or type(error).__name__
            return Fault("", f"{envelope.place} does not hold: {why[:300]}.")


@dataclass(frozen=True, slots=True)
class Fault:
    """Reason that a bundle is not by an identity: it is by `other`, or is broken."""

    other: str
    broken: str


class _Anybody:
    """A policy of sigstore that takes every identity: who it was is looked at afterwards."""

    @staticmethod
    def verify(cert: Certificate) -> None:
        """Raise nothing."""


def open_identity(
    name: str, issuer: str, *, trust_config: Path | None = None, offline: bool = False
) -> Identity:
    """The identity, with the roots of trust that its certificates are checked by.

    Raises ConfigurationError for a trust configuration that cannot be used, and where the extra is
    not installed; CloudError where sigstore's roots cannot be fetched.
    """
    check_extra()
    from sigstore.verify import Verifier  # noqa: PLC0415 - an extra

    with _explain_sigstore():
        roots = _open_config(trust_config, offline=offline).trusted_root
        return Identity(name, issuer, Verifier(trusted_root=roots))


def sign_keyless(
    folder: Path, request: Keyless, *, builder_id: str, image: str | None = None
) -> SignedArtifact:
    """Sign an artifact that verifies by a login. What others signed of it stays.

    Raises IntegrityError where it is not as it was built, ConfigurationError where there is no
    identity or no extra, CloudError where sigstore refuses or does not answer, AttestationError for
    a certificate that does not hold, StorageError where nothing can be written.
    """
    check_extra()
    from sigstore.dsse import Statement  # noqa: PLC0415 - an extra
    from sigstore.sign import SigningContext  # noqa: PLC0415

    subject = state_artifact(folder, builder_id=builder_id, image=image)
    earlier = read_bundles(subject.home)
    with _explain_sigstore():
        given = _find_token()
        config = _open_config(request.trust_config)
        token = given or _ask_login(config)
        context = SigningContext.from_trust_config(config)
        with context.signer(token) as signer:
            made = [
                signer.sign_dsse(Statement(encode_statement(keep_common_digests(each))))
                for each in subject.statements
            ]
    holder = _read_holder(made[0].signing_certificate)
    kept = [each.line for each in earlier if _guess_holder(each) != holder]
    lines = [*kept, *("".join(each.to_json().split("\n")) for each in made)]
    path = write_envelopes(subject.home, lines, name=BUNDLES)
    return subject.describe(path, f"{holder[0]} (issuer {holder[1]})", "sigstore")


def check_extra() -> None:
    """Raises ConfigurationError where the extra `keyless` is not installed."""
    try:
        import sigstore.sign  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"Keyless signatures need sigstore: `{name_install(extra='keyless')}`."
        ) from error


def _open_config(path: Path | None, *, offline: bool = False) -> ClientTrustConfig:
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415 - an extra

    # what it says beside its errors is meant for its own command
    logging.getLogger("sigstore").addHandler(logging.NullHandler())
    if path is None:
        return ClientTrustConfig.production(offline=offline)
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_CONFIG + 1)
        if len(body) > _MOST_CONFIG:
            raise ConfigurationError(f"{path} has more than {_MOST_CONFIG:,} bytes.")
        return ClientTrustConfig.from_json(body.decode())
    except OSError as error:
        raise ConfigurationError(
            f"--trust-config {path} cannot be read: {error.strerror}."
        ) from error
    except ValueError as error:
        lines = str(error).splitlines()
        raise ConfigurationError(
            f"--trust-config {path} is no trust configuration of sigstore "
            f"({lines[0] if lines else type(error).__name__}). It is the JSON of a "
            "ClientTrustConfig, which whoever runs your instance hands out."
        ) from error


def _find_token() -> IdentityToken | None:
    """From the environment or the CI system; None where somebody at a terminal can be asked."""
    from sigstore.oidc import IdentityToken, detect_credential  # noqa: PLC0415 - an extra

    if raw := os.environ.get(TOKEN_VARIABLE) or detect_credential():
        return IdentityToken(raw)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(_NO_TOKEN)
    return None


def _ask_login(config: ClientTrustConfig) -> IdentityToken:
    from sigstore.oidc import Issuer  # noqa: PLC0415 - an extra

    return Issuer(config.signing_config.get_oidc_url()).identity_token()


def _parse_bundle(line: str) -> Bundle:
    from sigstore.models import Bundle  # noqa: PLC0415 - an extra

    return Bundle.from_json(line)


def _guess_holder(envelope: Envelope) -> tuple[str, str] | None:
    """By whom an earlier bundle says that it is; None where it cannot be read."""
    try:
        return _read_holder(_parse_bundle(envelope.line).signing_certificate)
    except Exception:  # noqa: BLE001 - whatever a stranger wrote is kept as it is
        return None


def _read_holder(certificate: Certificate) -> tuple[str, str]:
    """(identity, issuer) that a certificate of Fulcio names. Raises as cryptography does."""
    from cryptography import x509  # noqa: PLC0415 - an extra
    from pyasn1.codec.der.decoder import decode  # noqa: PLC0415 - comes with the extra

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    shown = [
        *names.get_values_for_type(x509.RFC822Name),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *(str(decode(each.value)[0]) for each in names.get_values_for_type(x509.OtherName)),
    ]
    told = {
        each.oid.dotted_string: each.value.value
        for each in certificate.extensions
        if isinstance(each.value, x509.UnrecognizedExtension)
    }
    newer = told.get(_ISSUER)
    return shown[0], str(decode(newer)[0]) if newer else told[_OLD_ISSUER].decode()


@contextmanager
def _explain_sigstore() -> Iterator[None]:
    """Our own errors for whatever sigstore raises inside the block."""
    from requests import RequestException  # noqa: PLC0415 - comes with the extra
    from sigstore import errors, oidc  # noqa: PLC0415 - an extra

    try:
        yield
    except (oidc.IdentityError, oidc.ExpiredIdentity) as error:
        raise ConfigurationError(
            f"The identity token cannot be used: {_describe(error)}. It must be a current OpenID "
            f"Connect token for the audience `sigstore`: get a new one, and set {TOKEN_VARIABLE}."
        ) from error
    except errors.VerificationError as error:
        raise AttestationError(
            f"What sigstore answered does not hold ({_describe(error)}). Nothing was written. "
            "Check that --trust-config is the one of the instance that you use."
        ) from error
    except (RequestException, errors.NetworkError, errors.TUFError) as error:
        raise CloudError(
            f"Sigstore cannot be reached ({_describe(error)}). Nothing was written. Keyless "
            "signatures need its servers: check the network and the proxy (HTTPS_PROXY), sign with "
            "--key instead, or name an instance of your own with --trust-config. To verify, "
            "--offline takes the roots of trust that are on this machine."
        ) from error
    except Exception as error:
        # the clients of the authority and of the log have exceptions of their own, without a base
        if type(error).__module__.partition(".")[0] != "sigstore":
            raise
        raise CloudError(
            f"Sigstore did not do what it was asked: {_describe(error)}. Nothing was written. "
            "Check that the token is for this instance, and try again."
        ) from error


def _describe(error: BaseException) -> str:
    """The sentence of an error, or of what lies behind it where it has none."""
    told = str(error).strip().rstrip(".")
    behind = error.__cause__ or error.__context__
    if behind is not None and not isinstance(error, OSError):
        more = str(behind).strip().rstrip(".") or type(behind).__name__
        told = f"{told}: {more}" if told else more
    return " ".join(told.split())[:400] or type(error).__name__
