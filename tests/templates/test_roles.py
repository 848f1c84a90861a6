"""Roles of every template: which service takes one, for what, and what AWS's own policies add."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.loader import ENVIRONMENTS, in_environment, load_all
from tests.templates.policies import arn

TEMPLATES = load_all()
CASES = [
    pytest.param(file, logical_id, environment, id=f"{environment}-{file}-{logical_id}")
    for environment in ENVIRONMENTS
    for file, template in TEMPLATES.items()
    for logical_id, resource in in_environment(template, environment)["Resources"].items()
    if resource["Type"] == "AWS::IAM::Role"
]
each_role = pytest.mark.parametrize(
    ("file", "logical_id", "environment"), CASES, indirect=["environment"]
)

# The service that takes a role, and on behalf of what. Two services do not say on behalf of what:
# Lambda, and Backup, which works for a plan.
TRUST: dict[str, tuple[str, dict[str, Any] | None]] = {
    "PaymentFlowLogRole": ("vpc-flow-logs.amazonaws.com", arn("ec2", "vpc-flow-log/*")),
    "PaymentDefaultSecurityGroupRole": ("lambda.amazonaws.com", None),
    "PaymentDatabaseMonitoringRole": ("monitoring.rds.amazonaws.com", arn("rds", "*")),
    "PaymentRotationRole": ("lambda.amazonaws.com", None),
    "PaymentEmptyBucketRole": ("lambda.amazonaws.com", None),
    "PaymentExecutionRole": ("ecs-tasks.amazonaws.com", arn("ecs", "*")),
    "PaymentTaskRole": ("ecs-tasks.amazonaws.com", arn("ecs", "*")),
    "PaymentBackupRole": ("backup.amazonaws.com", None),
    "PaymentComplianceEventRole": (
        "events.amazonaws.com",
        {
            "Fn::Sub": [
                arn("events", "rule/${Name}")["Fn::Sub"],
                {"Name": "payments-{environment}-compliance"},
            ]
        },
    ),
}
# AWS keeps these up to date with what the service does; a policy of our own would lag behind.
MANAGED = {
    "PaymentDatabaseMonitoringRole": ["service-role/AmazonRDSEnhancedMonitoringRole"],
}


@pytest.fixture
def role(file: str, logical_id: str, environment: str) -> dict[str, Any]:
    return dict(in_environment(TEMPLATES[file], environment)["Resources"][logical_id]["Properties"])


def named(node: Any, environment: str) -> Any:
    """A condition with the environment in its names."""
    if isinstance(node, dict):
        return {key: named(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [named(value, environment) for value in node]
    return node.replace("{environment}", environment) if isinstance(node, str) else node


@each_role
def test_one_service_takes_the_role_and_only_for_this_account(
    role: dict[str, Any], logical_id: str, environment: str
) -> None:
    service, source = TRUST[logical_id]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Principal"] == {"Service": service}
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    if source:
        condition["ArnLike"] = {"aws:SourceArn": named(source, environment)}
    expected = None if service == "lambda.amazonaws.com" else condition
    assert statement.get("Condition") == expected


@each_role
def test_a_role_has_no_policy_of_aws_but_those_made_for_its_service(
    role: dict[str, Any], logical_id: str
) -> None:
    policies = MANAGED.get(logical_id, [])
    assert role.get("ManagedPolicyArns", []) == [
        {"Fn::Sub": f"arn:${{AWS::Partition}}:iam::aws:policy/{name}"} for name in policies
    ]


@each_role
def test_a_role_says_what_it_is_for_and_of_which_environment(
    role: dict[str, Any], environment: str
) -> None:
    """IAM lists the roles of all platforms of an account side by side."""
    assert f"payments-{environment}" in role["Description"]
    assert "RoleName" not in role, "a role with a name could not be replaced"


def test_every_role_is_listed_here() -> None:
    assert {case.values[1] for case in CASES} == set(TRUST)
