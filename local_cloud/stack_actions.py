"""What the stack actions of CloudFormation lack in MiniStack, put around its own."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from local_cloud import deployment, operations
from local_cloud.operations import Action, Parameters, Response, Stack

# The states out of which a stack can be updated.
_UPDATABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
# An earlier operation that was told not to roll back leaves these; a change set may go on.
_RESUMABLE = frozenset({"CREATE_FAILED", "UPDATE_FAILED"})


def tells_tree(original: Action) -> Action:
    """DescribeStacks and ListStacks: tell a child's parent and root."""

    def describe(parameters: Parameters) -> Response:
        return operations.edited(original(parameters), _add_tree)

    return describe


def _add_tree(root: ET.Element) -> None:
    for member in root.iter("member"):
        stack_id = member.find("StackId")
        if stack_id is None:
            continue
        stack = operations.find_stack(stack_id.text or "") or {}
        position = list(member).index(stack_id) + 1
        for name in ("RootId", "ParentId"):
            if name in stack:
                element = ET.Element(name)
                element.text = stack[name]
                member.insert(position, element)


def creates_once(original: Action) -> Action:
    """CreateStack: a stack in ROLLBACK_COMPLETE has to be deleted first."""

    def create(parameters: Parameters) -> Response:
        name = operations.first(parameters, "StackName")
        stack = operations.find_stack(name)
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            return operations.refusal("AlreadyExistsException", f"Stack [{name}] already exists")
        return original(parameters)

    return create


def updates_what_can_be(original: Action) -> Action:
    """UpdateStack: AWS's words for a stack in a state that forbids it."""

    def update(parameters: Parameters) -> Response:
        stack = operations.find_stack(operations.first(parameters, "StackName"))
        return refuse_update(stack, _UPDATABLE) or original(parameters)

    return update


def refuse_update(
    stack: Stack | None, allowed: frozenset[str] = _UPDATABLE | _RESUMABLE
) -> Response | None:
    """The refusal of an update or a change set of a stack in such a state; None where it may."""
    if stack is None or stack["StackStatus"] in allowed | {"DELETE_COMPLETE"}:
        return None
    return operations.refusal(
        "ValidationError",
        f"Stack:{stack['StackId']} is in {stack['StackStatus']} state and can not be updated.",
    )


def continues_tree(original: Action) -> Action:
    """ContinueUpdateRollback: ``<nested stack's name>.<logical id>`` skips a child's resource."""

    def proceed(parameters: Parameters) -> Response:
        root = operations.find_stack(operations.first(parameters, "StackName")) or {}
        own: list[str] = []
        for skipped in _skipped(parameters):
            name, _, logical_id = skipped.rpartition(".")
            child = operations.find_stack(name) if name else None
            if not name:
                own.append(logical_id)
            elif child is None or child.get("RootId") != root.get("StackId"):
                return operations.refusal(
                    "ValidationError", f"Stack [{name}] is not nested in this stack"
                )
            else:
                child.setdefault("_skip", []).append(logical_id)
        request = {k: v for k, v in parameters.items() if not k.startswith("ResourcesToSkip")}
        return original({**request, **operations.members("ResourcesToSkip", own)})

    return proceed


def _skipped(parameters: Parameters) -> list[str]:
    names = [name for name in parameters if name.startswith("ResourcesToSkip.member.")]
    return [operations.first(parameters, name) for name in names]


def cancels_at_once(original: Action) -> Action:
    """CancelUpdateStack: stop what is waiting instead of the next resource only."""

    def cancel(parameters: Parameters) -> Response:
        response = original(parameters)
        stack = operations.find_stack(operations.first(parameters, "StackName"))
        if stack is not None:
            deployment.notice_cancel(stack["StackId"])
        return response

    return cancel
