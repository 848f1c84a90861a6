"""Parameter Store: what the platform tells other teams is what it is, and no secret."""

from __future__ import annotations

import re

import pytest

from verification.cloud import Record
from verification.platform import MissingError, Platform
from verification.settings import Settings

# Path below the environment's, and the output of the root stack that it publishes. It repeats on
# purpose what the template says: other teams rely on these paths.
PUBLISHED = {
    "network/vpc-id": "VpcId",
    "network/vpc-cidr": "VpcCidr",
    "network/public-subnet-ids": "PublicSubnetIds",
    "network/private-subnet-ids": "PrivateSubnetIds",
    "network/database-subnet-ids": "DatabaseSubnetIds",
    "network/nat-gateway-ids": "NatGatewayIds",
    "security/load-balancer-security-group-id": "LoadBalancerSecurityGroupId",
    "security/service-security-group-id": "ServiceSecurityGroupId",
    "security/database-security-group-id": "DatabaseSecurityGroupId",
    "security/data-key-arn": "DataKeyArn",
    "security/logs-key-arn": "LogsKeyArn",
    "security/alarm-topic-arn": "AlarmTopicArn",
    "database/cluster-endpoint": "DatabaseClusterEndpoint",
    "database/reader-endpoint": "DatabaseReaderEndpoint",
    "database/port": "DatabasePort",
    "database/name": "DatabaseName",
    "database/cluster-identifier": "DatabaseClusterIdentifier",
    "database/secret-arn": "DatabaseSecretArn",
    "compute/cluster-name": "ClusterName",
    "compute/cluster-arn": "ClusterArn",
    "compute/load-balancer-arn": "LoadBalancerArn",
    "compute/load-balancer-dns-name": "LoadBalancerDnsName",
    "compute/load-balancer-hosted-zone-id": "LoadBalancerHostedZoneId",
    "compute/https-listener-arn": "HttpsListenerArn",
    "compute/target-group-arn": "TargetGroupArn",
    "service/name": "ServiceName",
    "service/log-group-name": "ServiceLogGroupName",
    "service/task-role-arn": "TaskRoleArn",
    "monitoring/dashboard-name": "DashboardName",
    "monitoring/degraded-alarm-arn": "DegradedAlarmArn",
}
SECRET = re.compile(r"secret|password|token", re.IGNORECASE)


def _path(settings: Settings) -> str:
    return f"/{settings.application}/{settings.environment}/"


def _values(platform: Platform, settings: Settings) -> dict[str, Record]:
    """Return what is under the environment's path, by the rest of its name."""
    found = platform.cloud.every(
        "ssm", "get_parameters_by_path", "Parameters", Path=_path(settings), Recursive=True
    )
    return {item["Name"].removeprefix(_path(settings)): item for item in found}


def _descriptions(platform: Platform, settings: Settings) -> list[Record]:
    path = {"Key": "Path", "Option": "Recursive", "Values": [_path(settings)]}
    found = platform.cloud.every(
        "ssm", "describe_parameters", "Parameters", ParameterFilters=[path]
    )
    if not found:
        raise MissingError(f"There is no parameter under {_path(settings)}.")
    return found


@pytest.mark.parametrize("path", PUBLISHED)
def test_parameter_holds_what_the_stack_puts_out(
    platform: Platform, settings: Settings, path: str
) -> None:
    values = _values(platform, settings)
    if path not in values:
        raise MissingError(f"Parameter {_path(settings)}{path} does not exist.")
    value, wanted = values[path]["Value"], platform.output(PUBLISHED[path])
    assert value == wanted, f"{_path(settings)}{path} is {value!r}, the output is {wanted!r}."


def test_no_parameter_is_left_over(platform: Platform, settings: Settings) -> None:
    others = sorted(set(_values(platform, settings)) - set(PUBLISHED))
    assert not others, f"Parameters under {_path(settings)} that nobody planned: {others}."


def test_parameters_are_those_of_the_stack(platform: Platform, settings: Settings) -> None:
    actual = {item["Name"] for item in _values(platform, settings).values()}
    wanted = {item.physical_id for item in platform.resources("AWS::SSM::Parameter")}
    assert wanted, "The stack tree has no parameter."
    assert actual == wanted, (
        f"Not of the stack: {sorted(actual - wanted)}; not there: {sorted(wanted - actual)}."
    )


def test_what_has_several_items_is_a_list(platform: Platform, settings: Settings) -> None:
    wrong = [
        f"{path} is a {item['Type']}"
        for path, item in _values(platform, settings).items()
        if item["Type"] != ("StringList" if path.endswith("-ids") else "String")
    ]
    assert not wrong, f"Parameters of the wrong type: {', '.join(wrong)}."


def test_no_parameter_holds_a_secret(platform: Platform, settings: Settings) -> None:
    values = _values(platform, settings)
    told = sorted(
        path
        for path, item in values.items()
        if item["Type"] == "SecureString"
        or (SECRET.search(path) and not item["Value"].startswith("arn:"))
        or (SECRET.search(item["Value"]) and not item["Value"].startswith("arn:"))
    )
    assert values, f"There is no parameter under {_path(settings)}."
    assert not told, f"Parameters that may hold a secret: {', '.join(told)}."


def test_every_parameter_says_what_it_is_for(platform: Platform, settings: Settings) -> None:
    silent = [p["Name"] for p in _descriptions(platform, settings) if not p.get("Description")]
    assert not silent, f"Parameters without a description: {', '.join(silent)}."


def test_every_parameter_refuses_a_wrong_value(platform: Platform, settings: Settings) -> None:
    open_to_all = [
        item["Name"] for item in _descriptions(platform, settings) if not item.get("AllowedPattern")
    ]
    assert not open_to_all, f"Parameters that take any value: {', '.join(open_to_all)}."


def test_parameters_cost_nothing(platform: Platform, settings: Settings) -> None:
    dear = [p["Name"] for p in _descriptions(platform, settings) if p.get("Tier") != "Standard"]
    assert not dear, f"Parameters that are not of the standard tier: {', '.join(dear)}."
