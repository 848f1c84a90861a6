# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks as they stand: the states they can be in, what they hold, and the calls about them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CfnError
from .plan import HeldResource, HeldStack, deletion_policy
from .templates import STACK_TYPE, load_template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

RawStack = Mapping[str, Any]
"""A stack, as boto3 gives it from DescribeStacks."""


class StackStateError(CfnError):
    """A stack in a state that the operation cannot begin from."""


@dataclass(frozen=True)
class State:
    """What can be done with a stack in one state.

    ``operation`` is create or update where a deployment can begin, else empty; then ``problem``
    says what the state means and ``remedy`` is the command that mends it, with ``{name}`` and
    ``{region}`` to be filled in. ``deletable`` says whether a deletion can begin.
    """

    operation: str = ""
    problem: str = ""
    remedy: str = ""
    deletable: bool = True


_CLI = "aws cloudformation {command} --stack-name {{name}} --region {{region}}"
_DELETE = _CLI.format(command="delete-stack")


def _busy(what: str, waiter: str) -> State:
    return State(
        problem=f"another operation, {what}, is in progress",
        remedy=_CLI.format(command=f"wait {waiter}"),
        deletable=False,
    )


STATES: Mapping[str, State] = {
    "ABSENT": State("create"),
    "REVIEW_IN_PROGRESS": State("create"),
    "CREATE_COMPLETE": State("update"),
    "UPDATE_COMPLETE": State("update"),
    "UPDATE_ROLLBACK_COMPLETE": State("update"),
    "IMPORT_COMPLETE": State("update"),
    "IMPORT_ROLLBACK_COMPLETE": State("update"),
    "ROLLBACK_COMPLETE": State(
        problem="its first creation failed and was rolled back, and such a stack can only be "
        "deleted",
        remedy=_DELETE,
    ),
    "CREATE_FAILED": State(
        problem="its first creation failed and was not rolled back", remedy=_DELETE
    ),
    "ROLLBACK_FAILED": State(
        problem="its first creation failed and the rollback too, and such a stack can only be "
        "deleted",
        remedy=_DELETE,
    ),
    "DELETE_FAILED": State(
        problem="a deletion did not succeed, and such a stack can only be deleted", remedy=_DELETE
    ),
    "UPDATE_FAILED": State(
        problem="its last update failed and was not rolled back",
        remedy=_CLI.format(command="rollback-stack"),
    ),
    "UPDATE_ROLLBACK_FAILED": State(
        problem="its last update failed and the rollback too",
        remedy=_CLI.format(command="continue-update-rollback"),
    ),
    "IMPORT_ROLLBACK_FAILED": State(
        problem="an import failed and the rollback too",
        remedy=_CLI.format(command="describe-stack-events"),
    ),
    "CREATE_IN_PROGRESS": _busy("its creation", "stack-create-complete"),
    "ROLLBACK_IN_PROGRESS": _busy("the rollback of its creation", "stack-rollback-complete"),
    "UPDATE_IN_PROGRESS": _busy("an update", "stack-update-complete"),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": _busy("the end of an update", "stack-update-complete"),
    "UPDATE_ROLLBACK_IN_PROGRESS": _busy("the rollback of an update", "stack-rollback-complete"),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": _busy(
        "the rollback of an update", "stack-rollback-complete"
    ),
    "IMPORT_IN_PROGRESS": _busy("an import", "stack-import-complete"),
    "IMPORT_ROLLBACK_IN_PROGRESS": _busy("the rollback of an import", "stack-import-complete"),
    "DELETE_IN_PROGRESS": _busy("its deletion", "stack-delete-complete"),
}


def status_of(stack: RawStack | None) -> str:
    """Give the stack's status, ABSENT if there is none."""
    return str(stack["StackStatus"]) if stack else "ABSENT"


def deployment(stack: RawStack | None, name: str, region: str) -> str:
    """Say whether a deployment creates or updates the stack.

    :raises StackStateError: no deployment can begin from its state.
    """
    status = status_of(stack)
    state = STATES.get(status, State(problem="this state is not known", remedy=_CLI_DESCRIBE))
    if not state.operation:
        raise StackStateError(_sentence(name, region, status, state))
    return state.operation


def check_deletable(stack: RawStack, name: str, region: str) -> None:
    """Make sure that a deletion can begin; one that is running already is joined.

    :raises StackStateError: another operation runs, or the stack is protected.
    """
    status = status_of(stack)
    state = STATES.get(status, State())
    if not state.deletable and status != "DELETE_IN_PROGRESS":
        raise StackStateError(_sentence(name, region, status, state))
    if stack.get("EnableTerminationProtection"):
        raise StackStateError(
            f"{name}: termination protection is on; lift it on purpose first, by deploying with "
            "termination_protection: false or with `"
            + _CLI.format(
                command="update-termination-protection --no-enable-termination-protection"
            ).format(name=name, region=region)
            + "`."
        )


