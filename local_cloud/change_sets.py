"""Change sets over a whole tree of stacks (``IncludeNestedStacks``).

MiniStack makes a change set of one stack. Here the change set of the root brings one for every
nested stack below it: the children of a new stack are kept ready in ``REVIEW_IN_PROGRESS``, and
execution and deletion go from the root through the tree.
"""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import cloudformation as store
from ministack.services.cloudformation import changesets

from local_cloud import forecast, nested_stacks, operations, stack_actions
from local_cloud.operations import (
    Action,
    ActionError,
    ChangeSet,
    Parameters,
    Response,
    Stack,
)

PAGE_SIZE = 100
_NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
_FROM_ROOT_ONLY = (
    "ChangeSet [{}] is that of a nested stack: execute or delete the root change set [{}] instead."
)


def creates_tree(original: Action) -> Action:
    """CreateChangeSet: with ``IncludeNestedStacks`` make those of the nested stacks too."""

    def create(parameters: Parameters) -> Response:
        stack = operations.find_stack(operations.first(parameters, "StackName"))
        refused = _refuse(parameters, stack)
        if refused is not None:
            return refused
        reviewed = stack is not None and stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        with _same_placeholder(stack if reviewed else None):
            response = original(parameters)
        if response[0] >= 400:
            return response
        change_set = _created(response)
        _accept_changed_outputs(change_set)
        if operations.is_true(parameters, "IncludeNestedStacks"):
            change_set["IncludeNestedStacks"] = True
            _Planner(original).plan(change_set)
        return response

    return create


def _refuse(parameters: Parameters, stack: Stack | None) -> Response | None:
    if stack is None:
        return None
    if operations.first(parameters, "ChangeSetType") == "CREATE":
        if stack["StackStatus"] != "ROLLBACK_COMPLETE":
            return None
        return stack_actions.refuse_update(stack)
    return stack_actions.refuse_update(stack)


@contextlib.contextmanager
def _same_placeholder(stack: Stack | None) -> Iterator[None]:
    """Keep the id, events and place in the tree of a stack that is under review already."""
    if stack is None:
        yield
        return
    stack_id = stack["StackId"]
    events = store._stack_events[stack_id]
    with operations.stack_uuid(stack_id):
        yield
    store._stacks[stack["StackName"]] = stack
    store._stack_events[stack_id] = events


def _created(response: Response) -> ChangeSet:
    change_set_id = operations.parse(response[2]).findtext(".//Id", "")
    change_set: ChangeSet = store._change_sets[change_set_id]
    return change_set


def _accept_changed_outputs(change_set: ChangeSet) -> None:
    """A change of the outputs alone can be executed on AWS, though it lists no resource."""
    stack = operations.find_stack(change_set["StackId"])
    if stack is None or not _has_no_changes(change_set):
        return
    before = (stack.get("_template") or {}).get("Outputs", {})
    if before != change_set["_template"].get("Outputs", {}):
        _make_executable(change_set)


def _has_no_changes(change_set: ChangeSet) -> bool:
    return bool(change_set["Status"] == "FAILED" and change_set["StatusReason"] == _NO_CHANGES)


