# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a whole tree of stacks while an operation runs.

:class:`EventTree` is the pure part: it is given what DescribeStackEvents answers, in whatever
pieces and however often, and tells each event once, what is still in progress and which stacks
there are to look at. :class:`Follower` asks AWS until the root has come to its end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import CfnError
from .templates import STACK_TYPE

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_SUCCEEDED = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "DELETE_SKIPPED", "IMPORT_COMPLETE"}
)


# In the reason of a nested stack that failed, where its event lacks the id itself.
_EMBEDDED = re.compile(r"Embedded stack (arn:\S+)")


class StackTimeout(CfnError):
    """An operation that had not come to its end within the limit; it goes on in AWS."""


@dataclass(frozen=True)
class StackEvent:
    """One event.

    ``path`` holds the logical ids from the root down, the resource's own last. ``own`` marks the
    event of a stack about itself; its path is that of the stack, empty for the root. ``elapsed``
    is in seconds since the operation began, by AWS's clock; ``done`` is how many of the expected
    resources had come to a good end then; ``rolling_back`` says which way the operation went.
    """

    event_id: str
    path: tuple[str, ...]
    stack_id: str
    physical_id: str
    resource_type: str
    status: str
    reason: str
    time: datetime
    own: bool = False
    elapsed: float = 0.0
    done: int = 0
    rolling_back: bool = False

    @property
    def name(self) -> str:
        """The path as it is shown."""
        return "/".join(self.path)

    @property
    def in_progress(self) -> bool:
        """Whether the resource is still being worked on."""
        return self.status.endswith("_IN_PROGRESS")

    @property
    def failed(self) -> bool:
        """Whether this tells a failure of its own, not one that follows from another's."""
        return self.status.endswith("_FAILED") and not self.cancelled

    @property
    def cancelled(self) -> bool:
        """Whether AWS gave up on the resource because another one failed."""
        return self.status.endswith("_FAILED") and "cancelled" in self.reason.lower()

    def to_dict(self) -> dict[str, Any]:
        """Give the event as JSON data."""
        return {
            "time": self.time.isoformat(),
            "elapsed": self.elapsed,
            "path": self.name,
            "type": self.resource_type,
            "status": self.status,
            "reason": self.reason,
            "physical_id": self.physical_id,
            "stack_id": self.stack_id,
            "event_id": self.event_id,
        }


def first_failure(events: Iterable[StackEvent]) -> StackEvent | None:
    """Find the failure that the others follow from.

    That is the earliest failure of a resource proper; where there is none (a nested stack that
    could not even start), that of the deepest nested stack.
    """
    failures = [event for event in events if event.failed and not event.own]
    leaves = [event for event in failures if event.resource_type != STACK_TYPE]
    if leaves:
        return min(leaves, key=lambda event: (event.time, -len(event.path)))
    return min(failures, key=lambda event: (-len(event.path), event.time), default=None)


