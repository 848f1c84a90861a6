"""What the account was prepared with: bucket of releases, boundary and roles of deployments."""

from __future__ import annotations

from typing import Any

import pytest

from verification.cloud import CloudError, Record
from verification.platform import COMPLETE, MissingError, Platform
from verification.policies import (
    Statement,
    allowed,
    as_list,
    covers,
    principals,
    read_policy,
    refuses_plain_http,
)
from verification.roles import read_managed
from verification.settings import Settings
from verification.stacks import Stack, read_tree

# The name of each parameter, and the output of the same value.
PARAMETERS = {
    "permissions-boundary-arn": "PermissionsBoundaryArn",
    "service-role-arn": "ServiceRoleArn",
    "artifact-bucket-name": "BucketName",
    "artifact-key-arn": "KeyArn",
}
# What would let whoever deploys give itself more.
ESCALATIONS = [
    "iam:CreateAccessKey",
    "iam:CreatePolicyVersion",
    "iam:CreateUser",
    "iam:DeleteRolePermissionsBoundary",
    "iam:SetDefaultPolicyVersion",
    "sts:AssumeRole",
]


@pytest.fixture(scope="module")
def bootstrap(platform: Platform, settings: Settings) -> Stack:
    """Return the stack that the account was prepared with."""
    name = f"{settings.application}-bootstrap"
    try:
        [stack] = read_tree(platform.cloud, name)
    except CloudError as error:
        if "does not exist" not in str(error):
            raise
        raise MissingError(f"Stack {name} does not exist: run playbooks/bootstrap.yml.") from None
    return stack


def _role(platform: Platform, arn: str) -> Record:
    found: Record = platform.cloud.get("iam", "get_role", RoleName=arn.rsplit("/", 1)[1])["Role"]
    return found


def _statements(platform: Platform, arn: str) -> list[Statement]:
    """Everything that the policies of a role say."""
    name = arn.rsplit("/", 1)[1]
    inline = platform.cloud.get("iam", "list_role_policies", RoleName=name)["PolicyNames"]
    attached = platform.cloud.every(
        "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name
    )
    documents: list[Any] = [
        platform.cloud.get("iam", "get_role_policy", RoleName=name, PolicyName=policy)[
            "PolicyDocument"
        ]
        for policy in inline
    ]
    own = [statement for document in documents for statement in read_policy(document)]
    return own + [
        statement
        for policy in attached
        for statement in read_managed(platform, policy["PolicyArn"])
    ]


def test_stack_is_complete_and_protected(bootstrap: Stack) -> None:
    assert bootstrap.status in COMPLETE, f"Stack {bootstrap.name} is {bootstrap.status}."
    assert bootstrap.termination_protection, f"Stack {bootstrap.name} can be deleted."
    assert bootstrap.tags.get("Environment") == "shared", (
        f"Stack {bootstrap.name} is tagged as {bootstrap.tags.get('Environment')}, not as shared."
    )


@pytest.mark.parametrize(("path", "output"), PARAMETERS.items())
def test_parameters_say_what_there_is(
    platform: Platform, settings: Settings, bootstrap: Stack, path: str, output: str
) -> None:
    name = f"/{settings.application}/bootstrap/{path}"
    value = platform.cloud.get("ssm", "get_parameter", Name=name)["Parameter"]["Value"]
    assert value == bootstrap.outputs.get(output), (
        f"Parameter {name} is {value}, but {output} of {bootstrap.name} is "
        f"{bootstrap.outputs.get(output)}."
    )


# --- The bucket of releases ----------------------------------------------------------------------


def test_bucket_is_private(platform: Platform, bootstrap: Stack) -> None:
    name = bootstrap.outputs["BucketName"]
    blocks = platform.cloud.get("s3", "get_public_access_block", Bucket=name)[
        "PublicAccessBlockConfiguration"
    ]
    loose = sorted(key for key, value in blocks.items() if value is not True)
    assert len(blocks) == 4, f"Bucket {name} has no whole public access block."
    assert not loose, f"Bucket {name} has {', '.join(loose)} off."
    rules = platform.cloud.get("s3", "get_bucket_ownership_controls", Bucket=name)[
        "OwnershipControls"
    ]["Rules"]
    assert rules[0]["ObjectOwnership"] == "BucketOwnerEnforced", f"Bucket {name} has ACLs."


