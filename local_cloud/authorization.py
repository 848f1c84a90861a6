"""What IAM does and MiniStack, which enforces policies with AUTH=true, does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

ResourceArn = Callable[..., str]
FirstMatch = Callable[[Any, Sequence[Any], str], Any]

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def knows_change_sets(original: ResourceArn) -> ResourceArn:
    """Wrap MiniStack's: who names a change set by its ARN acts on the stack that it is for."""

    def resource_arn(service: str, *arguments: Any) -> str:
        arn = original(service, *arguments)
        if service == "cloudformation" and arn == "*":
            *_, query, _region, _account = arguments
            return _stack_of_change_set(query) or arn
        return arn

    return resource_arn


def _stack_of_change_set(query: Mapping[str, Any]) -> str:
    from ministack.services.cloudformation import _change_sets

    [name] = query.get("ChangeSetName") or [""]
    change_set = _change_sets.get(name)
    return str(change_set["StackId"]) if change_set else ""


def fills_in_variables(original: FirstMatch) -> FirstMatch:
    """Wrap MiniStack's search for a statement, so that it meets ${...} with their values."""

    def first_match(context: Any, statements: Sequence[Any], effect: str) -> Any:
        return original(context, [_filled(item, context) for item in statements], effect)

    return first_match


def _filled(statement: Any, context: Any) -> Any:
    return replace(
        statement,
        resources=_value(statement.resources, context),
        not_resources=_value(statement.not_resources, context),
        conditions=_value(statement.conditions, context),
    )


def _value(node: Any, context: Any) -> Any:
    """A piece of a statement with its variables replaced; one without a value matches nothing."""
    if isinstance(node, dict):
        return {key: _value(value, context) for key, value in node.items()}
    if isinstance(node, list):
        return [_value(item, context) for item in node]
    if isinstance(node, str) and "${" in node:
        return _VARIABLE.sub(lambda found: _variable(found, context), node)
    return node


def _variable(found: re.Match[str], context: Any) -> str:
    from ministack.core.iam_evaluator import _resolve_condition_key

    value = _resolve_condition_key(found[1], context)
    return value if isinstance(value, str) else found[0]
