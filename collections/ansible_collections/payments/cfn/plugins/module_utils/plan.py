# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a tree of nested stacks, as data.

Everything here is pure: it takes what DescribeChangeSet answered (or the resources that a template
creates, or those that a stack holds) and returns one tree of frozen dataclasses. Terms are AWS's:
an action is Add, Modify, Remove, Import or Dynamic, a replacement is True, False or Conditional.
Nested stacks are nodes of the tree, never changes: what counts is what happens to resources.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .templates import STACK_TYPE

SCHEMA = 1
"""Version of the JSON that :meth:`Plan.to_dict` gives; raised when a key changes its meaning."""

MASK = "****"
"""What AWS, and so this plan, shows in place of a NoEcho value."""

_NO_CHANGE_REASONS = ("didn't contain changes", "no updates are to be performed")
# The types that AWS snapshots when a template states no policy of its own.
_SNAPSHOT_BY_DEFAULT = ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance")
_KEEPING_POLICIES = {"Retain": "Retain", "RetainExceptOnCreate": "Retain", "Snapshot": "Snapshot"}

RawPage = Mapping[str, Any]
"""One answer of DescribeChangeSet, as boto3 gives it."""


@dataclass(frozen=True)
class Cause:
    """Why a property changes.

    ``kind`` is ``parameter``, ``attribute``, ``resource``, ``direct`` (the template says otherwise
    now), ``automatic`` (AWS decided) or ``tags`` (the stack's tags); ``entity`` names the
    parameter, resource or ``Resource.Attribute``, and is empty for the last three.
    """

    kind: str
    entity: str = ""

    def __str__(self) -> str:
        """Give the cause in words, e.g. ``parameter DesiredCount``."""
        words = {
            "attribute": f"attribute of {self.entity}",
            "direct": "template",
            "automatic": "set by AWS",
            "tags": "stack tags",
        }
        return words.get(self.kind, f"{self.kind} {self.entity}")


