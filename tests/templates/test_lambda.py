"""Lambda functions of every template: how they run, as whom, and where they write their log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.loader import ENVIRONMENTS, in_environment, load_all
from tests.templates.policies import allowed

TEMPLATES = load_all()
CASES = [
    pytest.param(file, logical_id, environment, id=f"{environment}-{file}-{logical_id}")
    for environment in ENVIRONMENTS
    for file, template in TEMPLATES.items()
    for logical_id, resource in in_environment(template, environment)["Resources"].items()
    if resource["Type"] == "AWS::Lambda::Function"
]
each_function = pytest.mark.parametrize(
    ("file", "logical_id", "environment"), CASES, indirect=["environment"]
)
Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(file: str, environment: str) -> Resources:
    return dict(in_environment(TEMPLATES[file], environment)["Resources"])


@pytest.fixture
def function(resources: Resources, logical_id: str) -> dict[str, Any]:
    return dict(resources[logical_id]["Properties"])


@each_function
def test_function_runs_on_a_supported_python_where_it_is_cheapest(
    function: dict[str, Any],
) -> None:
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == "index.handler"
    assert len(function["Description"]) > 20


@each_function
def test_function_writes_its_log_as_json_to_a_group_of_its_own(
    function: dict[str, Any], resources: Resources, environment: str, logical_id: str
) -> None:
    """Otherwise Lambda makes the group: without encryption, and kept for ever."""
    group = function["LoggingConfig"]["LogGroup"]["Ref"]
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert group.removesuffix("LogGroup") == logical_id.removesuffix("Function")
    name = resources[group]["Properties"]["LogGroupName"]
    tags = {tag["Key"]: tag["Value"] for tag in function["Tags"]}
    assert name == tags["Name"].replace(
        f"payments-{environment}-", f"/aws/lambda/payments-{environment}/"
    )


@each_function
def test_function_has_a_role_of_its_own_that_writes_this_log(
    function: dict[str, Any], resources: Resources, logical_id: str
) -> None:
    role, attribute = function["Role"]["Fn::GetAtt"]
    assert attribute == "Arn"
    assert role.removesuffix("Role") == logical_id.removesuffix("Function")
    log = {"Fn::GetAtt": [function["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]}
    granted = allowed(resources[role]["Properties"])
    assert granted["logs:CreateLogStream"] == granted["logs:PutLogEvents"] == log
    assert "logs:CreateLogGroup" not in granted
