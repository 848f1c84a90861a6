"""The boundary: it lets every role of the platform do what it is for, and nobody anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from tests.templates.bootstrap import BOUNDARY, actions
from tests.templates.iam import ACCOUNT, REGION, Policy, Request, as_list, permits
from tests.templates.loader import ENVIRONMENTS
from tests.templates.reference import matching, resource_types
from tests.templates.roles import ID, ROLES, Role, arn

EVERYTHING: Policy = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OTHER = {"dev": "prod", "staging": "dev", "prod": "staging"}
OF_AWS: dict[str, Any] = json.loads(aws_managed_policies_data)

each_role = pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
each_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


def concrete(action: str, pattern: str, environment: str) -> str:
    """A resource that a pattern in a role's policy stands for."""
    if pattern == "*" and resource_types(action):
        return arn(action.split(":", maxsplit=1)[0], "some/thing")
    return pattern if pattern == "*" else pattern.replace("*", f"payments-{environment}")


def requests(role: Role, statement: dict[str, Any]) -> Iterator[Request]:
    """What a statement of a role is there for: every action on every resource that it names."""
    # What a condition asks for is true of the request that it was written for.
    keys = {
        key: as_list(value)[0]
        for operator, asked in statement.get("Condition", {}).items()
        if not operator.startswith("ForAll")
        for key, value in asked.items()
    }
    for action in as_list(statement["Action"]):
        for name in matching(action):
            for resource in as_list(statement["Resource"]):
                tags = {"aws:ResourceTag/Environment": role.environment} if "kms" in name else {}
                tagged = {"aws:PrincipalTag/Environment": role.environment, **tags}
                asked = concrete(name, resource, role.environment)
                yield Request(name, asked, keys | tagged)


@each_role
def test_role_may_do_within_the_boundary_what_its_policies_say(role: Role) -> None:
    asked = [
        request
        for policy in role.policies
        for statement in policy["Statement"]
        for request in requests(role, statement)
    ]
    assert [r for r in asked if not permits(r, role.policies)] == [], "the policies themselves"
    assert [r for r in asked if not permits(r, role.policies, BOUNDARY)] == []


@each_role
def test_role_without_its_environment_s_tag_may_do_nothing(role: Role) -> None:
    for policy in role.policies:
        for statement in policy["Statement"]:
            for request in requests(role, statement):
                for environment in (OTHER[role.environment], "shared", "test"):
                    keys = {**request.keys, "aws:PrincipalTag/Environment": environment}
                    retagged = Request(request.action, request.resource, keys)
                    assert not permits(retagged, role.policies, BOUNDARY), retagged


@pytest.mark.parametrize("environment", [None, "", "shared", "test", "*"])
def test_nobody_of_no_environment_may_do_anything(environment: str | None) -> None:
    keys = {} if environment is None else {"aws:PrincipalTag/Environment": environment}
    known = {"aws:PrincipalTag/Environment": "dev"}
    for action, resource in {
        "ec2:DescribeVpcs": "*",
        "ecr:BatchGetImage": arn("ecr", "repository/a"),
        "rds-db:connect": arn("rds-db", "dbuser:cluster-A/payment_iam"),
    }.items():
        assert permits(Request(action, resource, known), [EVERYTHING], BOUNDARY)
        assert not permits(Request(action, resource, keys), [EVERYTHING], BOUNDARY)


@each_environment
def test_enhanced_monitoring_may_do_what_aws_gives_it(environment: str) -> None:
    document = OF_AWS["AmazonRDSEnhancedMonitoringRole"]["Document"]
    keys = {"aws:PrincipalTag/Environment": environment}
    for statement in document["Statement"]:
        for action in as_list(statement["Action"]):
            group = arn("logs", "log-group:RDSOSMetrics:log-stream:db-ABCDEFGH")
            assert permits(Request(action, group, keys), [document], BOUNDARY), action


def theirs(environment: str) -> dict[str, str]:
    """Something of an environment for each kind of action, by the action."""
    name = f"payments-{environment}"
    return {
        "secretsmanager:GetSecretValue": arn("secretsmanager", f"secret:payments/{environment}/a"),
        "secretsmanager:PutSecretValue": arn("secretsmanager", f"secret:payments/{environment}/a"),
        "logs:PutLogEvents": arn("logs", f"log-group:/aws/ecs/{name}/service:log-stream:a"),
        "s3:DeleteObject": f"arn:aws:s3:::{name}-stack-paymentaccesslogsbucket-a/object",
        "s3:DeleteObjectVersion": f"arn:aws:s3:::{name}-stack-paymentconfigbucket-a/object",
        "sns:Publish": arn("sns", f"{name}-PaymentSecurityStack-PaymentAlarmTopic"),
        "rds:CreateDBClusterSnapshot": arn("rds", f"cluster:{name}"),
    }


