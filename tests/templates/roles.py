"""The roles of the platform, as they read once deployed in an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.templates.iam import ACCOUNT, PSEUDO, REGION, Policy, resolved
from tests.templates.loader import ENVIRONMENTS, in_environment, load_all

ID = "01234567-89ab-4cde-8f01-23456789abcd"


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


# Resources with a name of their own: the property that has it, the attribute that policies use
# ("" is Ref), and what that is.
NAMED = {
    "AWS::Backup::BackupVault": (
        "BackupVaultName",
        ".BackupVaultArn",
        arn("backup", "backup-vault:{}"),
    ),
    "AWS::Logs::LogGroup": ("LogGroupName", ".Arn", arn("logs", "log-group:{}:*")),
    "AWS::SecretsManager::Secret": ("Name", "", arn("secretsmanager", "secret:{}-AbCdEf")),
}
# The others: {} is what CloudFormation makes up of the stack, the logical id and some letters.
UNNAMED = {
    "AWS::EC2::VPC": (".DefaultSecurityGroup", "sg-0a1b2c3d"),
    "AWS::KMS::Key": (".Arn", arn("kms", f"key/{ID}")),
    "AWS::S3::Bucket": (".Arn", "arn:aws:s3:::{}"),
}


def from_siblings(environment: str) -> dict[str, str]:
    """What stacks hand to each other, as it is in an environment."""
    return {
        "AlarmKeyArn": arn("kms", f"key/{ID}"),
        "AlarmTopicArn": arn(
            "sns", f"payments-{environment}-PaymentSecurityStack-PaymentAlarmTopic"
        ),
        "DataKeyArn": arn("kms", f"key/{ID}"),
        "DatabaseClusterArn": arn("rds", f"cluster:payments-{environment}"),
        "DatabaseResourceId": "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "DatabaseSecretArn": arn(
            "secretsmanager", f"secret:payments/{environment}/database/service-0123-AbCdEf"
        ),
    }


@dataclass(frozen=True)
class Role:
    """A role in an environment: its own policies and the ARNs of those of AWS."""

    environment: str
    file: str
    logical_id: str
    policies: list[Policy]
    managed: list[str]


def _values(template: Mapping[str, Any], environment: str) -> dict[str, Any]:
    stack = arn("cloudformation", f"stack/payments-{environment}-Stack/{ID}")
    values = {
        **PSEUDO,
        "AWS::StackId": stack,
        "ApplicationName": "payments",
        "EnvironmentType": environment,
        **from_siblings(environment),
    }
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in NAMED:
            named, attribute, form = NAMED[resource["Type"]]
            name = resolved(resource["Properties"][named], values)
            values[logical_id + attribute] = form.format(name)
        elif resource["Type"] in UNNAMED:
            attribute, form = UNNAMED[resource["Type"]]
            name = f"payments-{environment}-Stack-{logical_id}-0123456789AB"
            values[logical_id + attribute] = form.format(name.lower())
    return values


def roles(environment: str) -> Iterator[Role]:
    """Every role of the platform in an environment."""
    for file, template in load_all().items():
        deployed = in_environment(template, environment)
        values = _values(deployed, environment)
        for logical_id, resource in deployed["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                properties = resource["Properties"]
                yield Role(
                    environment,
                    file,
                    logical_id,
                    [
                        resolved(policy["PolicyDocument"], values)
                        for policy in properties.get("Policies", [])
                    ],
                    resolved(properties.get("ManagedPolicyArns", []), values),
                )


ROLES = {
    f"{role.environment}-{role.logical_id}": role
    for environment in ENVIRONMENTS
    for role in roles(environment)
}