def test_bucket_keeps_versions(platform: Platform, bootstrap: Stack) -> None:
    name = bootstrap.outputs["BucketName"]
    status = platform.cloud.get("s3", "get_bucket_versioning", Bucket=name).get("Status")
    assert status == "Enabled", f"Versioning of bucket {name} is {status or 'off'}."


def test_bucket_is_encrypted_with_its_own_key(platform: Platform, bootstrap: Stack) -> None:
    name, key = bootstrap.outputs["BucketName"], bootstrap.outputs["KeyArn"]
    [rule] = platform.cloud.get("s3", "get_bucket_encryption", Bucket=name)[
        "ServerSideEncryptionConfiguration"
    ]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, (
        f"Bucket {name} is encrypted by {default}, not with {key}."
    )
    rotated = platform.cloud.get("kms", "get_key_rotation_status", KeyId=key)
    assert rotated["KeyRotationEnabled"], f"The key of bucket {name} is not rotated."


def test_bucket_answers_over_tls_only(platform: Platform, bootstrap: Stack) -> None:
    name = bootstrap.outputs["BucketName"]
    policy = platform.cloud.get("s3", "get_bucket_policy", Bucket=name)["Policy"]
    assert refuses_plain_http(read_policy(policy)), f"Bucket {name} takes plain HTTP."


# --- The roles of deployments --------------------------------------------------------------------


def test_cloudformation_alone_takes_the_service_role(platform: Platform, bootstrap: Stack) -> None:
    role = _role(platform, bootstrap.outputs["ServiceRoleArn"])
    who = [
        name
        for item in allowed(read_policy(role["AssumeRolePolicyDocument"]))
        for name in principals(item)
    ]
    assert who == ["cloudformation.amazonaws.com"], f"{role['RoleName']} is taken by {who}."


def test_tokens_take_the_deploy_role_by_whole_subjects(
    platform: Platform, bootstrap: Stack
) -> None:
    # Without subjects there is no such role, and that is as it should be.
    for arn in filter(None, [bootstrap.outputs.get("DeployRoleArn")]):
        role = _role(platform, arn)
        for item in allowed(read_policy(role["AssumeRolePolicyDocument"])):
            exact = item.get("Condition", {}).get("StringEquals", {})
            found = {key.rsplit(":", 1)[1]: as_list(value) for key, value in exact.items()}
            assert found.get("aud") == ["sts.amazonaws.com"], (
                f"{role['RoleName']} takes tokens for {found.get('aud')}."
            )
            assert found.get("sub"), f"{role['RoleName']} takes tokens of any subject."


@pytest.mark.parametrize("output", ["ServiceRoleArn", "DeployRoleArn"])
def test_roles_of_deployments_cannot_give_themselves_more(
    platform: Platform, bootstrap: Stack, output: str
) -> None:
    for arn in filter(None, [bootstrap.outputs.get(output)]):
        may = sorted(
            action
            for action in ESCALATIONS
            for item in allowed(_statements(platform, arn))
            if covers(as_list(item.get("Action")), action)
        )
        assert not may, f"{arn} may {', '.join(may)}."


def test_service_role_makes_roles_only_with_the_boundary(
    platform: Platform, bootstrap: Stack
) -> None:
    arn = bootstrap.outputs["ServiceRoleArn"]
    making = [
        item
        for item in allowed(_statements(platform, arn))
        if covers(as_list(item.get("Action")), "iam:CreateRole")
    ]
    assert making, f"{arn} may not make roles: it could not deploy the platform."
    for item in making:
        wanted = item.get("Condition", {}).get("StringEquals", {}).get("iam:PermissionsBoundary")
        assert wanted == platform.boundary, f"{arn} makes roles with the boundary {wanted}."
