"""Interpreting the table: the create, update and delete handlers of a resource type."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core import responses as _responses
from ministack.services.cloudformation import provisioners as _provisioners

from .clients import client
from .conform import conform, member
from .errors import ResourceError, already_exists, handler_error, is_gone
from .expressions import search
from .model import EVERY, Action, Api, Call, Document, Properties, Read, ResourceType, Step
from .tags import RESERVED, STYLES, as_mapping

Handlers = dict[str, Any]
Result = tuple[str, dict[str, Any]]

_MENTIONED = re.compile(r"\bproperties\.(\w+)")
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


def handlers_for(kind: ResourceType, builtin: Handlers | None) -> Handlers:
    """Return the handlers of a type; `builtin` are those that MiniStack has for it, if any."""
    engine = _Engine(kind, builtin or {})
    return {
        # A snapshot before the deletion, and the import of an existing resource, stay as they are.
        **{name: made for name, made in (builtin or {}).items() if name in ("snapshot", "import")},
        "create": engine.create,
        "update": engine.update,
        "update_with_logical_id": True,
        "delete": engine.delete,
    }


@dataclass(frozen=True)
class _Engine:
    """The handlers of one resource type, in the form in which MiniStack calls them."""

    kind: ResourceType
    builtin: Handlers

    def create(self, logical_id: str, given: Properties, stack_name: str) -> Result:
        """Create a resource; return its physical id and its attributes."""
        properties = self._prepared(given)
        document = self._document(properties, logical=logical_id, stack=stack_name)
        if self.kind.taken and self.kind.taken(self._api(document), document):
            raise already_exists(self.kind.name, str(document["name"]))
        if self.kind.mends_builtin:
            physical_id, attributes = self.builtin["create"](logical_id, given, stack_name)
        else:
            self._refuse_unknown(properties)
            document["response"] = self._create(document)
            physical_id = str(search(self.kind.reference, document))
            attributes = {}
        document = _identified(document, physical_id)
        try:
            return physical_id, attributes | self._complete(document)
        except Exception as error:
            # CloudFormation knows no physical id yet, so nobody else would remove it.
            self._remove_half_made(physical_id, given, error)
            raise

    def _remove_half_made(self, physical_id: str, given: Properties, cause: Exception) -> None:
        try:
            self.delete(physical_id, given)
        except ResourceError as left:
            raise ResourceError(
                f"{cause} What was created of it, {physical_id}, could not be removed: {left}"
            ) from cause

    def update(
        self,
        physical_id: str,
        before: Properties,
        given: Properties,
        stack_name: str,
        logical_id: str | None = None,
    ) -> Result:
        """Change a resource in place; return its physical id and its attributes."""
        old, properties = self._prepared(before), self._prepared(given)
        changed = {
            name for name in old.keys() | properties.keys() if old.get(name) != properties.get(name)
        }
        attributes: dict[str, Any] = {}
        if self.kind.mends_builtin:
            new_id, attributes = self._update_builtin(
                physical_id, before, given, stack_name, logical_id
            )
            if new_id != physical_id:  # replaced: nothing that follows was done to the new one
                changed, old, physical_id = set(properties), {}, new_id
        else:
            self._refuse_unknown(properties)
        document = self._document(
            {**self.kind.defaults, **properties}, logical=logical_id or "", stack=stack_name
        )
        document = _identified({**document, "old": {**self.kind.defaults, **old}}, physical_id)
        self._read_into(document)
        for call in (*self.kind.updates, *self.kind.settings):
            if changed & self._triggers(call, changed):
                self._run(call, document)
        if self.kind.tags and self.kind.tags.property_name in changed:
            self._retag(document, self._tags_of(old), self._tags_of(properties))
        return physical_id, attributes | self._attributes(document)

    def delete(self, physical_id: str, given: Properties, logical_id: str | None = None) -> None:
        """Delete a resource; one that is gone already counts as deleted."""
        document = _identified(
            self._document(self._prepared(given), logical=logical_id or "", stack=""), physical_id
        )
        try:
            for call in self.kind.before_delete:
                self._run(call, document)
            if self.kind.mends_builtin:
                self.builtin["delete"](physical_id, given)
            elif self.kind.delete:
                self._read_into(document)
                self._run(self.kind.delete, document)
        except _ServiceRefusal as refusal:
            if not is_gone(refusal.error):
                raise

    # --- the steps -----------------------------------------------------------------------

    def _prepared(self, given: Properties) -> Properties:
        return self.kind.prepare(given) if self.kind.prepare else given

    def _document(self, properties: Properties, *, logical: str, stack: str) -> dict[str, Any]:
        name = properties.get(self.kind.named) if self.kind.named else None
        if self.kind.named and not name:
            name = _provisioners._physical_name(
                stack,
                logical,
                lowercase=self.kind.name_lowercase,
                max_len=self.kind.name_limit,
            )
        return {
            "name": name,
            "properties": properties,
            "old": {},
            "account": _responses.get_account_id(),
            "region": _responses.get_region(),
            "stack": stack,
            "logical": logical,
        }

    def _create(self, document: Document) -> Any:
        call = self.kind.create
        if not isinstance(call, Call):
            return self._step(call, document) if call else {}
        parameters = self._parameters(call, document)
        tags = self.kind.tags
        wanted = self._tags_of(document["properties"])
        if tags and tags.at_create and wanted:
            style = STYLES[tags.style]
            if tags.kind:
                parameters["TagSpecifications"] = [
                    {"ResourceType": tags.kind, "Tags": style.written(wanted)}
                ]
            else:
                parameters[style.tags] = style.written(wanted)
        return self._call(call.service, call.operation, parameters, document)

    def _complete(self, document: dict[str, Any]) -> dict[str, Any]:
        """Do what a create leaves to further calls; return the attributes."""
        given = set(document["properties"])
        for action in self.kind.after_create:
            self._run(action, document)
        self._read_into(document)
        for call in self.kind.settings:
            if given & self._triggers(call, given):
                self._run(call, document)
        if self.kind.tags and not self.kind.tags.at_create:
            self._retag(document, {}, self._tags_of(document["properties"]))
        return self._attributes(document)

    def _attributes(self, document: dict[str, Any]) -> dict[str, Any]:
        self._wait_until_ready(document)
        return {
            name: value
            for name, source in self.kind.attributes.items()
            if (value := _value(source, document)) is not None
        }

    def _wait_until_ready(self, document: dict[str, Any]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            self._read_into(document)
            if not self.kind.ready or search(self.kind.ready, document):
                return
            if time.monotonic() > deadline:
                raise ResourceError(f"{document['id']} did not stabilize in {_READY_SECONDS:g} s.")
            time.sleep(_POLL_SECONDS)

    def _read_into(self, document: dict[str, Any]) -> None:
        read = self.kind.read
        if read is None:
            return
        try:
            response = self._call(
                read.service, read.operation, self._evaluated(read, document), document
            )
        except _ServiceRefusal as refusal:
            if not is_gone(refusal.error):
                raise
            response = {}
        document["record"] = search(read.record, response)

    def _update_builtin(
        self,
        physical_id: str,
        before: Properties,
        given: Properties,
        stack_name: str,
        logical_id: str | None,
    ) -> Result:
        update = self.builtin.get("update")
        if update is None:
            result = self.builtin["create"](logical_id or physical_id, given, stack_name)
        elif self.builtin.get("update_with_logical_id"):
            result = update(physical_id, before, given, stack_name, logical_id)
        else:
            result = update(physical_id, before, given, stack_name)
        return str(result[0]), dict(result[1])

    def _run(self, call: Action, document: Document) -> None:
        if isinstance(call, Step):
            self._step(call, document)
            return
        if not call.each:
            self._call(call.service, call.operation, self._parameters(call, document), document)
            return
        for item in search(call.each, document) or ():
            scope = {**document, "item": item}
            self._call(call.service, call.operation, self._parameters(call, scope), document)

    def _step(self, step: Step, document: Document) -> Any:
        try:
            return step.run(self._api(document), document)
        except (StopIteration, LookupError) as error:
            raise ResourceError(f"{self.kind.name}: what it refers to was not found.") from error

    def _retag(self, document: Document, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        tags = self.kind.tags
        if tags is None:
            return
        style, target = STYLES[tags.style], str(search(tags.target, document))
        changed = {key: value for key, value in new.items() if old.get(key) != value}
        dropped = sorted(old.keys() - new.keys())
        if changed:
            self._call("", style.add, style.to_add(target, changed), document)
        if dropped:
            self._call("", style.remove, style.to_remove(target, dropped), document)

    def _tags_of(self, properties: Properties) -> dict[str, str]:
        tags = self.kind.tags
        if tags is None:
            return {}
        found = as_mapping(properties.get(tags.property_name))
        if tags.reserved:
            return found
        return {key: value for key, value in found.items() if not key.startswith(RESERVED)}

    # --- parameters ------------------------------------------------------------------------

    def _parameters(self, call: Call, document: Document) -> dict[str, Any]:
        properties = document["properties"]
        shape = self._input(call.service, call.operation)
        wanted = self._evaluated(call, document)
        for name in self._taken(call, properties):
            known = member(shape, name)
            if name in properties and known not in wanted:
                wanted[known] = properties[name]
        return {
            name: conform(value, shape.members[name], name)
            for name, value in wanted.items()
            if value is not None
        }

    def _evaluated(self, call: Call | Read, document: Document) -> dict[str, Any]:
        return {
            name: _pruned(value)
            for name, expression in call.parameters.items()
            if (value := search(expression, document)) is not None
        }

    def _taken(self, call: Call, given: Iterable[str]) -> tuple[str, ...]:
        """The properties that a call passes on under their own names."""
        if call.takes != EVERY:
            return call.takes
        shape = self._input(call.service, call.operation)
        tags = self.kind.tags.property_name if self.kind.tags else ""
        return tuple(n for n in given if n != tags and member(shape, n))

    def _input(self, service: str, operation: str) -> Any:
        """The shape of an operation's parameters."""
        name = (service or self.kind.service).partition("@")[0]
        meta = client(name, _responses.get_account_id(), _responses.get_region()).meta
        model = meta.service_model.operation_model(meta.method_to_api_mapping[operation])
        return model.input_shape

    def _triggers(self, call: Action, given: Iterable[str]) -> set[str]:
        """The properties whose change calls for an operation."""
        if isinstance(call, Step):
            return set(call.on)
        mentioned = (
            name
            for expression in (*call.parameters.values(), call.each)
            for name in _MENTIONED.findall(expression)
        )
        return {*self._taken(call, given), *call.on, *mentioned} - set(self.kind.create_only)

    def _refuse_unknown(self, properties: Properties) -> None:
        """A property that would be dropped in silence fails the resource instead."""
        known = {*self.kind.create_only, *self.kind.ignored, self.kind.named}
        if self.kind.tags:
            known.add(self.kind.tags.property_name)
        for call in (self.kind.create, *self.kind.settings, *self.kind.updates):
            if call is not None:
                known |= self._triggers(call, properties)
        unknown = sorted(properties.keys() - known)
        if unknown:
            raise ResourceError(
                f"Properties validation failed: the local cloud's {self.kind.name} has no "
                f"{', '.join(unknown)}; add it to local_cloud/resources."
            )

    # --- calls -----------------------------------------------------------------------------

    def _api(self, document: Document) -> Api:
        def api(service: str, operation: str, **parameters: object) -> Any:
            shape = self._input(service, operation)
            conformed = {
                name: conform(value, shape.members[name], name)
                for name, value in parameters.items()
            }
            return self._call(service, operation, conformed, document)

        return api

    def _call(
        self, service: str, operation: str, parameters: Mapping[str, Any], document: Document
    ) -> Any:
        name, _, region = (service or self.kind.service).partition("@")
        api = client(name, document["account"], region or document["region"])
        try:
            return getattr(api, operation)(**parameters)
        except ClientError as error:
            raise _ServiceRefusal(error) from error
        except BotoCoreError as error:
            raise ResourceError(f"{self.kind.name}: {error}") from error


class _ServiceRefusal(ResourceError):
    """A service's error, kept so that one meaning "it is gone" can be told from the others."""

    def __init__(self, error: ClientError) -> None:
        super().__init__(str(handler_error(error)))
        self.error = error


def _identified(document: Mapping[str, Any], physical_id: str) -> dict[str, Any]:
    return {**document, "id": physical_id, "ids": physical_id.split("|")}


def _value(source: str | Callable[[Document], Any], document: Document) -> Any:
    return source(document) if callable(source) else search(source, document)


def _pruned(value: Any) -> Any:
    """Leave out what an expression found nothing for."""
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in value if item is not None]
    return value
