"""The secrets of the database: encrypted, rotated by our function, and told nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from verification.cloud import CloudError, Record
from verification.platform import MissingError, Platform
from verification.policies import allowed, as_list, principals, read_policy
from verification.settings import Settings

SECRETS = ("DatabaseSecretArn", "DatabaseMasterSecretArn")
# PCI DSS 8.3.9 and 8.6.3: a password is changed at least this often.
ROTATION_DAYS = 90
# What is in a secret but is none.
OPEN_KEYS = {"dbClusterIdentifier", "dbname", "engine", "host", "masterarn", "port", "username"}


# --- The secrets --------------------------------------------------------------------------------


def test_platform_has_no_other_secret(platform: Platform) -> None:
    known = {platform.output(name) for name in SECRETS}
    others = {
        item.physical_id for item in platform.resources("AWS::SecretsManager::Secret")
    } - known
    assert len(known) == len(SECRETS), "The service is given the secret of the master user."
    assert not others, f"Secrets that nobody checks: {', '.join(sorted(others))}."


@pytest.mark.parametrize("output", SECRETS)
def test_secret_is_encrypted_with_the_data_key(platform: Platform, output: str) -> None:
    secret, wanted = platform.secret(output), platform.output("DataKeyArn")
    key = secret.get("KmsKeyId", "")
    # Secrets Manager answers with the id or the ARN, as the key was given to it.
    assert key, f"Secret {secret['Name']} is not encrypted with a customer key."
    assert wanted.endswith(key), f"Secret {secret['Name']} is encrypted with {key}, not {wanted}."


@pytest.mark.parametrize("output", SECRETS)
def test_secret_is_rotated_by_the_function(platform: Platform, output: str) -> None:
    secret = platform.secret(output)
    name, function = secret["Name"], secret.get("RotationLambdaARN", "nothing")
    wanted = platform.arn("lambda", f"function:{platform.output('RotationFunctionName')}")
    assert secret.get("RotationEnabled") is True, f"Secret {name} is not rotated."
    assert function == wanted, f"Secret {name} is rotated by {function}, not by {wanted}."


@pytest.mark.parametrize("output", SECRETS)
def test_secret_is_rotated_often_enough(platform: Platform, output: str) -> None:
    secret = platform.secret(output)
    days = secret.get("RotationRules", {}).get("AutomaticallyAfterDays", 0)
    assert 0 < days <= ROTATION_DAYS, (
        f"Secret {secret['Name']} is rotated every {days} days, "
        f"at most {ROTATION_DAYS} are allowed."
    )
    due = secret.get("NextRotationDate")
    assert not due or due > datetime.now(UTC), (
        f"Secret {secret['Name']} should have been rotated by {due:%Y-%m-%d}."
    )


@pytest.mark.parametrize("output", SECRETS)
def test_secret_is_there_to_stay(platform: Platform, output: str) -> None:
    secret = platform.secret(output)
    assert not secret.get("DeletedDate"), f"Secret {secret['Name']} is about to be deleted."
    stages = [stage for item in secret["VersionIdsToStages"].values() for stage in item]
    assert stages.count("AWSCURRENT") == 1, f"Secret {secret['Name']} has no current value."


@pytest.mark.parametrize("output", SECRETS)
def test_secret_is_granted_to_nobody_by_itself(platform: Platform, output: str) -> None:
    arn = platform.output(output)
    policy = platform.cloud.get("secretsmanager", "get_resource_policy", SecretId=arn).get(
        "ResourcePolicy"
    )
    grants = [
        f"{', '.join(as_list(item.get('Action')))} to {', '.join(principals(item))}"
        for item in (allowed(read_policy(policy)) if policy else [])
    ]
    assert not grants, f"The policy of secret {arn} grants {'; '.join(grants)}."


# --- The function that rotates them -------------------------------------------------------------


def _rotation(platform: Platform) -> Record:
    name = platform.output("RotationFunctionName")
    try:
        found: Record = platform.cloud.get(
            "lambda", "get_function_configuration", FunctionName=name
        )
    except CloudError as error:
        if error.code == "ResourceNotFoundException":
            raise MissingError(f"Rotation function {name} does not exist.") from None
        raise
    return found


def test_rotation_works_beside_the_service(platform: Platform) -> None:
    network = _rotation(platform).get("VpcConfig", {})
    subnets = set(network.get("SubnetIds", []))
    private = {item["SubnetId"] for item in platform.tier("Private")}
    wanted = [platform.output("RotationSecurityGroupId")]
    assert subnets == private, (
        f"The rotation function is in {', '.join(sorted(subnets)) or 'no subnet'}, "
        "not in the private subnets."
    )
    assert network.get("SecurityGroupIds") == wanted, (
        f"The rotation function has groups {network.get('SecurityGroupIds')}, not {wanted}."
    )


def test_rotation_is_started_only_by_secrets_manager(platform: Platform) -> None:
    name = platform.output("RotationFunctionName")
    try:
        policy = platform.cloud.get("lambda", "get_policy", FunctionName=name)["Policy"]
    except CloudError as error:
        if error.code != "ResourceNotFoundException":
            raise
        policy = '{"Statement": []}'
    statements = allowed(read_policy(policy))
    assert statements, f"Secrets Manager may not start {name}: no secret is rotated."
    for item in statements:
        who = principals(item)
        account = item.get("Condition", {}).get("StringEquals", {}).get("AWS:SourceAccount")
        assert who == ["secretsmanager.amazonaws.com"], f"{name} is started by {', '.join(who)}."
        assert account == platform.account, (
            f"{name} is started for account {account or 'any'}, not only for {platform.account}."
        )


# --- Told nowhere -------------------------------------------------------------------------------


def _values(platform: Platform) -> set[str]:
    """Return what must be told nowhere. It stays in this process and out of every message.

    Whoever may not read a password, as continuous integration may not, cannot look for it.
    """
    found: set[str] = set()
    for output in SECRETS:
        try:
            text = platform.cloud.get(
                "secretsmanager", "get_secret_value", SecretId=platform.output(output)
            )["SecretString"]
        except CloudError as error:
            if error.code == "AccessDeniedException":
                return set()
            raise
        secret: Record = json.loads(text)
        found |= {str(value) for key, value in secret.items() if key not in OPEN_KEYS}
    if not found:
        raise MissingError("The secrets of the database are empty.")
    return found


def _told(platform: Platform, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield every place where a value could be read without reading the secret, with its text."""
    for stack in platform.stacks.values():
        where = stack.path or "root"
        yield from ((f"parameter {where}.{key}", value) for key, value in stack.parameters.items())
        yield from ((f"output {where}.{key}", value) for key, value in stack.outputs.items())
        if stack.path:
            yield f"template {where}", json.dumps(platform.template(stack.path))
    task = platform.task_definition
    yield f"task definition {task['taskDefinitionArn']}", json.dumps(task, default=str)
    for function in platform.resources("AWS::Lambda::Function"):
        configuration = platform.cloud.get(
            "lambda", "get_function_configuration", FunctionName=function.physical_id
        )
        yield f"environment of {function}", json.dumps(configuration.get("Environment", {}))
    for parameter in platform.cloud.every(
        "ssm",
        "get_parameters_by_path",
        "Parameters",
        Path=f"/{settings.application}/{settings.environment}",
        Recursive=True,
    ):
        yield f"parameter {parameter['Name']}", parameter["Value"]


def test_passwords_are_told_nowhere(platform: Platform, settings: Settings) -> None:
    secrets = _values(platform)
    leaks = [
        where
        for where, text in _told(platform, settings)
        if any(value in text or json.dumps(value)[1:-1] in text for value in secrets)
    ]
    assert not leaks, f"A password of the database can be read in {'; '.join(leaks)}."
