"""Sabotage of the database's secrets and of their rotation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from tests.e2e.sabotages.functions import closing, function
from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="prod")


def secret_name(victim: Victim) -> str:
    """The name of the service's secret."""
    arn = victim.outputs["DatabaseSecretArn"]
    return str(victim.client("secretsmanager").describe_secret(SecretId=arn)["Name"])


@noticed_by("secrets::test_secret_is_rotated_by_the_function")
def secret_is_not_rotated(victim: Victim) -> Iterator[str]:
    secrets, arn = victim.client("secretsmanager"), victim.outputs["DatabaseSecretArn"]
    before = secrets.describe_secret(SecretId=arn)
    secrets.cancel_rotate_secret(SecretId=arn)
    yield before["Name"]
    secrets.rotate_secret(
        SecretId=arn,
        RotationLambdaARN=before["RotationLambdaARN"],
        RotationRules=before["RotationRules"],
        RotateImmediately=False,
    )


@noticed_by("secrets::test_secret_is_rotated_often_enough")
def secret_is_rotated_once_a_year(victim: Victim) -> Iterator[str]:
    secrets, arn = victim.client("secretsmanager"), victim.outputs["DatabaseMasterSecretArn"]
    before = secrets.describe_secret(SecretId=arn)
    for rules in ({"AutomaticallyAfterDays": 365}, before["RotationRules"]):
        secrets.rotate_secret(
            SecretId=arn,
            RotationLambdaARN=before["RotationLambdaARN"],
            RotationRules=rules,
            RotateImmediately=False,
        )
        if rules is not before["RotationRules"]:
            yield before["Name"]


@noticed_by("secrets::test_secret_is_encrypted_with_the_data_key")
def secret_is_encrypted_with_another_key(victim: Victim) -> Iterator[str]:
    secrets, arn = victim.client("secretsmanager"), victim.outputs["DatabaseSecretArn"]
    for key in (victim.outputs["LogsKeyArn"], victim.outputs["DataKeyArn"]):
        secrets.update_secret(SecretId=arn, KmsKeyId=key)
        if key == victim.outputs["LogsKeyArn"]:
            yield secret_name(victim)


@noticed_by("secrets::test_secret_is_granted_to_nobody_by_itself")
def secret_is_granted_to_a_stranger(victim: Victim) -> Iterator[str]:
    secrets, arn = victim.client("secretsmanager"), victim.outputs["DatabaseSecretArn"]
    grant = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    secrets.put_resource_policy(SecretId=arn, ResourcePolicy=policy)
    yield "999999999999"
    secrets.delete_resource_policy(SecretId=arn)


def password(victim: Victim) -> str:
    """The password of the service."""
    arn = victim.outputs["DatabaseSecretArn"]
    text = victim.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return str(json.loads(text)["password"])


@noticed_by("secrets::test_passwords_are_told_nowhere")
def password_is_told_by_a_parameter(victim: Victim) -> Iterator[str]:
    ssm, name = victim.client("ssm"), f"/payments/{victim.target.inventory}/forgotten"
    ssm.put_parameter(Name=name, Value=f"pw={password(victim)}", Type="String")
    yield name
    ssm.delete_parameter(Name=name)


@noticed_by("secrets::test_passwords_are_told_nowhere")
def password_is_told_to_a_function(victim: Victim) -> Iterator[str]:
    name, nothing = closing(victim), {"Environment": {"Variables": {}}}
    told = {"Variables": {"PGPASS": password(victim)}}
    with function(victim, name, nothing, Environment=told):
        yield "PaymentDefaultSecurityGroupFunction"


@noticed_by("secrets::test_rotation_works_beside_the_service")
def rotation_moves_elsewhere(victim: Victim) -> Iterator[str]:
    name = victim.outputs["RotationFunctionName"]
    groups = {"SecurityGroupIds": [victim.outputs["RotationSecurityGroupId"]]}
    before = {"VpcConfig": {**groups, "SubnetIds": victim.subnets("Private")}}
    public = {**groups, "SubnetIds": victim.subnets("Public")}
    with function(victim, name, before, VpcConfig=public):
        yield victim.subnets("Public")[0]


@noticed_by("secrets::test_rotation_is_started_only_by_secrets_manager")
def rotation_is_started_by_a_stranger(victim: Victim) -> Iterator[str]:
    statement = {"FunctionName": victim.outputs["RotationFunctionName"], "StatementId": "sabotage"}
    victim.client("lambda").add_permission(
        **statement, Action="lambda:InvokeFunction", Principal="999999999999"
    )
    yield "999999999999"
    victim.client("lambda").remove_permission(**statement)


@noticed_by("secrets::test_secret_is_there_to_stay", lasting=True)
def secret_is_deleted(victim: Victim) -> Iterator[str]:
    name = secret_name(victim)
    victim.client("secretsmanager").delete_secret(SecretId=name, RecoveryWindowInDays=7)
    yield name
