"""Least privilege: what the policies of all templates may and may not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.templates.loader import ENVIRONMENTS, in_environment, load_all

TEMPLATES = load_all()

# Actions for which IAM knows no resource, so that a policy has to say "*".
WITHOUT_RESOURCE = {
    "ec2:DescribeSecurityGroupRules",
    "ecr:GetAuthorizationToken",
    "logs:DescribeLogGroups",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
CRYPTOGRAPHIC = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}
# These stacks come before the boundary exists, or hand it to nobody but Lambda.
BEFORE_BOUNDARY = {"vpc.yml", "compute.yml"}


@dataclass(frozen=True)
class Role:
    """A role, where it is declared."""

    file: str
    logical_id: str
    properties: dict[str, Any]

    def statements(self) -> Iterator[dict[str, Any]]:
        """What the policies of the role itself allow."""
        for policy in self.properties.get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def of_type(resource_type: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every resource of a type in any environment: file, logical id, properties."""
    for environment in ENVIRONMENTS:
        for file, template in TEMPLATES.items():
            for logical_id, resource in in_environment(template, environment)["Resources"].items():
                if resource["Type"] == resource_type:
                    yield file, logical_id, resource["Properties"]


ROLES = {f"{file}-{name}": Role(file, name, p) for file, name, p in of_type("AWS::IAM::Role")}
# The roles of dev may do what is left out of prod: look at both.
EVERY_ROLE = [Role(*found) for found in of_type("AWS::IAM::Role")]
KEYS = {f"{file}-{name}": properties for file, name, properties in of_type("AWS::KMS::Key")}

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
                actions = set(as_list(statement["Action"]))
                assert actions <= WITHOUT_RESOURCE, f"{role.file} {role.logical_id}"


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


@each_role
def test_a_role_carries_the_boundary(role: Role) -> None:
    if role.file not in BEFORE_BOUNDARY:
        assert role.properties["PermissionsBoundary"]["Ref"] in (
            "PaymentPermissionsBoundary",
            "PermissionsBoundaryArn",
        )


def test_the_boundary_permits_what_the_roles_inside_it_need() -> None:
    """An action that the boundary leaves out would be refused, whatever the role says."""
    policy = TEMPLATES["security.yml"]["Resources"]["PaymentPermissionsBoundary"]["Properties"]
    statements = policy["PolicyDocument"]["Statement"]
    permitted = [action for statement in statements for action in as_list(statement["Action"])]
    needed = {
        action
        for role in EVERY_ROLE
        if "PermissionsBoundary" in role.properties
        for statement in role.statements()
        for action in as_list(statement["Action"])
    }
    assert needed
    assert {a for a in needed if not any(fnmatchcase(a, p) for p in permitted)} == set()


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


KEYS = [
    (file, name)
    for file, template in load_all().items()
    for name, resource in template["Resources"].items()
    if resource["Type"] == "AWS::KMS::Key"
]


@pytest.mark.parametrize(("file", "name"), KEYS)
def test_key_refuses_grants_to_all_but_aws_services(file: str, name: str) -> None:
    policy = load_all()[file]["Resources"][name]["Properties"]["KeyPolicy"]
    [refusal] = [s for s in policy["Statement"] if s["Effect"] == "Deny"]
    assert (refusal["Principal"], refusal["Action"]) == ("*", "kms:CreateGrant")
    # Both have to be false, so that a service acting for somebody is let through.
    assert refusal["Condition"] == {
        "BoolIfExists": {
            "kms:GrantIsForAWSResource": "false",
            "aws:PrincipalIsAWSService": "false",
        }
    }