class EventTree:
    """What is known of an operation from its events."""

    def __init__(
        self,
        root_id: str,
        expected: Iterable[tuple[str, ...]] = (),
        after: str | None = None,
        since: datetime | None = None,
    ) -> None:
        """Begin with nothing known.

        :param root_id: the root's stack id.
        :param expected: the paths of the resources that the operation touches.
        :param after: the id of the root's last event before the operation, None if it had none.
        :param since: for an operation that is running already: when it began.
        """
        self.root_id = root_id
        self.expected = frozenset(expected)
        self.events: list[StackEvent] = []
        self.started = since
        self.root_status = ""
        self.rolling_back = False
        self._after = after
        self._paths: dict[str, tuple[str, ...]] = {root_id: ()}
        self._seen: set[str] = set()
        self._unsettled: list[StackEvent] = []
        self._active: set[str] = {root_id}
        self._last_look: set[str] = set()
        self._in_progress: dict[tuple[str, ...], StackEvent] = {}
        self._done: set[tuple[str, ...]] = set()

    @property
    def done(self) -> int:
        """How many of the expected resources have come to a good end by now."""
        return len(self._done)

    @property
    def ended(self) -> bool:
        """Whether the root's own events say that the operation is over."""
        return bool(self.root_status) and not self.root_status.endswith("_IN_PROGRESS")

    def in_progress(self) -> list[StackEvent]:
        """The events that began what is still in progress, oldest first.

        A nested stack counts only if nothing in it is in progress.
        """
        waiting = sorted(self._in_progress.values(), key=lambda event: event.time)
        return [
            event
            for event in waiting
            if not any(
                len(o.path) > len(event.path) and o.path[: len(event.path)] == event.path
                for o in waiting
            )
        ]

    def stacks(self) -> list[str]:
        """The ids of the stacks to look at now, the root first.

        Old resources of nested stacks are removed at the very end, when these have been reported
        complete, so all of them are looked at then.
        """
        wanted: Iterable[str] = self._active | self._last_look
        if self.ended or self.root_status.endswith("_CLEANUP_IN_PROGRESS"):
            wanted = self._paths
        return sorted(wanted, key=lambda stack_id: (len(self._paths[stack_id]), stack_id))

    def is_before(self, stack_id: str, raw: Mapping[str, Any]) -> bool:
        """Whether an event of a stack belongs to an earlier operation."""
        if stack_id == self.root_id and raw["EventId"] == self._after:
            return True
        return self.started is not None and raw["Timestamp"] < self.started

    def is_seen(self, raw: Mapping[str, Any]) -> bool:
        """Whether the event was taken in before."""
        return raw["EventId"] in self._seen

    def take(self, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Take in what a look at some stacks gave; nested stacks come to light by it.

        :param answers: raw events by stack id, newest first as AWS gives them, none of them from
            before the operation.
        """
        # A stack that ends by these answers was read before its last events, perhaps.
        self._last_look.difference_update(answers)
        for stack_id, raws in answers.items():
            for raw in reversed(raws):
                if not self.is_seen(raw):
                    self._seen.add(raw["EventId"])
                    self._admit(self._event(stack_id, raw))

    def settle(self) -> list[StackEvent]:
        """Return what was taken in since the last time, in order of time, as part of the whole."""
        # Of events of the same millisecond those from deeper down came first.
        fresh = sorted(
            self._unsettled, key=lambda event: (event.time, -len(self._paths[event.stack_id]))
        )
        self._unsettled.clear()
        settled = [self._note(event) for event in fresh]
        self.events += settled
        return settled

    def _admit(self, event: StackEvent) -> None:
        if self.started is None:
            self.started = event.time
        if event.own and event.stack_id == self.root_id:
            self.root_status = event.status
        elif event.resource_type == STACK_TYPE and not event.own:
            self._note_child(event)
        self._unsettled.append(event)

    def _event(self, stack_id: str, raw: Mapping[str, Any]) -> StackEvent:
        path = self._paths[stack_id]
        physical_id = raw.get("PhysicalResourceId", "")
        own = physical_id == stack_id and raw.get("ResourceType") == STACK_TYPE
        return StackEvent(
            event_id=raw["EventId"],
            path=path if own else (*path, raw["LogicalResourceId"]),
            stack_id=stack_id,
            physical_id=physical_id,
            resource_type=raw.get("ResourceType", ""),
            status=raw.get("ResourceStatus", ""),
            reason=raw.get("ResourceStatusReason", ""),
            time=raw["Timestamp"],
            own=own,
        )

    def _note(self, event: StackEvent) -> StackEvent:
        """Take account of an event, and write the progress made so far into it."""
        if event.own and event.stack_id == self.root_id:
            self.rolling_back = self.rolling_back or "ROLLBACK" in event.status
        elif not event.own:
            self._note_resource(event)
        began = self.started or event.time
        return replace(
            event,
            elapsed=(event.time - began).total_seconds(),
            done=self.done,
            rolling_back=self.rolling_back,
        )

    def _note_resource(self, event: StackEvent) -> None:
        if event.in_progress:
            known = self._in_progress.get(event.path)
            if known is None or known.status != event.status:
                self._in_progress[event.path] = event
            return
        self._in_progress.pop(event.path, None)
        if event.status in _SUCCEEDED and event.path in self.expected:
            self._done.add(event.path)

    def _note_child(self, event: StackEvent) -> None:
        """Look at a nested stack as long as it is worked on, and once more after that."""
        named = _EMBEDDED.search(event.reason)
        stack_id = event.physical_id or (named[1] if named else "")
        if not stack_id:
            return
        self._paths.setdefault(stack_id, event.path)
        if event.in_progress:
            self._active.add(stack_id)
        else:
            self._active.discard(stack_id)
            self._last_look.add(stack_id)


@dataclass(frozen=True)
class Pace:
    """How often AWS is asked, in seconds: after ``first``, then between ``shortest``, while events
    come, and ``longest``.

    After ``lull`` seconds without an event it is said what is waited for, and then again after
    every ``repeat`` seconds.
    """

    first: float = 0.1
    shortest: float = 0.3
    longest: float = 2.0
    lull: float = 10.0
    repeat: float = 30.0

    def next(self, interval: float, news: bool) -> float:
        """Give the next interval: halved on news, half as long again without."""
        return max(self.shortest, interval / 2 if news else min(self.longest, interval * 1.5))


@dataclass(frozen=True)
class Waiting:
    """Something in progress, and for how many seconds."""

    event: StackEvent
    seconds: float


@dataclass(frozen=True)
class Follower:
    """Follows an operation to its end.

    :param client: boto3's CloudFormation client.
    :param pool: runs the requests for several stacks at once.
    :param on_event: called with each event once.
    :param on_lull: called with the seconds since the beginning and what is waited for.
    """

    client: CloudFormationClient
    pool: Executor
    on_event: Callable[[StackEvent], None]
    on_lull: Callable[[float, Sequence[Waiting]], None]
    pace: Pace = Pace()
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, tree: EventTree, timeout: float) -> Mapping[str, Any]:
        """Tell events until the root has come to its end.

        :param timeout: the limit in seconds.
        :return: the root as DescribeStacks gives it after the end.
        :raises StackTimeout: the limit has passed; the operation itself goes on.
        """
        began = self.clock()
        last_news = said = began
        interval = self.pace.first
        while True:
            fresh = self._look(tree)
            for event in fresh:
                self.on_event(event)
            now = self.clock()
            if fresh:
                last_news = said = now
            quiet = not fresh and now - said >= (
                self.pace.lull if said == last_news else self.pace.repeat
            )
            if tree.ended or quiet:
                # Events may be lost or late: the stack itself has the last word.
                stack = self._describe(tree.root_id)
                if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                    for event in self._look(tree):
                        self.on_event(event)
                    return stack
            if quiet:
                self.on_lull(now - began, self._waiting(tree, now - began))
                said = now
            if now - began >= timeout:
                raise StackTimeout(_too_long(tree, timeout))
            self.sleep(min(interval, max(0.0, timeout - (now - began))))
            interval = self.pace.next(interval, bool(fresh))

    def _look(self, tree: EventTree) -> list[StackEvent]:
        """Look at every stack that is worked on, and at those that come to light meanwhile."""
        looked: set[str] = set()
        while remaining := [stack for stack in tree.stacks() if stack not in looked]:
            looked.update(remaining)
            answers = self.pool.map(lambda stack_id: self._read(tree, stack_id), remaining)
            tree.take(dict(zip(remaining, answers, strict=True)))
        return tree.settle()

    def _read(self, tree: EventTree, stack_id: str) -> list[Mapping[str, Any]]:
        """Read the events of one stack, newest first, back to a page that holds nothing new."""
        found: list[Mapping[str, Any]] = []
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for page in pages:
            events = page["StackEvents"]
            old = next((i for i, raw in enumerate(events) if tree.is_before(stack_id, raw)), None)
            mine = events[:old]
            found += mine
            if old is not None or (mine and all(tree.is_seen(raw) for raw in mine)):
                break
        return found

    def _describe(self, stack_id: str) -> Mapping[str, Any]:
        return self.client.describe_stacks(StackName=stack_id)["Stacks"][0]

    def _waiting(self, tree: EventTree, elapsed: float) -> list[Waiting]:
        began = {event.event_id: event.elapsed for event in tree.events}
        return [
            Waiting(event, max(0.0, elapsed - began.get(event.event_id, 0.0)))
            for event in tree.in_progress()
        ]


def _too_long(tree: EventTree, timeout: float) -> str:
    names = [event.name for event in tree.in_progress()]
    waiting = f", waiting for {_some(names)}" if names else ""
    name = tree.root_id.split("/")[1]
    return (
        f"{name}: still {tree.root_status or 'in progress'} after {timeout:g} seconds"
        f"{waiting}; AWS goes on with it, so run this again when it has come to its end, or with a "
        "higher timeout."
    )


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
