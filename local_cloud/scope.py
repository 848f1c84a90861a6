"""A stack together with a template and parameters: what its resources are resolved against."""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners, stacks
from ministack.services.cloudformation.engine import _evaluate_conditions, _resolve_refs

from local_cloud import nested_stacks
from local_cloud.operations import Stack

Properties = dict[str, Any]


class StackScope:
    """The view on a stack under one template, the one it runs or the one it is brought to."""

    def __init__(self, stack: Stack, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Evaluate the template's conditions with the resolved ``parameters``."""
        self.stack = stack
        self.template = template
        self.parameters = parameters
        self.name = str(stack["StackName"])
        self.stack_id = str(stack["StackId"])
        self.definitions: dict[str, Any] = template.get("Resources", {})
        self.mappings: dict[str, Any] = template.get("Mappings", {})
        self.conditions: dict[str, bool] = (
            _evaluate_conditions(template, parameters) if template else {}
        )

    def is_wanted(self, logical_id: str) -> bool:
        """Whether the template has the resource and its condition, if any, is true."""
        definition = self.definitions.get(logical_id)
        if definition is None:
            return False
        return self.conditions.get(definition.get("Condition"), True)

    def type_of(self, logical_id: str) -> str:
        """The resource type of a logical id of the template."""
        definition = self.definitions[logical_id]
        return str(definition.get("Type", "AWS::CloudFormation::CustomResource"))

    def resolved(self, value: Any, resources: dict[str, Any]) -> Any:
        """``value`` with its references resolved against ``resources``; it is consumed."""
        return _resolve_refs(
            value, resources, self.parameters, self.conditions, self.mappings, self.name,
            self.stack_id,
        )  # fmt: skip

    def policy(self, logical_id: str, attribute: str, resources: dict[str, Any]) -> str:
        """The ``DeletionPolicy`` or ``UpdateReplacePolicy`` in effect."""
        policy = stacks._resource_policy(
            self.definitions.get(logical_id), attribute, resources, self.parameters,
            self.conditions, self.mappings, self.name, self.stack_id,
        )  # fmt: skip
        return str(policy)

    def tagged(
        self, logical_id: str, resource_type: str, properties: Properties, tags: list[Any]
    ) -> Properties:
        """The properties with the stack's tags and CloudFormation's own."""
        tagged: Properties = provisioners._with_stack_tags(
            resource_type, properties, tags, self.name, self.stack_id, logical_id
        )
        return tagged

    def tell(self, logical_id: str, status: str, record: dict[str, Any], reason: str = "") -> None:
        """Add an event of the resource that ``record`` describes."""
        stacks._add_event(
            self.stack_id, self.name, logical_id, record["ResourceType"], status, reason,
            record["PhysicalResourceId"],
        )  # fmt: skip

    def tell_stack(self, status: str, reason: str = "") -> None:
        """Add an event of the stack itself."""
        stacks._add_event(
            self.stack_id, self.name, self.name, nested_stacks.TYPE, status, reason, self.stack_id
        )

    def set_status(self, status: str, reason: str = "") -> None:
        """Put the stack into a state, with its event."""
        self.stack["StackStatus"] = status
        self.stack["StackStatusReason"] = reason
        self.tell_stack(status, reason)
