"""Least privilege: what the policies of all templates may and may not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.templates.iam import as_list
from tests.templates.loader import BOUNDARY, ENVIRONMENTS, in_environment, load_all
from tests.templates.reference import matching, resource_types

TEMPLATES = load_all()

# These know resources, but Lambda joins a network before it knows them.
FOR_LAMBDA = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
}
CRYPTOGRAPHIC = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}


@dataclass(frozen=True)
class Role:
    """A role, where it is declared."""

    environment: str
    file: str
    logical_id: str
    properties: dict[str, Any]

    def statements(self) -> Iterator[dict[str, Any]]:
        """What the policies of the role itself allow."""
        for policy in self.properties.get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]


def of_type(resource_type: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Every resource of a type in any environment: environment, file, logical id, properties."""
    for environment in ENVIRONMENTS:
        for file, template in TEMPLATES.items():
            for logical_id, resource in in_environment(template, environment)["Resources"].items():
                if resource["Type"] == resource_type:
                    yield environment, file, logical_id, resource["Properties"]


# The roles of dev may do what is left out of prod: look at both.
EVERY_ROLE = [Role(*found) for found in of_type("AWS::IAM::Role")]
ROLES = {f"{role.file}-{role.logical_id}": role for role in EVERY_ROLE}
KEYS = {f"{file}-{name}": properties for _, file, name, properties in of_type("AWS::KMS::Key")}

each_role = pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
each_key = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)


def test_no_role_may_do_everything_that_a_service_can() -> None:
    for role in EVERY_ROLE:
        for statement in role.statements():
            broad = [a for a in as_list(statement["Action"]) if a == "*" or a.endswith(":*")]
            assert broad == [], f"{role.file} {role.logical_id}"


def test_a_role_says_every_resource_only_where_iam_knows_none() -> None:
    for role in EVERY_ROLE:
        for statement in role.statements():
            if statement["Resource"] == "*":
                known = {a for a in as_list(statement["Action"]) if resource_types(a)}
                assert known <= FOR_LAMBDA, f"{role.file} {role.logical_id}"


def test_a_role_may_do_something_only_in_its_environment() -> None:
    for role in EVERY_ROLE:
        for statement in role.statements():
            asked = statement["Condition"]["StringEquals"]["aws:PrincipalTag/Environment"]
            [tag] = [t for t in role.properties["Tags"] if t["Key"] == "Environment"]
            assert asked == tag["Value"] == role.environment, f"{role.file} {role.logical_id}"


def test_actions_are_actions_of_iam() -> None:
    """An action with a typing error is no error to IAM: it just never allows anything."""
    for role in EVERY_ROLE:
        for statement in role.statements():
            unknown = [action for action in as_list(statement["Action"]) if not matching(action)]
            assert unknown == [], f"{role.file} {role.logical_id}"


@each_role
def test_a_role_trusts_services_only(role: Role) -> None:
    for statement in role.properties["AssumeRolePolicyDocument"]["Statement"]:
        assert set(statement["Principal"]) == {"Service"}


@each_role
def test_a_service_may_take_a_role_only_for_this_account(role: Role) -> None:
    for statement in role.properties["AssumeRolePolicyDocument"]["Statement"]:
        # Lambda sends no source when it takes a role.
        if statement["Principal"]["Service"] != "lambda.amazonaws.com":
            account = statement["Condition"]["StringEquals"]["aws:SourceAccount"]
            assert account == {"Ref": "AWS::AccountId"}


def test_every_role_carries_the_boundary() -> None:
    for role in EVERY_ROLE:
        assert role.properties["PermissionsBoundary"] == BOUNDARY, f"{role.file} {role.logical_id}"


@each_key
def test_key_is_rotated(key: dict[str, Any]) -> None:
    assert key["EnableKeyRotation"] is True


@each_key
def test_no_statement_of_a_key_allows_every_action(key: dict[str, Any]) -> None:
    for statement in key["KeyPolicy"]["Statement"]:
        assert "kms:*" not in as_list(statement["Action"])


@each_key
def test_administering_a_key_is_not_using_it(key: dict[str, Any]) -> None:
    administer = key["KeyPolicy"]["Statement"][0]
    allowed = {a for a in CRYPTOGRAPHIC for p in administer["Action"] if fnmatchcase(a, p)}
    assert administer["Principal"]["AWS"] == {
        "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"
    }
    assert allowed == set()


@each_key
def test_using_a_key_is_always_conditioned(key: dict[str, Any]) -> None:
    for statement in key["KeyPolicy"]["Statement"][1:]:
        assert statement["Condition"], statement["Sid"]


@each_key
def test_an_administrator_can_change_the_policy_again(key: dict[str, Any]) -> None:
    """A key whose policy nobody may change can be mended by AWS support only."""
    assert "kms:Put*" in key["KeyPolicy"]["Statement"][0]["Action"]


@pytest.mark.parametrize("file", TEMPLATES)
def test_no_arn_names_a_partition(file: str) -> None:
    """The templates also work in China and GovCloud."""

    def texts(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for value in node.values():
                yield from texts(value)
        elif isinstance(node, list):
            for value in node:
                yield from texts(value)
        elif isinstance(node, str):
            yield node

    body = {key: TEMPLATES[file].get(key) for key in ("Conditions", "Resources", "Outputs")}
    assert [text for text in texts(body) if text.startswith(("arn:aws", "arn:${AWS::Region"))] == []


@each_key
def test_key_refuses_grants_to_all_but_aws_services(key: dict[str, Any]) -> None:
    [refusal] = [s for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Deny"]
    assert (refusal["Principal"], refusal["Action"]) == ("*", "kms:CreateGrant")
    # Both have to be false, so that a service acting for somebody is let through.
    assert refusal["Condition"] == {
        "BoolIfExists": {
            "kms:GrantIsForAWSResource": "false",
            "aws:PrincipalIsAWSService": "false",
        }
    }