@each_environment
@pytest.mark.parametrize("action", theirs("dev"))
def test_what_is_an_environment_s_is_out_of_reach_of_another(action: str, environment: str) -> None:
    keys = {"aws:PrincipalTag/Environment": environment}
    own = Request(action, theirs(environment)[action], keys)
    other = Request(action, theirs(OTHER[environment])[action], keys)
    assert permits(own, [EVERYTHING], BOUNDARY)
    assert not permits(other, [EVERYTHING], BOUNDARY)


@each_environment
@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:GenerateDataKey"])
def test_key_of_another_environment_is_out_of_reach(action: str, environment: str) -> None:
    key = arn("kms", f"key/{ID}")
    principal = {"aws:PrincipalTag/Environment": environment}
    tag = "aws:ResourceTag/Environment"
    assert permits(Request(action, key, principal | {tag: environment}), [EVERYTHING], BOUNDARY)
    for other in (OTHER[environment], "shared"):
        asked = Request(action, key, principal | {tag: other})
        assert not permits(asked, [EVERYTHING], BOUNDARY)
    assert not permits(Request(action, key, principal), [EVERYTHING], BOUNDARY)


FORBIDDEN = [
    "cloudformation:CreateStack",
    "cloudformation:UpdateStack",
    "ec2:CreateTags",
    "ec2:RunInstances",
    "ec2:AuthorizeSecurityGroupIngress",
    "iam:AttachRolePolicy",
    "iam:CreateAccessKey",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "lambda:InvokeFunction",
    "lambda:UpdateFunctionCode",
    "logs:DeleteLogGroup",
    "logs:FilterLogEvents",
    "rds:DeleteDBCluster",
    "rds:ModifyDBCluster",
    "s3:DeleteBucket",
    "s3:GetObject",
    "s3:PutBucketPolicy",
    "secretsmanager:DeleteSecret",
    "ssm:GetParameter",
    "sts:AssumeRole",
]


@each_environment
@pytest.mark.parametrize("action", FORBIDDEN)
def test_nobody_may(action: str, environment: str) -> None:
    keys = {
        "aws:PrincipalTag/Environment": environment,
        "aws:ResourceTag/Environment": environment,
        "kms:GrantIsForAWSResource": "true",
    }
    service = action.split(":", maxsplit=1)[0]
    for resource in (
        "*",
        arn(service, f"payments-{environment}"),
        f"arn:aws:iam::{ACCOUNT}:role/a",
    ):
        assert not permits(Request(action, resource, keys), [EVERYTHING], BOUNDARY)


def test_no_secret_and_no_object_is_read_by_a_wildcard() -> None:
    """Reading all over the account is for what things are, not for what is in them."""
    [reading] = [s for s in BOUNDARY["Statement"] if s["Sid"] == "LookAround"]
    read = {action for pattern in reading["Action"] for action in matching(pattern)}
    content = {
        "logs:getlogevents",
        "s3:getobject",
        "s3:getobjectversion",
        "secretsmanager:getsecretvalue",
        "secretsmanager:batchgetsecretvalue",
        "ssm:getparameter",
        "ssm:getparameters",
        "ssm:getparametersbypath",
        "kms:decrypt",
    }
    assert read & content == set()
    verbs = ("describe", "get", "list")
    assert {a for a in read if not a.split(":")[1].startswith(verbs)} == set()


def test_boundary_has_nothing_that_no_role_needs() -> None:
    needed = {
        action.lower()
        for role in ROLES.values()
        for policy in role.policies
        for statement in policy["Statement"]
        for pattern in as_list(statement["Action"])
        for action in matching(pattern)
    }
    for role in ROLES.values():
        for name in (managed.rsplit("/", 1)[1] for managed in role.managed):
            for statement in OF_AWS[name]["Document"]["Statement"]:
                needed |= {action.lower() for action in as_list(statement["Action"])}
    idle = {
        pattern
        for pattern in actions([BOUNDARY])
        if not any(
            fnmatchcase(action, pattern.lower()) or fnmatchcase(pattern.lower(), action)
            for action in needed
        )
    }
    assert idle == set()


def test_region_of_the_boundary_is_its_own() -> None:
    keys = {"aws:PrincipalTag/Environment": "prod"}
    secret = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:payments/prod/a"
    assert REGION != "us-east-1"
    asked = Request("secretsmanager:GetSecretValue", secret, keys)
    assert not permits(asked, [EVERYTHING], BOUNDARY)
