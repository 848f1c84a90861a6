# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and events as lines of text, for a terminal and for a log.

A line is text with the role it plays (:class:`Line`); what colour a role has, and whether there
are colours at all, is for whoever shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .events import EventTree, StackEvent, Waiting
from .plan import Change, Counts, Difference, Kept, Plan, PlanNode, PropertyChange

_SYMBOLS = {"add": "+", "modify": "~", "replace": "-/+", "remove": "-", "import": "<-"}
_NODE_ROLES = {"Add": "add", "Remove": "remove", "Import": "import"}
_KEPT = {"Retain": "kept", "Snapshot": "snapshot taken"}
_INDENT = "  "
_WAITING_SHOWN = 5


@dataclass(frozen=True)
class Line:
    """One line; ``role`` is add, modify, replace, remove, import, error, dim or plain."""

    text: str
    role: str = "plain"


def to_text(lines: Iterable[Line], paint: Callable[[Line], str] | None = None) -> str:
    """Join lines, each painted by ``paint`` if it is given; the text ends with a newline."""
    return "".join(f"{paint(line) if paint else line.text}\n" for line in lines)


def plan_lines(plan: Plan) -> list[Line]:
    """Give the plan as a tree with its summary as the last line."""
    counts = plan.counts
    resources = counts.total or counts.possible
    touched = resources or plan.bare or plan.parameters or plan.settings
    if plan.operation == "update" and not touched:
        return [Line(f"{plan.stack_name}: nothing to change")]
    lines = [Line(f"{plan.stack_name} ({plan.operation})")]
    lines += _difference_lines("parameters", plan.parameters)
    lines += _difference_lines("settings", plan.settings)
    lines += _node_lines(plan.root, 1)
    if plan.bare and not resources:
        lines.append(Line(f"{_INDENT}~ outputs or metadata only", "modify"))
    lines.append(Line(summary(counts, plan.operation)))
    return lines


def summary(counts: Counts, operation: str = "update") -> str:
    """Give the plan in one line: ``Plan: 3 to add, 1 to change, 0 to replace, 0 to remove``."""
    parts = [
        f"{counts.add} to add",
        f"{counts.modify} to change",
        f"{counts.replace} to replace",
        f"{counts.remove} to remove",
    ]
    if counts.imports:
        parts.append(f"{counts.imports} to import")
    if operation == "delete":
        parts = [f"{counts.remove} to remove"]
    notes = []
    if counts.conditional:
        notes.append(f"{counts.conditional} of the replacements may turn out as changes in place")
    if counts.possible:
        notes.append(f"{counts.possible} more only if a value changes when applied")
    return f"Plan: {', '.join(parts)}" + (f" ({'; '.join(notes)})" if notes else "")


def _difference_lines(title: str, differences: Iterable[Difference]) -> Iterator[Line]:
    items = list(differences)
    if items:
        yield Line(f"{_INDENT}{title}")
    for item in items:
        yield Line(f"{_INDENT * 2}{_difference(item)}", _difference_role(item))


def _difference(item: Difference) -> str:
    if item.old is None:
        return f'+ {item.name} = "{item.new}"'
    if item.new is None:
        return f'- {item.name} = "{item.old}"'
    return f'~ {item.name}: "{item.old}" -> "{item.new}"'


def _difference_role(item: Difference) -> str:
    if item.old is None:
        return "add"
    return "remove" if item.new is None else "modify"


def _node_lines(node: PlanNode, depth: int) -> Iterator[Line]:
    for change in node.changes:
        yield from _change_lines(change, depth)
    for child in node.children:
        yield _node_line(child, depth)
        yield from _node_lines(child, depth + 1)


def _node_line(node: PlanNode, depth: int) -> Line:
    role = _NODE_ROLES.get(node.action, "modify")
    below = [change for inner in node.walk() for change in inner.changes]
    if below and not any(change.certain for change in below):
        return Line(f"{_INDENT * depth}? {node.name}/", "dim")
    return Line(f"{_INDENT * depth}{_SYMBOLS[role]} {node.name}/", role)


