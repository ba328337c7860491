"""The client that MLflow makes: a deployment is a CloudFormation stack that carries its name."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from mlflow.deployments import BaseDeploymentClient, PredictionsResponse

from packager.deployments import _aws, _stacks
from packager.deployments._artifact import Built, provide_artifact
from packager.deployments._aws import Cloud
from packager.deployments._errors import (
    DeploymentError,
    explain_errors,
    make_unsupported_error,
    wrong_setting,
)
from packager.deployments._parameters import (
    check_names,
    check_needed,
    check_values,
    name_revision,
    parameters_of,
    stack_parameters,
)
from packager.deployments._payload import request_body, response
from packager.deployments._rules import check_rules, read_rules
from packager.deployments._settings import Settings, parse
from packager.deployments._stacks import NAME_TAG, Change, Stack
from packager.deployments._terminal import progress
from packager.deployments._traffic import list_shares, move_traffic, refuse_moves
from packager.pipeline.emit import stack_name, tag_value
from packager.system import file_tree
from packager.system.scratch import make_scratch
from packager.system.zip_file import write_zip

_LOG = logging.getLogger(__name__)
_FLAVOR_TAG: Final = "mlflow:flavor"
_MODEL_TAG: Final = "mlflow:model-uri"
_CODE_TAG: Final = "packager:code"
_ALIAS: Final = "live"
_S3: Final = re.compile(r"s3://([^/]+)/(.+)/[^/]+")


class AwsLambdaDeploymentClient(BaseDeploymentClient):  # type: ignore[misc]
    """Deploys to AWS Lambda; every method raises MlflowException where it fails.

    The target is `aws-lambda`, or `aws-lambda:/REGION?profile=NAME`. `config` is explained by
    `mlflow deployments help -t aws-lambda`. Methods block until the stack is as asked for.
    """

    @progress()
    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, object] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Build, prove and upload the model, and make a stack of it.

        Raises RESOURCE_ALREADY_EXISTS where the name is taken.
        """
        settings, cloud = self._begin(name, config, endpoint)
        refuse_moves(settings, model_uri)
        stack = _stacks.find(cloud, stack_name(name))
        if stack is not None and stack.status == "ROLLBACK_COMPLETE" and _is_own(stack, name):
            _stacks.remove(cloud, stack, settings.role)
        elif stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise _make_exists_error(name, stack)
        bucket = _aws.check_bucket(cloud, settings.bucket)
        made = provide_artifact(model_uri, flavor, settings, is_new=True)
        with explain_errors(), made as artifact:
            code = f"s3://{bucket}/{_key(settings.prefix or stack_name(name), artifact)}"
            template = artifact.template(code, _name_check(code, artifact))
            declared = parameters_of(template)
            check_names(settings.parameters, declared)
            check_values(settings.parameters, declared)
            check_needed(settings.parameters, declared)
            check_rules(settings.parameters, declared, read_rules(template))
            _upload(cloud, artifact, code)
            wanted = Change(
                template=_aws.template_source(cloud, template, code),
                parameters=settings.parameters,
                tags={**settings.tags, **_list_tags(name, artifact, code)},
                role=settings.role,
            )
        _stacks.change(cloud, "CREATE", stack_name(name), wanted)
        return self._describe_changed(cloud, name)

    @progress()
    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, object] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, object]:
        """Deploy another model, other settings, or both; what is so already is left alone.

        With `traffic` or `rollback` nothing is deployed: requests move between versions.
        """
        settings, cloud = self._begin(name, config, endpoint)
        refuse_moves(settings, model_uri)
        stack = self._stack(cloud, name)
        if stack.busy:
            raise DeploymentError(
                f"{name} is being changed ({stack.status}). Try again when the change is done.",
                "RESOURCE_CONFLICT",
            )
        if settings.moves:
            moved = move_traffic(cloud, stack, settings)
            return {**_describe_stack(cloud, stack), **moved}
        if model_uri is None:
            wanted = _change_settings(stack, settings, flavor)
        else:
            earlier = _S3.fullmatch(stack.tags.get(_CODE_TAG, ""))
            bucket, prefix = earlier.groups() if earlier else (None, stack.name)
            bucket = _aws.check_bucket(cloud, settings.bucket or bucket)
            with explain_errors(), provide_artifact(model_uri, flavor, settings) as artifact:
                code = f"s3://{bucket}/{_key(settings.prefix or prefix, artifact)}"
                template = artifact.template(code, _name_check(code, artifact))
                declared = parameters_of(template)
                check_names(settings.parameters, declared)
                check_values(settings.parameters, declared)
                kept = _list_kept_parameters(stack, _stacks.defaults(cloud, stack), declared)
                # the same code with another value of what a version keeps
                revision = name_revision(stack.parameters, settings.parameters)
                renewed = {name: value for name, value in revision.items() if name in declared}
                parameters = {**kept, **renewed, **settings.parameters}
                check_needed(parameters, declared)
                check_rules(_read_values(stack, parameters), declared, read_rules(template))
                _upload(cloud, artifact, code)
                wanted = Change(
                    template=_aws.template_source(cloud, template, code),
                    parameters=parameters,
                    tags={**stack.tags, **settings.tags, **_list_tags(name, artifact, code)},
                    role=settings.role,
                )
        if not _stacks.change(cloud, "UPDATE", stack.name, wanted):
            _LOG.info("%s is up to date: nothing was changed", name)
        return self._describe_changed(cloud, name)

    @progress()
    def delete_deployment(
        self, name: str, config: Mapping[str, object] | None = None, endpoint: str | None = None
    ) -> None:
        """Delete the stack; one that is not there is no error. The uploaded zip stays."""
        settings, cloud = self._begin(name, config, endpoint)
        stack = _stacks.find(cloud, stack_name(name))
        if stack is None:
            _LOG.info("There is no deployment %s: nothing was deleted", name)
            return
        if not _is_own(stack, name):
            raise _make_exists_error(name, stack)
        _stacks.remove(cloud, stack, settings.role)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, object]]:
        """Each deployment in the region: its name, flavor, model and state."""
        _no_endpoint(endpoint)
        cloud = _aws.connect(parse(None, self.target_uri).account)
        found = [_summarize_stack(stack) for stack in _stacks.deployments(cloud)]
        return sorted(found, key=lambda one: str(one["name"]))

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, object]:
        """Raises RESOURCE_DOES_NOT_EXIST where there is no deployment of this name."""
        _, cloud = self._begin(name, None, endpoint)
        stack = self._stack(cloud, name)
        return {**_describe_stack(cloud, stack), **list_shares(cloud, stack)}

    def predict(
        self,
        deployment_name: str | None = None,
        inputs: Any = None,
        endpoint: str | None = None,
    ) -> PredictionsResponse:
        """Invoke the function's alias `live` with a DataFrame, an array, a dict, a list or JSON.

        A refusal by the function raises with the code that MLflow's own server answers.
        """
        _no_endpoint(endpoint)
        if deployment_name is None:
            raise DeploymentError(
                "No deployment was named. Give its name with --name.", "INVALID_PARAMETER_VALUE"
            )
        body = request_body(inputs)
        _, cloud = self._begin(deployment_name, None, None)
        stack = self._stack(cloud, deployment_name)
        function = stack.outputs.get("FunctionName")
        if function is None:
            raise DeploymentError(
                f"{deployment_name} cannot be asked: its stack is {stack.status}. Wait until "
                "that ends, or "
                "read the stack's events in CloudFormation.",
                "INVALID_STATE",
            )
        with explain_errors():
            answer = cloud.functions.invoke(FunctionName=function, Qualifier=_ALIAS, Payload=body)
            payload = answer["Payload"].read()
        return response(payload, failed="FunctionError" in answer, name=deployment_name)

    def explain(
        self,
        deployment_name: str | None = None,  # noqa: ARG002 - MLflow's signature
        df: object = None,  # noqa: ARG002
        endpoint: str | None = None,  # noqa: ARG002
    ) -> object:
        """Not supported: raises NOT_IMPLEMENTED."""
        raise make_unsupported_error("aws-lambda deploys a model's predictions; it explains none.")

    def _begin(
        self, name: str, config: Mapping[str, object] | None, endpoint: str | None
    ) -> tuple[Settings, Cloud]:
        _no_endpoint(endpoint)
        if not name or tag_value(name) != name:
            raise DeploymentError(
                f"{name!r} cannot be a deployment's name. Use 1 to 256 ASCII letters, digits, "
                "spaces and the characters _.:/=+-@.",
                "INVALID_PARAMETER_VALUE",
            )
        settings = parse(config, self.target_uri, of_any=True)
        return settings, _aws.connect(settings.account)

    def _describe_changed(self, cloud: Cloud, name: str) -> dict[str, object]:
        with _stacks.say_what_stays(
            f"{name} is deployed as you asked, and could not be described. "
            f"`mlflow deployments get -t {self.target_uri} --name {name}` describes it."
        ):
            return _describe_stack(cloud, self._stack(cloud, name))

    def _stack(self, cloud: Cloud, name: str) -> Stack:
        """The deployment's own stack, and no other of its name."""
        stack = _stacks.find(cloud, stack_name(name))
        if stack is None:
            raise DeploymentError(
                f"There is no deployment {name} in {cloud.region}. "
                f"`mlflow deployments list -t {self.target_uri}` lists the existing ones.",
                "RESOURCE_DOES_NOT_EXIST",
            )
        if not _is_own(stack, name):
            raise _make_exists_error(name, stack)
        return stack


