"""The stack beside the platform, as it reads once deployed: its policies with all names put in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.templates.iam import ACCOUNT, PSEUDO, Policy, as_list, resolved
from tests.templates.loader import BOOTSTRAP, DIRECTORY, load

TEMPLATE = load(DIRECTORY / BOOTSTRAP)
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
SUBJECTS = ["repo:example/payments:environment:dev", "repo:example/payments:environment:prod"]
BUCKET = f"payments-artifacts-{ACCOUNT}-eu-west-1"
STACK = "payments-bootstrap"


def names(application: str = "payments", **pseudo: str) -> dict[str, Any]:
    """What Ref and GetAtt give in the deployed stack; names as CloudFormation makes them up."""
    values: dict[str, Any] = {**PSEUDO, **pseudo}
    partition, region = values["AWS::Partition"], values["AWS::Region"]
    stack = f"{application}-bootstrap"
    iam = f"arn:{partition}:iam::{ACCOUNT}"
    bucket = f"{application}-artifacts-{ACCOUNT}-{region}"
    values |= {
        "ApplicationName": application,
        "AWS::StackName": stack,
        "OidcIssuer": "token.actions.githubusercontent.com",
        "OidcSubjects": SUBJECTS,
        "PaymentArtifactsBucket": bucket,
        "PaymentArtifactsBucket.Arn": f"arn:{partition}:s3:::{bucket}",
        "PaymentArtifactsKey.Arn": f"arn:{partition}:kms:{region}:{ACCOUNT}:key/{'0' * 36}",
        "PaymentOidcProvider": f"{iam}:oidc-provider/token.actions.githubusercontent.com",
    }
    for name in ("PaymentServiceRole", "PaymentDeployRole"):
        values[f"{name}.Arn"] = f"{iam}:role/{stack}-{name}-0123456789AB"
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            values[name] = f"{iam}:policy/{stack}-{name}-0123456789AB"
    return values


NAMES = names()


def managed_policies(values: Mapping[str, Any] = NAMES) -> dict[str, Policy]:
    """The managed policies by logical id."""
    return {
        name: resolved(resource["Properties"]["PolicyDocument"], values)
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    }


def inline_policies(role: str, values: Mapping[str, Any] = NAMES) -> list[Policy]:
    """The policies that are written into a role."""
    policies = RESOURCES[role]["Properties"].get("Policies", [])
    return [resolved(policy["PolicyDocument"], values) for policy in policies]


def policies_of(role: str) -> list[Policy]:
    """Everything that a role may do: its own policies and the ones it names."""
    attached = RESOURCES[role]["Properties"].get("ManagedPolicyArns", [])
    managed = managed_policies()
    return [*inline_policies(role), *(managed[policy["Ref"]] for policy in attached)]


def trust_of(role: str) -> Policy:
    """Who may take a role."""
    document = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]
    # The provider is the stack's own or the account's: the same ARN.
    text, given = document.get("Fn::Sub", (None, None))
    if text is None:
        plain: Policy = resolved(document, NAMES)
        return plain
    own = {name: value for name, value in given.items() if "Fn::If" not in value}
    provider = {"Provider": NAMES["PaymentOidcProvider"]}
    trust: Policy = json.loads(resolved({"Fn::Sub": [text, own | provider]}, NAMES))
    return trust


BOUNDARY = managed_policies()["PaymentPermissionsBoundary"]
BOUNDARY_ARN: str = NAMES["PaymentPermissionsBoundary"]
SERVICE_ROLE = policies_of("PaymentServiceRole")
DEPLOY_ROLE = policies_of("PaymentDeployRole")


def actions(policies: list[Policy], effect: str = "Allow") -> set[str]:
    """The actions, with their wildcards, that policies allow or deny."""
    return {
        action
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == effect
        for action in as_list(statement.get("Action", []))
    }
