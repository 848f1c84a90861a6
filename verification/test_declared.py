"""Every size, threshold and setting is still the one that was deployed, whoever could change it.

The other files say what a platform has to be; this one finds what was turned by hand since. It
reads the values from the deployed templates, worked out for the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from verification.cloud import CloudError, Record
from verification.declared import declared
from verification.platform import MissingError, Platform

Reader = Callable[[Platform, str], Record]


@dataclass(frozen=True)
class Kept:
    """A resource type, how one is read, and its properties with the fields that hold them.

    A dot leads into a property or field; a field that is called like its property is left out.
    """

    type: str
    read: Reader
    fields: dict[str, str]

    def __str__(self) -> str:
        """Return the type, for the name of the check."""
        return self.type.removeprefix("AWS::")


def _same(*names: str, **others: str) -> dict[str, str]:
    return {**{name: name for name in names}, **others}


def _described(service: str, operation: str, key: str, argument: str) -> Reader:
    """Return a reader that asks for one thing by name and takes it out of the list."""

    def read(platform: Platform, physical_id: str) -> Record:
        many = argument.endswith("s")
        arguments = {argument: [physical_id] if many else physical_id}
        found = platform.cloud.every(service, operation, key, **arguments)
        if not found:
            raise MissingError(f"{physical_id} does not exist.")
        return found[0]

    return read


def _function(platform: Platform, physical_id: str) -> Record:
    return platform.cloud.get("lambda", "get_function_configuration", FunctionName=physical_id)


def _task(platform: Platform, physical_id: str) -> Record:
    found: Record = platform.cloud.get(
        "ecs", "describe_task_definition", taskDefinition=physical_id
    )["taskDefinition"]
    return found


def _flow_log(platform: Platform, physical_id: str) -> Record:
    filters = [{"Name": "resource-id", "Values": [platform.output("VpcId")]}]
    for item in platform.cloud.every("ec2", "describe_flow_logs", "FlowLogs", Filters=filters):
        if item["FlowLogId"] == physical_id:
            return item
    raise MissingError(f"Flow log {physical_id} does not exist.")


def _scaling_policy(platform: Platform, physical_id: str) -> Record:
    for item in platform.cloud.every(
        "application-autoscaling",
        "describe_scaling_policies",
        "ScalingPolicies",
        ServiceNamespace="ecs",
    ):
        # A policy that is put again by its name may come back by another ARN.
        if item["PolicyName"] == physical_id.rpartition("policyName/")[2]:
            return item
    raise MissingError(f"Scaling policy {physical_id} does not exist.")


_TRACKING = "TargetTrackingScalingPolicyConfiguration"
KEPT = (
    Kept(
        "AWS::RDS::DBCluster",
        _described("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
        _same(
            "BackupRetentionPeriod",
            "CopyTagsToSnapshot",
            "DatabaseInsightsMode",
            "DatabaseName",
            "DeletionProtection",
            "EngineLifecycleSupport",
            "EngineVersion",
            "MasterUsername",
            "MonitoringInterval",
            "PerformanceInsightsRetentionPeriod",
            "Port",
            "PreferredBackupWindow",
            "PreferredMaintenanceWindow",
            "StorageEncrypted",
            EnableIAMDatabaseAuthentication="IAMDatabaseAuthenticationEnabled",
        ),
    ),
    Kept(
        "AWS::RDS::DBInstance",
        _described("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
        _same(
            "AutoMinorVersionUpgrade",
            "CACertificateIdentifier",
            "DBInstanceClass",
            "PreferredMaintenanceWindow",
            "PromotionTier",
            "PubliclyAccessible",
        ),
    ),
    Kept(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        _described("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArns"),
        _same(
            "HealthCheckIntervalSeconds",
            "HealthCheckPath",
            "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount",
            "Port",
            "Protocol",
            "UnhealthyThresholdCount",
        ),
    ),
    Kept(
        "AWS::CloudWatch::Alarm",
        _described("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmNames"),
        _same(
            "ComparisonOperator",
            "DatapointsToAlarm",
            "EvaluationPeriods",
            "MetricName",
            "Namespace",
            "Period",
            "Threshold",
            "TreatMissingData",
        ),
    ),
    Kept("AWS::EC2::FlowLog", _flow_log, _same("MaxAggregationInterval", "TrafficType")),
    Kept("AWS::ECS::TaskDefinition", _task, _same(Cpu="cpu", Memory="memory")),
    Kept(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        _scaling_policy,
        _same(
            f"{_TRACKING}.ScaleInCooldown",
            f"{_TRACKING}.ScaleOutCooldown",
            f"{_TRACKING}.TargetValue",
        ),
    ),
    Kept("AWS::Lambda::Function", _function, _same("Handler", "MemorySize", "Runtime", "Timeout")),
)


def _at(record: Record, path: str) -> Any:
    """Return the value at a dotted path, None where it ends early."""
    for name in path.split("."):
        record = record.get(name, {}) if isinstance(record, dict) else {}
    return None if record == {} else record


def _plain(value: Any) -> Any:
    """Return a value so that CloudFormation's text and a service's number or truth are equal."""
    text = str(value).lower()
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize("kept", KEPT, ids=str)
def test_values_are_those_that_were_deployed(platform: Platform, kept: Kept) -> None:
    resources = platform.resources(kept.type)
    assert resources, f"The stack tree has no {kept.type}."
    wrong = []
    for resource in resources:
        wanted = declared(platform, resource)
        try:
            actual = kept.read(platform, resource.physical_id)
        except (CloudError, MissingError) as error:
            wrong.append(f"{resource}: {str(error).rstrip('.')}")
            continue
        wrong += [
            f"{resource.logical_id} has {name} {_at(actual, field)} instead of {value}"
            for name, field in kept.fields.items()
            if (value := _at(wanted, name)) is not None
            and _plain(_at(actual, field)) != _plain(value)
        ]
    assert not wrong, f"Changed since the deployment: {'; '.join(wrong)}."
