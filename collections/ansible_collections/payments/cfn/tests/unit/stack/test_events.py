# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a tree: each once, in order, of this operation only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.events import (
    EventTree,
    Pace,
    StackEvent,
    first_failure,
)

STACK = "AWS::CloudFormation::Stack"
TOPIC = "AWS::SNS::Topic"
START = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = count()


def raw(logical_id: str, status: str, second: float, **more: Any) -> dict[str, Any]:
    return {
        "EventId": f"event-{next(_numbers)}",
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": "",
        "ResourceType": TOPIC,
        "ResourceStatus": status,
        "Timestamp": START + timedelta(seconds=second),
        **more,
    }


def own(stack_id: str, status: str, second: float) -> dict[str, Any]:
    return raw("name", status, second, PhysicalResourceId=stack_id, ResourceType=STACK)


def child(logical_id: str, stack_id: str, status: str, second: float) -> dict[str, Any]:
    return raw(logical_id, status, second, PhysicalResourceId=stack_id, ResourceType=STACK)


def take(tree: EventTree, **looks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Take in looks at stacks, oldest event first, and give path and status of what is new."""
    tree.take({stack_id: events[::-1] for stack_id, events in looks.items()})
    return [(event.name, event.status) for event in tree.settle()]


def test_each_event_is_told_once_however_often_it_is_read() -> None:
    tree = EventTree("root")
    first, second = raw("A", "CREATE_IN_PROGRESS", 1), raw("A", "CREATE_COMPLETE", 2)
    assert take(tree, root=[first]) == [("A", "CREATE_IN_PROGRESS")]
    assert take(tree, root=[first, second]) == [("A", "CREATE_COMPLETE")]
    assert take(tree, root=[first, second]) == []
    assert len(tree.events) == 2


def test_late_event_below_a_known_one_is_not_lost() -> None:
    tree = EventTree("root")
    known = raw("A", "CREATE_COMPLETE", 2)
    take(tree, root=[known])
    assert take(tree, root=[raw("B", "CREATE_COMPLETE", 1), known]) == [("B", "CREATE_COMPLETE")]


def test_events_of_one_look_are_in_order_of_time_across_stacks() -> None:
    tree = EventTree("root")
    take(tree, root=[child("Child", "c", "CREATE_IN_PROGRESS", 0)])
    told = take(
        tree,
        root=[raw("A", "CREATE_COMPLETE", 1), child("Child", "c", "CREATE_COMPLETE", 4)],
        c=[raw("B", "CREATE_COMPLETE", 2), raw("C", "CREATE_COMPLETE", 4)],
    )
    assert [name for name, _status in told] == ["A", "Child/B", "Child/C", "Child"]


def test_nested_stacks_are_looked_at_while_they_are_worked_on_and_once_after() -> None:
    tree = EventTree("root")
    assert tree.stacks() == ["root"]
    take(tree, root=[child("Child", "c", "CREATE_IN_PROGRESS", 0)])
    assert tree.stacks() == ["root", "c"]
    take(tree, c=[child("Below", "d", "CREATE_IN_PROGRESS", 1)])
    assert tree.stacks() == ["root", "c", "d"]
    take(tree, root=[child("Child", "c", "CREATE_COMPLETE", 2)])
    assert tree.stacks() == ["root", "c", "d"]
    take(tree, c=[child("Below", "d", "CREATE_COMPLETE", 2)], d=[])
    assert tree.stacks() == ["root", "d"]
    assert take(tree, d=[raw("A", "CREATE_COMPLETE", 1.5)]) == [
        ("Child/Below/A", "CREATE_COMPLETE")
    ]
    assert tree.stacks() == ["root"]


def test_nested_stacks_are_looked_at_when_old_resources_are_removed_at_the_end() -> None:
    tree = EventTree("root")
    take(tree, root=[child("Child", "c", "UPDATE_COMPLETE", 1)])
    take(tree, c=[])
    assert tree.stacks() == ["root"]
    take(tree, root=[own("root", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", 2)])
    assert tree.stacks() == ["root", "c"]
    assert not tree.ended
    take(tree, root=[own("root", "UPDATE_COMPLETE", 3)])
    assert tree.stacks() == ["root", "c"]
    assert tree.ended


def test_nested_stack_that_failed_is_found_by_the_reason() -> None:
    tree = EventTree("root")
    reason = "Embedded stack arn:aws:cloudformation:r:1:stack/c/1 was not successfully created: x"
    failed = raw("Child", "CREATE_FAILED", 1, ResourceType=STACK, ResourceStatusReason=reason)
    take(tree, root=[failed])
    assert tree.stacks() == ["root", "arn:aws:cloudformation:r:1:stack/c/1"]


def test_events_of_an_earlier_operation_are_known_as_such() -> None:
    last = own("root", "CREATE_COMPLETE", 0)
    tree = EventTree("root", after=last["EventId"])
    assert tree.is_before("root", last)
    began = own("root", "UPDATE_IN_PROGRESS", 10)
    assert not tree.is_before("root", began)
    take(tree, root=[began])
    assert tree.is_before("c", raw("A", "CREATE_COMPLETE", 9))
    assert not tree.is_before("c", raw("A", "UPDATE_COMPLETE", 10))


def test_operation_that_runs_already_is_joined_from_its_beginning() -> None:
    tree = EventTree("root", since=START)
    assert tree.is_before("root", raw("A", "CREATE_COMPLETE", -1))
    assert not tree.is_before("root", raw("A", "DELETE_IN_PROGRESS", 0))


def test_progress_counts_what_was_expected_and_each_resource_once() -> None:
    tree = EventTree("root", [("A",), ("B",), ("Child", "C")])
    tree.take(
        {
            "root": [
                raw("A", "DELETE_COMPLETE", 5),
                raw("Unexpected", "UPDATE_COMPLETE", 4),
                raw("B", "UPDATE_FAILED", 3),
                child("Child", "c", "UPDATE_COMPLETE", 2),
                raw("A", "UPDATE_COMPLETE", 1),
                own("root", "UPDATE_IN_PROGRESS", 0),
            ]
        }
    )
    told = tree.settle()
    assert [event.done for event in told] == [0, 1, 1, 1, 1, 1]
    assert [event.elapsed for event in told] == [0, 1, 2, 3, 4, 5]


def test_rollback_is_marked_from_its_beginning() -> None:
    tree = EventTree("root")
    tree.take({"root": [raw("A", "DELETE_COMPLETE", 3), own("root", "ROLLBACK_IN_PROGRESS", 2),
                        raw("A", "CREATE_COMPLETE", 1)]})  # fmt: skip
    assert [event.rolling_back for event in tree.settle()] == [False, True, True]


def test_in_progress_names_resources_and_a_nested_stack_only_if_nothing_in_it_is() -> None:
    tree = EventTree("root")
    take(
        tree,
        root=[
            raw("A", "CREATE_IN_PROGRESS", 0),
            child("Child", "c", "CREATE_IN_PROGRESS", 1),
            child("Empty", "e", "CREATE_IN_PROGRESS", 2),
        ],
    )
    take(tree, c=[raw("B", "CREATE_IN_PROGRESS", 3)])
    assert [event.name for event in tree.in_progress()] == ["A", "Empty", "Child/B"]
    take(tree, root=[raw("A", "CREATE_COMPLETE", 4)])
    assert [event.name for event in tree.in_progress()] == ["Empty", "Child/B"]


def test_time_in_progress_counts_from_the_first_event_of_the_same_kind() -> None:
    tree = EventTree("root")
    take(tree, root=[raw("A", "CREATE_IN_PROGRESS", 0), raw("A", "CREATE_IN_PROGRESS", 5)])
    (event,) = tree.in_progress()
    assert event.time == START


def failure(path: str, second: float, reason: str = "why", kind: str = TOPIC) -> StackEvent:
    return StackEvent(
        path, tuple(path.split("/")), "s", "", kind, "CREATE_FAILED", reason,
        START + timedelta(seconds=second),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # what is cancelled and what fails with its nested stack only follows
        (
            [
                failure("B", 0, "Resource creation cancelled"),
                failure("Child/A", 1),
                failure("Child", 2, "Embedded stack failed", STACK),
                failure("C", 3),
            ],
            "Child/A",
        ),
        ([failure("A", 0), failure("Child/Below", 1, kind=STACK)], "A"),
        # a nested stack that could not begin has no failed resource
        (
            [failure("Child", 1, kind=STACK), failure("Child/Below", 2, kind=STACK)],
            "Child/Below",
        ),
        ([failure("B", 0, "Resource update cancelled")], None),
        ([], None),
    ],
)
def test_first_failure(events: list[StackEvent], expected: str | None) -> None:
    found = first_failure(events)
    assert (found.name if found else None) == expected


def test_pace_slows_down_without_news_and_never_beyond_its_limits() -> None:
    pace = Pace(first=0.1, shortest=0.3, longest=2.0)
    intervals = [0.1]
    for _ in range(10):
        intervals.append(pace.next(intervals[-1], news=False))
    assert intervals[1] == 0.3
    assert intervals == sorted(intervals)
    assert intervals[-1] == 2.0
    assert pace.next(2.0, news=True) == 1.0
    assert pace.next(0.3, news=True) == 0.3