_CLI_DESCRIBE = _CLI.format(command="describe-stacks")


def _sentence(name: str, region: str, status: str, state: State) -> str:
    remedy = state.remedy.format(name=name, region=region)
    return f"{name} is {status}: {state.problem}; run `{remedy}` and then this again."


def describe(client: CloudFormationClient, name: str) -> RawStack | None:
    """Describe a stack by name or id; None if there is none."""
    try:
        stacks = client.describe_stacks(StackName=name)["Stacks"]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    stack = stacks[0]
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def last_event_id(client: CloudFormationClient, stack_id: str) -> str | None:
    """Give the id of the stack's newest event, None if it has none."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return events[0]["EventId"] if events else None


def outputs(stack: RawStack) -> dict[str, str]:
    """Give the outputs by key."""
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def parameters(described: Mapping[str, Any]) -> dict[str, str]:
    """Give the parameters of a stack or a change set by name.

    For a parameter of an SSM type this is the value itself, not the name it is kept under.
    """
    return {
        item["ParameterKey"]: item.get("ResolvedValue", item.get("ParameterValue", ""))
        for item in described.get("Parameters", [])
    }


def tags(described: Mapping[str, Any]) -> dict[str, str]:
    """Give the tags of a stack or a change set."""
    return {item["Key"]: item["Value"] for item in described.get("Tags", [])}


def template_body(client: CloudFormationClient, stack_id: str, stage: str = "Original") -> str:
    """Give a stack's template as text; boto3 reads one in JSON into a dict.

    :param stage: ``Original``, or ``Processed`` after the transforms.
    """
    body: Any = client.get_template(
        StackName=stack_id, TemplateStage="Processed" if stage == "Processed" else "Original"
    )["TemplateBody"]
    return body if isinstance(body, str) else json.dumps(body)


def held(client: CloudFormationClient, pool: Executor, stack_id: str) -> HeldStack:
    """Find out what a tree of stacks holds, and what becomes of it when it is deleted."""
    level: list[tuple[str, ...]] = [()]
    ids: dict[tuple[str, ...], str] = {(): stack_id}
    found: dict[tuple[str, ...], dict[str, HeldResource]] = {}
    while level:
        level_ids = [ids[path] for path in level]
        listed = pool.map(lambda stack_id: _resources(client, stack_id), level_ids)
        found |= zip(level, listed, strict=True)
        below = {
            (*path, item.logical_id): item.physical_id
            for path in level
            for item in found[path].values()
            if item.resource_type == STACK_TYPE and item.physical_id
        }
        ids |= below
        level = list(below)
    return _held(found, ids, (), "Delete")


def _held(
    found: Mapping[tuple[str, ...], Mapping[str, HeldResource]],
    ids: Mapping[tuple[str, ...], str],
    path: tuple[str, ...],
    policy: str,
) -> HeldStack:
    nested = {name: item for name, item in found[path].items() if (*path, name) in found}
    return HeldStack(
        stack_id=ids[path],
        resources=tuple(item for name, item in found[path].items() if name not in nested),
        children={
            name: _held(found, ids, (*path, name), item.deletion_policy)
            for name, item in nested.items()
        },
        deletion_policy=policy,
    )


def _resources(client: CloudFormationClient, stack_id: str) -> dict[str, HeldResource]:
    definitions = _definitions(client, stack_id)
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return {
        item["LogicalResourceId"]: HeldResource(
            logical_id=item["LogicalResourceId"],
            resource_type=item["ResourceType"],
            physical_id=item.get("PhysicalResourceId", ""),
            deletion_policy=deletion_policy(definitions.get(item["LogicalResourceId"], {})),
        )
        for page in pages
        for item in page["StackResourceSummaries"]
        if item["ResourceStatus"] != "DELETE_COMPLETE"
    }


def _definitions(client: CloudFormationClient, stack_id: str) -> Mapping[str, Any]:
    """Give the resources of a stack's template, transforms applied, by logical id."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template"
        path.write_text(template_body(client, stack_id, "Processed"), encoding="utf-8")
        return load_template(path).resources


def delete_unmade(
    client: CloudFormationClient,
    stack_id: str,
    timeout: float = 60.0,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Delete a stack that only a change set was made for, and wait until it is gone.

    :param timeout: the limit in seconds.
    :return: whether it is gone, or was so before; a stack in any other state is left alone.
    """
    deadline = clock() + timeout
    interval = 0.1
    stack = describe(client, stack_id)
    if stack is not None and stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        client.delete_stack(StackName=stack_id)
    while (stack := describe(client, stack_id)) is not None:
        if clock() >= deadline:
            return False
        sleep(interval)
        interval = min(2.0, interval * 1.5)
    return True