def _change_lines(change: Change, depth: int) -> Iterator[Line]:
    kind = change.kind
    symbol, role = (_SYMBOLS.get(kind, "~"), kind) if change.certain else ("?", "dim")
    text = f"{_INDENT * depth}{symbol} {change.logical_id}  {change.resource_type}"
    yield Line(text + _consequence(change), role)
    for item in change.properties:
        yield Line(f"{_INDENT * (depth + 2)}{_property(item, change)}", role)


def _consequence(change: Change) -> str:
    """Say what a change may become, and what becomes of a resource that is not simply gone."""
    policy = change.policy_action.removeprefix("ReplaceAnd")
    words = []
    if not change.certain:
        what = "replaced" if change.kind == "replace" else "changed"
        words.append(f"{what} only if a value changes when applied")
    elif change.replacement == "Conditional":
        words.append("may be changed in place")
    if change.kind in ("remove", "replace") and policy in _KEPT:
        old = "old one " if change.kind == "replace" else ""
        words.append(f"{old}{_KEPT[policy]}")
    return f"  ({', '.join(words)})" if words else ""


def _property(item: PropertyChange, change: Change) -> str:
    plain = item.attribute in ("Properties", item.name)
    name = item.name if plain else f"{item.attribute}.{item.name}"
    forces = {"Always": "  forces replacement", "Conditionally": "  may force replacement"}
    replaces = change.certain and change.kind == "replace"
    force = forces.get(item.recreation, "") if replaces else ""
    return f"{name}{force}  ({', '.join(str(cause) for cause in item.causes)})"


def event_lines(event: StackEvent, tree: EventTree) -> list[Line]:
    """Give an event as a line: ``  12.3s  [14/87]  Network/Vpc  AWS::EC2::VPC  CREATE_COMPLETE``.

    What begins is not shown, only what ends: done, failed, skipped, and a rollback that starts.
    """
    root = event.own and not event.path
    if event.own and not root:
        return []
    if event.in_progress and not (root and "ROLLBACK" in event.status):
        return []
    name = event.name or "the stack"
    done = None if event.rolling_back else event.done
    text = f"{_progress(event.elapsed, done, tree)}  {name}  {event.resource_type}  {event.status}"
    if (event.failed or event.cancelled or event.in_progress) and event.reason:
        text += f"  {event.reason}"
    return [Line(text, _event_role(event))]


def _event_role(event: StackEvent) -> str:
    if event.failed or "ROLLBACK" in event.status:
        return "error"
    if event.cancelled:
        return "dim"
    return {"DELETE_COMPLETE": "remove", "DELETE_SKIPPED": "modify"}.get(event.status, "add")


def waiting_line(seconds: float, waiting: Sequence[Waiting], tree: EventTree) -> Line:
    """Say what is in progress, and for how long, when nothing has happened for a while."""
    shown = [
        f"{item.event.name} {item.event.resource_type} {item.event.status} for {item.seconds:.0f}s"
        for item in waiting[:_WAITING_SHOWN]
    ]
    more = len(waiting) - len(shown)
    text = "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
    done = None if tree.rolling_back else tree.done
    return Line(f"{_progress(seconds, done, tree)}  waiting for {text or 'AWS'}", "dim")


def kept_lines(kept: Iterable[Kept]) -> list[Line]:
    """List what outlives a deleted stack."""
    return [
        Line(
            f"{_INDENT}{item.how}: {item.path}  {item.resource_type}  {item.physical_id}", "modify"
        )
        for item in kept
    ]


def _progress(seconds: float, done: int | None, tree: EventTree) -> str:
    state = "rollback" if done is None else f"{done}/{len(tree.expected)}"
    return f"{seconds:6.1f}s  [{state}]"
