"""Calling MiniStack's CloudFormation from inside the server and waiting for what it starts.

A resource handler runs on a worker thread, MiniStack's actions belong on the event loop. The
account, region and request token travel along in context variables, so that a child stack is
made where its parent is.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import xml.etree.ElementTree as ET
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

# What MiniStack calls a stack or a change set: the record in its store.
Stack = dict[str, Any]
ChangeSet = dict[str, Any]
# A request in the Query protocol, and MiniStack's answer: status, headers, body.
Parameters = dict[str, list[str]]
Response = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Response]

_T = TypeVar("_T")

# Set while a parent updates its children: they keep what they replaced until the root is done.
defer_cleanup: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "local_cloud_defer_cleanup", default=False
)
# Set while a nested change set is executed: (parent's stack id, logical id) -> the child's.
planned_children: contextvars.ContextVar[Mapping[tuple[str, str], str]] = contextvars.ContextVar(
    "local_cloud_planned_children"
)
_next_uuid: contextvars.ContextVar[str] = contextvars.ContextVar(
    "local_cloud_next_uuid", default=""
)

# The operation that is running on each stack, by stack id.
_running: dict[str, asyncio.Task[None]] = {}


class ActionError(Exception):
    """CloudFormation refused an action; the text is its message."""

    def __init__(self, code: str, message: str) -> None:
        """Keep AWS's error ``code`` beside the ``message``."""
        super().__init__(message)
        self.code = code


class CancelledError(Exception):
    """A resource was stopped because another one of the same operation failed."""


def scheduler(region_context: Callable[..., Any]) -> Callable[..., None]:
    """A replacement of MiniStack's ``_create_stack_task_in_region`` that remembers the task."""

    def schedule(
        operation: Coroutine[Any, Any, None], stack: Stack | None, stack_id: str | None = None
    ) -> None:
        key = stack_id or str((stack or {}).get("StackId"))
        with region_context(stack, stack_id):
            task = asyncio.get_running_loop().create_task(operation)
        _running[key] = task
        task.add_done_callback(lambda done: _forget(key, done))

    return schedule


def uuid_source(original: Callable[[], str]) -> Callable[[], str]:
    """A replacement of MiniStack's ``new_uuid`` that :func:`stack_uuid` can tell a value."""

    def new_uuid() -> str:
        told = _next_uuid.get()
        _next_uuid.set("")
        return told or original()

    return new_uuid


@contextlib.contextmanager
def stack_uuid(stack_id: str) -> Iterator[None]:
    """Let the next stack that MiniStack makes in this context get the id ``stack_id``."""
    token = _next_uuid.set(stack_id.rpartition("/")[2])
    try:
        yield
    finally:
        _next_uuid.reset(token)


def _forget(key: str, task: asyncio.Task[None]) -> None:
    if _running.get(key) is task:
        del _running[key]


async def finished(stack_id: str) -> None:
    """Wait until no operation runs on the stack."""
    while (task := _running.get(stack_id)) is not None:
        await asyncio.wait([task])
        # The callback that forgets the task may come after this coroutine's turn.
        _forget(stack_id, task)


def act(action: str, parameters: Parameters) -> ET.Element:
    """Call a CloudFormation action, on the event loop.

    Returns:
        The response's XML, namespaces stripped.

    Raises:
        ActionError: the action was refused.
    """
    from ministack.services.cloudformation.handlers import _ACTION_HANDLERS

    status, _, body = _ACTION_HANDLERS[action]({"Action": [action], **parameters})
    root = parse(body)
    if status >= 400:
        raise ActionError(root.findtext(".//Code", ""), root.findtext(".//Message", ""))
    return root


def parse(body: bytes) -> ET.Element:
    """The XML of a response of MiniStack's, namespaces stripped."""
    root = ET.fromstring(body)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def edited(response: Response, edit: Callable[[ET.Element], None]) -> Response:
    """A successful ``response`` after ``edit`` of its XML; a refusal as it is."""
    status, headers, body = response
    if status >= 400:
        return response
    root = parse(body)
    edit(root)
    return status, headers, ET.tostring(root, encoding="utf-8", xml_declaration=True)


def refusal(code: str, message: str) -> Response:
    """An error response, as CloudFormation gives it."""
    from ministack.services.cloudformation.helpers import _error

    response: Response = _error(code, message)
    return response


def on_loop(operation: Coroutine[Any, Any, _T]) -> _T:
    """Run ``operation`` on the server's event loop from a worker thread, and wait for it."""
    from ministack import app

    return asyncio.run_coroutine_threadsafe(operation, app._MAIN_LOOP).result()


def find_stack(name_or_id: str) -> Stack | None:
    """The stack of that name or id in the account and region of the context."""
    from ministack.services.cloudformation.handlers import _resolve_stack

    stack: Stack | None = _resolve_stack(name_or_id)
    return stack


def first(parameters: Parameters, name: str) -> str:
    """The value of a request's parameter; empty where it has none."""
    values = parameters.get(name) or [""]
    return str(values[0])


def is_true(parameters: Parameters, name: str) -> bool:
    """Whether a request's boolean parameter is true."""
    return first(parameters, name).lower() == "true"


def members(name: str, entries: Sequence[Mapping[str, str] | str]) -> Parameters:
    """A list in the Query protocol: ``Name.member.1.Key=...`` for each of ``entries``."""
    encoded: Parameters = {}
    for index, entry in enumerate(entries, start=1):
        if isinstance(entry, str):
            encoded[f"{name}.member.{index}"] = [entry]
            continue
        for key, value in entry.items():
            encoded[f"{name}.member.{index}.{key}"] = [value]
    return encoded