@dataclass(frozen=True)
class PropertyChange:
    """One property (or attribute, such as ``DeletionPolicy``) of a resource that changes.

    ``recreation`` is AWS's RequiresRecreation: Never, Conditionally or Always.
    """

    attribute: str
    name: str
    recreation: str
    causes: tuple[Cause, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the property change as JSON data."""
        return {
            "attribute": self.attribute,
            "name": self.name,
            "requires_recreation": self.recreation,
            "causes": [{"kind": cause.kind, "entity": cause.entity} for cause in self.causes],
        }


@dataclass(frozen=True)
class Change:
    """What happens to one resource.

    ``replacement`` is True, False or Conditional for a Modify and empty otherwise;
    ``policy_action`` is what becomes of the old resource (Delete, Retain, Snapshot, or the same
    with ``ReplaceAnd`` before it), empty where AWS does not say. A change that is not ``certain``
    happens only if a value of another resource, known when it is applied, turns out to differ.
    """

    logical_id: str
    resource_type: str
    action: str
    replacement: str = ""
    physical_id: str = ""
    policy_action: str = ""
    properties: tuple[PropertyChange, ...] = ()
    certain: bool = True

    @property
    def kind(self) -> str:
        """What happens if it happens: add, modify, replace, remove or import."""
        if self.action in ("Modify", "Dynamic"):
            return "replace" if self.replacement in ("True", "Conditional") else "modify"
        return self.action.lower()

    def to_dict(self) -> dict[str, Any]:
        """Give the change as JSON data."""
        return {
            "logical_id": self.logical_id,
            "type": self.resource_type,
            "action": self.action,
            "replacement": self.replacement,
            "physical_id": self.physical_id,
            "policy_action": self.policy_action,
            "certain": self.certain,
            "properties": [item.to_dict() for item in self.properties],
        }


@dataclass(frozen=True)
class PlanNode:
    """One stack of the tree, with the changes of its resources and its nested stacks.

    ``path`` holds the logical ids from the root's child down and is empty for the root.
    ``bare`` says that AWS accepted the change set although it lists no change of a resource:
    outputs or metadata differ.
    """

    name: str
    path: tuple[str, ...] = ()
    action: str = "Modify"
    stack_id: str = ""
    change_set_id: str = ""
    policy_action: str = ""
    changes: tuple[Change, ...] = ()
    children: tuple[PlanNode, ...] = ()
    bare: bool = False

    def walk(self) -> Iterator[PlanNode]:
        """Yield this node and every node below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def to_dict(self) -> dict[str, Any]:
        """Give the node and everything below it as JSON data."""
        return {
            "name": self.name,
            "path": "/".join(self.path),
            "action": self.action,
            "stack_id": self.stack_id,
            "change_set_id": self.change_set_id,
            "policy_action": self.policy_action,
            "changes": [change.to_dict() for change in self.changes],
            "stacks": [child.to_dict() for child in self.children],
        }


@dataclass(frozen=True)
class Difference:
    """A named value that differs: a parameter of the root or a setting of the stack.

    ``old`` is None where there was none, ``new`` where there is none any more.
    """

    name: str
    old: str | None
    new: str | None

    def to_dict(self) -> dict[str, Any]:
        """Give the difference as JSON data."""
        return {"name": self.name, "old": self.old, "new": self.new}


@dataclass(frozen=True)
class Counts:
    """How many resources a plan adds, modifies, replaces, removes and imports for certain.

    ``conditional`` of the replacements may turn out to be modifications in place. ``possible`` is
    how many more resources change only if a value that is known when it is applied differs.
    """

    add: int = 0
    modify: int = 0
    replace: int = 0
    conditional: int = 0
    remove: int = 0
    imports: int = 0
    possible: int = 0

    @property
    def total(self) -> int:
        """All resources that change for certain."""
        return self.add + self.modify + self.replace + self.remove + self.imports

    def to_dict(self) -> dict[str, int]:
        """Give the counts as JSON data."""
        return {
            "add": self.add,
            "modify": self.modify,
            "replace": self.replace,
            "replace_conditional": self.conditional,
            "remove": self.remove,
            "import": self.imports,
            "possible": self.possible,
        }


@dataclass(frozen=True)
class Plan:
    """What an operation would do to a whole tree; ``operation`` is create, update or delete."""

    stack_name: str
    operation: str
    root: PlanNode
    parameters: tuple[Difference, ...] = ()
    settings: tuple[Difference, ...] = field(default=())

    def changes(self) -> Iterator[tuple[tuple[str, ...], Change]]:
        """Yield every change with the path of its stack."""
        for node in self.root.walk():
            for change in node.changes:
                yield node.path, change

    def certain_changes(self) -> Iterator[tuple[tuple[str, ...], Change]]:
        """Yield the changes that do not depend on a value known only when they are applied."""
        return ((path, change) for path, change in self.changes() if change.certain)

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Yield the path of every resource that changes for certain, its logical id last."""
        for path, change in self.certain_changes():
            yield (*path, change.logical_id)

    @property
    def counts(self) -> Counts:
        """The number of changes by kind."""
        kinds = Counter(change.kind for _path, change in self.certain_changes())
        return Counts(
            add=kinds["add"],
            modify=kinds["modify"],
            replace=kinds["replace"],
            conditional=sum(c.replacement == "Conditional" for _path, c in self.certain_changes()),
            remove=kinds["remove"],
            imports=kinds["import"],
            possible=sum(not change.certain for _path, change in self.changes()),
        )

    @property
    def bare(self) -> bool:
        """Whether AWS sees a change that is no change of a resource (outputs, metadata)."""
        return any(node.bare for node in self.root.walk())

    def to_dict(self) -> dict[str, Any]:
        """Give the plan as stable JSON data; see ``SCHEMA``."""
        counts = self.counts
        return {
            "schema": SCHEMA,
            "stack_name": self.stack_name,
            "operation": self.operation,
            "changes": counts.total,
            "counts": counts.to_dict(),
            "parameters": [item.to_dict() for item in self.parameters],
            "settings": [item.to_dict() for item in self.settings],
            "stacks": [self.root.to_dict()],
        }

    def with_settings(self, settings: Iterable[Difference]) -> Plan:
        """Return the plan with these differences of the stack's settings."""
        return replace(self, settings=tuple(settings))


@dataclass(frozen=True)
class Kept:
    """A resource that outlives its stack; ``how`` is retained or snapshot."""

    path: str
    resource_type: str
    physical_id: str
    how: str

    def to_dict(self) -> dict[str, str]:
        """Give it as JSON data."""
        return {
            "path": self.path,
            "type": self.resource_type,
            "physical_id": self.physical_id,
            "how": self.how,
        }


@dataclass(frozen=True)
class HeldResource:
    """A resource that a stack holds, with the deletion policy its template gives it."""

    logical_id: str
    resource_type: str
    physical_id: str = ""
    deletion_policy: str = "Delete"


@dataclass(frozen=True)
class HeldStack:
    """A stack as it stands: its resources, and its nested stacks by logical id.

    ``deletion_policy`` is the one its parent's template gives it.
    """

    stack_id: str
    resources: tuple[HeldResource, ...] = ()
    children: Mapping[str, HeldStack] = field(default_factory=dict)
    deletion_policy: str = "Delete"


def no_changes(status: str, reason: str) -> bool:
    """Whether a change set failed only because there is nothing to change."""
    lowered = reason.lower()
    return status == "FAILED" and any(text in lowered for text in _NO_CHANGE_REASONS)


def build_plan(
    stack_name: str,
    operation: str,
    root_id: str,
    pages: Mapping[str, Sequence[RawPage]],
    removed: Mapping[str, HeldStack] | None = None,
) -> Plan:
    """Build the plan of a tree from the change sets of its stacks.

    :param stack_name: the root's name.
    :param operation: ``create`` or ``update``.
    :param root_id: the id of the root's change set.
    :param pages: every page of DescribeChangeSet, by change set id.
    :param removed: what the nested stacks that go hold, by stack id: AWS makes no change set for
        a stack that it removes.
    :return: the plan, without parameters and settings.
    """
    tree = _Tree(pages, removed or {})
    root = tree.node(root_id, (), "Add" if operation == "create" else "Modify")
    return Plan(stack_name=stack_name, operation=operation, root=replace(root, name=stack_name))


@dataclass(frozen=True)
class _Tree:
    """The answers a plan is built from."""

    pages: Mapping[str, Sequence[RawPage]]
    removed: Mapping[str, HeldStack]

    def node(self, change_set_id: str, path: tuple[str, ...], action: str) -> PlanNode:
        """Build the node of one stack and everything below it."""
        described = self.pages[change_set_id]
        raw_changes = [
            item["ResourceChange"]
            for page in described
            for item in page.get("Changes", [])
            if "ResourceChange" in item
        ]
        nested = [raw for raw in raw_changes if self._is_known_stack(raw)]
        children = [self._nested(raw, path) for raw in nested]
        return PlanNode(
            name=path[-1] if path else "",
            path=path,
            action=action,
            stack_id=described[0].get("StackId", ""),
            change_set_id=change_set_id,
            changes=tuple(_change(raw) for raw in raw_changes if raw not in nested),
            children=tuple(child for child in children if child is not None),
            bare=described[0].get("Status") == "CREATE_COMPLETE" and not raw_changes,
        )

    def _is_known_stack(self, raw: Mapping[str, Any]) -> bool:
        """Whether this is a nested stack that can be looked into."""
        return raw.get("ResourceType") == STACK_TYPE and (
            raw.get("ChangeSetId") in self.pages or self._leaving(raw) is not None
        )

    def _leaving(self, raw: Mapping[str, Any]) -> HeldStack | None:
        if raw["Action"] != "Remove":
            return None
        return self.removed.get(raw.get("PhysicalResourceId", ""))

    def _nested(self, raw: Mapping[str, Any], path: tuple[str, ...]) -> PlanNode | None:
        """Build a nested stack's node; None if it is said to change and nothing in it does."""
        below = (*path, raw["LogicalResourceId"])
        held = self._leaving(raw)
        if held is not None:
            return _removal(held, below[-1], below, raw.get("PolicyAction", ""))
        node = self.node(raw["ChangeSetId"], below, raw["Action"])
        if raw["Action"] == "Modify" and not (node.changes or node.children or node.bare):
            return None
        return node


def _change(raw: Mapping[str, Any]) -> Change:
    details = raw.get("Details", [])
    return Change(
        logical_id=raw["LogicalResourceId"],
        resource_type=raw.get("ResourceType", ""),
        action=raw["Action"],
        replacement=raw.get("Replacement", ""),
        physical_id=raw.get("PhysicalResourceId", ""),
        policy_action=raw.get("PolicyAction", ""),
        properties=_properties(details),
        # AWS lists whatever depends on an attribute of a resource that is modified, because the
        # attribute might differ afterwards.
        certain=not details or any(item.get("Evaluation") != "Dynamic" for item in details),
    )


_CAUSE_KINDS = {
    "ParameterReference": "parameter",
    "ResourceAttribute": "attribute",
    "ResourceReference": "resource",
    "DirectModification": "direct",
    "Automatic": "automatic",
}
_RECREATION_ORDER = ("Never", "Conditionally", "Always")


def _properties(details: Iterable[Mapping[str, Any]]) -> tuple[PropertyChange, ...]:
    """Gather the details by what they target; AWS gives one for each cause."""
    targets: dict[tuple[str, str], tuple[str, list[Cause]]] = {}
    for detail in details:
        target = detail.get("Target", {})
        attribute = target.get("Attribute", "")
        key = (attribute, target.get("Name") or attribute)
        recreation, causes = targets.get(key, ("Never", []))
        cause = _cause(detail, attribute)
        if cause not in causes:
            causes.append(cause)
        stronger = max(
            recreation, target.get("RequiresRecreation") or "Never", key=_RECREATION_ORDER.index
        )
        targets[key] = (stronger, causes)
    return tuple(
        PropertyChange(attribute, name, recreation, _telling(causes))
        for (attribute, name), (recreation, causes) in targets.items()
    )


def _cause(detail: Mapping[str, Any], attribute: str) -> Cause:
    source = detail.get("ChangeSource", "")
    if not source and attribute == "Tags":
        return Cause("tags")
    return Cause(_CAUSE_KINDS.get(source, "direct"), detail.get("CausingEntity") or "")


def _telling(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """Drop the bare ``direct`` that AWS adds beside the parameter or attribute at fault."""
    named = tuple(cause for cause in causes if cause.kind != "direct")
    return named or tuple(causes)


def creation_plan(stack_name: str, resources: Iterable[tuple[tuple[str, ...], str]]) -> Plan:
    """Build the plan of a tree that does not exist yet: every resource of it is added.

    :param resources: the path of each resource from the root down (its logical id last) and its
        type; nested stacks are among them.
    """
    listed = list(resources)
    stacks = {path for path, resource_type in listed if resource_type == STACK_TYPE}

    def node(name: str, path: tuple[str, ...]) -> PlanNode:
        own = [(p, t) for p, t in listed if p[:-1] == path and p not in stacks]
        below = [p for p, _type in listed if p[:-1] == path and p in stacks]
        return PlanNode(
            name=name,
            path=path,
            action="Add",
            changes=tuple(Change(p[-1], t, "Add") for p, t in own),
            children=tuple(node(p[-1], p) for p in below),
        )

    return Plan(stack_name=stack_name, operation="create", root=node(stack_name, ()))


def deletion_plan(stack_name: str, held: HeldStack) -> Plan:
    """Build the plan of a deletion: every resource goes, as its deletion policy says."""
    root = _removal(held, stack_name, (), "Delete")
    return Plan(stack_name=stack_name, operation="delete", root=root)


def _removal(held: HeldStack, name: str, path: tuple[str, ...], policy_action: str) -> PlanNode:
    """Build the node of a stack that goes; one that is retained keeps all its resources."""
    retained = policy_action == "Retain"
    return PlanNode(
        name=name,
        path=path,
        action="Remove",
        stack_id=held.stack_id,
        policy_action=policy_action,
        changes=tuple(
            Change(
                logical_id=item.logical_id,
                resource_type=item.resource_type,
                action="Remove",
                physical_id=item.physical_id,
                policy_action="Retain" if retained else item.deletion_policy,
            )
            for item in held.resources
        ),
        children=tuple(
            _removal(child, key, (*path, key), "Retain" if retained else child.deletion_policy)
            for key, child in held.children.items()
        ),
    )


def deletion_policy(definition: Mapping[str, Any]) -> str:
    """Give what becomes of a resource when its stack goes: Delete, Retain or Snapshot.

    :param definition: the resource as its template defines it; an absent policy is AWS's default,
        which is Snapshot for an Aurora cluster and for an instance outside one.
    """
    stated = definition.get("DeletionPolicy")
    if isinstance(stated, str):
        return _KEEPING_POLICIES.get(stated, "Delete")
    resource_type = definition.get("Type", "")
    in_cluster = "DBClusterIdentifier" in (definition.get("Properties") or {})
    if resource_type in _SNAPSHOT_BY_DEFAULT and not in_cluster:
        return "Snapshot"
    return "Delete"


def kept_resources(plan: Plan) -> tuple[Kept, ...]:
    """List what a deletion would leave behind by the policies of the templates."""
    words = {"Retain": "retained", "Snapshot": "snapshot"}
    return tuple(
        Kept(
            "/".join((*path, change.logical_id)),
            change.resource_type,
            change.physical_id,
            words[change.policy_action],
        )
        for path, change in plan.changes()
        if change.policy_action in words
    )


def parameter_differences(
    old: Mapping[str, str] | None, new: Mapping[str, str], no_echo: Iterable[str] = ()
) -> tuple[Difference, ...]:
    """Compare the root's parameters, by name in alphabetical order.

    :param old: those of the stack as it stands, None if there is no stack.
    :param new: those it would have.
    :param no_echo: names whose values must not be shown. AWS tells none of them, so a new value
        for one of them cannot be seen here, only that there is one at all.
    """
    hidden = set(no_echo)
    before = old or {}
    hidden |= {name for values in (before, new) for name, value in values.items() if value == MASK}

    def shown(values: Mapping[str, str], name: str) -> str | None:
        value = values.get(name)
        return MASK if value is not None and name in hidden else value

    pairs = [
        Difference(name, shown(before, name), shown(new, name)) for name in sorted({*before, *new})
    ]
    return tuple(pair for pair in pairs if pair.old != pair.new)


def same_template(left: object, right: object) -> bool:
    """Whether two templates are the same, whatever the layout if both are JSON.

    :param left: a template as GetTemplate gives it: text, or what boto3 read from JSON.
    """
    return left == right or _read_json(left) == _read_json(right)


def _read_json(body: object) -> object:
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except ValueError:
        return body
