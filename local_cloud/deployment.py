"""Creating and updating a stack: its resources side by side, as their dependencies allow.

MiniStack takes one resource after the other. AWS starts each as soon as what it depends on is
there, tells of a resource while it is in progress, and keeps what an update replaced or removed
until the whole tree of stacks has succeeded. This module does the same; undoing a failed
operation stays MiniStack's work.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import cloudformation as store
from ministack.services.cloudformation import provisioners, stacks
from ministack.services.cloudformation.engine import (
    _NO_VALUE,
    _extract_deps,
    _resolve_dynamic_references,
    _topological_sort,
)

from local_cloud import cleanup, exports, nested_stacks, operations
from local_cloud.cleanup import Record, Replaced
from local_cloud.latency import Latency
from local_cloud.operations import CancelledError, Stack
from local_cloud.scope import Properties, StackScope

_logger = logging.getLogger("local_cloud")
_STACK_TYPE = nested_stacks.TYPE
_REPLACING = (
    "Requested update requires the creation of a new physical resource; hence creating one."
)
_STARTED = "Resource creation Initiated"
# What an earlier operation left on the stack's record.
_LEFTOVERS = (
    "_failed_operation",
    "_cancel_requested",
    "_cancel_token",
    "_failure",
    "_cancelled",
)

# MiniStack's own, kept before it is replaced.
_original_deploy = stacks._deploy_stack_async
_original_roll_back = stacks._roll_back_operation

# By stack id: what is running, and what is done but may still be undone by the parent.
_running: dict[str, Deployment] = {}
_uncommitted: dict[str, Deployment] = {}


@dataclass(frozen=True)
class Request:
    """One create or update of a stack, as MiniStack asks for it."""

    stack: Stack
    template: dict[str, Any]
    parameters: dict[str, Any]
    disable_rollback: bool = False
    previous: Stack | None = None
    retain_except_on_create: bool = False

    @property
    def verb(self) -> str:
        """``CREATE`` or ``UPDATE``."""
        return "CREATE" if self.previous is None else "UPDATE"


@dataclass(frozen=True)
class Failure:
    """A resource that failed.

    ``attempt`` is what MiniStack's rollback wants of an update: physical id, new and old
    properties, old attributes.
    """

    logical_id: str
    verb: str
    attempt: tuple[Any, ...] | None = None


@dataclass
class Progress:
    """What an operation has done so far, in the order in which it was done."""

    applied: list[str] = field(default_factory=list)
    completed: set[str] = field(default_factory=set)
    replaced: list[Replaced] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reason: str = ""


def engine(latency: Latency) -> Callable[..., Coroutine[Any, Any, None]]:
    """A replacement of MiniStack's ``_deploy_stack_async``."""

    async def deploy(  # noqa: PLR0917 - the signature is MiniStack's
        stack_name: str,
        stack_id: str,
        template: dict[str, Any],
        param_values: dict[str, Any],
        disable_rollback: bool,
        tags: list[Any],
        is_update: bool = False,
        previous_stack: Stack | None = None,
        retain_except_on_create: bool = False,
        imports: dict[str, Any] | None = None,
    ) -> None:
        if imports:
            await _original_deploy(
                stack_name, stack_id, template, param_values, disable_rollback, tags,
                is_update=is_update, previous_stack=previous_stack,
                retain_except_on_create=retain_except_on_create, imports=imports,
            )  # fmt: skip
            return
        request = Request(
            stack=store._stacks[stack_name],
            template=template,
            parameters=param_values,
            disable_rollback=disable_rollback,
            previous=(previous_stack or {}) if is_update else None,
            retain_except_on_create=retain_except_on_create,
        )
        deployment = Deployment(request, latency)
        try:
            await deployment.run()
        except Exception as error:
            # A defect of ours must not leave the stack in progress for ever.
            _logger.exception("The %s of stack %s broke down", request.verb, stack_name)
            deployment.break_down(error)

    return deploy


