"""Mutants are made at every place where an operator fits, and nowhere twice."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.mutants.generate import Mutant, generate
from scripts.mutants.operators.model import OPERATORS
from tests.templates import loader

FILE = "vpc.yml"
BUCKET: dict[str, Any] = {
    "Type": "AWS::S3::Bucket",
    "DeletionPolicy": "Retain",
    "Properties": {
        "VersioningConfiguration": {"Status": "Enabled"},
        "Tags": [{"Key": "Owner", "Value": "me"}, {"Key": "CostCenter", "Value": "1"}],
    },
}
GROUP = {
    "Type": "AWS::EC2::SecurityGroup",
    "Properties": {"GroupDescription": "A group", "VpcId": {"Ref": "VpcId"}},
}
RULE = {
    "Type": "AWS::EC2::SecurityGroupIngress",
    "Properties": {
        "GroupId": {"Ref": "Group"},
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "CidrIp": "10.0.0.0/8",
    },
}
STATEMENT = {
    "Sid": "Read",
    "Effect": "Allow",
    "Action": ["s3:GetObject", "s3:ListBucket"],
    "Resource": {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Name}"},
    "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
}
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {"Statement": []},
        "Policies": [{"PolicyName": "read", "PolicyDocument": {"Statement": [STATEMENT]}}],
    },
}
ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "MetricName": "Errors",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": {"Fn::FindInMap": ["Environment", {"Ref": "EnvironmentType"}, "Errors"]},
        "AlarmActions": [{"Ref": "TopicArn"}],
    },
}
TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "EnvironmentType": {"Type": "String", "AllowedValues": ["dev", "prod"]},
        "VpcId": {"Type": "String"},
        "OtherId": {"Type": "String"},
        "TopicArn": {"Type": "String"},
    },
    "Mappings": {"Environment": {"dev": {"Errors": 10}, "prod": {"Errors": 1}}},
    "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "EnvironmentType"}, "prod"]}},
    "Resources": {"Bucket": BUCKET, "Group": GROUP, "Rule": RULE, "Role": ROLE, "Alarm": ALARM},
    "Outputs": {"BucketName": {"Value": {"Ref": "Bucket"}, "Export": {"Name": "bucket"}}},
}
PATH = "Resources.Role.Properties.Policies[read].PolicyDocument.Statement[Read]"


@pytest.fixture(scope="module")
def mutants() -> dict[str, Mutant]:
    return {mutant.id: mutant for mutant in generate({"a.yml": TEMPLATE})}


def at(template: dict[str, Any], mutant: Mutant) -> Any:
    """What a mutant has where it was changed; None where something was taken out."""
    node: Any = mutant.of(template)
    for step in mutant.path:
        try:
            node = node[step]
        except (KeyError, IndexError):
            return None
    return node


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Resources.Bucket.Properties.VersioningConfiguration:property-remove", None),
        ("Resources.Bucket.Properties.VersioningConfiguration.Status:switch-flip", "Suspended"),
        ("Resources.Bucket.Properties:exposing-add=AccessControl", "PublicRead"),
        ("Resources.Bucket.Properties.Tags[Owner]:tag-change", "other"),
        ("Resources.Bucket.DeletionPolicy:deletion-change=Delete", "Delete"),
        ("Resources.Rule:resource-drop", None),
        ("Resources.Rule.Properties.CidrIp:cidr-widen", "0.0.0.0/0"),
        ("Resources.Rule.Properties.FromPort:ports-widen", 0),
        ("Resources.Rule.Properties.ToPort:ports-widen", 65535),
        ("Resources.Rule.Properties.IpProtocol:protocol-widen", "-1"),
        ("Resources.Group.Properties.VpcId:unlink", {"Ref": "OtherId"}),
        (f"{PATH}.Action:action-widen=s3", ["s3:*"]),
        (f"{PATH}.Resource:resource-widen", "*"),
        (f"{PATH}.Condition:condition-drop", None),
        (f"{PATH}.Effect:effect-flip", "Deny"),
        (f"{PATH}:statement-remove", None),
        ("Resources.Alarm.Properties.AlarmActions:alarm-detach", None),
        (
            "Resources.Alarm.Properties.ComparisonOperator:value-swap=GreaterThanUpperThreshold",
            "GreaterThanUpperThreshold",
        ),
        ("Resources.Alarm.Properties.Threshold.FindInMap[1]:environment-fix", "dev"),
        ("Mappings.Environment.prod.Errors:map-swap=dev", 10),
        ("Mappings.Environment.dev.Errors:map-change=raise", 11),
        ("Parameters.EnvironmentType.AllowedValues:constraint-drop=none", None),
        (
            "Conditions.IsProd:condition-invert=not",
            {"Fn::Not": [{"Fn::Equals": [{"Ref": "EnvironmentType"}, "prod"]}]},
        ),
        ("Outputs.BucketName.Export:output-remove", None),
    ],
)
def test_operator_fits(mutants: dict[str, Mutant], name: str, value: Any) -> None:
    assert at(TEMPLATE, mutants[f"a.yml:{name}"]) == value


def test_what_aws_would_refuse_is_not_made(mutants: dict[str, Mutant]) -> None:
    """A required property, and the only peer of a rule."""
    assert "a.yml:Resources.Group.Properties.GroupDescription:property-remove" not in mutants
    assert "a.yml:Resources.Rule.Properties.CidrIp:property-remove" not in mutants


def test_a_resource_that_something_names_is_not_dropped(mutants: dict[str, Mutant]) -> None:
    assert "a.yml:Resources.Group:resource-drop" not in mutants


def test_one_tag_of_each_resource_is_run_by_default(mutants: dict[str, Mutant]) -> None:
    for operator in ("tag-drop", "tag-change"):
        tags = [mutant.selected for mutant in mutants.values() if mutant.operator == operator]
        assert sorted(tags) == [False, True]


def test_a_mutant_differs_and_leaves_the_template_alone(mutants: dict[str, Mutant]) -> None:
    before = copy.deepcopy(TEMPLATE)
    for mutant in mutants.values():
        assert mutant.of(TEMPLATE) != before, mutant.id
    assert before == TEMPLATE


@pytest.fixture(scope="module")
def platform() -> list[Mutant]:
    paths = sorted(loader.DIRECTORY.glob("*.yml"))
    return generate({path.name: loader.load(path) for path in paths})


def test_default_run_tries_every_operator_on_every_template(platform: list[Mutant]) -> None:
    made = {(mutant.file, mutant.operator) for mutant in platform}
    chosen = [mutant for mutant in platform if mutant.selected]
    assert {(mutant.file, mutant.operator) for mutant in chosen} == made
    # About one a second on two cores.
    assert 150 <= len(chosen) <= 900


def test_every_operator_fits_somewhere_in_the_platform(platform: list[Mutant]) -> None:
    used = {mutant.operator for mutant in platform}
    # No parameters depend on each other so far.
    assert set(OPERATORS) - used <= {"assertion-drop"}


def test_ids_are_unique_and_the_same_whatever_is_made_beside_them(platform: list[Mutant]) -> None:
    ids = [mutant.id for mutant in platform]
    again = generate({FILE: loader.load(loader.DIRECTORY / FILE)})
    assert len(set(ids)) == len(ids) > 1000
    assert {mutant.id for mutant in again} == {name for name in ids if name.startswith(FILE)}
