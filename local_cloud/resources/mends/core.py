"""Three kinds of mend, and putting them round a service of MiniStack."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import responses as _responses

from .protocol import Protocol, Response

Members = dict[str, Any]
Handler = Callable[[str, str, Mapping[str, str], bytes, Mapping[str, Any]], Awaitable[Response]]


class Refusal(Exception):
    """The service refuses the request."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Take the error's code and message, and the HTTP status."""
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Amendment:
    """After an operation succeeded, puts its response right; gets the request and the response."""

    operation: str
    amend: Callable[[Members, Members], None]


@dataclass(frozen=True)
class Operation:
    """An operation that MiniStack lacks; gets the request and returns the response."""

    operation: str
    answer: Callable[[Members], Members]


@dataclass(frozen=True)
class Memory:
    """Settings that an API takes and forgets: kept when written, shown when read.

    `writes` and `reads` map operations to the member of the response that holds the record, or
    the list of records; `identity` is the record's key. `remember` turns a request and what was
    remembered before into the members to show. `keeps` names members of the created record that
    stay as they were created.
    """

    identity: str
    writes: Mapping[str, str]
    reads: Mapping[str, str]
    remember: Callable[[Members, Members], Members]
    keeps: tuple[str, ...] = ()
    kept: dict[tuple[str, str, str], Members] = field(default_factory=dict)

    def amendments(self) -> tuple[Amendment, ...]:
        """Return the amendments that make up this memory."""
        writing = (
            Amendment(name, self._writer(member, creates=name.startswith("Create")))
            for name, member in self.writes.items()
        )
        reading = (Amendment(name, self._reader(member)) for name, member in self.reads.items())
        return (*writing, *reading)

    def _writer(self, member: str, *, creates: bool) -> Callable[[Members, Members], None]:
        def write(request: Members, response: Members) -> None:
            key = scoped(response[member][self.identity])
            # A created record may have the identity of one that was deleted.
            created = {name: response[member][name] for name in self.keeps} if creates else {}
            before = created if creates else self.kept.get(key, {})
            self.kept[key] = {**before, **self.remember(request, before)}
            response[member].update(self.kept[key])

        return write

    def _reader(self, member: str) -> Callable[[Members, Members], None]:
        def read(_request: Members, response: Members) -> None:
            for record in response.get(member) or ():
                record.update(self.kept.get(scoped(record[self.identity]), {}))

        return read


Mend = Amendment | Operation | Memory


def scoped(identity: str) -> tuple[str, str, str]:
    """The key of something in the account and region of the request."""
    return _responses.get_account_id(), _responses.get_region(), identity


def mend(module: str, service: str, mends: tuple[Mend, ...]) -> None:
    """Put mends round a service; `module` is MiniStack's name for it and `service` boto3's."""
    target = importlib.import_module(f"ministack.services.{module}")
    original: Handler = target.handle_request
    protocol = Protocol(service)
    amendments: dict[str, list[Amendment]] = {}
    operations = {item.operation: item for item in mends if isinstance(item, Operation)}
    for item in mends:
        found = item.amendments() if isinstance(item, Memory) else (item,)
        for amendment in found:
            if isinstance(amendment, Amendment):
                amendments.setdefault(amendment.operation, []).append(amendment)

    async def handle_request(
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: Mapping[str, Any],
    ) -> Response:
        name = protocol.operation(headers, body)
        if name in operations:
            try:
                members = operations[name].answer(protocol.request(name, body))
            except Refusal as refusal:
                return protocol.refusal(refusal.status, refusal.code, str(refusal))
            return protocol.written(name, members)
        response = await original(method, path, headers, body, query_params)
        if name not in amendments or response[0] >= 300:
            return response
        request, members = protocol.request(name, body), protocol.response(name, response)
        for amendment in amendments[name]:
            amendment.amend(request, members)
        return protocol.written(name, members)

    setattr(target, "handle_request", handle_request)  # noqa: B010 - a module of no known type
