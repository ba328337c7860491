"""Types of resources of CloudFormation's, each as the provider hashicorp/aws has it.

Types: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/; arguments:
https://registry.terraform.io/providers/hashicorp/aws/latest/docs. A type or property that a
template has and this table does not stops the build; the tests emit every template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from packager.pipeline.emit.infrastructure.terraform._properties import (
    BARE_ARN,
    Apart,
    JsonText,
    LogGroupArn,
    Members,
    Nested,
    Pairs,
    Plain,
    Property,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A type of resource, as Terraform's provider has it."""

    resource: str
    """`aws_sqs_queue`; empty for what is an argument of another resource."""
    properties: Mapping[str, Property]
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What `Ref` and `Fn::GetAtt` give, as an expression in which `{}` is the resource."""
    name: str = ""
    """The argument that names it, which CloudFormation makes up where a template has none."""


_TAGS: Final = Pairs("tags")
_CORS: Final = {
    "AllowOrigins": Plain("allow_origins"),
    "AllowMethods": Plain("allow_methods"),
    "AllowHeaders": Plain("allow_headers"),
    "MaxAge": Plain("max_age"),
}
_ACCESS_LOG: Final = Nested(
    "access_log_settings",
    {"DestinationArn": LogGroupArn("destination_arn"), "Format": Plain("format")},
)
_THROTTLING: Final = {
    "ThrottlingRateLimit": Plain("throttling_rate_limit"),
    "ThrottlingBurstLimit": Plain("throttling_burst_limit"),
}
_NETWORK: Final = Nested(
    "vpc_config",
    {"SubnetIds": Plain("subnet_ids"), "SecurityGroupIds": Plain("security_group_ids")},
)
_DEAD_LETTERS: Final = Nested("dead_letter_config", {"Arn": Plain("arn")})

_API_GATEWAY: Final = {
    "AWS::ApiGateway::ApiKey": Kind(
        resource="aws_api_gateway_api_key",
        name="name",
        attributes={"Ref": "{}.id"},
        properties={"Enabled": Plain("enabled"), "Tags": _TAGS},
    ),
    "AWS::ApiGateway::Deployment": Kind(
        resource="aws_api_gateway_deployment",
        attributes={"Ref": "{}.id"},
        properties={"RestApiId": Plain("rest_api_id")},
    ),
    "AWS::ApiGateway::RestApi": Kind(
        resource="aws_api_gateway_rest_api",
        attributes={"Ref": "{}.id"},
        properties={
            "Name": Plain("name"),
            "Body": JsonText("body"),
            "Parameters": Plain("parameters"),
            "EndpointConfiguration": Nested("endpoint_configuration", {"Types": Plain("types")}),
        },
    ),
    "AWS::ApiGateway::Stage": Kind(
        resource="aws_api_gateway_stage",
        attributes={"Ref": "{}.stage_name"},
        properties={
            "DeploymentId": Plain("deployment_id"),
            "RestApiId": Plain("rest_api_id"),
            "StageName": Plain("stage_name"),
            "AccessLogSetting": _ACCESS_LOG,
            "MethodSettings": Apart(),
            "Variables": Plain("variables"),
            "Tags": _TAGS,
        },
    ),
    "AWS::ApiGateway::UsagePlan": Kind(
        resource="aws_api_gateway_usage_plan",
        name="name",
        attributes={"Ref": "{}.id"},
        properties={
            "ApiStages": Nested("api_stages", {"ApiId": Plain("api_id"), "Stage": Plain("stage")}),
            "Throttle": Nested(
                "throttle_settings",
                {"RateLimit": Plain("rate_limit"), "BurstLimit": Plain("burst_limit")},
            ),
            "Quota": Nested("quota_settings", {"Limit": Plain("limit"), "Period": Plain("period")}),
            "Tags": _TAGS,
        },
    ),
    "AWS::ApiGateway::UsagePlanKey": Kind(
        resource="aws_api_gateway_usage_plan_key",
        properties={
            "KeyId": Plain("key_id"),
            "KeyType": Plain("key_type"),
            "UsagePlanId": Plain("usage_plan_id"),
        },
    ),
    "AWS::ApiGatewayV2::Api": Kind(
        resource="aws_apigatewayv2_api",
        attributes={"Ref": "{}.id"},
        properties={
            "Name": Plain("name"),
            "ProtocolType": Plain("protocol_type"),
            "CorsConfiguration": Nested("cors_configuration", _CORS),
            "Tags": _TAGS,
        },
    ),
    "AWS::ApiGatewayV2::ApiMapping": Kind(
        resource="aws_apigatewayv2_api_mapping",
        properties={
            "ApiId": Plain("api_id"),
            "DomainName": Plain("domain_name"),
            "Stage": Plain("stage"),
            "ApiMappingKey": Plain("api_mapping_key"),
        },
    ),
    "AWS::ApiGatewayV2::Authorizer": Kind(
        resource="aws_apigatewayv2_authorizer",
        attributes={"Ref": "{}.id"},
        properties={
            "ApiId": Plain("api_id"),
            "Name": Plain("name"),
            "AuthorizerType": Plain("authorizer_type"),
            "IdentitySource": Plain("identity_sources"),
            "JwtConfiguration": Nested(
                "jwt_configuration", {"Issuer": Plain("issuer"), "Audience": Plain("audience")}
            ),
        },
    ),
    "AWS::ApiGatewayV2::DomainName": Kind(
        resource="aws_apigatewayv2_domain_name",
        attributes={
            "Ref": "{}.domain_name",
            "RegionalDomainName": "{}.domain_name_configuration[0].target_domain_name",
        },
        properties={
            "DomainName": Plain("domain_name"),
            "DomainNameConfigurations": Nested(
                "domain_name_configuration",
                {
                    "CertificateArn": Plain("certificate_arn"),
                    "EndpointType": Plain("endpoint_type"),
                    "SecurityPolicy": Plain("security_policy"),
                },
            ),
            "Tags": _TAGS,
        },
    ),
    "AWS::ApiGatewayV2::Integration": Kind(
        resource="aws_apigatewayv2_integration",
        attributes={"Ref": "{}.id"},
        properties={
            "ApiId": Plain("api_id"),
            "IntegrationType": Plain("integration_type"),
            "IntegrationUri": Plain("integration_uri"),
            "PayloadFormatVersion": Plain("payload_format_version"),
        },
    ),
    "AWS::ApiGatewayV2::Route": Kind(
        resource="aws_apigatewayv2_route",
        properties={
            "ApiId": Plain("api_id"),
            "RouteKey": Plain("route_key"),
            "AuthorizationType": Plain("authorization_type"),
            "AuthorizerId": Plain("authorizer_id"),
            "AuthorizationScopes": Plain("authorization_scopes"),
            "Target": Plain("target"),
        },
    ),
    "AWS::ApiGatewayV2::Stage": Kind(
        resource="aws_apigatewayv2_stage",
        attributes={"Ref": "{}.name"},
        properties={
            "ApiId": Plain("api_id"),
            "StageName": Plain("name"),
            "AutoDeploy": Plain("auto_deploy"),
            "DefaultRouteSettings": Nested("default_route_settings", _THROTTLING),
            "AccessLogSettings": _ACCESS_LOG,
            "Tags": _TAGS,
        },
    ),
}

_WATCHING: Final = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Kind(
        resource="aws_appautoscaling_target",
        properties={
            "ServiceNamespace": Plain("service_namespace"),
            "ScalableDimension": Plain("scalable_dimension"),
            "ResourceId": Plain("resource_id"),
            "MinCapacity": Plain("min_capacity"),
            "MaxCapacity": Plain("max_capacity"),
            "ScheduledActions": Apart(),
        },
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Kind(
        resource="aws_appautoscaling_policy",
        properties={
            "PolicyName": Plain("name"),
            "PolicyType": Plain("policy_type"),
            "ScalingTargetId": Apart(),
            "TargetTrackingScalingPolicyConfiguration": Nested(
                "target_tracking_scaling_policy_configuration",
                {
                    "TargetValue": Plain("target_value"),
                    "PredefinedMetricSpecification": Nested(
                        "predefined_metric_specification",
                        {"PredefinedMetricType": Plain("predefined_metric_type")},
                    ),
                },
            ),
        },
    ),
    "AWS::CloudWatch::Alarm": Kind(
        resource="aws_cloudwatch_metric_alarm",
        name="alarm_name",
        attributes={"Ref": "{}.alarm_name"},
        properties={
            "AlarmDescription": Plain("alarm_description"),
            "Namespace": Plain("namespace"),
            "MetricName": Plain("metric_name"),
            "Dimensions": Pairs("dimensions", "Name"),
            "Statistic": Plain("statistic"),
            "ExtendedStatistic": Plain("extended_statistic"),
            "Period": Plain("period"),
            "EvaluationPeriods": Plain("evaluation_periods"),
            "DatapointsToAlarm": Plain("datapoints_to_alarm"),
            "Threshold": Plain("threshold"),
            "ComparisonOperator": Plain("comparison_operator"),
            "TreatMissingData": Plain("treat_missing_data"),
            "AlarmActions": Plain("alarm_actions"),
        },
    ),
    "AWS::CloudWatch::Dashboard": Kind(
        resource="aws_cloudwatch_dashboard",
        properties={
            "DashboardName": Plain("dashboard_name"),
            "DashboardBody": JsonText("dashboard_body"),
        },
    ),
    "AWS::Logs::LogGroup": Kind(
        resource="aws_cloudwatch_log_group",
        attributes={"Ref": "{}.name", "Arn": '"${{{}.arn}}:*"', BARE_ARN: "{}.arn"},
        properties={
            "LogGroupName": Plain("name"),
            "RetentionInDays": Plain("retention_in_days"),
            "KmsKeyId": Plain("kms_key_id"),
            "Tags": _TAGS,
        },
    ),
}

_LAMBDA: Final = {
    "AWS::Lambda::CapacityProvider": Kind(
        resource="aws_lambda_capacity_provider",
        name="name",
        attributes={"Ref": "{}.name", "Arn": "{}.arn"},
        properties={
            "VpcConfig": _NETWORK,
            "PermissionsConfig": Nested(
                "permissions_config",
                {"CapacityProviderOperatorRoleArn": Plain("capacity_provider_operator_role_arn")},
            ),
            "InstanceRequirements": Nested(
                "instance_requirements",
                {
                    "Architectures": Plain("architectures"),
                    "AllowedInstanceTypes": Plain("allowed_instance_types"),
                },
            ),
            "CapacityProviderScalingConfig": Nested(
                "capacity_provider_scaling_config",
                {"MaxVCpuCount": Plain("max_vcpu_count"), "ScalingMode": Plain("scaling_mode")},
            ),
            "KmsKeyArn": Plain("kms_key_arn"),
            "Tags": _TAGS,
        },
    ),
    "AWS::Lambda::Alias": Kind(
        resource="aws_lambda_alias",
        attributes={"Ref": "{}.arn"},
        properties={
            "Name": Plain("name"),
            "FunctionName": Plain("function_name"),
            "FunctionVersion": Plain("function_version"),
            "ProvisionedConcurrencyConfig": Apart(),
        },
    ),
    "AWS::Lambda::EventInvokeConfig": Kind(
        resource="aws_lambda_function_event_invoke_config",
        properties={
            "FunctionName": Plain("function_name"),
            "Qualifier": Plain("qualifier"),
            "MaximumRetryAttempts": Plain("maximum_retry_attempts"),
            "DestinationConfig": Nested(
                "destination_config",
                {"OnFailure": Nested("on_failure", {"Destination": Plain("destination")})},
            ),
        },
    ),
    "AWS::Lambda::EventSourceMapping": Kind(
        resource="aws_lambda_event_source_mapping",
        properties={
            "FunctionName": Plain("function_name"),
            "EventSourceArn": Plain("event_source_arn"),
            "BatchSize": Plain("batch_size"),
            "MaximumBatchingWindowInSeconds": Plain("maximum_batching_window_in_seconds"),
            "FunctionResponseTypes": Plain("function_response_types"),
            "StartingPosition": Plain("starting_position"),
            "BisectBatchOnFunctionError": Plain("bisect_batch_on_function_error"),
            "MaximumRetryAttempts": Plain("maximum_retry_attempts"),
            "Topics": Plain("topics"),
            "DestinationConfig": Nested(
                "destination_config",
                {"OnFailure": Nested("on_failure", {"Destination": Plain("destination_arn")})},
            ),
            "AmazonManagedKafkaEventSourceConfig": Nested(
                "amazon_managed_kafka_event_source_config",
                {"ConsumerGroupId": Plain("consumer_group_id")},
            ),
        },
    ),
    "AWS::Lambda::Function": Kind(
        resource="aws_lambda_function",
        name="function_name",
        attributes={"Ref": "{}.function_name", "Arn": "{}.arn"},
        properties={
            "Code": Apart(),
            "Description": Plain("description"),
            "PackageType": Plain("package_type"),
            "ImageConfig": Nested("image_config", {"Command": Plain("command")}),
            "Handler": Plain("handler"),
            "Runtime": Plain("runtime"),
            "Architectures": Plain("architectures"),
            "MemorySize": Plain("memory_size"),
            "Timeout": Plain("timeout"),
            "Role": Plain("role"),
            "KmsKeyArn": Plain("kms_key_arn"),
            "CodeSigningConfigArn": Plain("code_signing_config_arn"),
            "ReservedConcurrentExecutions": Plain("reserved_concurrent_executions"),
            "VpcConfig": _NETWORK,
            "CapacityProviderConfig": Nested(
                "capacity_provider_config",
                {
                    "LambdaManagedInstancesCapacityProviderConfig": Nested(
                        "lambda_managed_instances_capacity_provider_config",
                        {
                            "CapacityProviderArn": Plain("capacity_provider_arn"),
                            "PerExecutionEnvironmentMaxConcurrency": Plain(
                                "per_execution_environment_max_concurrency"
                            ),
                            "ExecutionEnvironmentMemoryGiBPerVCpu": Plain(
                                "execution_environment_memory_gib_per_vcpu"
                            ),
                        },
                    )
                },
            ),
            "FunctionScalingConfig": Apart(),
            "FileSystemConfigs": Nested(
                "file_system_config",
                {"Arn": Plain("arn"), "LocalMountPath": Plain("local_mount_path")},
            ),
            "EphemeralStorage": Nested("ephemeral_storage", {"Size": Plain("size")}),
            "Environment": Nested("environment", {"Variables": Plain("variables")}),
            "TracingConfig": Nested("tracing_config", {"Mode": Plain("mode")}),
            "SnapStart": Nested("snap_start", {"ApplyOn": Plain("apply_on")}),
            "LoggingConfig": Nested(
                "logging_config",
                {
                    "LogFormat": Plain("log_format"),
                    "LogGroup": Plain("log_group"),
                    "ApplicationLogLevel": Plain("application_log_level"),
                    "SystemLogLevel": Plain("system_log_level"),
                },
            ),
            "Tags": _TAGS,
        },
    ),
    "AWS::Lambda::Permission": Kind(
        resource="aws_lambda_permission",
        properties={
            "Action": Plain("action"),
            "FunctionName": Apart(),
            "Principal": Plain("principal"),
            "SourceArn": Plain("source_arn"),
            "SourceAccount": Plain("source_account"),
            "FunctionUrlAuthType": Plain("function_url_auth_type"),
            "InvokedViaFunctionUrl": Plain("invoked_via_function_url"),
        },
    ),
    "AWS::Lambda::Url": Kind(
        resource="aws_lambda_function_url",
        attributes={"FunctionUrl": "{}.function_url"},
        properties={
            "TargetFunctionArn": Apart(),
            "AuthType": Plain("authorization_type"),
            "InvokeMode": Plain("invoke_mode"),
            "Cors": Nested("cors", _CORS),
        },
    ),
    # a function publishes its versions itself: `publish`
    "AWS::Lambda::Version": Kind(
        resource="",
        properties={
            "Description": Apart(),
            "FunctionName": Apart(),
            "FunctionScalingConfig": Apart(),
        },
    ),
    "AWS::CodeDeploy::Application": Kind(
        resource="aws_codedeploy_app",
        name="name",
        attributes={"Ref": "{}.name"},
        properties={"ComputePlatform": Plain("compute_platform")},
    ),
    "AWS::CodeDeploy::DeploymentGroup": Kind(
        resource="aws_codedeploy_deployment_group",
        name="deployment_group_name",
        attributes={"Ref": "{}.deployment_group_name"},
        properties={
            "ApplicationName": Plain("app_name"),
            "ServiceRoleArn": Plain("service_role_arn"),
            "DeploymentConfigName": Plain("deployment_config_name"),
            "DeploymentStyle": Nested(
                "deployment_style",
                {
                    "DeploymentType": Plain("deployment_type"),
                    "DeploymentOption": Plain("deployment_option"),
                },
            ),
            "AutoRollbackConfiguration": Nested(
                "auto_rollback_configuration",
                {"Enabled": Plain("enabled"), "Events": Plain("events")},
            ),
            "AlarmConfiguration": Nested(
                "alarm_configuration",
                {"Enabled": Plain("enabled"), "Alarms": Members("alarms", "Name")},
            ),
        },
    ),
}

_EVENTS: Final = {
    "AWS::DynamoDB::Table": Kind(
        resource="aws_dynamodb_table",
        name="name",
        attributes={"Ref": "{}.name", "Arn": "{}.arn"},
        properties={
            "BillingMode": Plain("billing_mode"),
            "KeySchema": Apart(),
            "AttributeDefinitions": Nested(
                "attribute", {"AttributeName": Plain("name"), "AttributeType": Plain("type")}
            ),
            "TimeToLiveSpecification": Nested(
                "ttl", {"AttributeName": Plain("attribute_name"), "Enabled": Plain("enabled")}
            ),
            # a key is what makes it KMS
            "SSESpecification": Nested(
                "server_side_encryption",
                {
                    "SSEEnabled": Plain("enabled"),
                    "SSEType": Apart(),
                    "KMSMasterKeyId": Plain("kms_key_arn"),
                },
            ),
            "Tags": _TAGS,
        },
    ),
    "AWS::Events::Rule": Kind(
        resource="aws_cloudwatch_event_rule",
        name="name",
        attributes={"Arn": "{}.arn"},
        properties={
            "EventBusName": Plain("event_bus_name"),
            "EventPattern": JsonText("event_pattern"),
            "Targets": Apart(),
        },
    ),
    "AWS::IAM::Role": Kind(
        resource="aws_iam_role",
        name="name",
        attributes={"Ref": "{}.name", "Arn": "{}.arn"},
        properties={
            "RoleName": Apart(),
            "Path": Plain("path"),
            "PermissionsBoundary": Plain("permissions_boundary"),
            "AssumeRolePolicyDocument": JsonText("assume_role_policy"),
            "Policies": Apart(),
            "ManagedPolicyArns": Apart(),
            "Tags": _TAGS,
        },
    ),
    "AWS::SNS::Subscription": Kind(
        resource="aws_sns_topic_subscription",
        properties={
            "TopicArn": Plain("topic_arn"),
            "Protocol": Plain("protocol"),
            "Endpoint": Plain("endpoint"),
            "RedrivePolicy": JsonText("redrive_policy"),
        },
    ),
    "AWS::SQS::Queue": Kind(
        resource="aws_sqs_queue",
        name="name",
        attributes={"Ref": "{}.url", "Arn": "{}.arn", "QueueName": "{}.name"},
        properties={
            "MessageRetentionPeriod": Plain("message_retention_seconds"),
            "VisibilityTimeout": Plain("visibility_timeout_seconds"),
            "SqsManagedSseEnabled": Plain("sqs_managed_sse_enabled"),
            "KmsMasterKeyId": Plain("kms_master_key_id"),
            "RedrivePolicy": JsonText("redrive_policy"),
            "Tags": _TAGS,
        },
    ),
    "AWS::SQS::QueuePolicy": Kind(
        resource="aws_sqs_queue_policy",
        properties={"Queues": Apart(), "PolicyDocument": JsonText("policy")},
    ),
    "AWS::Scheduler::Schedule": Kind(
        resource="aws_scheduler_schedule",
        name="name",
        properties={
            "ScheduleExpression": Plain("schedule_expression"),
            "State": Plain("state"),
            "FlexibleTimeWindow": Nested("flexible_time_window", {"Mode": Plain("mode")}),
            "Target": Nested(
                "target",
                {
                    "Arn": Plain("arn"),
                    "RoleArn": Plain("role_arn"),
                    "Input": Plain("input"),
                    "DeadLetterConfig": _DEAD_LETTERS,
                },
            ),
        },
    ),
    "AWS::StepFunctions::StateMachine": Kind(
        resource="aws_sfn_state_machine",
        name="name",
        attributes={"Ref": "{}.arn"},
        properties={
            "StateMachineName": Plain("name"),
            "StateMachineType": Plain("type"),
            "RoleArn": Plain("role_arn"),
            "DefinitionString": JsonText("definition"),
            "TracingConfiguration": Nested("tracing_configuration", {"Enabled": Plain("enabled")}),
            "Tags": _TAGS,
        },
    ),
}

KINDS: Final[Mapping[str, Kind]] = {**_API_GATEWAY, **_WATCHING, **_LAMBDA, **_EVENTS}
