"""Secrets of the database and the function that rotates them, in each environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import BOUNDARY, Template

MASTER, SERVICE = "PaymentDBMasterSecret", "PaymentDBServiceSecret"
SECRETS = (MASTER, SERVICE)
# PCI DSS 8.3.9 asks for a change of passwords every 90 days.
LONGEST_ROTATION_DAYS = 90

Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Callable[..., Template]) -> Resources:
    """The resources of the database stack in the environment of the test."""
    found: Resources = deployed("database.yml")["Resources"]
    return found


def properties(resources: Resources, logical_id: str) -> dict[str, Any]:
    return dict(resources[logical_id]["Properties"])


def generated(resources: Resources, logical_id: str) -> tuple[dict[str, str], dict[str, Any]]:
    """What a secret holds beside the password, and how the password is made."""
    rules = properties(resources, logical_id)["GenerateSecretString"]
    text, values = rules["SecretStringTemplate"]["Fn::Sub"]
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return json.loads(text), rules


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_is_under_the_data_key(resources: Resources, secret: str) -> None:
    assert properties(resources, secret)["KmsKeyId"] == {"Ref": "DataKeyArn"}


@pytest.mark.parametrize("secret", SECRETS)
def test_name_of_a_secret_is_of_the_environment_and_of_this_stack_alone(
    resources: Resources, secret: str
) -> None:
    """A deleted secret keeps its name for weeks, and a new stack must not be stopped by it."""
    text, values = properties(resources, secret)["Name"]["Fn::Sub"]
    kind = {MASTER: "master", SERVICE: "service"}[secret]
    assert text == f"${{ApplicationName}}/${{EnvironmentType}}/database/{kind}-${{Unique}}"
    stack = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
    assert values == {"Unique": {"Fn::Select": [4, {"Fn::Split": ["-", stack]}]}}


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_says_whose_it_is(resources: Resources, secret: str, environment: str) -> None:
    assert f"payments-{environment}" in properties(resources, secret)["Description"]


@pytest.mark.parametrize("secret", SECRETS)
def test_password_is_long_and_needs_no_escape(resources: Resources, secret: str) -> None:
    _, rules = generated(resources, secret)
    assert rules["GenerateStringKey"] == "password"
    assert rules["PasswordLength"] == 40
    # RDS refuses the first four in a master password; the rest has a meaning in a connection URL.
    assert set(rules["ExcludeCharacters"]) >= set("/@\" '\\`:?#[]%&+=")
    assert set(rules["ExcludeCharacters"]) <= set("/@\" '\\`:?#[]%&+=$;{}|<>~^,"), "fewer are left"
    assert not {key for key in rules if key.startswith("Exclude")} - {"ExcludeCharacters"}


def test_master_secret_holds_the_master_user(resources: Resources) -> None:
    held, _ = generated(resources, MASTER)
    assert held == {"username": properties(resources, "PaymentDBCluster")["MasterUsername"]}


def test_service_secret_holds_another_user_and_names_the_master_secret(
    resources: Resources,
) -> None:
    """By the name of the master secret the rotation knows that the users of a pair take turns."""
    held, _ = generated(resources, SERVICE)
    master, _ = generated(resources, MASTER)
    assert held == {"username": "payment_app", "masterarn": f"${{{MASTER}}}"}
    assert held["username"] != master["username"]


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_learns_where_the_database_is(resources: Resources, secret: str) -> None:
    assert properties(resources, f"{secret}Attachment") == {
        "SecretId": {"Ref": secret},
        "TargetType": "AWS::RDS::DBCluster",
        "TargetId": {"Ref": "PaymentDBCluster"},
    }


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 60), ("staging", 30), ("prod", 30)], indirect=["environment"]
)
@pytest.mark.parametrize("secret", SECRETS)
def test_secret_is_rotated_in_time(resources: Resources, secret: str, days: int) -> None:
    schedule = properties(resources, f"{secret}Rotation")
    assert schedule["SecretId"] == {"Ref": f"{secret}Attachment"}
    assert schedule["RotationLambdaARN"] == {"Fn::GetAtt": ["PaymentRotationFunction", "Arn"]}
    assert schedule["RotationRules"] == {"AutomaticallyAfterDays": days}
    assert days <= LONGEST_ROTATION_DAYS


def test_first_rotation_of_the_service_secret_comes_at_once_because_it_makes_the_users(
    resources: Resources,
) -> None:
    assert properties(resources, f"{SERVICE}Rotation")["RotateImmediatelyOnUpdate"] is True
    assert properties(resources, f"{MASTER}Rotation")["RotateImmediatelyOnUpdate"] is False


@pytest.mark.parametrize("secret", SECRETS)
def test_rotation_waits_for_a_database_that_answers_and_leave_to_call_the_function(
    resources: Resources, secret: str
) -> None:
    after = resources[f"{secret}Rotation"]["DependsOn"]
    assert {"PaymentDBInstance1", "PaymentRotationPermission"} <= set(after)


def test_rotation_of_the_service_secret_waits_for_the_address_in_the_master_secret(
    resources: Resources,
) -> None:
    assert f"{MASTER}Attachment" in resources[f"{SERVICE}Rotation"]["DependsOn"]


def test_only_secrets_manager_of_this_account_calls_the_function(resources: Resources) -> None:
    assert properties(resources, "PaymentRotationPermission") == {
        "FunctionName": {"Fn::GetAtt": ["PaymentRotationFunction", "Arn"]},
        "Action": "lambda:InvokeFunction",
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": {"Ref": "AWS::AccountId"},
    }


def test_function_runs_in_the_private_subnets_in_a_group_of_its_own(resources: Resources) -> None:
    function = properties(resources, "PaymentRotationFunction")
    assert function["VpcConfig"] == {
        "SubnetIds": {"Ref": "PrivateSubnetIds"},
        "SecurityGroupIds": [{"Ref": "RotationSecurityGroupId"}],
    }


def test_function_is_the_one_of_this_repository(resources: Resources) -> None:
    function = properties(resources, "PaymentRotationFunction")
    assert (function["Code"], function["Handler"]) == ("functions/rotate_secret", "index.handler")
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert (function["MemorySize"], function["Timeout"]) == (256, 60)
    assert function["Role"] == {"Fn::GetAtt": ["PaymentRotationRole", "Arn"]}


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 30), ("staging", 90), ("prod", 400)], indirect=["environment"]
)
def test_log_of_the_function_is_encrypted_and_kept(
    resources: Resources, environment: str, days: int
) -> None:
    group = properties(resources, "PaymentRotationLogGroup")
    function = properties(resources, "PaymentRotationFunction")
    assert group["LogGroupName"] == f"/aws/lambda/payments-{environment}/rotate-secret"
    assert group["KmsKeyId"] == {"Ref": "LogsKeyArn"}
    assert group["RetentionInDays"] == days
    assert function["LoggingConfig"] == {
        "LogGroup": {"Ref": "PaymentRotationLogGroup"},
        "LogFormat": "JSON",
    }


# --- the role


@pytest.fixture
def statements(resources: Resources) -> dict[str, dict[str, Any]]:
    """What the function may do, by the statement's Sid."""
    role = properties(resources, "PaymentRotationRole")
    return {
        statement["Sid"]: statement
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    }


