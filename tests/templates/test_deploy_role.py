"""The role of continuous integration: it deploys and verifies, and reads no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator

import botocore.session
import pytest

from tests.templates.bootstrap import (
    BOUNDARY_ARN,
    DEPLOY_ROLE,
    NAMES,
    RESOURCES,
    STACK,
    SUBJECTS,
    TEMPLATE,
    actions,
    trust_of,
)
from tests.templates.iam import ACCOUNT, REGION, Request, permits
from tests.templates.loader import DIRECTORY
from tests.templates.reference import matching, resource_types
from tests.templates.requests import OURS, on
from tests.templates.roles import ID

SUITE = DIRECTORY.parent / "verification"
PLATFORM = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/payments-dev/{ID}"
BOOTSTRAP = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/{ID}"
RELEASE = f"{NAMES['PaymentArtifactsBucket.Arn']}/releases/a.template.json"


def may(action: str, resource: str = "*", **keys: str) -> bool:
    named = {name.replace("__", ":"): value for name, value in keys.items()}
    return permits(Request(action, resource, named), DEPLOY_ROLE)


# --- Who takes it --------------------------------------------------------------------------------


def test_a_token_takes_the_role_only_for_the_subjects_that_were_named() -> None:
    [statement] = trust_of("PaymentDeployRole")["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": SUBJECTS}
        },
    }


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "repo:example/payments:environment:prod",
        "repo:example@123/payments@456:environment:prod",
        "repo:example/payments:ref:refs/heads/main",
        "project_path:example/group/payments:ref_type:branch:ref:main",
    ],
)
def test_whole_subject_is_taken(subject: str) -> None:
    assert re.fullmatch(TEMPLATE["Parameters"]["OidcSubjects"]["AllowedPattern"], subject)


@pytest.mark.parametrize(
    "subject",
    [
        "*",
        "repo:*",
        "repo:example/*",
        "repo:example/payments:*",
        "repo:example/payments:ref:refs/heads/*",
        "repo:example/payments:environment:pro?",
        "repo:example/payments",
        "repo:example:environment:prod",
        'a:b/c:d", "*',
    ],
)
def test_subject_that_more_than_one_place_has_is_refused(subject: str) -> None:
    assert not re.fullmatch(TEMPLATE["Parameters"]["OidcSubjects"]["AllowedPattern"], subject)


@pytest.mark.parametrize(
    ("issuer", "taken"),
    [
        ("token.actions.githubusercontent.com", True),
        ("oidc.circleci.com/org/0123-abc", True),
        ("https://gitlab.com", False),
        ("gitlab", False),
        ('a.b": "c', False),
    ],
)
def test_issuer_is_a_host_name(issuer: str, taken: bool) -> None:
    pattern = TEMPLATE["Parameters"]["OidcIssuer"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, issuer)) is taken


def test_session_ends_after_an_hour() -> None:
    assert RESOURCES["PaymentDeployRole"]["Properties"]["MaxSessionDuration"] == 7200


def test_provider_is_for_this_audience_and_stays() -> None:
    provider = RESOURCES["PaymentOidcProvider"]
    assert provider["Properties"]["ClientIdList"] == ["sts.amazonaws.com"]
    assert provider["Properties"]["Url"] == {"Fn::Sub": "https://${OidcIssuer}"}
    assert (provider["DeletionPolicy"], provider["UpdateReplacePolicy"]) == ("Retain", "Retain")


# --- What it may do ------------------------------------------------------------------------------

CHANGES = ["CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "DeleteStack", "TagResource",
           "UpdateTerminationProtection"]  # fmt: skip


# A change set that is gone belongs to no stack.
def test_what_a_change_set_does_is_read_wherever_it_is() -> None:
    assert may("cloudformation:DescribeChangeSet")
    assert may("cloudformation:DescribeEvents")
    assert not may("cloudformation:ExecuteChangeSet")


@pytest.mark.parametrize("operation", [*CHANGES, "DescribeStacks", "DescribeStackEvents",
                                       "GetTemplate", "ListStackResources"])  # fmt: skip
def test_role_deploys_stacks_of_the_application(operation: str) -> None:
    assert may(f"cloudformation:{operation}", PLATFORM)
    other = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/ledger-dev/{ID}"
    assert not may(f"cloudformation:{operation}", other)


@pytest.mark.parametrize("operation", [*CHANGES, "UpdateStack", "CreateStack", "SetStackPolicy"])
def test_role_does_not_touch_what_the_account_was_prepared_with(operation: str) -> None:
    assert not may(f"cloudformation:{operation}", BOOTSTRAP)


def test_role_reads_what_the_account_was_prepared_with() -> None:
    assert may("cloudformation:DescribeStacks", BOOTSTRAP)
    parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/payments/bootstrap/service-role-arn"
    assert may("ssm:GetParameter", parameter)
    assert not may("ssm:PutParameter", parameter)


def test_stacks_are_made_through_change_sets_only() -> None:
    """What is deployed can be read before it is."""
    for operation in ("CreateStack", "UpdateStack"):
        assert not may(f"cloudformation:{operation}", PLATFORM)


def test_role_passes_the_service_role_to_cloudformation_and_nothing_else() -> None:
    service = NAMES["PaymentServiceRole.Arn"]
    assert may("iam:PassRole", service, iam__PassedToService="cloudformation.amazonaws.com")
    assert not may("iam:PassRole", service, iam__PassedToService="lambda.amazonaws.com")
    for role in (NAMES["PaymentDeployRole.Arn"], OURS["iam", "role"]):
        assert not may("iam:PassRole", role, iam__PassedToService="cloudformation.amazonaws.com")


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObject", "s3:DeleteObjectVersion"])
def test_role_keeps_releases(action: str) -> None:
    assert may(action, RELEASE)
    assert not may(action, "arn:aws:s3:::payments-dev-paymentcomputestack-a/access/a")


def test_role_uses_the_key_of_releases_through_s3_only() -> None:
    key = NAMES["PaymentArtifactsKey.Arn"]
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert may(action, key, kms__ViaService=f"s3.{REGION}.amazonaws.com")
        assert not may(action, key)
        assert not may(action, OURS["kms", "key"], kms__ViaService=f"s3.{REGION}.amazonaws.com")


FORBIDDEN = [
    "ec2:CreateVpc",
    "iam:AttachRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "lambda:InvokeFunction",
    "lambda:UpdateFunctionCode",
    "logs:GetLogEvents",
    "rds:DeleteDBCluster",
    "rds:ModifyDBCluster",
    "s3:DeleteBucket",
    "s3:PutBucketPolicy",
    "secretsmanager:GetSecretValue",
    "ssm:PutParameter",
    "sts:AssumeRole",
]


@pytest.mark.parametrize("action", FORBIDDEN)
def test_role_may_not(action: str) -> None:
    keys = {"iam:PermissionsBoundary": BOUNDARY_ARN}
    everywhere = [Request(action, resource, keys) for resource in ("*", *NAMED)]
    assert not any(permits(r, DEPLOY_ROLE) for r in [*on(action), *everywhere])


NAMED = [value for name, value in NAMES.items() if str(value).startswith("arn:") and "." in name]


def test_what_the_role_reads_all_over_the_region_is_read_only_there() -> None:
    for action in ("rds:DescribeDBClusters", "ec2:DescribeVpcs", "secretsmanager:DescribeSecret"):
        assert permits(Request(action, "*"), DEPLOY_ROLE)
        assert not permits(Request(action, "*", region="us-east-1"), DEPLOY_ROLE)


def test_wildcards_are_for_reads() -> None:
    for pattern in actions(DEPLOY_ROLE):
        if "*" in pattern and pattern != "kms:GenerateDataKey*":
            verbs = ("describe", "get", "list")
            assert {a for a in matching(pattern) if not a.split(":")[1].startswith(verbs)} == set()


# --- What verification and the collection call ---------------------------------------------------

CALL = re.compile(r'cloud\.(?:get|every)\(\s*"(?P<service>[a-z0-9-]+)",\s*"(?P<operation>[a-z_]+)"')
IN_VPC = re.compile(r'in_vpc\(\s*"(?P<operation>[a-z_]+)"')
PREFIXES = {"elbv2": "elasticloadbalancing"}
# S3's actions are named after what is read, not after the operation.
OF_S3 = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
}


def calls() -> Iterator[tuple[str, str]]:
    """Service and operation, as boto3 names them, of every read of verification."""
    for path in sorted(SUITE.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for found in CALL.finditer(text):
            yield found["service"], found["operation"]
        for found in IN_VPC.finditer(text):
            yield "ec2", found["operation"]


def action_of(service: str, operation: str) -> str:
    """The action that IAM decides on for an operation."""
    model = botocore.session.get_session().get_service_model(service)
    names = {name.lower(): name for name in model.operation_names}
    name = names[operation.replace("_", "")]
    return f"{PREFIXES.get(service, service)}:{OF_S3.get(name, name)}"


# A role without a right to secrets cannot look for their values elsewhere.
NOT_OF_CI = {"secretsmanager:GetSecretValue"}
READS = sorted({action_of(*call) for call in calls()} - NOT_OF_CI)


def test_reads_of_verification_were_found() -> None:
    assert len(READS) > 50


@pytest.mark.parametrize("action", READS)
def test_role_may_read_what_verification_reads(action: str) -> None:
    kinds = resource_types(action)
    asked = on(action)
    if action.startswith("iam:") and "policy" in kinds:
        asked = [Request(action, BOUNDARY_ARN)]
    if action == "s3:ListBucket":
        asked = [Request(action, NAMES["PaymentArtifactsBucket.Arn"])]
    assert [request for request in asked if not permits(request, DEPLOY_ROLE)] == []
