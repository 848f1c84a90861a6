"""The role that CloudFormation deploys with cannot get around what limits it."""

from __future__ import annotations

import itertools

import pytest

from tests.templates.bootstrap import BOUNDARY_ARN, NAMES, SERVICE_ROLE, STACK, trust_of
from tests.templates.iam import ACCOUNT, PSEUDO, REGION, Request, permits
from tests.templates.loader import load_all
from tests.templates.requests import CONTEXT, OURS, tags
from tests.templates.roles import ID

ROLE = OURS["iam", "role"]
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
OTHER_BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/payments-dev-PaymentPolicy"


def test_cloudformation_takes_the_role_for_this_account_only() -> None:
    [statement] = trust_of("PaymentServiceRole")["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "cloudformation.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEqualsIfExists": {"aws:SourceAccount": PSEUDO["AWS::AccountId"]}},
    }


@pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy",
                                    "iam:PutRolePermissionsBoundary"])  # fmt: skip
@pytest.mark.parametrize("boundary", [None, ADMINISTRATOR, OTHER_BOUNDARY])
def test_no_role_without_the_boundary(action: str, boundary: str | None) -> None:
    keys = {"iam:PolicyARN": CONTEXT["iam:PolicyARN"]}
    assert permits(
        Request(action, ROLE, keys | {"iam:PermissionsBoundary": BOUNDARY_ARN}), SERVICE_ROLE
    )
    given = {"iam:PermissionsBoundary": boundary} if boundary else {}
    assert not permits(Request(action, ROLE, keys | given), SERVICE_ROLE)


def test_boundary_is_not_taken_away() -> None:
    for boundary in (BOUNDARY_ARN, OTHER_BOUNDARY):
        keys = {"iam:PermissionsBoundary": boundary}
        asked = Request("iam:DeleteRolePermissionsBoundary", ROLE, keys)
        assert not permits(asked, SERVICE_ROLE)


@pytest.mark.parametrize("policy", [ADMINISTRATOR, OTHER_BOUNDARY,
                                    "arn:aws:iam::aws:policy/PowerUserAccess"])  # fmt: skip
def test_no_policy_is_attached_but_the_ones_of_the_templates(policy: str) -> None:
    keys = {"iam:PermissionsBoundary": BOUNDARY_ARN, "iam:PolicyARN": policy}
    assert not permits(Request("iam:AttachRolePolicy", ROLE, keys), SERVICE_ROLE)


def test_every_policy_of_aws_in_the_templates_may_be_attached() -> None:
    arns = [
        arn["Fn::Sub"].replace("${AWS::Partition}", "aws")
        for template in load_all().values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for arn in resource["Properties"].get("ManagedPolicyArns", [])
    ]
    assert arns
    for arn in arns:
        keys = {"iam:PermissionsBoundary": BOUNDARY_ARN, "iam:PolicyARN": arn}
        assert permits(Request("iam:AttachRolePolicy", ROLE, keys), SERVICE_ROLE), arn


KEPT = [
    NAMES["PaymentServiceRole.Arn"],
    NAMES["PaymentDeployRole.Arn"],
    # Of the same stack in another region.
    f"arn:aws:iam::{ACCOUNT}:role/{STACK}-PaymentServiceRole-BA9876543210",
]
CHANGES = ["iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
           "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole",
           "iam:UpdateAssumeRolePolicy", "iam:UpdateRole"]  # fmt: skip


@pytest.mark.parametrize(("role", "action"), list(itertools.product(KEPT, CHANGES)))
def test_roles_of_deployments_are_left_alone(role: str, action: str) -> None:
    assert not permits(Request(action, role, CONTEXT), SERVICE_ROLE)


@pytest.mark.parametrize("action", ["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion",
                                    "iam:DeletePolicyVersion", "iam:DeletePolicy",
                                    "iam:TagPolicy"])  # fmt: skip
def test_boundary_and_policies_are_left_alone(action: str) -> None:
    for arn in (BOUNDARY_ARN, NAMES["PaymentServiceIdentityPolicy"], OTHER_BOUNDARY):
        assert not permits(Request(action, arn, CONTEXT), SERVICE_ROLE)


