"""``AWS::CloudFormation::Stack`` as AWS has it: a child stack in its own right.

MiniStack deploys a child inline, without exports, transforms or the child's deletion policies.
Here each child goes through CreateStack, UpdateStack and DeleteStack like any other stack, so it
behaves as one.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from local_cloud import operations
from local_cloud.operations import ActionError, CancelledError, Parameters, Stack

TYPE = "AWS::CloudFormation::Stack"
_NAME_LIMIT = 128
_SUFFIX_LENGTH = 13
_SUFFIX_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NO_UPDATES = "No updates are to be performed."

Properties = dict[str, Any]
Attributes = dict[str, str]
# What a resource handler of MiniStack returns: the physical id and the Fn::GetAtt values.
Provisioned = tuple[str, Attributes]
# Undoes a child's update that is done but not committed; tells whether there was one.
Undo = Callable[[str], Awaitable[bool]]


def handlers(undo: Undo) -> dict[str, Callable[..., Any]]:
    """The handlers by which MiniStack, from a worker thread, undoes and deletes children.

    Deployments call :func:`create_child` and :func:`update_child` instead.
    """

    def update(physical_id: str, old: Properties, new: Properties, parent: str) -> Provisioned:
        del old  # the child knows what it runs
        return operations.on_loop(_update_or_send_back(physical_id, new, _stack(parent), undo))

    def delete(physical_id: str, properties: Properties) -> None:
        del properties
        operations.on_loop(_delete(physical_id))

    return {"create": _create_from_thread, "update": update, "delete": delete}


async def create_child(
    parent: Stack, logical_id: str, properties: Properties, started: Callable[[str], None]
) -> Attributes:
    """Create the child stack and wait for it; ``started`` is told its id at once.

    Raises:
        ValueError: it was refused or failed; the text is what AWS writes in the parent's event.
        CancelledError: it was stopped from outside.
    """
    # AWS leaves a failed child as it is, for the parent's rollback to delete.
    request = {"DisableRollback": ["true"], **_request(properties, parent)}
    child = _create_stack(parent, logical_id, request)
    child["DisableRollback"] = parent.get("DisableRollback", False)
    stack_id = str(child["StackId"])
    started(stack_id)
    await operations.finished(stack_id)
    if child["StackStatus"] != "CREATE_COMPLETE":
        _raise_if_cancelled(child)
        raise ValueError(
            f"Embedded stack {stack_id} was not successfully created: {child.get('_failure', '')}"
        )
    return _outputs(child)


async def update_child(
    parent: Stack, stack_id: str, properties: Properties, *, disable_rollback: bool = False
) -> Attributes:
    """Update the child stack and wait for it; a child without changes is left alone.

    What the child replaced or removed stays until the root of the tree is done.

    Raises:
        ValueError: it was refused or failed.
        CancelledError: it was stopped from outside.
    """
    child = _stack(stack_id)
    request = {
        "StackName": [stack_id],
        "DisableRollback": [str(disable_rollback).lower()],
        **_request(properties, parent),
    }
    token = operations.defer_cleanup.set(True)
    try:
        operations.act("UpdateStack", request)
    except ActionError as error:
        if str(error) == _NO_UPDATES:
            return _outputs(child)
        raise ValueError(str(error)) from error
    finally:
        operations.defer_cleanup.reset(token)
    await operations.finished(stack_id)
    if "ROLLBACK" in child["StackStatus"] or child["StackStatus"] == "UPDATE_FAILED":
        _raise_if_cancelled(child)
        # AWS's parent fails as soon as the child begins to go back.
        status = child["StackStatus"].replace("ROLLBACK_COMPLETE", "ROLLBACK_IN_PROGRESS")
        raise ValueError(
            f"Embedded stack {stack_id} was not successfully updated. Currently in {status} "
            f"with reason: {child.get('_failure', '')}"
        )
    return _outputs(child)


def child_name(parent_name: str, logical_id: str) -> str:
    """A new name as AWS makes it: ``<parent>-<logical id>-<random suffix>``."""
    suffix = random_suffix()
    room = _NAME_LIMIT - len(suffix) - 1
    return f"{f'{parent_name}-{logical_id}'[:room].rstrip('-')}-{suffix}"


def random_suffix() -> str:
    """Thirteen capital letters and digits."""
    return "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))


def link(child: Stack, parent: Stack) -> None:
    """Tell the child its parent and the root of its tree."""
    child["ParentId"] = parent["StackId"]
    child["RootId"] = parent.get("RootId", parent["StackId"])


def request_of(
    url: str, parameters: Mapping[str, Any], tags: Iterable[Mapping[str, Any]], parent: Stack
) -> Parameters:
    """What CreateStack, UpdateStack and CreateChangeSet take for a child of ``parent``."""
    return {
        "TemplateURL": [url],
        **operations.members(
            "Parameters",
            [
                {"ParameterKey": key, "ParameterValue": as_text(value)}
                for key, value in parameters.items()
            ],
        ),
        "Tags": [""],
        **operations.members("Tags", own_tags(tags)),
        **operations.members("Capabilities", parent.get("Capabilities") or []),
    }


def checked_parameters(given: Any) -> Mapping[str, Any]:
    """The Parameters property.

    Raises:
        ValueError: it is not a map of simple values.
    """
    if not isinstance(given, Mapping) or any(isinstance(v, list | dict) for v in given.values()):
        raise ValueError(
            "Value of property Parameters must be an object with String (or simple type) properties"
        )
    return given


def as_text(value: Any) -> str:
    """A parameter or tag value in the way CloudFormation writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def own_tags(given: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The tags to pass on: those that CloudFormation adds itself are refused in a request."""
    return [
        {"Key": str(tag["Key"]), "Value": as_text(tag.get("Value"))}
        for tag in given
        if not str(tag["Key"]).startswith("aws:")
    ]


def _request(properties: Properties, parent: Stack) -> Parameters:
    url = properties.get("TemplateURL")
    if not url:
        raise ValueError("Property TemplateURL cannot be empty.")
    parameters = checked_parameters(properties.get("Parameters") or {})
    return request_of(str(url), parameters, properties.get("Tags") or [], parent)


def _create_stack(parent: Stack, logical_id: str, request: Parameters) -> Stack:
    """Start the creation, under the id that a change set has already given the child."""
    from ministack.services import cloudformation as store

    planned = operations.planned_children.get({}).get((parent["StackId"], logical_id))
    if planned is None:
        name = child_name(parent["StackName"], logical_id)
        child = _stack(_act("CreateStack", {"StackName": [name], **request}))
        link(child, parent)
        return child
    placeholder = _stack(planned)
    name, events = placeholder["StackName"], store._stack_events[planned]
    del store._stacks[name]
    try:
        with operations.stack_uuid(planned):
            child = _stack(_act("CreateStack", {"StackName": [name], **request}))
    except ValueError:
        store._stacks[name] = placeholder
        raise
    store._stack_events[planned][:0] = events
    link(child, parent)
    return child


def _create_from_thread(logical_id: str, properties: Properties, parent_name: str) -> Provisioned:
    async def create() -> Provisioned:
        ids: list[str] = []
        attributes = await create_child(_stack(parent_name), logical_id, properties, ids.append)
        return ids[0], attributes

    return operations.on_loop(create())


async def _update_or_send_back(
    stack_id: str, properties: Properties, parent: Stack, undo: Undo
) -> Provisioned:
    if "ROLLBACK" not in parent["StackStatus"]:
        return stack_id, await update_child(parent, stack_id, properties)
    child = _stack(stack_id)
    if not await undo(stack_id):
        action = {
            "UPDATE_FAILED": "RollbackStack",
            "UPDATE_ROLLBACK_FAILED": "ContinueUpdateRollback",
        }.get(child["StackStatus"])
        # Without one the child has gone back by itself, or was never touched.
        if action is not None:
            skip = operations.members("ResourcesToSkip", child.pop("_skip", []))
            _act(action, {"StackName": [stack_id], **skip})
            await operations.finished(stack_id)
    if child["StackStatus"].endswith("_FAILED"):
        raise ValueError(
            f"Embedded stack {stack_id} was not successfully updated. Currently in "
            f"{child['StackStatus']} with reason: {child.get('StackStatusReason', '')}"
        )
    return stack_id, _outputs(child)


async def _delete(stack_id: str) -> None:
    child = operations.find_stack(stack_id)
    if child is None or child["StackStatus"] == "DELETE_COMPLETE":
        return
    parent = operations.find_stack(child.get("ParentId", ""))
    if parent is not None:
        _drop_policies_of_a_create(child, parent)
    _act("DeleteStack", {"StackName": [stack_id]})
    await operations.finished(stack_id)
    if child["StackStatus"] != "DELETE_COMPLETE":
        raise ValueError(
            f"Embedded stack {stack_id} was not successfully deleted: "
            f"{child.get('StackStatusReason', '')}"
        )


def _drop_policies_of_a_create(child: Stack, parent: Stack) -> None:
    """Let the rollback of the operation that created the child delete what it may.

    ``RetainExceptOnCreate`` keeps nothing then, nor does ``Retain`` where the operation was told
    to retain except on create.
    """
    undone = "ROLLBACK" in parent["StackStatus"] or parent.get("_undoing_create", False)
    if not undone:
        return
    child["_undoing_create"] = True
    dropped = {"RetainExceptOnCreate"}
    if parent.get("_retain_except_on_create"):
        dropped.add("Retain")
    child["_retain_except_on_create"] = parent.get("_retain_except_on_create", False)
    template = copy.deepcopy(child["_template"])
    for definition in template.get("Resources", {}).values():
        if definition.get("DeletionPolicy") in dropped:
            definition["DeletionPolicy"] = "Delete"
    child["_template"] = template


def _stack(name_or_id: str) -> Stack:
    stack = operations.find_stack(name_or_id)
    if stack is None:
        raise ValueError(f"Stack [{name_or_id}] does not exist")
    return stack


def _act(action: str, parameters: Parameters) -> str:
    """Call an action; the stack id that it answers, if any."""
    try:
        return operations.act(action, parameters).findtext(".//StackId", "")
    except ActionError as error:
        raise ValueError(str(error)) from error


def _raise_if_cancelled(child: Stack) -> None:
    if child.get("_cancelled"):
        raise CancelledError


def _outputs(child: Stack) -> Attributes:
    return {f"Outputs.{out['OutputKey']}": out["OutputValue"] for out in child["Outputs"]}
