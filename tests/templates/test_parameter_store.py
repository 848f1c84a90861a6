"""Parameters that the platform publishes: under which path, what they hold and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.templates.loader import Template

FILE = "parameters.yml"
COMMON = {"ApplicationName", "EnvironmentType", "CostCenter", "Owner", "DataClassification"}
HERE = "eu-west-1:123456789012"
LISTS = {"PublicSubnetIds", "PrivateSubnetIds", "DatabaseSubnetIds", "NatGatewayIds"}
BALANCING = f"arn:aws:elasticloadbalancing:{HERE}"


@dataclass(frozen=True)
class Published:
    """One parameter: its path below the environment's, and a value as AWS gives it."""

    path: str
    value: str


PUBLISHED = {
    "VpcId": Published("network/vpc-id", "vpc-0a1b2c3d4e5f60718"),
    "VpcCidr": Published("network/vpc-cidr", "10.20.0.0/16"),
    "PublicSubnetIds": Published("network/public-subnet-ids", "subnet-0a1,subnet-0b2,subnet-0c3"),
    "PrivateSubnetIds": Published("network/private-subnet-ids", "subnet-1a1,subnet-1b2,subnet-1c3"),
    "DatabaseSubnetIds": Published("network/database-subnet-ids", "subnet-2a1,subnet-2b2"),
    "NatGatewayIds": Published("network/nat-gateway-ids", "nat-0a1,nat-0b2,nat-0c3"),
    "LoadBalancerSecurityGroupId": Published(
        "security/load-balancer-security-group-id", "sg-0a1b2c3d4e5f60718"
    ),
    "ServiceSecurityGroupId": Published("security/service-security-group-id", "sg-1a1b2c3d"),
    "DatabaseSecurityGroupId": Published("security/database-security-group-id", "sg-2a1b2c3d"),
    "DataKeyArn": Published(
        "security/data-key-arn", f"arn:aws:kms:{HERE}:key/01234567-89ab-cdef-0123-456789abcdef"
    ),
    "LogsKeyArn": Published(
        "security/logs-key-arn",
        "arn:aws-cn:kms:cn-north-1:123456789012:key/11234567-89ab-cdef-0123-456789abcdef",
    ),
    "AlarmTopicArn": Published(
        "security/alarm-topic-arn",
        f"arn:aws:sns:{HERE}:payments-prod-PaymentSecurityStack-PaymentAlarmTopic-aBc123",
    ),
    "DatabaseClusterEndpoint": Published(
        "database/cluster-endpoint",
        "payments-prod.cluster-c0ffee123456.eu-west-1.rds.amazonaws.com",
    ),
    "DatabaseReaderEndpoint": Published(
        "database/reader-endpoint",
        "payments-prod.cluster-ro-c0ffee123456.eu-west-1.rds.amazonaws.com",
    ),
    "DatabasePort": Published("database/port", "5432"),
    "DatabaseName": Published("database/name", "payments_2"),
    "DatabaseClusterIdentifier": Published("database/cluster-identifier", "payments-prod"),
    "DatabaseSecretArn": Published(
        "database/secret-arn",
        f"arn:aws:secretsmanager:{HERE}:secret:payments/prod/database/service-0a1b2c-aBcDeF",
    ),
    "ClusterName": Published("compute/cluster-name", "payments-prod"),
    "ClusterArn": Published("compute/cluster-arn", f"arn:aws:ecs:{HERE}:cluster/payments-prod"),
    "LoadBalancerArn": Published(
        "compute/load-balancer-arn", f"{BALANCING}:loadbalancer/app/payments-prod/0a1b2c3d4e5f6071"
    ),
    "LoadBalancerDnsName": Published(
        "compute/load-balancer-dns-name", "Payments-prod-1234567890.eu-west-1.elb.amazonaws.com"
    ),
    "LoadBalancerHostedZoneId": Published("compute/load-balancer-hosted-zone-id", "Z32O12XQLNTSW2"),
    "HttpsListenerArn": Published(
        "compute/https-listener-arn", f"{BALANCING}:listener/app/payments-prod/0a1b2c3d/4e5f6071"
    ),
    "TargetGroupArn": Published(
        "compute/target-group-arn", f"{BALANCING}:targetgroup/payments-prod/0a1b2c3d4e5f6071"
    ),
    "ServiceName": Published("service/name", "payments-prod-PaymentService-aBc123_4"),
    "ServiceLogGroupName": Published("service/log-group-name", "/aws/ecs/payments-prod/service"),
    "TaskRoleArn": Published(
        "service/task-role-arn", "arn:aws:iam::123456789012:role/payments-prod-PaymentTaskRole-aB1"
    ),
    "DashboardName": Published("monitoring/dashboard-name", "payments-prod"),
    "DegradedAlarmArn": Published(
        "monitoring/degraded-alarm-arn",
        f"arn:aws:cloudwatch:{HERE}:alarm:payments-prod-degraded",
    ),
}
# What is the same kind of thing cannot be told apart by its form.
ALIKE = (
    {"PublicSubnetIds", "PrivateSubnetIds", "DatabaseSubnetIds"},
    {"LoadBalancerSecurityGroupId", "ServiceSecurityGroupId", "DatabaseSecurityGroupId"},
    {"DataKeyArn", "LogsKeyArn"},
    {"DatabaseClusterEndpoint", "DatabaseReaderEndpoint", "LoadBalancerDnsName"},
)
# A name may look like an id or a number; it is told from whatever has a colon, a slash or a dot.
NAMES = {
    "DatabaseName",
    "DatabaseClusterIdentifier",
    "ClusterName",
    "ServiceName",
    "DashboardName",
}

