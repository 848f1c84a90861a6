# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and events as lines of text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.events import (
    EventTree,
    StackEvent,
    Waiting,
)
from ansible_collections.payments.cfn.plugins.module_utils.plan import (
    Cause,
    Change,
    Counts,
    Difference,
    Plan,
    PlanNode,
    PropertyChange,
)
from ansible_collections.payments.cfn.plugins.module_utils.render import (
    Line,
    event_lines,
    plan_lines,
    summary,
    to_text,
    waiting_line,
)

TREE = EventTree("arn:root", [("A",), ("B",)])


def event(path: str, status: str, kind: str = "AWS::EC2::VPC", **more: object) -> StackEvent:
    values: dict[str, object] = {
        "event_id": path + status,
        "path": tuple(part for part in path.split("/") if part),
        "stack_id": "arn:root",
        "physical_id": "",
        "resource_type": kind,
        "status": status,
        "reason": "",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "elapsed": 12.34,
        "done": 1,
    }
    return StackEvent(**(values | more))  # type: ignore[arg-type]  # built from plain values


def test_plan_as_a_tree() -> None:
    size = PropertyChange("Properties", "Size", "Never", (Cause("parameter", "Size"),))
    name = PropertyChange("Properties", "Name", "Always", (Cause("direct"),))
    child = PlanNode(
        "Data",
        ("Data",),
        changes=(
            Change("Cluster", "AWS::RDS::DBCluster", "Modify", "True", "c-1", "ReplaceAndSnapshot",
                   (name,)),
            Change("Old", "AWS::S3::Bucket", "Remove", policy_action="Retain"),
            Change("Gone", "AWS::SNS::Topic", "Remove", policy_action="Delete"),
        ),
    )  # fmt: skip
    new = PlanNode("Extra", ("Extra",), "Add", changes=(Change("T", "AWS::SNS::Topic", "Add"),))
    root = PlanNode(
        "app",
        changes=(Change("Disk", "AWS::EC2::Volume", "Modify", "False", properties=(size,)),),
        children=(child, new),
    )
    plan = Plan(
        "app",
        "update",
        root,
        (Difference("Size", "", "2"), Difference("Gone", "x", None), Difference("New", None, "y")),
        (Difference("TerminationProtection", "off", "on"),),
    )
    assert to_text(plan_lines(plan)).splitlines() == [
        "app (update)",
        "  parameters",
        '    ~ Size: "" -> "2"',
        '    - Gone = "x"',
        '    + New = "y"',
        "  settings",
        '    ~ TerminationProtection: "off" -> "on"',
        "  ~ Disk  AWS::EC2::Volume",
        "      Size  (parameter Size)",
        "  ~ Data/",
        "    -/+ Cluster  AWS::RDS::DBCluster  (old one snapshot taken)",
        "        Name  forces replacement  (template)",
        "    - Old  AWS::S3::Bucket  (kept)",
        "    - Gone  AWS::SNS::Topic",
        "  + Extra/",
        "    + T  AWS::SNS::Topic",
        "Plan: 1 to add, 1 to change, 1 to replace, 2 to remove",
    ]
    roles = {line.text.split()[0]: line.role for line in plan_lines(plan) if line.role != "plain"}
    assert roles["-/+"] == "replace"
    assert roles["-"] == "remove"
    assert roles["+"] == "add"


def test_what_is_not_certain_stands_apart() -> None:
    cause = Cause("attribute", "Service.Name")
    target = PropertyChange("Properties", "ResourceId", "Always", (cause,))
    change = Change("Target", "AWS::SNS::Topic", "Modify", "Conditional", properties=(target,),
                    certain=False)  # fmt: skip
    child = PlanNode("Child", ("Child",), changes=(change,))
    plan = Plan("app", "update", PlanNode("app", children=(child,)))
    assert [(line.text, line.role) for line in plan_lines(plan)[1:-1]] == [
        ("  ? Child/", "dim"),
        (
            "    ? Target  AWS::SNS::Topic  (replaced only if a value changes when applied)",
            "dim",
        ),
        ("        ResourceId  (attribute of Service.Name)", "dim"),
    ]


def test_plan_without_changes_says_so_in_one_line() -> None:
    assert to_text(plan_lines(Plan("app", "update", PlanNode("app")))) == "app: nothing to change\n"


def test_plan_that_changes_outputs_only_says_so() -> None:
    plan = Plan("app", "update", PlanNode("app", bare=True))
    assert "  ~ outputs or metadata only\n" in to_text(plan_lines(plan))


@pytest.mark.parametrize(
    ("counts", "operation", "expected"),
    [
        (Counts(3, 1, 0, 0, 0), "update", "Plan: 3 to add, 1 to change, 0 to replace, 0 to remove"),
        (Counts(remove=9), "delete", "Plan: 9 to remove"),
        (
            Counts(replace=2, conditional=1, possible=3),
            "update",
            "Plan: 0 to add, 0 to change, 2 to replace, 0 to remove "
            "(1 of the replacements may turn out as changes in place; "
            "3 more only if a value changes when applied)",
        ),
        (
            Counts(imports=1),
            "update",
            "Plan: 0 to add, 0 to change, 0 to replace, 0 to remove, 1 to import",
        ),
    ],
)
def test_summary(counts: Counts, operation: str, expected: str) -> None:
    assert summary(counts, operation) == expected


def test_event_that_ends_well() -> None:
    assert event_lines(event("Network/Vpc", "CREATE_COMPLETE"), TREE) == [
        Line("  12.3s  [1/2]  Network/Vpc  AWS::EC2::VPC  CREATE_COMPLETE", "add")
    ]


def test_failure_is_shown_with_its_reason_and_a_cancelled_one_is_not_in_red() -> None:
    (failed,) = event_lines(event("Vpc", "CREATE_FAILED", reason="limit exceeded"), TREE)
    assert failed == Line(
        "  12.3s  [1/2]  Vpc  AWS::EC2::VPC  CREATE_FAILED  limit exceeded", "error"
    )
    (cancelled,) = event_lines(
        event("Vpc", "CREATE_FAILED", reason="Resource creation cancelled"), TREE
    )
    assert cancelled.role == "dim"


def test_what_begins_is_not_shown_but_a_rollback_is() -> None:
    stack = "AWS::CloudFormation::Stack"
    assert event_lines(event("Vpc", "CREATE_IN_PROGRESS"), TREE) == []
    assert event_lines(event("", "CREATE_IN_PROGRESS", stack, own=True), TREE) == []
    (line,) = event_lines(
        event("", "ROLLBACK_IN_PROGRESS", stack, own=True, rolling_back=True, reason="why"), TREE
    )
    assert line == Line(f"  12.3s  [rollback]  the stack  {stack}  ROLLBACK_IN_PROGRESS  why",
                        "error")  # fmt: skip


def test_nested_stack_tells_its_end_once() -> None:
    stack = "AWS::CloudFormation::Stack"
    assert event_lines(event("Child", "CREATE_COMPLETE", stack, own=True), TREE) == []
    assert len(event_lines(event("Child", "CREATE_COMPLETE", stack), TREE)) == 1


def test_what_is_waited_for() -> None:
    waiting = [Waiting(event(f"R{i}", "CREATE_IN_PROGRESS"), 61.4) for i in range(7)]
    line = waiting_line(75.0, waiting, TREE)
    assert line.text.startswith(
        "  75.0s  [0/2]  waiting for R0 AWS::EC2::VPC CREATE_IN_PROGRESS for 61s; R1 "
    )
    assert line.text.endswith("; and 2 more")
    assert "R5" not in line.text