def _make_executable(change_set: ChangeSet) -> None:
    change_set |= {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE", "StatusReason": ""}


@dataclass(frozen=True)
class _Plan:
    """A planned change set: whether its tree changes anything, and the stack as it will be."""

    change_set: ChangeSet
    changes: bool
    outlook: forecast.Outlook | None = None


@dataclass(frozen=True)
class _Planner:
    """Makes the change sets of the nested stacks below a change set."""

    create_change_set: Action

    def plan(self, change_set: ChangeSet) -> _Plan:
        """Plan the tree below ``change_set``.

        Children are planned in the order of their dependencies, so that what one of them will
        output is known, or known to be unknown, when the next one takes it as a parameter.
        """
        if _is_broken(change_set):
            return _Plan(change_set, changes=True)
        stack = _stack(change_set["StackId"])
        outlook = forecast.Outlook(change_set, stack)
        planned: dict[str, _Plan] = {}
        for logical_id in outlook.nested_stacks():
            below = self.plan(self._plan_child(change_set, stack, outlook, logical_id))
            try:
                outputs = below.outlook.outputs() if below.outlook else {}
            except ValueError as error:
                _fail(below.change_set, str(error))
            if _is_broken(below.change_set):
                _fail_with(change_set, below.change_set)
                return _Plan(change_set, changes=True)
            outlook.learn(logical_id, outputs, below.change_set["StackId"])
            planned[logical_id] = below
        return _Plan(change_set, _conclude(change_set, stack, planned), outlook)

    def _plan_child(
        self, parent_set: ChangeSet, parent: Stack, outlook: forecast.Outlook, logical_id: str
    ) -> ChangeSet:
        record = parent.get("_resources", {}).get(logical_id)
        child_stack = operations.find_stack(record["PhysicalResourceId"]) if record else None
        kind = "CREATE" if child_stack is None else "UPDATE"
        name = (
            nested_stacks.child_name(parent["StackName"], logical_id)
            if child_stack is None
            else child_stack["StackName"]
        )
        label = f"{_root_name(parent_set)}-{logical_id}"[:114]
        request: Parameters = {
            "StackName": [name],
            "ChangeSetName": [f"{label}-{nested_stacks.random_suffix()}"],
            "ChangeSetType": [kind],
        }
        try:
            properties = outlook.properties(logical_id)
            request |= nested_stacks.request_of(
                properties.url, properties.parameters, properties.tags, parent_set
            )
            response = self.create_change_set(request)
            if response[0] >= 400:
                raise ValueError(operations.parse(response[2]).findtext(".//Message", ""))
            child = _created(response)
        except ValueError as error:
            child = _failed_change_set(request, child_stack, parent_set, str(error))
        forecast.tidy_parameters(child)
        _accept_changed_outputs(child)
        child |= {
            "IncludeNestedStacks": True,
            "ParentChangeSetId": parent_set["ChangeSetId"],
            "RootChangeSetId": parent_set.get("RootChangeSetId", parent_set["ChangeSetId"]),
            "_logical_id": logical_id,
        }
        if kind == "CREATE":
            nested_stacks.link(_stack(child["StackId"]), parent)
        return child


def _root_name(change_set: ChangeSet) -> str:
    root = store._change_sets.get(change_set.get("RootChangeSetId", ""), change_set)
    return str(root["ChangeSetName"])


def _is_broken(change_set: ChangeSet) -> bool:
    return bool(change_set["Status"] == "FAILED" and not _has_no_changes(change_set))


def _fail(change_set: ChangeSet, reason: str) -> None:
    change_set |= {
        "Status": "FAILED",
        "ExecutionStatus": "UNAVAILABLE",
        "StatusReason": reason,
    }


def _fail_with(change_set: ChangeSet, child: ChangeSet) -> None:
    _fail(
        change_set,
        f"Nested change set {child['ChangeSetId']} was not successfully created: "
        "Currently in FAILED.",
    )
    _refer(change_set, {child["_logical_id"]: child["ChangeSetId"]})


def _conclude(change_set: ChangeSet, stack: Stack, planned: Mapping[str, _Plan]) -> bool:
    """Write what the children brought into the parent's change set; whether it changes any."""
    if _has_no_changes(change_set):
        if not any(below.changes for below in planned.values()):
            return False
        _make_executable(change_set)
    children = {name: below.change_set["ChangeSetId"] for name, below in planned.items()}
    _refer(change_set, children)
    listed = {change["ResourceChange"]["LogicalResourceId"] for change in change_set["Changes"]}
    # CloudFormation lists a nested stack that has no change of its own as well, because its
    # template "might have changed"; only the child's change set tells.
    change_set["Changes"] += [
        _automatic_change(name, stack, change_set_id)
        for name, change_set_id in children.items()
        if name not in listed
    ]
    change_set["Changes"].sort(key=lambda change: change["ResourceChange"]["LogicalResourceId"])
    return True


def _refer(change_set: ChangeSet, children: Mapping[str, str]) -> None:
    for change in change_set["Changes"]:
        resource = change["ResourceChange"]
        if resource["LogicalResourceId"] in children and resource["Action"] != "Remove":
            resource["ChangeSetId"] = children[resource["LogicalResourceId"]]


def _automatic_change(logical_id: str, stack: Stack, change_set_id: str) -> dict[str, Any]:
    record = stack["_resources"][logical_id]
    return {
        "ResourceChange": {
            "Action": "Modify",
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": record["PhysicalResourceId"],
            "ResourceType": nested_stacks.TYPE,
            "Replacement": "False",
            "Scope": ["Properties"],
            "Details": [
                {
                    "Target": {"Attribute": "Properties", "RequiresRecreation": "Never"},
                    "Evaluation": "Dynamic",
                    "ChangeSource": "Automatic",
                }
            ],
            "ChangeSetId": change_set_id,
        }
    }


def _failed_change_set(
    request: Parameters, stack: Stack | None, parent_set: ChangeSet, reason: str
) -> ChangeSet:
    """The record of a child's change set that CloudFormation could not make."""
    name = operations.first(request, "StackName")
    kind = operations.first(request, "ChangeSetType")
    if stack is None:
        stack = _placeholder(name, parent_set)
    label = operations.first(request, "ChangeSetName")
    change_set_id = parent_set["ChangeSetId"].split("changeSet/")[0] + (
        f"changeSet/{label}/{changesets.new_uuid()}"
    )
    change_set: ChangeSet = {
        "ChangeSetId": change_set_id,
        "ChangeSetName": label,
        "StackId": stack["StackId"],
        "StackName": name,
        "Status": "FAILED",
        "ExecutionStatus": "UNAVAILABLE",
        "StatusReason": reason,
        "CreationTime": now_iso(),
        "ChangeSetType": kind,
        "Changes": [],
        "Parameters": [],
        "_template": {},
    }
    store._change_sets[change_set_id] = change_set
    return change_set


def _placeholder(name: str, parent_set: ChangeSet) -> Stack:
    scope = parent_set["ChangeSetId"].split("changeSet/")[0]
    stack: Stack = {
        "StackName": name,
        "StackId": f"{scope}stack/{name}/{changesets.new_uuid()}",
        "StackStatus": "REVIEW_IN_PROGRESS",
        "StackStatusReason": "",
        "CreationTime": now_iso(),
        "Outputs": [],
        "_resources": {},
        "_template": {},
        "_resolved_params": {},
        "_conditions": {},
    }
    store._stacks[name] = stack
    store._stack_events[stack["StackId"]] = []
    return stack


# --- reading ------------------------------------------------------------------------------


def describes_tree(original: Action) -> Action:
    """DescribeChangeSet: the place in the tree, the children, and pages of changes."""

    def describe(parameters: Parameters) -> Response:
        parameters = _by_stack_name(parameters)
        change_set = _find(parameters)
        if change_set is None:
            return original(parameters)
        try:
            start = _page_start(parameters)
        except ValueError:
            return operations.refusal("ValidationError", "Invalid NextToken")
        whole = change_set["Changes"]
        # MiniStack writes all changes that it finds, so it is shown one page of them.
        change_set["Changes"] = page = whole[start : start + PAGE_SIZE]
        try:
            response = original(parameters)
        finally:
            change_set["Changes"] = whole
        end = start + len(page)

        def edit(root: ET.Element) -> None:
            result = root.find("DescribeChangeSetResult")
            if result is None:
                return
            _add_place(result, change_set)
            if end < len(whole):
                ET.SubElement(result, "NextToken").text = f"DescribeChangeSet:{end}"
            elements = result.iterfind("Changes/member/ResourceChange")
            for element, change in zip(elements, page, strict=True):
                child = change["ResourceChange"].get("ChangeSetId")
                if child:
                    ET.SubElement(element, "ChangeSetId").text = child

        return operations.edited(response, edit)

    return describe


def _page_start(parameters: Parameters) -> int:
    token = operations.first(parameters, "NextToken")
    action, _, offset = token.partition(":")
    if token and action != "DescribeChangeSet":
        raise ValueError(token)
    return int(offset or 0)


def lists_tree(original: Action) -> Action:
    """ListChangeSets: the place in the tree of each."""

    def listed(parameters: Parameters) -> Response:
        return operations.edited(original(_by_stack_name(parameters)), _add_places)

    return listed


def _add_places(root: ET.Element) -> None:
    for member in root.iter("member"):
        change_set = store._change_sets.get(member.findtext("ChangeSetId", ""))
        if change_set is not None:
            _add_place(member, change_set)


def _add_place(element: ET.Element, change_set: ChangeSet) -> None:
    nested = bool(change_set.get("IncludeNestedStacks"))
    ET.SubElement(element, "IncludeNestedStacks").text = str(nested).lower()
    for name in ("ParentChangeSetId", "RootChangeSetId"):
        if name in change_set:
            ET.SubElement(element, name).text = change_set[name]


def _by_stack_name(parameters: Parameters) -> Parameters:
    """The same request with the stack's name where it had its id."""
    stack = operations.find_stack(operations.first(parameters, "StackName"))
    return parameters if stack is None else {**parameters, "StackName": [stack["StackName"]]}


def _find(parameters: Parameters) -> ChangeSet | None:
    change_set: ChangeSet | None = changesets._find_change_set(
        operations.first(parameters, "ChangeSetName"), operations.first(parameters, "StackName")
    )[1]
    return change_set


def children(change_set: ChangeSet) -> list[ChangeSet]:
    """The change sets directly below, in the order in which they were made."""
    change_set_id = change_set["ChangeSetId"]
    return [
        other
        for other in store._change_sets.values()
        if other.get("ParentChangeSetId") == change_set_id
    ]


def _below(change_set: ChangeSet) -> list[ChangeSet]:
    found = []
    for child in children(change_set):
        found += [child, *_below(child)]
    return found


# --- executing and deleting ---------------------------------------------------------------


def executes_tree(original: Action) -> Action:
    """ExecuteChangeSet: from the root only, and then for the whole tree."""

    def execute(parameters: Parameters) -> Response:
        parameters = _by_stack_name(parameters)
        change_set = _find(parameters)
        if change_set is None:
            return original(parameters)
        if "ParentChangeSetId" in change_set:
            return _refuse_child(change_set)
        below = _below(change_set)
        token = operations.planned_children.set(_planned_children(below))
        try:
            response = original(parameters)
        finally:
            operations.planned_children.reset(token)
        if response[0] < 400:
            for child in below:
                if child["ExecutionStatus"] == "AVAILABLE":
                    child["ExecutionStatus"] = "EXECUTE_IN_PROGRESS"
        return response

    return execute


def _planned_children(below: list[ChangeSet]) -> dict[tuple[str, str], str]:
    return {
        (store._change_sets[child["ParentChangeSetId"]]["StackId"], child["_logical_id"]): child[
            "StackId"
        ]
        for child in below
        if child["ChangeSetType"] == "CREATE"
    }


def tracks_tree(original: Callable[..., Any]) -> Callable[..., Any]:
    """A replacement of ``_track_change_set_execution``: the children end as the root does."""

    async def track(change_set: ChangeSet, stack: Stack, deployment: Any) -> None:
        below = _below(change_set)
        try:
            await original(change_set, stack, deployment)
        finally:
            for child in below:
                if child["ExecutionStatus"] == "EXECUTE_IN_PROGRESS":
                    child["ExecutionStatus"] = change_set["ExecutionStatus"]

    return track


def drops_trees(original: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """A replacement of ``_drop_other_change_sets``: those of the children go with them."""

    def drop(stack_id: str, executed_id: str) -> None:
        for change_set in list(store._change_sets.values()):
            if change_set["StackId"] == stack_id and change_set["ChangeSetId"] != executed_id:
                _delete_below(change_set)
        original(stack_id, executed_id)

    return drop


def deletes_tree(original: Action) -> Action:
    """DeleteChangeSet: from the root only, and then the whole tree."""

    def delete(parameters: Parameters) -> Response:
        change_set = _find(_by_stack_name(parameters))
        if change_set is not None:
            if "ParentChangeSetId" in change_set:
                return _refuse_child(change_set)
            _delete_below(change_set)
        return original(parameters)

    return delete


def deletes_reviewed_children(original: Action) -> Action:
    """DeleteStack: the change sets of a stack go with it, and so what they kept ready."""

    def delete(parameters: Parameters) -> Response:
        stack = operations.find_stack(operations.first(parameters, "StackName"))
        stack_id = stack["StackId"] if stack else ""
        own = [cs for cs in store._change_sets.values() if cs["StackId"] == stack_id]
        below = [child for change_set in own for child in _below(change_set)]
        response = original(parameters)
        if response[0] < 400:
            for child in below:
                _delete_one(child)
        return response

    return delete


def _refuse_child(change_set: ChangeSet) -> Response:
    return operations.refusal(
        "InvalidChangeSetStatus",
        _FROM_ROOT_ONLY.format(change_set["ChangeSetName"], change_set["RootChangeSetId"]),
    )


def _delete_below(change_set: ChangeSet) -> None:
    for child in _below(change_set):
        _delete_one(child)


def _delete_one(change_set: ChangeSet) -> None:
    store._change_sets.pop(change_set["ChangeSetId"], None)
    stack = operations.find_stack(change_set["StackId"])
    if (
        stack is not None
        and change_set["ChangeSetType"] == "CREATE"
        and stack["StackStatus"] == "REVIEW_IN_PROGRESS"
    ):
        store._stacks.pop(stack["StackName"], None)
        store._stack_events.pop(stack["StackId"], None)


def _stack(stack_id: str) -> Stack:
    stack = operations.find_stack(stack_id)
    if stack is None:
        raise ActionError("ValidationError", f"Stack [{stack_id}] does not exist")
    return stack