each = pytest.mark.parametrize("name", PUBLISHED)


@pytest.fixture
def parameters(deployed: Callable[..., Template]) -> dict[str, dict[str, Any]]:
    """The properties of each parameter by the template's parameter whose value it holds."""
    found = {}
    for resource in deployed(FILE)["Resources"].values():
        assert resource["Type"] == "AWS::SSM::Parameter"
        found[resource["Properties"]["Value"]["Ref"]] = resource["Properties"]
    assert len(found) == len(deployed(FILE)["Resources"]), "two parameters hold the same value"
    return found


@pytest.fixture(scope="session")
def patterns(templates: dict[str, Template]) -> dict[str, str]:
    """The allowed pattern of each parameter."""
    found = [resource["Properties"] for resource in templates[FILE]["Resources"].values()]
    return {item["Value"]["Ref"]: item["AllowedPattern"] for item in found}


def test_every_agreed_value_is_published_and_no_other(parameters: dict[str, Any]) -> None:
    assert set(parameters) == set(PUBLISHED)


@each
def test_path(parameters: dict[str, Any], environment: str, name: str) -> None:
    path = f"/payments/{environment}/{PUBLISHED[name].path}"
    assert parameters[name]["Name"] == path
    tags = parameters[name]["Tags"]
    assert tags["Name"] == path.removeprefix("/").replace("/", "-")
    assert tags["Environment"] == environment


@each
def test_what_has_several_items_is_a_list(parameters: dict[str, Any], name: str) -> None:
    assert parameters[name]["Type"] == ("StringList" if name in LISTS else "String")
    assert parameters[name]["Tier"] == "Standard"


@each
def test_description_says_what_it_is_for(parameters: dict[str, Any], name: str) -> None:
    assert 15 < len(parameters[name]["Description"]) <= 1024


def test_paths_are_unique_and_readable(parameters: dict[str, Any]) -> None:
    paths = [item["Name"] for item in parameters.values()]
    assert len(set(paths)) == len(paths)
    assert all(re.fullmatch(r"(/[a-z][a-z-]*){4}", path) for path in paths)


# --- what is published is what the platform is ----------------------------------------------------


def test_every_value_is_passed_as_plain_text(templates: dict[str, Template]) -> None:
    own = set(templates[FILE]["Parameters"]) - COMMON
    assert own == set(PUBLISHED)
    assert {templates[FILE]["Parameters"][name]["Type"] for name in own} == {"String"}


def test_every_value_is_an_output_of_the_root(root: Template) -> None:
    assert set(PUBLISHED) <= set(root["Outputs"])


def test_what_is_exported_is_published_too(root: Template) -> None:
    exported = {name for name, output in root["Outputs"].items() if "Export" in output}
    assert exported <= set(PUBLISHED)


# --- what a parameter refuses ---------------------------------------------------------------------


@each
def test_value_as_aws_gives_it_is_accepted(patterns: dict[str, str], name: str) -> None:
    value = PUBLISHED[name].value
    assert re.fullmatch(patterns[name], value)
    # Parameter Store holds the pattern against each item of a list.
    for item in value.split(","):
        assert re.fullmatch(patterns[name], item)


def alike(one: str, other: str) -> bool:
    return one == other or any({one, other} <= group for group in ALIKE)


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - NAMES))
def test_value_of_another_kind_is_refused(patterns: dict[str, str], name: str) -> None:
    """A parameter that is given another's value fails the deployment."""
    taken = [
        other
        for other in PUBLISHED
        if not alike(name, other) and re.fullmatch(patterns[name], PUBLISHED[other].value)
    ]
    assert taken == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_name_is_no_arn_address_or_list(patterns: dict[str, str], name: str) -> None:
    taken = [
        other
        for other, item in PUBLISHED.items()
        if re.search(r"[:/.,]", item.value) and re.fullmatch(patterns[name], item.value)
    ]
    assert taken == []


@each
@pytest.mark.parametrize("value", ["", " ", "None", "${Value}", "{{changeSet:KNOWN_AFTER_APPLY}}"])
def test_placeholder_is_refused(patterns: dict[str, str], name: str, value: str) -> None:
    if name in NAMES and value == "None":
        assert re.fullmatch(patterns[name], "payments")
    else:
        assert not re.fullmatch(patterns[name], value)


# --- secrets --------------------------------------------------------------------------------------


def test_of_a_secret_only_the_arn_is_published(
    parameters: dict[str, Any], templates: dict[str, Template]
) -> None:
    told = {name for name in parameters if re.search("secret|password|token", name, re.IGNORECASE)}
    assert told == {"DatabaseSecretArn"}
    assert parameters["DatabaseSecretArn"]["AllowedPattern"].startswith("^arn:")
    assert "resolve:secretsmanager" not in str(templates[FILE])


def test_output_names_the_path(deployed: Callable[..., Template], environment: str) -> None:
    outputs = deployed(FILE)["Outputs"]
    assert outputs["ParametersPath"]["Value"] == f"/payments/{environment}"
