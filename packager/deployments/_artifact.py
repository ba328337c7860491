"""The artifact to deploy: one that lies there already, or one that is built for it."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packager.commands.artifact import is_artifact
from packager.commands.artifact.attestations.keyless import open_identity
from packager.commands.artifact.attestations.policy import Policy, check_attestations
from packager.commands.artifact.description import read_json
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.cloud.signing.signers import make_policy
from packager.deployments._errors import DeploymentError, wrong_setting
from packager.deployments._parameters import TARGET
from packager.deployments._rules import check_before_build
from packager.deployments._settings import Settings
from packager.errors import AttestationError, IntegrityError, ModelFormatError
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build_or_reuse
from packager.system import atomic_output
from packager.types import Architecture

_LOG = logging.getLogger(__name__)
_CODE: Final = re.compile(r"^( *CodeUri: *)function\.zip *$", re.MULTILINE)
_CHECK: Final = re.compile(r"^( *CodeUri: *)rollout/ *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Built:
    """An artifact's folder, and what its report says."""

    folder: Path
    report: Mapping[str, Any]

    @property
    def archive(self) -> Path:
        return self.folder / "function.zip"

    @property
    def sha256(self) -> str:
        return str(self.report["sha256"])

    @property
    def flavor(self) -> str:
        return str(self.report["plan"]["flavor"])

    @property
    def architecture(self) -> Architecture:
        found: Architecture = self.report["architecture"]
        return found

    @property
    def model_uri(self) -> str:
        return str(self.report["model"]["uri"])

    @property
    def rollout_check(self) -> Path | None:
        """The folder of the function that checks a new version; None without a rollout."""
        folder = self.folder / "rollout"
        return folder if folder.is_dir() else None

    def template(self, code: str, check: str = "") -> str:
        """The emitted SAM template with its code at `code`, as `sam package` writes it.

        `check` is where the code of a rollout's check is.
        """
        path = self.folder / "template.yaml"
        try:
            text, count = _CODE.subn(rf"\g<1>{code}", path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelFormatError(f"{path} cannot be read: {error}. Build it again.") from error
        if count != 1:
            raise ModelFormatError(
                f"{path} has {count} lines `CodeUri: function.zip` and must have one. Build it "
                "again."
            )
        return _CHECK.sub(rf"\g<1>{check}", text)


@contextlib.contextmanager
def provide_artifact(
    model_uri: str, flavor: str | None, settings: Settings, *, is_new: bool = False
) -> Iterator[Built]:
    """The artifact of `model_uri`: a folder that a build made, as it is, or a build of the model.

    `is_new` says that no stack has values for the parameters that the settings leave out.

    Raises PackagerError as a build does, AttestationError for an artifact that is not signed as the
    settings demand, DeploymentError for a flavor that was not packaged and for settings of a build
    where there is none.
    """
    policy = _make_policy(settings)
    with contextlib.ExitStack() as stack:
        folder = Path(model_uri)
        if policy is not None and not is_artifact(folder):
            raise wrong_setting(
                f"{settings.demands[0]} asks for an artifact that is signed, and {model_uri} is "
                "yet to be built. Build it (`packager build`), sign it (`packager sign`), and name "
                "its folder as the model (-m dist/churn)."
            )
        if is_artifact(folder):
            if said := settings.said_of_a_build:
                raise wrong_setting(
                    f"{said[0]} takes effect in a build, and {folder} is already built. Leave it "
                    "out, or build again by naming the model (-m models:/...)."
                )
            _LOG.info("Taking the artifact in %s as it is", folder)
        else:
            # before minutes of building
            check_before_build(settings.parameters, settings.build, is_new=is_new)
            out = settings.out or stack.enter_context(atomic_output.scratch()).out
            build_or_reuse(settings.request(model_uri, out), _registry(settings))
            folder = out
        found = _read(folder)
        if policy is not None:
            _check_signatures(folder, policy)
        if flavor not in (None, "python_function", found.flavor):
            raise DeploymentError(
                f"The model is packaged by its {found.flavor} flavor, not by {flavor!r}: "
                "leave the flavor out.",
                "INVALID_PARAMETER_VALUE",
            )
        yield found


def _make_policy(settings: Settings) -> Policy | None:
    name, issuer = settings.require_identity, settings.require_issuer
    if (name is None) != (issuer is None):
        raise wrong_setting(
            "an identity counts only by the word of its issuer: set require_identity and "
            "require_issuer"
        )
    return make_policy(
        (),
        settings.require_signed_by,
        settings.require_equivalence,
        settings.min_rows,
        identity=open_identity(name, issuer) if name and issuer else None,
    )


def _check_signatures(folder: Path, policy: Policy) -> None:
    check = check_attestations(folder, policy)
    if not check["passed"]:
        raise AttestationError.of_problems(str(folder), check["problems"])


def _registry(settings: Settings) -> MlflowRegistry:
    return MlflowRegistry(settings.build.get("tracking_uri"), settings.build.get("registry_uri"))


def _read(folder: Path) -> Built:
    """Raises IntegrityError for an artifact that was changed since it was built."""
    try:
        report = read_json(folder / atomic_output.MARKER)
        found = Built(folder, report)
        target = str(report["target"]["name"])
        _ = found.flavor, found.model_uri, found.architecture
    except ModelFormatError as error:
        raise ModelFormatError(f"{folder} is not an artifact that can be read: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(
            f"{folder} is not an artifact that can be read: {error!r}. Build it again."
        ) from error
    if target != TARGET:
        raise wrong_setting(
            f"{folder} was built for {target}, and -t {TARGET} deploys no other artifacts than its "
            f"own. {folder / 'README.md'} says how this one is deployed."
        )
    verified = verify_artifact(folder)
    if not verified["verified"]:
        raise IntegrityError.of_problems(str(folder), list_problems(verified))
    return found
