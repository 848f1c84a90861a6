"""Continuous integration deploys with a token where IAM is enforced, and can do nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.conftest import ROOT, Target
from tests.e2e.tls import terminator

ACCOUNT = "390000000001"
ISSUER = "token.actions.githubusercontent.com"
SUBJECT = "repo:example/payments:environment:dev"
PLAYBOOK = "tests/e2e/continuous_integration.yml"
# How continuous integration deploys: it reads what an administrator prepared.
AS_CI = {"payments_bootstrap": False, "payments_service_role": True}


@pytest.fixture(scope="module")
def administrator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """An account of a cloud that enforces IAM, prepared by its administrator."""
    state = str(tmp_path_factory.mktemp("guarded"))
    command = [sys.executable, "-m", "local_cloud"]
    up = subprocess.run(
        ["env", "AUTH=true", *command, "up", "--state-dir", state],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert up.returncode == 0, up.stderr
    environment = {**json.loads(up.stdout)["environment"], "AWS_ACCESS_KEY_ID": ACCOUNT}
    try:
        with terminator(environment["AWS_ENDPOINT_URL"]) as endpoint:
            environment["AWS_ENDPOINT_URL_S3"] = endpoint
            artifacts = tmp_path_factory.mktemp("administrator")
            target = Target(environment, "dev", "eu-west-1", artifacts)
            target.play("playbooks/bootstrap.yml", payments_oidc_subjects=[SUBJECT]).succeeded()
            yield target
    finally:
        down = [*command, "down", "--state-dir", state]
        subprocess.run(down, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def prepared(administrator: Target) -> dict[str, str]:
    """What the account was prepared with, by the names of the parameters."""
    path = "/payments/bootstrap"
    found = administrator.client("ssm").get_parameters_by_path(Path=path)["Parameters"]
    return {parameter["Name"].removeprefix(f"{path}/"): parameter["Value"] for parameter in found}


def token(subject: str, audience: str) -> str:
    """A token as the issuer makes it, but for the signature, which no local cloud reads."""

    def part(content: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    claims = {"iss": f"https://{ISSUER}", "sub": subject, "aud": audience}
    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def taken(administrator: Target, prepared: dict[str, str]) -> Callable[..., dict[str, str]]:
    """Take the role with a token; gives the credentials."""
    sts = boto3.client(
        "sts",
        region_name=administrator.region,
        endpoint_url=administrator.environment["AWS_ENDPOINT_URL"],
        config=Config(signature_version=UNSIGNED),
    )

    def take(subject: str = SUBJECT, audience: str = "sts.amazonaws.com") -> dict[str, str]:
        answer = sts.assume_role_with_web_identity(
            RoleArn=prepared["deploy-role-arn"],
            RoleSessionName="ci",
            WebIdentityToken=token(subject, audience),
        )
        credentials: dict[str, str] = answer["Credentials"]
        return credentials

    return take


@pytest.fixture(scope="module")
def integration(
    administrator: Target, taken: Callable[..., dict[str, str]], tmp_path_factory: Any
) -> Target:
    """The same account as continuous integration sees it."""
    credentials = taken()
    environment = {
        **administrator.environment,
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }
    artifacts: Path = tmp_path_factory.mktemp("integration")
    return replace(administrator, environment=environment, artifacts=artifacts)


@pytest.mark.parametrize(
    ("subject", "audience"),
    [
        ("repo:example/payments:environment:prod", "sts.amazonaws.com"),
        ("repo:example/payments:ref:refs/heads/main", "sts.amazonaws.com"),
        ("repo:stranger/payments:environment:dev", "sts.amazonaws.com"),
        (SUBJECT, "https://github.com/example"),
    ],
)
def test_token_of_somebody_else_takes_nothing(
    taken: Callable[..., dict[str, str]], subject: str, audience: str
) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        taken(subject, audience)


def test_account_that_only_an_administrator_may_prepare_is_left_alone(integration: Target) -> None:
    run = integration.play(PLAYBOOK)
    assert run.code != 0
    assert "cloudformation:CreateChangeSet" in run.output


def test_plan_creates_nothing(integration: Target, administrator: Target) -> None:
    before = administrator.holdings()
    run = integration.play(PLAYBOOK, "--check", **AS_CI).succeeded()
    assert "0 to change, 0 to replace, 0 to remove" in run.output
    assert administrator.holdings() == before


def test_deploys_the_platform(
    integration: Target, administrator: Target, prepared: dict[str, str]
) -> None:
    integration.play(PLAYBOOK, **AS_CI).succeeded()
    cloudformation = administrator.client("cloudformation")
    [stack] = cloudformation.describe_stacks(StackName="payments-dev")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    for role in administrator.client("iam").list_roles()["Roles"]:
        if role["RoleName"].startswith("payments-dev-"):
            found = administrator.client("iam").get_role(RoleName=role["RoleName"])["Role"]
            boundary = found["PermissionsBoundary"]["PermissionsBoundaryArn"]
            assert boundary == prepared["permissions-boundary-arn"]


def test_deploys_again_and_changes_nothing(integration: Target) -> None:
    assert integration.play(PLAYBOOK, **AS_CI).succeeded().recap["changed"] == 0


TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ATTEMPTS: dict[str, Callable[[Target, dict[str, str]], Any]] = {
    "make a role": lambda ci, _: ci.client("iam").create_role(
        RoleName="payments-dev-mine", AssumeRolePolicyDocument=TRUST
    ),
    "change its own role": lambda ci, prepared: ci.client("iam").put_role_policy(
        RoleName=prepared["deploy-role-arn"].rsplit("/", 1)[1],
        PolicyName="more",
        PolicyDocument=TRUST,
    ),
    "change the boundary": lambda ci, prepared: ci.client("iam").create_policy_version(
        PolicyArn=prepared["permissions-boundary-arn"], PolicyDocument=TRUST, SetAsDefault=True
    ),
    "delete what the account was prepared with": lambda ci, _: ci.client(
        "cloudformation"
    ).delete_stack(StackName="payments-bootstrap"),
    "deploy past a change set": lambda ci, _: ci.client("cloudformation").create_stack(
        StackName="payments-dev-more", TemplateBody="{}"
    ),
    "delete the bucket": lambda ci, prepared: ci.client("s3").delete_bucket(
        Bucket=prepared["artifact-bucket-name"]
    ),
    "read a secret": lambda ci, _: ci.client("secretsmanager").get_secret_value(
        SecretId=next(
            secret["ARN"] for secret in ci.client("secretsmanager").list_secrets()["SecretList"]
        )
    ),
    "publish another boundary": lambda ci, _: ci.client("ssm").put_parameter(
        Name="/payments/bootstrap/permissions-boundary-arn", Value="none", Overwrite=True
    ),
    "stop the database": lambda ci, _: ci.client("rds").delete_db_cluster(
        DBClusterIdentifier="payments-dev", SkipFinalSnapshot=True
    ),
    "take the service role": lambda ci, prepared: ci.client("sts").assume_role(
        RoleArn=prepared["service-role-arn"], RoleSessionName="mine"
    ),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_continuous_integration_cannot(
    integration: Target, prepared: dict[str, str], attempt: str
) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|UnauthorizedOperation"):
        ATTEMPTS[attempt](integration, prepared)


def test_removes_the_platform_and_leaves_what_the_account_was_prepared_with(
    integration: Target, administrator: Target
) -> None:
    integration.play("playbooks/destroy.yml", payments_destroy="dev", **AS_CI).succeeded()
    pages = administrator.client("cloudformation").get_paginator("list_stacks").paginate()
    left = {
        stack["StackName"]
        for page in pages
        for stack in page["StackSummaries"]
        if stack["StackStatus"] != "DELETE_COMPLETE"
    }
    assert left == {"payments-bootstrap", "payments-recorder"}