def _is_own(stack: Stack, name: str) -> bool:
    return stack.tags.get(NAME_TAG) == name


def _make_exists_error(name: str, stack: Stack) -> DeploymentError:
    if _is_own(stack, name):
        return DeploymentError(
            f"There is a deployment {name} already (stack {stack.name}, {stack.status}): update "
            "it, or delete it first.",
            "RESOURCE_ALREADY_EXISTS",
        )
    return DeploymentError(
        f"There is a stack {stack.name} that is not the deployment {name}; it is left alone. "
        "Choose another name.",
        "RESOURCE_ALREADY_EXISTS",
    )


def _no_endpoint(endpoint: str | None) -> None:
    if endpoint is not None:
        raise make_unsupported_error(
            "aws-lambda has no endpoints that group deployments: leave it out."
        )


def _key(prefix: str, artifact: Built) -> str:
    """Named by its content: an artifact that was uploaded before is not uploaded again."""
    return f"{prefix.strip('/')}/{artifact.sha256}.zip"


def _name_check(code: str, artifact: Built) -> str:
    """Name the code of a rollout's check, by its content too; empty without a rollout."""
    folder = artifact.rollout_check
    if folder is None:
        return ""
    return f"{code.rpartition('/')[0]}/{file_tree.digest(file_tree.records(folder))}.rollout.zip"


