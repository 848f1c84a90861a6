"""Keys, security groups and alarm topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import Template

FILE = "security.yml"
CONTAINER_PORT = 9898

LOAD_BALANCER = "PaymentLoadBalancerSecurityGroup"
SERVICE = "PaymentServiceSecurityGroup"
ROTATION = "PaymentRotationSecurityGroup"
DATABASE = "PaymentDatabaseSecurityGroup"
ENDPOINTS = "VpcEndpointSecurityGroupId"
INTERNET = "0.0.0.0/0"

# Every way in and out: (group, direction, port, peer).
RULES = {
    (LOAD_BALANCER, "Ingress", 80, INTERNET),
    (LOAD_BALANCER, "Ingress", 443, INTERNET),
    (LOAD_BALANCER, "Egress", CONTAINER_PORT, SERVICE),
    (SERVICE, "Ingress", CONTAINER_PORT, LOAD_BALANCER),
    (SERVICE, "Egress", 5432, DATABASE),
    (SERVICE, "Egress", 443, ENDPOINTS),
    (SERVICE, "Egress", 443, INTERNET),
    (DATABASE, "Ingress", 5432, SERVICE),
    (DATABASE, "Ingress", 5432, ROTATION),
    (ROTATION, "Egress", 5432, DATABASE),
    (ROTATION, "Egress", 443, ENDPOINTS),
    (ENDPOINTS, "Ingress", 443, SERVICE),
    (ENDPOINTS, "Ingress", 443, ROTATION),
}

Deployed = Callable[..., Template]
Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Deployed) -> Resources:
    """The resources of the security stack in the environment of the test."""
    found: Resources = deployed(FILE, ContainerPort=CONTAINER_PORT)["Resources"]
    return found


def peer(properties: dict[str, Any], direction: str) -> str:
    """The other side of a rule: a group or a range of addresses."""
    group = "SourceSecurityGroupId" if direction == "Ingress" else "DestinationSecurityGroupId"
    return str(properties["CidrIp"] if "CidrIp" in properties else properties[group]["Ref"])


def test_traffic_is_allowed_along_the_path_of_a_payment_and_nowhere_else(
    resources: Resources,
) -> None:
    prefix = "AWS::EC2::SecurityGroup"
    rules = [
        (resource["Type"].removeprefix(prefix), resource["Properties"])
        for resource in resources.values()
        if resource["Type"] in (f"{prefix}Ingress", f"{prefix}Egress")
    ]
    found = {
        (rule["GroupId"]["Ref"], direction, rule["FromPort"], peer(rule, direction))
        for direction, rule in rules
    }
    assert found == RULES
    assert len(found) == len(rules)
    assert all(rule["FromPort"] == rule["ToPort"] for _, rule in rules)
    assert {rule["IpProtocol"] for _, rule in rules} == {"tcp"}


def test_every_rule_says_what_it_is_for(resources: Resources) -> None:
    """PCI DSS 1.2.5 asks for the need of every service and port that is allowed."""
    for logical_id, resource in resources.items():
        if resource["Type"] in ("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"):
            assert len(resource["Properties"].get("Description", "")) > 10, logical_id


@pytest.mark.parametrize("group", [LOAD_BALANCER, SERVICE, ROTATION, DATABASE])
def test_group_is_born_without_a_rule_that_leads_anywhere(resources: Resources, group: str) -> None:
    """Without an egress rule of its own a group may send everything to everybody."""
    properties = resources[group]["Properties"]
    assert "SecurityGroupIngress" not in properties
    assert properties["VpcId"] == {"Ref": "VpcId"}
    (nowhere,) = properties["SecurityGroupEgress"]
    assert (nowhere["IpProtocol"], nowhere["CidrIp"]) == ("-1", "127.0.0.1/32")
    assert nowhere["Description"]


def test_every_key_has_a_name(resources: Resources) -> None:
    keys = {name for name, resource in resources.items() if resource["Type"] == "AWS::KMS::Key"}
    named = {
        resource["Properties"]["TargetKeyId"]["Ref"]
        for resource in resources.values()
        if resource["Type"] == "AWS::KMS::Alias"
    }
    assert named == keys == {"PaymentDataKey", "PaymentLogsKey", "PaymentAlarmKey"}


def test_data_key_works_only_through_the_database_and_the_secrets(resources: Resources) -> None:
    statements = resources["PaymentDataKey"]["Properties"]["KeyPolicy"]["Statement"]
    allowed = [s for s in statements if s["Effect"] == "Allow"]
    using = [s for s in allowed if s["Sid"] != "AdministerThroughIam"]
    services = [
        {"Fn::Sub": "rds.${AWS::Region}.${AWS::URLSuffix}"},
        {"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"},
    ]
    assert len(using) == 2
    for statement in using:
        assert statement["Condition"]["StringEquals"] == {
            "kms:CallerAccount": {"Ref": "AWS::AccountId"},
            "kms:ViaService": services,
        }


def test_alarms_reach_the_topic_and_its_key(resources: Resources) -> None:
    topic = resources["PaymentAlarmTopic"]["Properties"]
    key = resources["PaymentAlarmKey"]["Properties"]["KeyPolicy"]["Statement"][1]
    publish = resources["PaymentAlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    assert topic["KmsMasterKeyId"] == {"Fn::GetAtt": ["PaymentAlarmKey", "Arn"]}
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    for statement in (key, publish):
        assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert set(statement["Condition"]) == {"StringEquals", "ArnLike"}
    assert publish["Condition"] == key["Condition"]
    assert (publish["Effect"], publish["Action"]) == ("Allow", "sns:Publish")
    assert publish["Resource"] == {"Ref": "PaymentAlarmTopic"}


def test_whoever_may_publish_uses_the_key_of_alarms_through_the_topic_only(
    resources: Resources,
) -> None:
    statements = resources["PaymentAlarmKey"]["Properties"]["KeyPolicy"]["Statement"]
    (use,) = [s for s in statements if s["Sid"] == "UseThroughTopic"]
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert use["Condition"] == {
        "StringEquals": {
            "kms:CallerAccount": {"Ref": "AWS::AccountId"},
            "kms:ViaService": {"Fn::Sub": "sns.${AWS::Region}.${AWS::URLSuffix}"},
        }
    }


def test_nobody_publishes_in_plain_text(resources: Resources) -> None:
    properties = resources["PaymentAlarmTopicPolicy"]["Properties"]
    _, deny = properties["PolicyDocument"]["Statement"]
    assert properties["Topics"] == [{"Ref": "PaymentAlarmTopic"}]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sns:Publish")
    assert deny["Resource"] == {"Ref": "PaymentAlarmTopic"}
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_messages_name_the_platform(resources: Resources, environment: str) -> None:
    """A mail of two environments must not look alike."""
    assert resources["PaymentAlarmTopic"]["Properties"]["DisplayName"] == (
        f"payments-{environment} alarms"
    )


@pytest.mark.parametrize(("address", "subscribed"), [("", False), ("ops@example.com", True)])
def test_an_address_is_subscribed_where_one_is_given(
    deployed: Deployed, address: str, subscribed: bool
) -> None:
    resources = deployed(FILE, AlarmEmail=address)["Resources"]
    assert ("PaymentAlarmSubscription" in resources) is subscribed
    if subscribed:
        assert resources["PaymentAlarmSubscription"]["Properties"] == {
            "TopicArn": {"Ref": "PaymentAlarmTopic"},
            "Protocol": "email",
            "Endpoint": address,
        }


# --- seams


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("LoadBalancerSecurityGroupId", {"Ref": LOAD_BALANCER}),
        ("ServiceSecurityGroupId", {"Ref": SERVICE}),
        ("DatabaseSecurityGroupId", {"Ref": DATABASE}),
        ("RotationSecurityGroupId", {"Ref": ROTATION}),
        ("DataKeyArn", {"Fn::GetAtt": ["PaymentDataKey", "Arn"]}),
        ("LogsKeyArn", {"Fn::GetAtt": ["PaymentLogsKey", "Arn"]}),
        ("AlarmKeyArn", {"Fn::GetAtt": ["PaymentAlarmKey", "Arn"]}),
        ("AlarmTopicArn", {"Ref": "PaymentAlarmTopic"}),
        ("DatabaseMonitoringRoleArn", {"Fn::GetAtt": ["PaymentDatabaseMonitoringRole", "Arn"]}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates[FILE]["Outputs"][output]["Value"] == value