BOOTSTRAP = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/{ID}"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("cloudformation:UpdateStack", BOOTSTRAP),
        ("cloudformation:DeleteStack", BOOTSTRAP),
        ("kms:PutKeyPolicy", NAMES["PaymentArtifactsKey.Arn"]),
        ("kms:ScheduleKeyDeletion", NAMES["PaymentArtifactsKey.Arn"]),
        ("s3:DeleteBucket", NAMES["PaymentArtifactsBucket.Arn"]),
        ("s3:PutBucketPolicy", NAMES["PaymentArtifactsBucket.Arn"]),
        ("s3:PutObject", f"{NAMES['PaymentArtifactsBucket.Arn']}/releases/a"),
        ("ssm:PutParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/payments/bootstrap/a"),
        ("ssm:DeleteParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/payments/bootstrap/a"),
    ],
)  # fmt: skip
def test_what_the_account_was_prepared_with_is_left_alone(action: str, resource: str) -> None:
    assert not permits(Request(action, resource, CONTEXT | tags("payments")), SERVICE_ROLE)


def test_what_the_account_was_prepared_with_is_read() -> None:
    parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/payments/bootstrap/a"
    assert permits(Request("ssm:GetParameters", parameter), SERVICE_ROLE)
    keys = tags("payments") | {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    assert permits(Request("kms:Decrypt", NAMES["PaymentArtifactsKey.Arn"], keys), SERVICE_ROLE)


def passed(role: str, service: str) -> bool:
    return permits(Request("iam:PassRole", role, {"iam:PassedToService": service}), SERVICE_ROLE)


def test_roles_are_passed_to_the_services_that_the_templates_give_them() -> None:
    trusted = {
        statement["Principal"]["Service"]
        for template in load_all().values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }
    assert len(trusted) >= 6
    assert {service for service in trusted if not passed(ROLE, service)} == set()


@pytest.mark.parametrize(
    "service", ["ec2", "cloudformation", "codebuild", "glue", "sagemaker", "ssm"]
)
def test_roles_are_passed_to_no_other_service(service: str) -> None:
    assert not passed(ROLE, f"{service}.amazonaws.com")


def test_role_is_passed_on_to_nested_stacks_only() -> None:
    own = NAMES["PaymentServiceRole.Arn"]
    assert passed(own, "cloudformation.amazonaws.com")
    assert not passed(NAMES["PaymentDeployRole.Arn"], "cloudformation.amazonaws.com")
    for service in ("lambda", "ecs-tasks", "events"):
        for role in KEPT:
            assert not passed(role, f"{service}.amazonaws.com")
    assert not passed(f"arn:aws:iam::{ACCOUNT}:role/administrator", "lambda.amazonaws.com")


def test_service_linked_roles_are_those_of_the_services_in_use() -> None:
    linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/spot.amazonaws.com/A"
    keys = {"iam:AWSServiceName": "spot.amazonaws.com"}
    assert not permits(Request("iam:CreateServiceLinkedRole", linked, keys), SERVICE_ROLE)


@pytest.mark.parametrize("action", ["iam:CreateUser", "iam:CreateAccessKey", "iam:CreatePolicy",
                                    "iam:CreateOpenIDConnectProvider", "iam:AddUserToGroup",
                                    "sts:AssumeRole", "organizations:LeaveOrganization",
                                    "cloudtrail:StopLogging", "ec2:RunInstances"])  # fmt: skip
def test_role_may_not(action: str) -> None:
    keys = CONTEXT | tags("payments")
    for resource in ("*", ROLE, f"arn:aws:iam::{ACCOUNT}:user/payments-dev-a"):
        assert not permits(Request(action, resource, keys), SERVICE_ROLE)


def test_keys_are_used_through_services_only() -> None:
    key = OURS["kms", "key"]
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
        assert not permits(Request(action, key, tags("payments")), SERVICE_ROLE)
        elsewhere = tags("payments") | {"kms:ViaService": f"ebs.{REGION}.amazonaws.com"}
        assert not permits(Request(action, key, elsewhere), SERVICE_ROLE)
