"""What is known of a stack's values before its change set is executed.

A value that depends on a resource which is yet to be created or replaced is shown by AWS as
``{{changeSet:KNOWN_AFTER_APPLY}}``; everything else is resolved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services.cloudformation.engine import (
    _NO_VALUE,
    _evaluate_conditions,
    _resolve_refs,
    _topological_sort,
)
from ministack.services.cloudformation.provisioners import _with_stack_tags

from local_cloud import nested_stacks
from local_cloud.operations import ChangeSet, Stack

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
# A template may select from a list of unknown length.
_UNKNOWN_LIST = ",".join([UNKNOWN] * 20)


class _AnyAttribute(dict[str, str]):
    """The attributes of a resource that is not there yet: each is unknown."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return UNKNOWN


@dataclass(frozen=True)
class ChildProperties:
    """The resolved properties of a nested stack."""

    url: str
    parameters: dict[str, str]
    tags: list[Mapping[str, Any]]


class Outlook:
    """A stack as it will be after its change set, as far as that is known."""

    def __init__(self, change_set: ChangeSet, stack: Stack) -> None:
        """Take what exists as known, unless the change set makes or replaces it."""
        self._template: dict[str, Any] = change_set["_template"]
        self._parameters = change_set["_resolved_params"]
        self._stack = stack
        self._tags = change_set["Tags"]
        if not self._tags and not change_set.get("_tags_given"):
            self._tags = stack.get("Tags") or []
        self._conditions = _evaluate_conditions(self._template, self._parameters)
        self._definitions: dict[str, Any] = self._template.get("Resources", {})
        existing = stack.get("_resources", {})
        anew = set(_made_anew(change_set))
        self._resources: dict[str, Any] = {
            name: existing[name]
            if name in existing and name not in anew
            else {"PhysicalResourceId": UNKNOWN, "Attributes": _AnyAttribute()}
            for name in self._definitions
        }

    def nested_stacks(self) -> list[str]:
        """The logical ids of the nested stacks, each after those it depends on."""
        order: list[str] = _topological_sort(self._definitions, self._conditions)
        return [name for name in order if self._definitions[name]["Type"] == nested_stacks.TYPE]

    def learn(self, logical_id: str, outputs: Mapping[str, str], stack_id: str) -> None:
        """Take note of what a nested stack will output."""
        self._resources[logical_id] = {
            "PhysicalResourceId": stack_id,
            "Attributes": {f"Outputs.{name}": value for name, value in outputs.items()},
        }

    def properties(self, logical_id: str) -> ChildProperties:
        """The properties of a nested stack.

        Raises:
            ValueError: a property is missing or cannot be resolved.
        """
        given = self._definitions[logical_id].get("Properties", {})
        url = self._value(given.get("TemplateURL"))
        if not url:
            raise ValueError("Property TemplateURL cannot be empty.")
        resolved = {
            name: self._value(value) for name, value in (given.get("Parameters") or {}).items()
        }
        parameters = nested_stacks.checked_parameters(
            {name: value for name, value in resolved.items() if value is not _NO_VALUE}
        )
        tagged = _with_stack_tags(
            nested_stacks.TYPE, {"Tags": self._value(given.get("Tags") or [])}, self._tags,
            self._stack["StackName"], self._stack["StackId"], logical_id,
        )  # fmt: skip
        return ChildProperties(
            url=str(url),
            parameters={name: nested_stacks.as_text(value) for name, value in parameters.items()},
            tags=tagged["Tags"],
        )

    def outputs(self) -> dict[str, str]:
        """The outputs of the stack, where they are not known as :data:`UNKNOWN`.

        Raises:
            ValueError: an output cannot be resolved.
        """
        return {
            name: nested_stacks.as_text(self._value(definition.get("Value", "")))
            for name, definition in self._template.get("Outputs", {}).items()
            if self._conditions.get(definition.get("Condition"), True)
        }

    def _value(self, given: Any) -> Any:
        try:
            value = _resolve_refs(
                copy.deepcopy(given), self._resources, self._parameters, self._conditions,
                self._template.get("Mappings", {}), self._stack["StackName"],
                self._stack["StackId"],
            )  # fmt: skip
        except Exception as error:
            # Such as the first of three parts of a text that is not known yet, or an export
            # that another stack of the tree will make.
            if self._is_unknown(given) or _imports(given):
                return UNKNOWN
            raise ValueError(str(error)) from error
        return UNKNOWN if isinstance(value, str) and UNKNOWN in value else value

    def _is_unknown(self, given: Any) -> bool:
        """Whether an expression refers to anything that is not known."""
        from ministack.services.cloudformation.engine import _intrinsic_references

        for name, attribute in _intrinsic_references(given):
            record = self._resources.get(name, {})
            if attribute is None:
                value = record.get("PhysicalResourceId", "")
            elif attribute in record.get("Attributes", {}):
                value = record["Attributes"][attribute]
            else:
                value = ""
            if UNKNOWN in str(value) or UNKNOWN in str(self._parameters.get(name, {})):
                return True
        return False


def _made_anew(change_set: ChangeSet) -> Iterable[str]:
    for change in change_set["Changes"]:
        resource = change["ResourceChange"]
        if resource["Action"] == "Add" or resource.get("Replacement") in ("True", "Conditional"):
            yield resource["LogicalResourceId"]


def _imports(given: Any) -> bool:
    if isinstance(given, dict):
        return "Fn::ImportValue" in given or any(_imports(value) for value in given.values())
    return isinstance(given, list) and any(_imports(value) for value in given)


def without_what_conditions_exclude(original: Callable[..., Any]) -> Callable[..., Any]:
    """A replacement of ``_resolve_props_for_diff``: a false condition means no resource."""

    def resolve(
        template: dict[str, Any], parameters: dict[str, Any], *arguments: Any
    ) -> dict[str, Any]:
        resolved: dict[str, Any] = original(template, parameters, *arguments)
        conditions = _evaluate_conditions(template, parameters) if template else {}
        return {
            **resolved,
            "Resources": {
                name: definition
                for name, definition in resolved.get("Resources", {}).items()
                if conditions.get(definition.get("Condition"), True)
            },
        }

    return resolve


def takes_unknown(original: Callable[..., Any]) -> Callable[..., Any]:
    """A replacement of ``_resolve_parameters``: an unknown value satisfies every constraint."""

    def resolve(
        template: dict[str, Any],
        provided: list[dict[str, Any]],
        previous: dict[str, Any] | None = None,
    ) -> Any:
        unknown = {entry["Key"] for entry in provided if entry.get("Value") == UNKNOWN}
        if not unknown:
            return original(template, provided, previous)
        definitions = {
            name: _unconstrained(definition) if name in unknown else definition
            for name, definition in template.get("Parameters", {}).items()
        }
        values = [
            {**entry, "Value": _UNKNOWN_LIST}
            if entry["Key"] in unknown and _is_list(definitions.get(entry["Key"], {}))
            else entry
            for entry in provided
        ]
        return original({**template, "Parameters": definitions}, values, previous)

    return resolve


def _unconstrained(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {"Type": "CommaDelimitedList" if _is_list(definition) else "String"}


def _is_list(definition: Mapping[str, Any]) -> bool:
    kind = str(definition.get("Type", ""))
    return kind == "CommaDelimitedList" or "List<" in kind


def tidy_parameters(change_set: ChangeSet) -> None:
    """Show an unknown list as AWS does: as one unknown value."""
    for parameter in change_set["Parameters"]:
        if UNKNOWN in str(parameter["ParameterValue"]):
            parameter["ParameterValue"] = UNKNOWN