async def roll_back(
    stack_name: str,
    stack_id: str,
    stack: Stack,
    operation: dict[str, Any],
    reason_override: str = "",
) -> None:
    """Undo an operation with MiniStack's rollback, and what it does not know of.

    Children that were updated go back too, exports are those of the restored outputs, and a
    resource that was never created leaves the stack's list.
    """
    await _original_roll_back(stack_name, stack_id, stack, operation, reason_override)
    for child_id, deployment in list(_uncommitted.items()):
        if deployment.stack.get("ParentId") == stack_id:
            await undo(child_id)
    resources = stack["_resources"]
    for logical_id in [name for name, r in resources.items() if not r["PhysicalResourceId"]]:
        del resources[logical_id]
    exports.publish(stack, exports.of_outputs(stack))


def notice_cancel(stack_id: str) -> None:
    """Let a running update see at once that CancelUpdateStack was called for it."""
    if stack_id in _running:
        _running[stack_id].cancel_was_requested()


async def undo(stack_id: str) -> bool:
    """Undo the finished but uncommitted update of a child; False where there is none."""
    deployment = _uncommitted.pop(stack_id, None)
    if deployment is None:
        return False
    await deployment.roll_back("")
    return True


class Deployment:
    """One running create or update."""

    def __init__(self, request: Request, latency: Latency) -> None:
        """Prepare; nothing happens before :meth:`run`."""
        self.stack = request.stack
        self._request = request
        self._progress = Progress()
        self._latency = latency
        self._scope = StackScope(request.stack, request.template, request.parameters)
        self._previous = request.previous or {}
        self._previous_resources: dict[str, Record] = self._previous.get("_resources", {})
        self._tags = request.stack.get("Tags") or []
        self._previous_tags = self._previous.get("Tags") or []
        self._deferred = operations.defer_cleanup.get()
        self._stopping = asyncio.Event()
        self._stopped_by_parent = False
        self._user_cancelled = False
        self._cancel_token = ""

    @property
    def _records(self) -> dict[str, Record]:
        records: dict[str, Record] = self.stack["_resources"]
        return records

    async def run(self) -> None:
        """Do the operation to its end, the rollback of a failed one included."""
        for leftover in _LEFTOVERS:
            self.stack.pop(leftover, None)
        self.stack["_retain_except_on_create"] = self._request.retain_except_on_create
        _running[self._scope.stack_id] = self
        try:
            if not await self._apply():
                return
        finally:
            del _running[self._scope.stack_id]
        outputs = self._outputs() if not self._progress.reason else None
        if outputs is None:
            await self._fail()
        else:
            await self._succeed(*outputs)

    def stop(self, *, by_parent: bool = False) -> None:
        """Start nothing more; what waits is cancelled, in the children too."""
        if by_parent and not self._stopping.is_set():
            self._stopped_by_parent = True
        self._stopping.set()
        for record in self._records.values():
            child = _running.get(record["PhysicalResourceId"])
            if child is not None:
                child.stop(by_parent=True)

    def cancel_was_requested(self) -> bool:
        """Whether the user cancelled the update; the first time it stops."""
        if self.stack.pop("_cancel_requested", False):
            self._cancel_token = self.stack.pop("_cancel_token", "")
            self._user_cancelled = True
            self.stop()
        return self._user_cancelled

    def break_down(self, error: Exception) -> None:
        """End in a failed state for a reason that lies in the local cloud itself."""
        reason = f"Internal failure of the local cloud: {error!r}"
        self.stack["_failure"] = reason
        self._scope.set_status(f"{self._request.verb}_FAILED", reason)

    # --- resources ------------------------------------------------------------------------

    async def _apply(self) -> bool:
        """Create and update the resources; False where the operation ended in its validation."""
        scope = self._scope
        try:
            order = _topological_sort(scope.definitions, scope.conditions)
        except ValueError as error:
            self._fail_as_a_whole(error)
            return True
        if not self.stack.get("_disable_validation") and stacks._fail_property_validation(
            self.stack, scope.stack_id, scope.name, scope.definitions, order, scope.parameters,
            scope.conditions, scope.mappings, self._request.disable_rollback,
            previous_stack=self._request.previous,
        ):  # fmt: skip
            return False
        tasks: dict[str, asyncio.Task[None]] = {}
        for logical_id in order:
            needs = _extract_deps(scope.definitions[logical_id], set(order)) - {logical_id}
            tasks[logical_id] = asyncio.create_task(
                self._resource(logical_id, [tasks[need] for need in sorted(needs)])
            )
        await asyncio.gather(*tasks.values())
        self._note_failures(set(order))
        return True

    def _note_failures(self, wanted: set[str]) -> None:
        progress = self._progress
        if self._user_cancelled:
            progress.reason = "User Initiated"
        elif progress.failures:
            progress.reason = _failed_resources(progress.failures)
        elif self._stopping.is_set() and progress.completed != wanted:
            # A parent stopped this child between two of its resources.
            progress.reason = _cancelled(self._request.verb)

    async def _resource(self, logical_id: str, needs: list[asyncio.Task[None]]) -> None:
        if needs:
            await asyncio.wait(needs)
        if self.cancel_was_requested() or self._stopping.is_set():
            return
        verb = "UPDATE" if logical_id in self._previous_resources else "CREATE"
        # What _update leaves here is what a rollback needs to know of a failed attempt.
        attempt: list[Any] = []
        try:
            if verb == "CREATE":
                await self._create(logical_id)
            else:
                await self._update(logical_id, attempt)
        except Exception as error:
            self._resource_failed(logical_id, verb, error, attempt)
            return
        self._progress.completed.add(logical_id)

    def _resource_failed(
        self, logical_id: str, verb: str, error: Exception, attempt: list[Any]
    ) -> None:
        reason = _cancelled(verb) if isinstance(error, CancelledError) else str(error)
        record = self._records[logical_id]
        record |= {"ResourceStatus": f"{verb}_FAILED", "ResourceStatusReason": reason}
        self._scope.tell(logical_id, f"{verb}_FAILED", record, reason)
        known: tuple[Any, ...] | None = tuple(attempt) or None
        if verb == "UPDATE" and known is None:
            physical_id = self._previous_resources[logical_id]["PhysicalResourceId"]
            known = (physical_id, None, None, None)
        self._progress.failures.append(Failure(logical_id, verb, known))
        self.stop()

    async def _create(self, logical_id: str) -> None:
        resource_type = self._scope.type_of(logical_id)
        record = self._new_record(logical_id, resource_type)
        self._scope.tell(logical_id, "CREATE_IN_PROGRESS", record)
        self._resolve_properties(logical_id, record)
        tagged = self._scope.tagged(logical_id, resource_type, record["Properties"], self._tags)

        def started(physical_id: str) -> None:
            record["PhysicalResourceId"] = physical_id
            self._progress.applied.append(logical_id)
            self._scope.tell(logical_id, "CREATE_IN_PROGRESS", record, _STARTED)

        if resource_type == _STACK_TYPE:
            record["Attributes"] = await nested_stacks.create_child(
                self.stack, logical_id, tagged, started
            )
        else:
            (physical_id, record["Attributes"]), seed = await cleanup.call(
                resource_type, stacks._provision_keeping_seed,
                resource_type, logical_id, tagged, self._scope.name,
            )  # fmt: skip
            _keep_seed(record, seed)
            started(physical_id)
        await self._take_time(resource_type)
        self._complete(logical_id, "CREATE", record)

    async def _update(self, logical_id: str, attempt: list[Any]) -> None:
        previous = self._previous_resources[logical_id]
        record, resource_type = self._records[logical_id], self._scope.type_of(logical_id)
        if previous["ResourceType"] != resource_type:
            raise ValueError(
                "Update of resource type is not permitted. The new template modifies resource "
                f"type of the following resources: [{logical_id}]"
            )
        self._resolve_properties(logical_id, record)
        old, new = (
            self._scope.tagged(logical_id, resource_type, version["Properties"], tags)
            for version, tags in ((previous, self._previous_tags), (record, self._tags))
        )
        # A nested stack is always asked: its template may have changed at the same address.
        if old == new and resource_type != _STACK_TYPE:
            return
        refused = provisioners._custom_named_replacement_error(resource_type, old, new)
        replaces = not refused and provisioners._replacing_change(resource_type, old, new)
        record |= {"ResourceStatus": "UPDATE_IN_PROGRESS", "Timestamp": now_iso()}
        reason = _REPLACING if replaces else ""
        self._scope.tell(logical_id, "UPDATE_IN_PROGRESS", record, reason)
        if not refused and not replaces:
            attempt += [record["PhysicalResourceId"], new, old, previous.get("Attributes", {})]
        if resource_type == _STACK_TYPE:
            # Before the update: a child that fails half-way is to be sent back as well.
            self._progress.applied.append(logical_id)
            record["Attributes"] = await nested_stacks.update_child(
                self.stack,
                record["PhysicalResourceId"],
                new,
                disable_rollback=self._request.disable_rollback,
            )
        else:
            await self._update_resource(logical_id, record, old, new)
        await self._take_time(resource_type)
        self._complete(logical_id, "UPDATE", record)

    async def _update_resource(
        self, logical_id: str, record: Record, old: Properties, new: Properties
    ) -> None:
        resource_type, old_id = record["ResourceType"], record["PhysicalResourceId"]
        policy = self._scope.policy(logical_id, "UpdateReplacePolicy", self._records)
        queued: list[Any] = []
        # Each resource has a task, and so a context, of its own: nothing is to be reset.
        provisioners._RETAIN_REPLACED.set(policy in provisioners._RETAINING_POLICIES)
        provisioners._DEFERRED_PREDECESSOR_DELETES.set(queued)
        provisioners._NAME_SEED.set(record.get("_name_seed", ""))
        (new_id, record["Attributes"]), seed = await cleanup.call(
            resource_type, stacks._update_keeping_seed,
            resource_type, old_id, old, new, self._scope.name, logical_id, record["Attributes"],
        )  # fmt: skip
        _keep_seed(record, seed)
        record["PhysicalResourceId"] = new_id
        self._progress.applied.append(logical_id)
        if new_id != old_id or queued:
            predecessor = self._previous_resources[logical_id]
            self._progress.replaced.append(Replaced(logical_id, predecessor, new_id, queued))
            self._scope.tell(logical_id, "UPDATE_IN_PROGRESS", record, _STARTED)

    async def _take_time(self, resource_type: str) -> None:
        """Stay in progress as long as AWS would, times the factor."""
        seconds = self._latency.seconds(resource_type)
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise CancelledError

    def _complete(self, logical_id: str, verb: str, record: Record) -> None:
        record |= {"ResourceStatus": f"{verb}_COMPLETE", "Timestamp": now_iso()}
        record.pop("ResourceStatusReason", None)
        self._scope.tell(logical_id, f"{verb}_COMPLETE", record)

    def _new_record(self, logical_id: str, resource_type: str) -> Record:
        record: Record = {
            "PhysicalResourceId": "",
            "ResourceType": resource_type,
            "ResourceStatus": "CREATE_IN_PROGRESS",
            "LogicalResourceId": logical_id,
            "Properties": {},
            "Attributes": {},
            "Timestamp": now_iso(),
        }
        self._records[logical_id] = record
        return record

    def _resolve_properties(self, logical_id: str, record: Record) -> None:
        """Put the resource's properties, every reference resolved, into its record."""
        definition = self._scope.definitions[logical_id]
        given = copy.deepcopy(definition.get("Properties", {}))
        resolved = {
            name: value
            for name, value in self._scope.resolved(given, self._records).items()
            if value is not _NO_VALUE
        }
        before = self._previous.get("_template", {})
        record["Properties"], dynamic = _resolve_dynamic_references(
            resolved,
            self._previous_resources.get(logical_id, {}).get("_dynamic"),
            reuse_ssm=self._scope.template == before
            and self._scope.parameters == self._previous.get("_resolved_params"),
            reuse_secrets=logical_id in self._previous_resources
            and before.get("Resources", {}).get(logical_id) == definition,
        )
        if dynamic:
            record["_dynamic"] = dynamic

    # --- the end --------------------------------------------------------------------------

    def _outputs(self) -> tuple[list[Any], dict[str, Any]] | None:
        """The outputs and exports; None, with the reason noted, where they do not resolve."""
        scope = self._scope
        kept = {name: record for name, record in self._records.items() if scope.is_wanted(name)}
        try:
            outputs, exported = stacks._resolve_stack_outputs(
                scope.template.get("Outputs", {}), scope.conditions, kept, scope.parameters,
                scope.mappings, scope.name, scope.stack_id,
            )  # fmt: skip
            exports.check(self.stack, exported)
        except Exception as error:
            self._fail_as_a_whole(error)
            return None
        return outputs, exported

    async def _succeed(self, outputs: list[Any], exported: dict[str, Any]) -> None:
        self.stack["_template"] = self._scope.template
        self.stack["_resolved_params"] = self._scope.parameters
        self.stack["Outputs"] = outputs
        exports.publish(self.stack, exported)
        if self._request.previous is None:
            self._scope.set_status("CREATE_COMPLETE")
            return
        self._scope.set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        if self._deferred:
            _uncommitted[self._scope.stack_id] = self
        else:
            await self.commit()

    async def commit(self) -> None:
        """Delete what the update replaced and removed, here and in the children."""
        _uncommitted.pop(self._scope.stack_id, None)
        for record in list(self._records.values()):
            child = _uncommitted.get(record["PhysicalResourceId"])
            if child is not None:
                await child.commit()
        for replaced in reversed(self._progress.replaced):
            await cleanup.delete_predecessor(self._scope, replaced)
        before = StackScope(
            self.stack, self._previous["_template"], self._previous["_resolved_params"]
        )
        for logical_id in cleanup.removed(before, self._scope, self._previous_resources):
            await cleanup.delete_removed(before, logical_id, self._previous_resources)
        self._scope.set_status("UPDATE_COMPLETE")

    def _fail_as_a_whole(self, error: Exception) -> None:
        """Note a failure that is not of one resource."""
        self._progress.reason = str(error)
        self._scope.tell_stack(f"{self._request.verb}_FAILED", str(error))

    async def _fail(self) -> None:
        reason = self._progress.reason
        self.stack["_failure"] = reason
        self.stack["_cancelled"] = self._stopped_by_parent
        if self._user_cancelled:
            # The events of the rollback are those of the cancel.
            stacks.CLIENT_REQUEST_TOKEN.set(self._cancel_token)
        if self._request.disable_rollback:
            self.stack["_failed_operation"] = self._operation()
            self._scope.set_status(f"{self._request.verb}_FAILED", reason)
            return
        if self._request.previous is None:
            reason = f"{reason.rstrip()} Rollback requested by user."
        self.stack["StackStatusReason"] = reason
        await self.roll_back(reason)

    async def roll_back(self, reason: str) -> None:
        """Undo what was done; the stack ends in a rollback state."""
        scope = self._scope
        await roll_back(scope.name, scope.stack_id, self.stack, self._operation(), reason)

    def _operation(self) -> dict[str, Any]:
        """The operation as MiniStack's rollback wants it."""
        applied, failures = self._progress.applied, self._progress.failures
        # What was applied before it failed is undone like what succeeded.
        failed_update = next(
            (
                (failure.logical_id, self._scope.type_of(failure.logical_id), *failure.attempt)
                for failure in failures
                if failure.attempt is not None and failure.logical_id not in applied
            ),
            None,
        )
        operation: dict[str, Any] = stacks._failed_operation(
            self._request.previous is not None, self._request.previous, applied, failed_update,
            failures[0].logical_id if failures else None,
            [replaced.logical_id for replaced in self._progress.replaced],
            self._user_cancelled, self._scope.template, self._scope.parameters,
            self._request.retain_except_on_create, self._tags, self._previous_tags,
        )  # fmt: skip
        return operation


def _keep_seed(record: Record, seed: str) -> None:
    """Keep what MiniStack drew the resource's name from, for its updates."""
    if seed:
        record["_name_seed"] = seed


def _cancelled(verb: str) -> str:
    return f"Resource {'creation' if verb == 'CREATE' else 'update'} cancelled"


def _failed_resources(failures: list[Failure]) -> str:
    sentences = []
    for verb in ("CREATE", "UPDATE"):
        names = [failure.logical_id for failure in failures if failure.verb == verb]
        if names:
            sentences.append(
                f"The following resource(s) failed to {verb.lower()}: [{', '.join(names)}]. "
            )
    return "".join(sentences)
