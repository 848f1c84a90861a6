"""Log groups of every template: encrypted, named for the environment, kept as long as is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.loader import ENVIRONMENTS, in_environment, load_all

# PCI DSS 10.5.1 asks for twelve months of audit logs where there are cards.
DAYS = {"dev": 30, "staging": 90, "prod": 400}
TEMPLATES = load_all()
CASES = [
    pytest.param(file, logical_id, environment, id=f"{environment}-{file}-{logical_id}")
    for environment in ENVIRONMENTS
    for file, template in TEMPLATES.items()
    for logical_id, resource in in_environment(template, environment)["Resources"].items()
    if resource["Type"] == "AWS::Logs::LogGroup"
]


@pytest.fixture
def group(file: str, logical_id: str, environment: str) -> dict[str, Any]:
    return dict(in_environment(TEMPLATES[file], environment)["Resources"][logical_id]["Properties"])


each_group = pytest.mark.parametrize(
    ("file", "logical_id", "environment"), CASES, indirect=["environment"]
)


@each_group
def test_log_is_kept_as_long_as_the_environment_asks(
    group: dict[str, Any], environment: str
) -> None:
    assert group["RetentionInDays"] == DAYS[environment]


@each_group
def test_log_is_encrypted_with_a_key_of_logs(group: dict[str, Any]) -> None:
    assert group["KmsKeyId"] in (
        {"Ref": "LogsKeyArn"},
        {"Fn::GetAtt": ["PaymentNetworkLogsKey", "Arn"]},  # before the security stack is there
    )


@each_group
def test_log_has_a_name_for_which_the_key_is_used(group: dict[str, Any], environment: str) -> None:
    """The policies of the keys look for application and environment in the name."""
    assert f"payments-{environment}" in group["LogGroupName"]
