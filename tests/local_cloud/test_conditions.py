"""Conditions that look a value up in a mapping, in templates without a transform."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_cloud.support import Stacks


def template(key: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Size": {"Type": "String"}},
        "Mappings": {"Sizes": {"small": {"Spare": "false"}, "large": {"Spare": "true"}}},
        "Conditions": {
            "HasSpare": {"Fn::Equals": [{"Fn::FindInMap": ["Sizes", key, "Spare"]}, "true"]},
            "HasNoSpare": {"Fn::Not": [{"Condition": "HasSpare"}]},
        },
        "Resources": {
            "Always": {"Type": "AWS::SNS::Topic"},
            "Spare": {"Type": "AWS::SNS::Topic", "Condition": "HasSpare"},
            "Lone": {"Type": "AWS::SNS::Topic", "Condition": "HasNoSpare"},
        },
    }


def size(value: str) -> list[dict[str, str]]:
    return [{"ParameterKey": "Size", "ParameterValue": value}]


@pytest.mark.parametrize(
    ("value", "expected"), [("small", {"Always", "Lone"}), ("large", {"Always", "Spare"})]
)
def test_condition_meets_the_value_of_the_mapping(
    stacks: Stacks, value: str, expected: set[str]
) -> None:
    name = f"mapping-{value}"
    stacks.create(name, template({"Ref": "Size"}), Parameters=size(value))
    resources = stacks.cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert {resource["LogicalResourceId"] for resource in resources} == expected


def test_plan_lists_what_the_condition_admits(stacks: Stacks) -> None:
    planned = stacks.plan("mapping-plan", template({"Ref": "Size"}), Parameters=size("large"))
    listed = {change["ResourceChange"]["LogicalResourceId"] for change in planned["Changes"]}
    assert listed == {"Always", "Spare"}


def test_entry_that_is_not_there_is_refused(stacks: Stacks) -> None:
    with pytest.raises(Exception, match="Unable to get mapping for Sizes::huge::Spare"):
        stacks.create("mapping-missing", template({"Ref": "Size"}), Parameters=size("huge"))
