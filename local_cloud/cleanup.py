"""The end of an update: deleting what it replaced and what the template no longer has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ministack.core.concurrency import run_reentrant
from ministack.core.responses import now_iso
from ministack.services.cloudformation import provisioners, stacks
from ministack.services.cloudformation.engine import _topological_sort

from local_cloud.scope import StackScope

Record = dict[str, Any]


@dataclass(frozen=True)
class Replaced:
    """A resource that an update replaced.

    ``predecessor`` is its record from before; ``queued`` are deletes that the type's handler
    asked for itself, as (function, arguments, keywords).
    """

    logical_id: str
    predecessor: Record
    successor_id: str
    queued: list[Any]


async def call(resource_type: str, function: Any, *arguments: Any) -> Any:
    """Call a resource handler where MiniStack wants it: on the loop or on a thread."""
    if stacks._runs_on_worker_thread(resource_type):
        return await run_reentrant(function, *arguments)
    return function(*arguments)


async def delete_predecessor(scope: StackScope, replaced: Replaced) -> None:
    """Delete the predecessor of a replaced resource, unless its policy keeps it.

    A delete that fails is told in an event and does not fail the update, as on AWS.
    """
    record = replaced.predecessor
    is_other = replaced.successor_id != record["PhysicalResourceId"]
    policy = scope.policy(replaced.logical_id, "UpdateReplacePolicy", scope.stack["_resources"])
    if policy in provisioners._RETAINING_POLICIES:
        if is_other:
            scope.tell(replaced.logical_id, "DELETE_SKIPPED", record)
        return
    scope.tell(replaced.logical_id, "DELETE_IN_PROGRESS", record)
    try:
        if policy == "Snapshot":
            _snapshot(record)
        for function, arguments, keywords in replaced.queued:
            function(*arguments, **keywords)
        if is_other:
            await _delete(scope, replaced.logical_id, record)
    except Exception as error:
        scope.tell(replaced.logical_id, "DELETE_FAILED", record, str(error))
        return
    scope.tell(replaced.logical_id, "DELETE_COMPLETE", record)


async def delete_removed(scope: StackScope, logical_id: str, resources: dict[str, Record]) -> None:
    """Delete a resource that the update removed, unless its policy keeps it.

    Args:
        scope: the stack as it was before, whose template has the policy.
        logical_id: the resource.
        resources: the stack's records from before.
    """
    record, live = resources[logical_id], scope.stack["_resources"]
    policy = scope.policy(logical_id, "DeletionPolicy", resources)
    if policy in provisioners._RETAINING_POLICIES:
        scope.tell(logical_id, "DELETE_SKIPPED", record)
        live.pop(logical_id, None)
        return
    scope.tell(logical_id, "DELETE_IN_PROGRESS", record)
    try:
        if policy == "Snapshot":
            _snapshot(record)
        await _delete(scope, logical_id, record)
    except Exception as error:
        # The resource still exists: it stays in the stack, for a later delete to retry.
        scope.tell(logical_id, "DELETE_FAILED", record, str(error))
        live[logical_id] |= {
            "ResourceStatus": "DELETE_FAILED",
            "ResourceStatusReason": str(error),
            "Timestamp": now_iso(),
        }
        return
    scope.tell(logical_id, "DELETE_COMPLETE", record)
    live.pop(logical_id, None)


def removed(before: StackScope, after: StackScope, resources: dict[str, Record]) -> list[str]:
    """What the update removed, dependents first."""
    gone = {name for name in resources if not after.is_wanted(name)}
    order = [
        name for name in _topological_sort(before.definitions, before.conditions) if name in gone
    ]
    # A leftover whose delete failed earlier is in no template; nothing depends on it.
    return [*sorted(gone - set(order)), *reversed(order)]


def _snapshot(record: Record) -> None:
    provisioners._snapshot_resource(
        record["ResourceType"], record["PhysicalResourceId"], record["Properties"]
    )


async def _delete(scope: StackScope, logical_id: str, record: Record) -> None:
    resource_type = record["ResourceType"]
    await call(
        resource_type, stacks._delete_resource, resource_type, record["PhysicalResourceId"],
        record["Properties"], scope.name, logical_id,
    )  # fmt: skip
