"""What the templates say: the nested stacks, their resources and what they hand on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.payments.cfn.plugins.module_utils.evaluate import (
    Scope,
    Unknown,
    evaluate,
    planned,
    root_scope,
    tree_scopes,
)
from ansible_collections.payments.cfn.plugins.module_utils.templates import (
    TemplateTree,
    load_tree,
)

ENVIRONMENT_PARAMETER = "EnvironmentType"
# Names of endpoints contain a region; which one does not matter here.
PSEUDO = {"AWS::Region": "eu-west-1", "AWS::Partition": "aws"}


class DrawingError(Exception):
    """The templates hold something that cannot be drawn; the text says what."""


@dataclass(frozen=True)
class Member:
    """One resource, as one environment has it."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    scope: Scope

    def value(self, *path: str | int) -> Any:
        """A property by its path; empty where it is missing or only known when deployed."""
        node: Any = self.properties
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return ""
        found = evaluate(node, self.scope)
        return "" if isinstance(found, Unknown) else found


@dataclass(frozen=True)
class Found:
    """Some resources of a stack: a tuple of them for each environment, in order."""

    members: tuple[tuple[Member, ...], ...]

    def where(self, wanted: Callable[[Member], bool]) -> Found:
        """Those that are wanted."""
        return Found(tuple(tuple(filter(wanted, members)) for members in self.members))

    def of_type(self, name: str) -> Found:
        """Those of a type."""
        return self.where(lambda member: member.type == name)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many there are in each environment."""
        return tuple(map(len, self.members))

    @property
    def all(self) -> tuple[Member, ...]:
        """Every one once, in the order of the template."""
        return tuple({m.logical_id: m for members in self.members for m in members}.values())

    def first(self, *path: str | int) -> list[str]:
        """A property of the first one, for each environment that has one."""
        return [str(members[0].value(*path)) for members in self.members if members]

    def each(self, *path: str | int) -> list[str]:
        """A property of every one."""
        return [str(member.value(*path)) for member in self.all]


def per_environment(values: Iterable[object]) -> str:
    """``a / b / c``, or ``a`` where all are the same."""
    listed = list(map(str, values))
    return listed[0] if len(set(listed)) == 1 else " / ".join(listed)


@dataclass(frozen=True)
class Stack:
    """A nested stack, with the outputs it is given by the stack they come from."""

    logical_id: str
    name: str
    file: str
    column: int
    resources: Found
    inputs: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Platform:
    """Everything that is drawn."""

    file: str
    environments: tuple[str, ...]
    stacks: tuple[Stack, ...]
    exports: tuple[str, ...]


def read_platform(template: Path) -> Platform:
    """Read the root template and its children.

    Raises:
        CfnError: a template is missing or broken.
        DrawingError: a nested stack's template is not in a local file.
    """
    tree = load_tree(template)
    environments = tuple(tree.template.parameters[ENVIRONMENT_PARAMETER]["AllowedValues"])
    scopes = [
        tree_scopes(tree, root_scope(tree.template, {ENVIRONMENT_PARAMETER: name}, PSEUDO))
        for name in environments
    ]
    inputs = {logical_id: _inputs(tree, logical_id) for logical_id in tree.children}
    stacks = []
    for logical_id, child in tree.children.items():
        if child.tree is None:
            raise DrawingError(f"{logical_id} in {template} has no local template; give it one.")
        members = tuple(
            _members(scope[(logical_id,)][1]) if _has(scope[()][1], logical_id) else ()
            for scope in scopes
        )
        stacks.append(
            Stack(
                logical_id,
                _name(logical_id, tree.children),
                child.tree.template.source,
                _column(logical_id, inputs),
                Found(members),
                inputs[logical_id],
            )
        )
    outputs = tree.template.section("Outputs")
    exports = tuple(name for name, output in outputs.items() if "Export" in output)
    return Platform(tree.template.source, environments, tuple(stacks), exports)


def _has(scope: Scope, logical_id: str) -> bool:
    """Whether an environment has a nested stack: it may have a condition."""
    return any(made.logical_id == logical_id for made in planned(scope))


def _members(scope: Scope) -> tuple[Member, ...]:
    resources = scope.template.resources
    return tuple(
        Member(made.logical_id, made.type, resources[made.logical_id].get("Properties", {}), scope)
        for made in planned(scope)
    )


def _name(logical_id: str, siblings: Iterable[str]) -> str:
    """``VPC`` for PaymentVPCStack: without the word that all siblings begin with."""
    first_words = {re.match(r"[A-Z][a-z0-9]*", sibling) for sibling in siblings}
    starts = {word[0] if word else "" for word in first_words}
    shared = starts.pop() if len(starts) == 1 else ""
    return logical_id.removeprefix(shared).removesuffix("Stack")


def _inputs(tree: TemplateTree, logical_id: str) -> dict[str, tuple[str, ...]]:
    """What a nested stack is given by its siblings, or waits for."""
    used = list(_references(tree.children[logical_id].parameters))
    waits = tree.template.resources[logical_id].get("DependsOn", [])
    waits = [waits] if isinstance(waits, str) else waits
    found = {}
    for sibling in tree.children:
        outputs = tuple(dict.fromkeys(output for source, output in used if source == sibling))
        if outputs or sibling in waits:
            found[sibling] = outputs
    return found


def _references(node: Any) -> Iterator[tuple[str, str]]:
    """(nested stack, output) for everything in an expression that reads an output."""
    if isinstance(node, str):
        yield from re.findall(r"\$\{(\w+)\.Outputs\.(\w+)\}", node)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Fn::GetAtt":
                yield value[0], value[1].removeprefix("Outputs.")
            else:
                yield from _references(value)


def _column(logical_id: str, inputs: Mapping[str, Mapping[str, object]]) -> int:
    """The length of the longest chain of stacks that this one waits for."""
    return max((_column(source, inputs) + 1 for source in inputs[logical_id]), default=0)