def test_role_is_bounded_and_taken_by_functions_only(resources: Resources) -> None:
    role = properties(resources, "PaymentRotationRole")
    assert role["PermissionsBoundary"] == BOUNDARY
    assert "ManagedPolicyArns" not in role
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]


def test_role_rotates_exactly_these_secrets(statements: dict[str, dict[str, Any]]) -> None:
    rotate = statements["RotateSecrets"]
    assert rotate["Resource"] == [{"Ref": MASTER}, {"Ref": SERVICE}]
    assert set(rotate["Action"]) == {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    }


def test_role_uses_the_key_for_these_secrets_only(
    statements: dict[str, dict[str, Any]], environment: str
) -> None:
    use = statements["UseKeyOfSecrets"]
    assert (use["Action"], use["Resource"]) == (
        ["kms:Decrypt", "kms:GenerateDataKey"],
        {"Ref": "DataKeyArn"},
    )
    assert use["Condition"] == {
        "StringEquals": {
            "kms:ViaService": {"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"},
            "kms:EncryptionContext:SecretARN": [{"Ref": MASTER}, {"Ref": SERVICE}],
            "aws:PrincipalTag/Environment": environment,
            "aws:ResourceTag/Environment": environment,
        }
    }


def test_role_writes_to_its_own_log(statements: dict[str, dict[str, Any]]) -> None:
    write = statements["WriteLogs"]
    assert write["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert write["Resource"] == {"Fn::GetAtt": ["PaymentRotationLogGroup", "Arn"]}


def test_role_may_do_nothing_else_than_make_passwords_and_join_the_network(
    statements: dict[str, dict[str, Any]],
) -> None:
    assert set(statements) == {
        "WriteLogs", "RotateSecrets", "UseKeyOfSecrets", "MakePasswords", "JoinNetwork",
    }  # fmt: skip
    assert statements["MakePasswords"]["Action"] == "secretsmanager:GetRandomPassword"
    # What AWS's own policy for functions in a network allows of it.
    assert set(statements["JoinNetwork"]["Action"]) == {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ec2:UnassignPrivateIpAddresses",
    }
    assert {statement["Effect"] for statement in statements.values()} == {"Allow"}


def test_every_statement_holds_for_the_environment_only(
    statements: dict[str, dict[str, Any]], environment: str
) -> None:
    for statement in statements.values():
        condition = statement["Condition"]["StringEquals"]
        assert condition["aws:PrincipalTag/Environment"] == environment, statement["Sid"]


def test_endpoint_of_secrets_manager_lets_the_rotation_through(
    statements: dict[str, dict[str, Any]], deployed: Callable[..., Template]
) -> None:
    """The function has no other way to Secrets Manager."""
    endpoint = deployed("vpc.yml")["Resources"]["PaymentSecretsManagerEndpoint"]["Properties"]
    (allow,) = endpoint["PolicyDocument"]["Statement"]
    needed = {*statements["RotateSecrets"]["Action"], statements["MakePasswords"]["Action"]}
    assert needed <= set(allow["Action"])
