"""Every resource type, through one life: create, read back, change, read back, delete."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from local_cloud.resources import RESOURCE_TYPES
from local_cloud.resources.model import ResourceType
from tests.local_cloud.resource_cases import (
    IT,
    Case,
    Lookup,
    at,
    cases,
    differences,
    filled,
    output_key,
)
from tests.local_cloud.support import Stacks

CASES = tuple(cases())
_numbers = itertools.count(1)
STACK_TAGS = [{"Key": "OfTheStack", "Value": "first"}]
CHANGED_STACK_TAGS = [{"Key": "OfTheStack", "Value": "second"}]
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


@dataclass
class Life:
    """A stack with the resource of a case."""

    case: Case
    stacks: Stacks
    client: Callable[..., Any]
    name: str

    def create(self) -> None:
        made = {name: self.look(call, {}) for name, call in self.case.before.items()}
        self.case = self.case.given(made)
        stack = self.stacks.create(
            self.name, self.case.template(), Tags=STACK_TAGS, Capabilities=CAPABILITIES
        )
        assert stack["StackStatus"] == "CREATE_COMPLETE", self.failures()

    def update(self, *, changed: bool, tags: list[dict[str, str]]) -> None:
        stack = self.stacks.update(
            self.name, self.case.template(changed=changed), Tags=tags, Capabilities=CAPABILITIES
        )
        assert stack["StackStatus"] == "UPDATE_COMPLETE", self.failures()

    def failures(self) -> list[str]:
        events = self.stacks.cloudformation.describe_stack_events(StackName=self.name)
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events["StackEvents"]
            if "FAILED" in event["ResourceStatus"]
        ]

    def outputs(self) -> dict[str, str]:
        found = self.stacks.outputs(self.name)
        for logical_id, attribute in self.case.wanted_attributes():
            found[f"{logical_id}.{attribute}"] = found[output_key(logical_id, attribute)]
        return found

    def look(self, lookup: Lookup, outputs: dict[str, str]) -> Any:
        service, operation = lookup.call.split(".")
        api = self.client(service, region=lookup.region)
        response = getattr(api, operation)(**filled(lookup.by, outputs))
        return at(filled(lookup.at, outputs), response)

    def assert_shows(self, expected: dict[str, Any], outputs: dict[str, str]) -> None:
        shown = self.look(self.case.read, outputs)
        assert shown is not None, f"{self.case.name} cannot be read back"
        assert differences(filled(expected, outputs), shown) == []

    def tags(self, outputs: dict[str, str]) -> dict[str, str]:
        where = self.case.tags
        if isinstance(where, Lookup):
            shown = self.look(self.case.read, outputs) if self.case.found else None
            named = {name: at(path, shown) for name, path in self.case.found.items()}
            found = self.look(where, {**outputs, **named})
        else:
            found = at(where, self.look(self.case.read, outputs))
        if isinstance(found, dict):
            return found
        return dict(_pair(tag) for tag in found or ())

    def assert_tagged(self, stack_tag: str, outputs: dict[str, str]) -> None:
        found = self.tags(outputs)
        assert found.get("OfTheResource") == "own", found
        assert found.get("OfTheStack") == stack_tag, found
        if self.case.reserved_tags:
            assert found.get("aws:cloudformation:logical-id") == IT, found

    def physical_id(self) -> str:
        return str(self.stacks.resource(self.name, IT)["PhysicalResourceId"])

    def replacement(self) -> str:
        change_set = self.stacks.plan(
            self.name,
            self.case.template(changed=True),
            Tags=STACK_TAGS,
            Capabilities=CAPABILITIES,
        )
        self.stacks.cloudformation.delete_change_set(ChangeSetName=change_set["ChangeSetId"])
        changes = (change["ResourceChange"] for change in change_set["Changes"])
        return next(c["Replacement"] for c in changes if c["LogicalResourceId"] == IT)


def _pair(tag: dict[str, str]) -> tuple[str, str]:
    """Key and value of a tag, whatever a service calls them."""
    named = {name.lower().removeprefix("tag"): value for name, value in tag.items()}
    return named["key"], named["value"]


@pytest.fixture
def life(request: pytest.FixtureRequest, stacks: Stacks, client: Any) -> Iterator[Life]:
    name = f"resource-{next(_numbers)}"
    yield Life(request.param, stacks, client, name)
    if stacks.find(name) is not None:
        stacks.delete(name)


@pytest.mark.parametrize("life", CASES, ids=lambda case: case.name, indirect=True)
def test_a_resource_lives_as_its_template_says(life: Life) -> None:
    life.create()
    case = life.case
    outputs = life.outputs()
    life.assert_shows(case.shows, outputs)
    shown = life.look(case.read, outputs)
    for attribute, path in case.attributes.items():
        wanted = at(path, shown) if path else outputs[f"{IT}.{attribute}"]
        assert outputs[f"{IT}.{attribute}"] == str(wanted) != "", attribute
    if case.reference:
        assert outputs[IT] == filled(case.reference, {**outputs, "": ""}) or outputs[IT] == at(
            case.reference, shown
        )
    if case.tags:
        life.assert_tagged("first", outputs)

    first = life.physical_id()
    if case.change:
        assert (life.replacement() == "True") is case.replaces, life.replacement()
        life.update(changed=True, tags=STACK_TAGS)
        assert (life.physical_id() != first) is case.replaces
        life.assert_shows({**case.shows, **case.then}, life.outputs())
    if case.tags:
        life.update(changed=bool(case.change), tags=CHANGED_STACK_TAGS)
        life.assert_tagged("second", life.outputs())

    outputs = life.outputs()
    deleted = life.stacks.delete(life.name)
    assert deleted["StackStatus"] == "DELETE_COMPLETE", deleted.get("StackStatusReason")
    assert_gone(life, outputs)


def assert_gone(life: Life, outputs: dict[str, str]) -> None:
    """A deleted resource can't be read, or shows the state that outlives it for a while."""
    try:
        left = life.look(life.case.read, outputs)
    except ClientError:
        return
    if life.case.survives:
        assert at(life.case.survives, left), left
    else:
        assert not left


def test_every_type_of_the_table_has_a_case() -> None:
    assert {kind.name for kind in RESOURCE_TYPES} <= {case.type for case in CASES}


@pytest.mark.parametrize("kind", RESOURCE_TYPES, ids=lambda kind: kind.name)
def test_a_type_that_can_be_tagged_has_a_case_with_tags(kind: ResourceType) -> None:
    taggable = _schema(kind).get("tagging", {}).get("taggable", False)
    assert taggable is any(case.tags for case in CASES if case.type == kind.name)


@pytest.mark.parametrize("kind", RESOURCE_TYPES, ids=lambda kind: kind.name)
def test_what_replaces_a_resource_is_what_its_schema_says(kind: ResourceType) -> None:
    schema = _schema(kind)
    named = (kind.named,) if kind.named else ()
    assert {*kind.create_only, *named} == _top_level(schema.get("createOnlyProperties", []))
    conditional = _top_level(schema.get("conditionalCreateOnlyProperties", []))
    assert set(kind.conditional) == conditional


def _schema(kind: ResourceType) -> dict[str, Any]:
    schema: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(
        "us-east-1", kind.name
    ).schema
    return schema


def _top_level(pointers: list[str]) -> set[str]:
    parts = (pointer.removeprefix("/properties/") for pointer in pointers)
    return {part for part in parts if "/" not in part}
