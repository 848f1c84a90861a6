"""The roles of the platform: what each is for, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass

from verification.cloud import CloudError, Record
from verification.platform import MissingError, Platform
from verification.policies import Statement, allowed, as_list, read_policy
from verification.settings import Settings
from verification.stacks import Resource


@dataclass(frozen=True)
class Duty:
    """What a role is for: who takes it, what it may do, and which policies of AWS it has."""

    service: str
    actions: frozenset[str] = frozenset()
    managed: frozenset[str] = frozenset()


def _duty(service: str, actions: str = "", managed: str = "") -> Duty:
    return Duty(service, frozenset(actions.split()), frozenset(managed.split()))


# By logical id. A role that is new in the templates has to be added, or the checks say so: what
# it may do is decided here a second time, by somebody who reads it.
DUTIES: dict[str, Duty] = {
    "PaymentFlowLogRole": _duty(
        "vpc-flow-logs.amazonaws.com",
        "logs:CreateLogStream logs:DescribeLogGroups logs:DescribeLogStreams logs:PutLogEvents",
    ),
    "PaymentDefaultSecurityGroupRole": _duty(
        "lambda.amazonaws.com",
        "ec2:DescribeSecurityGroupRules ec2:RevokeSecurityGroupEgress "
        "ec2:RevokeSecurityGroupIngress logs:CreateLogStream logs:PutLogEvents",
    ),
    "PaymentDatabaseMonitoringRole": _duty(
        "monitoring.rds.amazonaws.com", managed="AmazonRDSEnhancedMonitoringRole"
    ),
    "PaymentRotationRole": _duty(
        "lambda.amazonaws.com",
        "ec2:AssignPrivateIpAddresses ec2:CreateNetworkInterface ec2:DeleteNetworkInterface "
        "ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets "
        "ec2:DescribeVpcs ec2:UnassignPrivateIpAddresses kms:Decrypt kms:GenerateDataKey "
        "logs:CreateLogStream logs:PutLogEvents secretsmanager:DescribeSecret "
        "secretsmanager:GetRandomPassword secretsmanager:GetSecretValue "
        "secretsmanager:PutSecretValue secretsmanager:UpdateSecretVersionStage",
    ),
    "PaymentEmptyBucketRole": _duty(
        "lambda.amazonaws.com",
        "logs:CreateLogStream logs:PutLogEvents s3:DeleteObject s3:DeleteObjectVersion "
        "s3:ListBucketVersions",
    ),
    "PaymentExecutionRole": _duty(
        "ecs-tasks.amazonaws.com",
        "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetAuthorizationToken "
        "ecr:GetDownloadUrlForLayer kms:Decrypt logs:CreateLogStream logs:PutLogEvents "
        "secretsmanager:GetSecretValue",
    ),
    "PaymentTaskRole": _duty(
        "ecs-tasks.amazonaws.com",
        "kms:Decrypt rds-db:connect secretsmanager:DescribeSecret secretsmanager:GetSecretValue",
    ),
    "PaymentBackupRole": _duty(
        "backup.amazonaws.com",
        "backup:DescribeBackupVault kms:DescribeKey rds:AddTagsToResource "
        "rds:CreateDBClusterSnapshot rds:DeleteDBClusterSnapshot rds:DescribeDBClusterSnapshots "
        "rds:DescribeDBClusters rds:ListTagsForResource tag:GetResources",
    ),
    "PaymentComplianceEventRole": _duty(
        "events.amazonaws.com", "kms:Decrypt kms:GenerateDataKey* sns:Publish"
    ),
}
# What the tasks need beside that where commands can be run inside them.
COMMANDS = frozenset(
    {
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    }
)
# IAM knows no resource for these, so that a policy can only say "*".
RESOURCELESS = (
    "ec2:*NetworkInterface*",  # Lambda joins a network before it knows the interface
    "ec2:*PrivateIpAddresses",
    "ec2:Describe*",
    "ecr:GetAuthorizationToken",
    "secretsmanager:GetRandomPassword",
    "ssmmessages:*",
    "tag:GetResources",
)


@dataclass(frozen=True)
class Role:
    """One role of the stack tree as IAM tells it."""

    resource: Resource
    arn: str
    boundary: str
    trust: list[Statement]
    statements: list[Statement]
    managed: frozenset[str]

    def __str__(self) -> str:
        """Return the role's name in the templates, for messages."""
        return self.resource.logical_id

    @property
    def actions(self) -> set[str]:
        """What the policies of the platform let the role do."""
        return {
            action
            for item in allowed(self.statements)
            for action in as_list(item.get("Action", "*"))
        }


def read_roles(platform: Platform) -> list[Role]:
    """Return the roles of the stack tree.

    Raises:
        MissingError: there is none.
    """
    roles = [_read_role(platform, item) for item in platform.resources("AWS::IAM::Role")]
    if not roles:
        raise MissingError("The stack tree has no IAM role.")
    return roles


def _read_role(platform: Platform, resource: Resource) -> Role:
    name = resource.physical_id
    try:
        found: Record = platform.cloud.get("iam", "get_role", RoleName=name)["Role"]
    except CloudError as error:
        if error.code == "NoSuchEntity":
            raise MissingError(f"Role {name} ({resource}) does not exist.") from None
        raise
    attached = platform.cloud.every(
        "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name
    )
    inline = platform.cloud.every("iam", "list_role_policies", "PolicyNames", RoleName=name)
    statements = [
        statement
        for policy in inline
        for statement in read_policy(
            platform.cloud.get("iam", "get_role_policy", RoleName=name, PolicyName=str(policy))[
                "PolicyDocument"
            ]
        )
    ]
    for policy in attached:
        if not _is_of_aws(policy["PolicyArn"]):
            statements += read_managed(platform, policy["PolicyArn"])
    return Role(
        resource=resource,
        arn=found["Arn"],
        boundary=found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        trust=read_policy(found["AssumeRolePolicyDocument"]),
        statements=statements,
        managed=frozenset(item["PolicyName"] for item in attached if _is_of_aws(item["PolicyArn"])),
    )


def _is_of_aws(arn: str) -> bool:
    """Whether AWS itself keeps a policy: its ARN has `aws` where the account would be."""
    return arn.split(":")[4] == "aws"


def read_managed(platform: Platform, arn: str) -> list[Statement]:
    """Return the statements of a managed policy's version that is in force."""
    version = platform.cloud.get("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
    found = platform.cloud.get("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
    return read_policy(found["PolicyVersion"]["Document"])


def duty(role: Role, settings: Settings) -> Duty:
    """Return what a role is for in this environment.

    Raises:
        MissingError: the table does not know the role.
    """
    try:
        found = DUTIES[role.resource.logical_id]
    except KeyError:
        raise MissingError(
            f"verification/roles.py does not know what {role.resource} is for: add it there."
        ) from None
    if (
        role.resource.logical_id == "PaymentTaskRole"
        and settings.expectations.service_execute_command
    ):
        return Duty(found.service, found.actions | COMMANDS, found.managed)
    return found