def _upload(cloud: Cloud, artifact: Built, code: str) -> None:
    bucket, _, key = code.removeprefix("s3://").partition("/")
    _aws.upload(cloud, artifact.archive, bucket, key)
    if (folder := artifact.rollout_check) is not None:
        key = _name_check(code, artifact).removeprefix(f"s3://{bucket}/")
        with make_scratch("upload") as scratch:
            _aws.upload(cloud, write_zip(folder, scratch / "rollout.zip"), bucket, key)


def _list_tags(name: str, artifact: Built, code: str) -> dict[str, str]:
    return {
        NAME_TAG: name,
        _FLAVOR_TAG: tag_value(artifact.flavor),
        _MODEL_TAG: tag_value(artifact.model_uri),
        _CODE_TAG: tag_value(code),
    }


def _read_values(stack: Stack, parameters: Mapping[str, str | None]) -> dict[str, str]:
    """Return the values of parameters, of which the stack keeps those that are None."""
    return {
        name: stack.parameters[name] if value is None else value
        for name, value in parameters.items()
    }


def _list_kept_parameters(
    stack: Stack, defaults: Mapping[str, str | None], declared: Mapping[str, object]
) -> dict[str, None]:
    """The parameters that somebody has set: with another model they stay as they are."""
    return {
        name: None
        for name, value in stack.parameters.items()
        if name in declared and value != str(defaults.get(name))
    }


def _change_settings(stack: Stack, settings: Settings, flavor: str | None) -> Change:
    if said := (*settings.said_of_a_build, *(["flavor"] if flavor else [])):
        raise wrong_setting(f"{said[0]} takes effect in a build: name the model too (-m).")
    uploading = {"bucket": settings.bucket, "prefix": settings.prefix}
    idle = [*settings.demands, *(name for name, value in uploading.items() if value)]
    if idle:
        raise wrong_setting(
            f"{idle[0]} takes effect when code is uploaded: name the model too (-m)."
        )
    check_names(settings.parameters, stack.parameters)
    check_values(settings.parameters, stack_parameters(stack.parameters))
    return Change(
        template={"UsePreviousTemplate": True},
        parameters={
            **dict.fromkeys(stack.parameters),
            **name_revision(stack.parameters, settings.parameters),
            **settings.parameters,
        },
        tags={**stack.tags, **settings.tags},
        role=settings.role,
    )


def _summarize_stack(stack: Stack) -> dict[str, object]:
    return {
        "name": stack.tags.get(NAME_TAG, stack.name),
        "flavor": stack.tags.get(_FLAVOR_TAG, ""),
        "model_uri": stack.tags.get(_MODEL_TAG, ""),
        "status": stack.status,
        "changed": stack.changed,
    }


def _describe_stack(cloud: Cloud, stack: Stack) -> dict[str, object]:
    outputs = stack.outputs
    found = {
        **_summarize_stack(stack),
        "status_reason": stack.reason,
        "description": stack.description,
        "region": cloud.region,
        "stack": stack.name,
        "stack_id": stack.id,
        "function": outputs.get("FunctionName", ""),
        "alias_arn": outputs.get("AliasArn", ""),
        "url": outputs.get("Url", ""),
        "log_group": outputs.get("LogGroupName", ""),
        "code": stack.tags.get(_CODE_TAG, ""),
        **{f"parameter {name}": value for name, value in sorted(stack.parameters.items())},
    }
    return {key: value for key, value in found.items() if value != "" or key == "flavor"}
