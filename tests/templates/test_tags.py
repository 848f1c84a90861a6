"""Every resource that can carry tags carries the six of the platform."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.templates.loader import ENVIRONMENTS, STACK, Template, in_environment, load_all

TAGS = {
    "Application": {"Ref": "ApplicationName"},
    "Environment": {"Ref": "EnvironmentType"},
    "CostCenter": {"Ref": "CostCenter"},
    "Owner": {"Ref": "Owner"},
    "DataClassification": {"Ref": "DataClassification"},
    "ManagedBy": "CloudFormation",
}

# A nested stack has the name of its parent and its logical id.
UNNAMED = {STACK}

TEMPLATES = load_all()
CUSTOM = ("Custom::", "AWS::CloudFormation::CustomResource")


def tag_property(resource_type: str) -> str | None:
    """The property of a type that holds its tags; None where AWS knows no tags for it."""
    if resource_type.startswith(CUSTOM):
        return None
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    tagging = schema.get("tagging", {})
    name = str(tagging.get("tagProperty", "/properties/Tags")).removeprefix("/properties/")
    return name if tagging.get("taggable", True) and name in schema["properties"] else None


def taggable(template: Template) -> dict[str, str]:
    """The logical ids of what can be tagged, each with the property that holds the tags."""
    found = {
        logical_id: tag_property(resource["Type"])
        for logical_id, resource in template["Resources"].items()
    }
    return {logical_id: name for logical_id, name in found.items() if name}


def as_mapping(tags: Any) -> dict[str, Any]:
    """Tags by their key, whether the type wants a list of pairs or a mapping."""
    if isinstance(tags, dict):
        return tags
    keys = [tag["Key"] for tag in tags]
    assert len(keys) == len(set(keys)), f"a key occurs twice in {keys}"
    return {tag["Key"]: tag["Value"] for tag in tags}


CASES = [
    pytest.param(file, logical_id, name, id=f"{file}-{logical_id}")
    for file, template in TEMPLATES.items()
    for logical_id, name in taggable(template).items()
]


@pytest.mark.parametrize(("file", "logical_id", "name"), CASES)
def test_taggable_resource_carries_the_six_tags(file: str, logical_id: str, name: str) -> None:
    properties = TEMPLATES[file]["Resources"][logical_id]["Properties"]
    tags = as_mapping(properties.get(name, []))
    assert {key: tags.get(key) for key in TAGS} == TAGS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(("file", "logical_id", "name"), CASES)
def test_taggable_resource_is_named_after_the_platform(
    environment: str, file: str, logical_id: str, name: str
) -> None:
    resource = in_environment(TEMPLATES[file], environment)["Resources"].get(logical_id)
    if resource and resource["Type"] not in UNNAMED:
        named = as_mapping(resource["Properties"][name])["Name"]
        assert re.match(rf"payments-{environment}(-|$)", named)


@pytest.mark.parametrize(
    ("resource_type", "expected"),
    [
        ("AWS::EC2::VPC", "Tags"),
        ("AWS::CloudFormation::Stack", "Tags"),
        ("AWS::EC2::Route", None),
        ("AWS::IAM::ManagedPolicy", None),
        ("Custom::DefaultSecurityGroup", None),
    ],
)
def test_the_schemas_say_what_is_taggable(resource_type: str, expected: str | None) -> None:
    assert tag_property(resource_type) == expected


def test_something_of_every_template_is_taggable() -> None:
    assert {file for file, template in TEMPLATES.items() if taggable(template)} == set(TEMPLATES)
