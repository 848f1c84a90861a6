"""Compliance: the rules of AWS Config, and who is told of a breach."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import BOUNDARY, Template, in_environment, load_all
from tests.templates.managed_rules import BALANCER, CLUSTER, INSTANCE, LISTENER, RULES, TASK

Resources = dict[str, dict[str, Any]]

FILE = "compliance.yml"
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
DESCRIPTION = re.compile(r"PCI DSS 4\.0 \((\d+(?:\.\d+)+(?:, \d+(?:\.\d+)+)*)\): [a-z0-9A-Z].+\.")
REQUIREMENTS = [str(number) for number in range(1, 13)]

each_rule = pytest.mark.parametrize(
    ("environment", "name"),
    [(place, name) for name, rule in RULES.items() for place in rule.environments],
    indirect=["environment"],
)


@pytest.fixture
def resources(deployed: Callable[..., Template]) -> Resources:
    """The resources of the environment of the test."""
    return dict(deployed(FILE)["Resources"])


def properties(resources: Resources, logical_id: str) -> dict[str, Any]:
    return dict(resources[logical_id]["Properties"])


def rules_in(resources: Resources) -> Resources:
    return {
        logical_id: item
        for logical_id, item in resources.items()
        if item["Type"] == "AWS::Config::ConfigRule"
    }


def statements(policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]


# --- rules


def test_environment_has_its_rules(resources: Resources, environment: str) -> None:
    expected = {
        f"Payment{name}Rule" for name, rule in RULES.items() if environment in rule.environments
    }
    assert set(rules_in(resources)) == expected


@each_rule
def test_rule_is_the_managed_one(resources: Resources, environment: str, name: str) -> None:
    rule = properties(resources, f"Payment{name}Rule")
    assert rule["Source"] == {"Owner": "AWS", "SourceIdentifier": RULES[name].identifier}
    assert KEBAB.fullmatch(RULES[name].name)
    assert rule["ConfigRuleName"] == f"payments-{environment}-{RULES[name].name}"


@each_rule
def test_rule_says_which_requirement_it_watches(resources: Resources, name: str) -> None:
    description = properties(resources, f"Payment{name}Rule")["Description"]
    found = DESCRIPTION.fullmatch(description)
    assert found, description
    assert len(description) <= 256
    assert all(number.split(".")[0] in REQUIREMENTS for number in found[1].split(", "))


@each_rule
def test_changes_of_this_environment_alone_trigger_a_rule(
    resources: Resources, environment: str, name: str
) -> None:
    """AWS refuses a scope for a rule that only runs periodically."""
    tag = {"TagKey": "Environment", "TagValue": environment}
    expected = (RULES[name].scope or tag) if RULES[name].judges else None
    assert properties(resources, f"Payment{name}Rule").get("Scope") == expected


@each_rule
def test_only_a_periodic_rule_has_a_frequency(
    resources: Resources, environment: str, name: str
) -> None:
    """AWS refuses a frequency for a rule that only changes trigger."""
    often = "Six_Hours" if environment == "prod" else "TwentyFour_Hours"
    expected = often if RULES[name].periodic else None
    assert properties(resources, f"Payment{name}Rule").get("MaximumExecutionFrequency") == expected


@each_rule
def test_rule_has_its_parameters(resources: Resources, environment: str, name: str) -> None:
    """The API fills in no defaults, the ones that the documentation names are the console's."""
    actual = properties(resources, f"Payment{name}Rule").get("InputParameters", {})
    expected = {
        key: actual[key] if value is ... else _here(value, environment)
        for key, value in RULES[name].parameters.items()
    }
    assert actual == expected


def _here(value: Any, environment: str) -> Any:
    return value % environment if isinstance(value, str) and "%s" in value else value


def test_backup_is_asked_for_by_valid_json(resources: Resources, environment: str) -> None:
    if environment != "dev":
        rule = properties(resources, "PaymentClusterBackupRule")
        tags = json.loads(rule["InputParameters"]["resourceTags"])
        assert tags == {"Environment": environment}


# --- seams: what the rules ask for is what the other templates have


