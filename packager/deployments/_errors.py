"""Every way in which a deployment stops, as MLflow's exception with MLflow's code."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import click
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2

from packager.errors import (
    AttestationError,
    CloudError,
    ConfigurationError,
    IntegrityError,
    ModelFormatError,
    ModelNotFoundError,
    PackagerError,
    PlanError,
    RegistryUnavailableError,
    StorageError,
    SupplyChainError,
    UnprovenError,
    VerificationError,
)

_OURS: Final[tuple[tuple[type[PackagerError], str], ...]] = (
    (ConfigurationError, "INVALID_PARAMETER_VALUE"),
    (ModelNotFoundError, "RESOURCE_DOES_NOT_EXIST"),
    (RegistryUnavailableError, "TEMPORARILY_UNAVAILABLE"),
    (ModelFormatError, "INVALID_PARAMETER_VALUE"),
    (PlanError, "INVALID_PARAMETER_VALUE"),
    (VerificationError, "INVALID_STATE"),
    (IntegrityError, "INVALID_PARAMETER_VALUE"),
    (AttestationError, "PERMISSION_DENIED"),
    (UnprovenError, "INVALID_STATE"),
    (SupplyChainError, "INVALID_STATE"),
    (StorageError, "RESOURCE_EXHAUSTED"),
    (CloudError, "INVALID_STATE"),
)
# exceptions of the SDK that are no answer of a service; looked up among what was imported
_SDK: Final = (("botocore.exceptions", "BotoCoreError"), ("boto3.exceptions", "Boto3Error"))
_NOBODY: Final = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "LoginError",
    "SSOError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
)
_SILENT: Final = (
    "ConnectionError",
    "HTTPClientError",
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "ReadTimeoutError",
)
_WHO: Final = (
    "Say who you are to AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or "
    "-C profile=NAME (`aws configure`, `aws sso login`)."
)
_STRANGER: Final = re.compile(
    r"Expired\w*Token|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|"
    r"SignatureDoesNotMatch|AuthFailure|MissingAuthenticationToken|IncompleteSignature"
)
_DENIED: Final = re.compile(r"AccessDenied|Unauthorized|Forbidden|^403$")
_ABSENT: Final = re.compile(r"NoSuch|NotFound|^404$")
_BUSY: Final = re.compile(r"Throttl|TooManyRequests|SlowDown|LimitExceeded|RequestLimit")
_LARGE: Final = re.compile(r"RequestEntityTooLarge|PayloadTooLarge")


class DeploymentError(MlflowException, click.ClickException):  # type: ignore[misc]
    """Error that MLflow asks a plugin to raise; its command line shows no traceback.

    `error_code` is one of MLflow's names; the `mlflow` command exits with `exit_code`.
    """

    def __init__(self, message: str, error_code: str, *, exit_code: int = 1) -> None:
        MlflowException.__init__(self, message, databricks_pb2.ErrorCode.Value(error_code))
        self.exit_code = exit_code


def known_code(name: str) -> bool:
    return name in databricks_pb2.ErrorCode.keys()  # noqa: SIM118 - a wrapper, which is no dict


def wrong_setting(message: str) -> DeploymentError:
    return DeploymentError(message, "INVALID_PARAMETER_VALUE", exit_code=2)


def make_unsupported_error(message: str) -> DeploymentError:
    return DeploymentError(message, "NOT_IMPLEMENTED")


@contextlib.contextmanager
def explain_errors() -> Iterator[None]:
    """Raise DeploymentError for what a build, boto3 or AWS raises inside the block."""
    try:
        yield
    except PackagerError as error:
        raise _find_own(error) from error
    except _client_error() as error:
        raise _explain_refusal(error) from error
    except _sdk_errors() as error:
        raise _explain_no_answer(error) from error


def _find_own(error: PackagerError) -> DeploymentError:
    code = next((code for kind, code in _OURS if isinstance(error, kind)), "INTERNAL_ERROR")
    text = str(error)
    if re.search(r"(?<!\w)--[a-z]", text):
        text += "\nHere an option --some-name is given as -C some_name=VALUE."
    return DeploymentError(text, code, exit_code=error.exit_code)


def _client_error() -> tuple[type[Exception], ...]:
    kind = getattr(sys.modules.get("botocore.exceptions"), "ClientError", None)
    return () if kind is None else (kind,)


def _sdk_errors() -> tuple[type[Exception], ...]:
    found = (getattr(sys.modules.get(module), name, None) for module, name in _SDK)
    return tuple(kind for kind in found if kind is not None)


def code_of(error: Any) -> str:
    """AWS's own name for a ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Message", "")) or str(error)


def _explain_refusal(error: Any) -> DeploymentError:
    code, message = code_of(error), message_of(error)
    said = f"AWS refused {error.operation_name} ({code}): {message}"
    if _STRANGER.search(code):
        return DeploymentError(f"{said}\n{_WHO}", "UNAUTHENTICATED")
    if _DENIED.search(code):
        return DeploymentError(
            f"{said}\nWhoever deploys needs the right to manage CloudFormation, Lambda, the "
            "function's role, log group, alarms and HTTP front, and to write to the bucket.",
            "PERMISSION_DENIED",
        )
    if _LARGE.search(code):
        return DeploymentError(f"{said}\nSend fewer rows a request.", "INVALID_PARAMETER_VALUE")
    if _BUSY.search(code):
        return DeploymentError(f"{said}\nTry again in a while.", "REQUEST_LIMIT_EXCEEDED")
    if _ABSENT.search(code):
        return DeploymentError(said, "RESOURCE_DOES_NOT_EXIST")
    if code in {"ValidationError", "InvalidParameterValueException"}:
        return DeploymentError(said, "INVALID_PARAMETER_VALUE")
    return DeploymentError(said, "INTERNAL_ERROR")


def _explain_no_answer(error: Exception) -> DeploymentError:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & set(_NOBODY):
        return DeploymentError(f"{_write_sentence(error)}\n{_WHO}", "UNAUTHENTICATED")
    if "NoRegionError" in kinds:
        return DeploymentError(
            "In which region? Say -t aws-lambda:/REGION, -C region=REGION or AWS_REGION.",
            "INVALID_PARAMETER_VALUE",
        )
    if kinds & set(_SILENT):
        return DeploymentError(
            f"AWS did not answer: {_write_sentence(error)}\n"
            "Is the region right, and the network up?",
            "TEMPORARILY_UNAVAILABLE",
        )
    return DeploymentError(f"boto3 gave up: {_write_sentence(error)}", "INTERNAL_ERROR")


def _write_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
