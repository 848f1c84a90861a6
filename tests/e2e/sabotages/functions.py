"""Sabotage of the Lambda functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="dev")


def closing(victim: Victim) -> str:
    """The name of the function that closes the default security group."""
    return victim.resource("PaymentVPCStack", "PaymentDefaultSecurityGroupFunction")


@contextmanager
def function(victim: Victim, name: str, before: dict[str, Any], **change: Any) -> Iterator[None]:
    """Change a function for a while, from what it is before."""
    client = victim.client("lambda")
    for fields in (change, before):
        client.update_function_configuration(FunctionName=name, **fields)
        client.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
        )
        if fields is change:
            yield


@noticed_by("functions::test_functions_are_started_by_services_only")
def function_is_started_by_anybody(victim: Victim) -> Iterator[str]:
    statement = {"FunctionName": closing(victim), "StatementId": "sabotage"}
    victim.client("lambda").add_permission(
        **statement, Action="lambda:InvokeFunction", Principal="*"
    )
    yield "PaymentDefaultSecurityGroupFunction"
    victim.client("lambda").remove_permission(**statement)


@noticed_by("functions::test_functions_have_no_address")
def function_gets_an_address(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    victim.client("lambda").create_function_url_config(FunctionName=name, AuthType="NONE")
    yield "PaymentDefaultSecurityGroupFunction"
    victim.client("lambda").delete_function_url_config(FunctionName=name)


def configuration(victim: Victim, name: str, field: str) -> dict[str, Any]:
    """One field of a function's configuration."""
    found = victim.client("lambda").get_function_configuration(FunctionName=name)
    return {field: found[field]}


@noticed_by(
    "functions::test_functions_are_ready", "declared::test_values_are_those_that_were_deployed"
)
def function_runs_an_old_python(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    with function(victim, name, configuration(victim, name, "Runtime"), Runtime="python3.9"):
        yield "python3.9"


@noticed_by("functions::test_functions_have_roles_of_the_stack")
def function_gets_another_role(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    before = configuration(victim, name, "Role")
    other = f"{before['Role'].rpartition('/')[0]}/administrator"
    with function(victim, name, before, Role=other):
        yield other


@noticed_by("functions::test_functions_log_to_groups_of_the_stack")
def function_logs_elsewhere(victim: Victim) -> Iterator[str]:
    name = closing(victim)
    before = configuration(victim, name, "LoggingConfig")
    elsewhere = {**before["LoggingConfig"], "LogGroup": "/aws/lambda/elsewhere"}
    with function(victim, name, before, LoggingConfig=elsewhere):
        yield "/aws/lambda/elsewhere"
