"""The Lambda functions: supported, logged where we can read it, and started by nobody else."""

from __future__ import annotations

from verification.cloud import CloudError, Record
from verification.platform import MissingError, Platform
from verification.policies import allowed, principals, read_policy

RUNTIME = "python3.13"


def _functions(platform: Platform) -> list[tuple[str, Record]]:
    """Return the functions of the stack tree with their configuration."""
    found = [
        (
            str(item),
            platform.cloud.get(
                "lambda", "get_function_configuration", FunctionName=item.physical_id
            ),
        )
        for item in platform.resources("AWS::Lambda::Function")
    ]
    if not found:
        raise MissingError("The stack tree has no Lambda function.")
    return found


def test_functions_are_ready(platform: Platform) -> None:
    for name, function in _functions(platform):
        assert function.get("State", "Active") == "Active", f"{name} is {function['State']}."
        assert function["Runtime"] == RUNTIME, f"{name} runs {function['Runtime']}, not {RUNTIME}."


def test_functions_have_roles_of_the_stack(platform: Platform) -> None:
    roles = {item.physical_id for item in platform.resources("AWS::IAM::Role")}
    others = [
        f"{name} has {function['Role']}"
        for name, function in _functions(platform)
        if function["Role"].rpartition("/")[2] not in roles
    ]
    assert not others, f"Functions with a role that is not of the stack: {'; '.join(others)}."


def test_functions_log_to_groups_of_the_stack(platform: Platform) -> None:
    groups = {item.physical_id for item in platform.resources("AWS::Logs::LogGroup")}
    for name, function in _functions(platform):
        group = function.get("LoggingConfig", {}).get("LogGroup", "a group of Lambda's own")
        # A group that Lambda makes by itself is not encrypted and kept for ever.
        assert group in groups, f"{name} logs to {group}, which is not of the stack."


def test_functions_are_started_by_services_only(platform: Platform) -> None:
    for name, function in _functions(platform):
        others = [
            who
            for item in _grants(platform, function["FunctionName"])
            for who in principals(item)
            if not who.endswith(".amazonaws.com")
        ]
        assert not others, f"{name} can be started by {', '.join(others)}."


def _grants(platform: Platform, function: str) -> list[Record]:
    try:
        policy = platform.cloud.get("lambda", "get_policy", FunctionName=function)["Policy"]
    except CloudError as error:
        # A function that nobody else may start has no policy.
        if error.code == "ResourceNotFoundException":
            return []
        raise
    return allowed(read_policy(policy))


def test_functions_have_no_address(platform: Platform) -> None:
    open_ = [
        f"{name} by {address['FunctionUrl']}"
        for name, function in _functions(platform)
        for address in platform.cloud.every(
            "lambda",
            "list_function_url_configs",
            "FunctionUrlConfigs",
            FunctionName=function["FunctionName"],
        )
    ]
    assert not open_, f"Functions that can be called from outside: {', '.join(open_)}."
