"""Parameter Store: a value has to match what its parameter allows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_cloud.support import Client, Stacks


def put(client: Client, value: str, pattern: str, kind: str = "String") -> Any:
    return client("ssm").put_parameter(
        Name="/a/case", Value=value, Type=kind, AllowedPattern=pattern, Overwrite=True
    )


@pytest.mark.parametrize(
    ("kind", "value", "pattern"),
    [
        ("String", "vpc-12ab", "vpc-[0-9a-f]+"),
        ("StringList", "date,ls", "^[a-z]{1,4}$"),
        ("StringList", "date,ls", "^[a-z]{1,4}(,[a-z]{1,4})*$"),
    ],
)
def test_a_value_that_matches_is_taken(client: Client, kind: str, value: str, pattern: str) -> None:
    put(client, value, pattern, kind)
    assert client("ssm").get_parameter(Name="/a/case")["Parameter"]["Value"] == value


@pytest.mark.parametrize(
    ("kind", "value", "pattern"),
    [
        ("String", "vpc-12ab ", "vpc-[0-9a-f]+"),
        ("String", "10,000", "[0-9]{1,4}"),
        ("StringList", "date,7", "^[a-z]{1,4}$"),
    ],
)
def test_a_value_that_does_not_match_is_refused(
    client: Client, kind: str, value: str, pattern: str
) -> None:
    with pytest.raises(client("ssm").exceptions.ParameterPatternMismatchException):
        put(client, value, pattern, kind)


def test_a_pattern_that_is_none_is_refused(client: Client) -> None:
    with pytest.raises(client("ssm").exceptions.InvalidAllowedPatternException):
        put(client, "a", "(")


def test_a_parameter_of_a_stack_is_held_to_its_pattern(client: Client, stacks: Stacks) -> None:
    """CloudFormation puts parameters like everybody else, when it creates and when it updates."""

    def template(value: str) -> dict[str, Any]:
        properties = {
            "Name": "/a/stack",
            "Type": "String",
            "Value": value,
            "AllowedPattern": "^vpc-[0-9a-f]+$",
        }
        return {"Resources": {"It": {"Type": "AWS::SSM::Parameter", "Properties": properties}}}

    refused = stacks.create("patterns-refused", template("subnet-1"))
    assert refused["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "ParameterPatternMismatch" in stacks.reason("patterns-refused", "It", "CREATE_FAILED")
    assert stacks.create("patterns", template("vpc-1"))["StackStatus"] == "CREATE_COMPLETE"
    updated = stacks.update("patterns", template("subnet-1"))
    assert updated["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert client("ssm").get_parameter(Name="/a/stack")["Parameter"]["Value"] == "vpc-1"