@pytest.fixture
def whole(environment: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and properties of every resource of the platform in the environment of the test."""
    return [
        (resource["Type"], resource.get("Properties", {}))
        for template in load_all().values()
        for resource in in_environment(template, environment)["Resources"].values()
    ]


def of_type(whole: list[tuple[str, dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    found = [item for type_, item in whole if type_ == kind]
    assert found, f"the platform has no {kind}"
    return found


def parameters(resources: Resources, name: str) -> dict[str, Any]:
    return dict(properties(resources, f"Payment{name}Rule")["InputParameters"])


def test_every_log_group_of_the_platform_is_watched(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    asked = parameters(resources, "LogGroupRetention")
    _, prefixes = asked["LogGroupNames"]["Fn::Join"]
    for group in of_type(whole, "AWS::Logs::LogGroup"):
        name = group["LogGroupName"]
        assert any(name.startswith(prefix) for prefix in prefixes), name
        assert group["RetentionInDays"] >= asked["MinRetentionTime"], name


def test_retention_asked_for_is_one_that_the_rule_takes(
    resources: Resources, environment: str
) -> None:
    asked = parameters(resources, "LogGroupRetention")["MinRetentionTime"]
    assert asked == {"dev": 30, "staging": 90, "prod": 400}[environment]


def test_listeners_have_the_policy_and_the_ports_that_the_rules_ask_for(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    policies = parameters(resources, "TlsPolicy")["sslPolicies"].split(",")
    ports = parameters(resources, "OpenPorts")["authorizedTcpPorts"].split(",")
    listeners = of_type(whole, LISTENER)
    assert {item["SslPolicy"] for item in listeners if "SslPolicy" in item} == set(policies)
    assert {str(item["Port"]) for item in listeners} == set(ports)


def test_protection_is_asked_for_where_it_is_on(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    (cluster,) = of_type(whole, CLUSTER)
    (balancer,) = of_type(whole, BALANCER)
    attributes = {item["Key"]: item["Value"] for item in balancer["LoadBalancerAttributes"]}
    expected = "PaymentClusterProtectedRule" in resources
    assert cluster["DeletionProtection"] is expected
    assert attributes["deletion_protection.enabled"] == str(expected).lower()
    assert ("PaymentLoadBalancerProtectedRule" in resources) is expected


def test_load_balancer_has_a_desync_mode_that_the_rule_takes(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    (balancer,) = of_type(whole, BALANCER)
    attributes = {item["Key"]: item["Value"] for item in balancer["LoadBalancerAttributes"]}
    mode = attributes["routing.http.desync_mitigation_mode"]
    assert mode in parameters(resources, "LoadBalancerDesync")["desyncMode"].split(",")


def test_secrets_of_the_container_are_those_that_the_rule_looks_for(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    watched = parameters(resources, "ContainerSecrets")["secretKeys"].split(",")
    for task in of_type(whole, TASK):
        for container in task["ContainerDefinitions"]:
            secrets = {item["Name"] for item in container.get("Secrets", [])}
            assert {name for name in secrets if "PASSWORD" in name} <= set(watched)
            assert not {item["Name"] for item in container["Environment"]} & set(watched)


def test_secrets_are_rotated_as_often_as_the_rule_asks(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    longest = parameters(resources, "SecretRotation")["maximumAllowedRotationFrequency"]
    for schedule in of_type(whole, "AWS::SecretsManager::RotationSchedule"):
        assert schedule["RotationRules"]["AutomaticallyAfterDays"] <= longest


def test_service_is_not_held_at_an_old_platform(
    resources: Resources, whole: list[tuple[str, dict[str, Any]]]
) -> None:
    latest = parameters(resources, "FargateVersion")["latestLinuxVersion"]
    for service in of_type(whole, "AWS::ECS::Service"):
        assert service.get("PlatformVersion", "LATEST") in {"LATEST", latest}


# --- roles


def test_roles_carry_the_boundary(resources: Resources) -> None:
    roles = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::IAM::Role"]
    assert roles
    assert {role["PermissionsBoundary"] for role in roles} == {BOUNDARY}


def test_roles_work_only_in_their_environment(resources: Resources, environment: str) -> None:
    roles = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::IAM::Role"]
    for statement in (one for role in roles for one in statements(role["Policies"])):
        condition = statement["Condition"]["StringEquals"]
        assert condition["aws:PrincipalTag/Environment"] == environment, statement["Sid"]


# --- who is told


@pytest.fixture
def event(resources: Resources) -> dict[str, Any]:
    return properties(resources, "PaymentComplianceEvent")


def test_new_breaches_of_own_rules_are_told(event: dict[str, Any], environment: str) -> None:
    assert event["State"] == "ENABLED"
    assert event["EventPattern"] == {
        "source": ["aws.config"],
        "detail-type": ["Config Rules Compliance Change"],
        "detail": {
            "messageType": ["ComplianceChangeNotification"],
            "configRuleName": [{"prefix": f"payments-{environment}-"}],
            "newEvaluationResult": {"complianceType": ["NON_COMPLIANT"]},
        },
    }


def test_alarm_topic_is_told(event: dict[str, Any]) -> None:
    (target,) = event["Targets"]
    assert target["Arn"] == {"Ref": "AlarmTopicArn"}
    assert target["RoleArn"] == {"Fn::GetAtt": ["PaymentComplianceEventRole", "Arn"]}


def test_message_is_a_sentence(event: dict[str, Any]) -> None:
    """The template of a message has to be JSON; a text is one in quotes."""
    (target,) = event["Targets"]
    transformer = target["InputTransformer"]
    sample = {
        "account": "111122223333",
        "region": "eu-west-1",
        "time": "2026-01-02T03:04:05Z",
        "detail": {
            "configRuleName": "payments-dev-rds-storage-encrypted",
            "resourceType": INSTANCE,
            "resourceId": "db-1",
        },
    }
    message = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = sample
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        message = message.replace(f"<{name}>", value)
    assert json.loads(message) == (
        "AWS::RDS::DBInstance db-1 breaks the rule payments-dev-rds-storage-encrypted since "
        "2026-01-02T03:04:05Z, in account 111122223333 and eu-west-1."
    )


def test_only_this_event_may_publish_and_only_to_the_topic(resources: Resources) -> None:
    role = properties(resources, "PaymentComplianceEventRole")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    source = trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert source == [
        "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${Name}",
        {"Name": properties(resources, "PaymentComplianceEvent")["Name"]},
    ]
    publish, encrypt = statements(role["Policies"])
    assert (publish["Action"], publish["Resource"]) == ("sns:Publish", {"Ref": "AlarmTopicArn"})
    assert encrypt["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert encrypt["Resource"] == {"Ref": "AlarmKeyArn"}
    assert encrypt["Condition"]["StringEquals"]["kms:ViaService"] == {
        "Fn::Sub": "sns.${AWS::Region}.${AWS::URLSuffix}"
    }


# --- outputs


def test_outputs(deployed: Callable[..., Template]) -> None:
    outputs = deployed(FILE)["Outputs"]
    assert {name: output["Value"] for name, output in outputs.items()} == {
        "ComplianceEventRuleName": {"Ref": "PaymentComplianceEvent"}
    }


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
