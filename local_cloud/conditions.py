"""``Fn::FindInMap`` in conditions, which MiniStack takes for an unequal value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Template = dict[str, Any]
Parameters = Mapping[str, Mapping[str, Any]]
Evaluate = Callable[[Template, Parameters], dict[str, bool]]


def looks_in_maps(evaluate: Evaluate) -> Evaluate:
    """Wrap MiniStack's evaluation so that it meets values where the template looks them up."""

    def evaluate_with_maps(template: Template, parameters: Parameters) -> dict[str, bool]:
        conditions = template.get("Conditions")
        if not conditions:
            return evaluate(template, parameters)
        found = _look_up(conditions, template.get("Mappings") or {}, parameters)
        return evaluate({**template, "Conditions": found}, parameters)

    return evaluate_with_maps


def _look_up(node: Any, mappings: Mapping[str, Any], parameters: Parameters) -> Any:
    """``node`` with every ``Fn::FindInMap`` in it replaced by what it finds.

    Raises:
        ValueError: the mapping has no such entry; the text is AWS's.
    """
    if isinstance(node, list):
        return [_look_up(item, mappings, parameters) for item in node]
    if not isinstance(node, dict):
        return node
    if "Fn::FindInMap" not in node:
        return {key: _look_up(value, mappings, parameters) for key, value in node.items()}
    keys = [
        _key(_look_up(key, mappings, parameters), parameters) for key in node["Fn::FindInMap"][:3]
    ]
    value: Any = mappings
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise ValueError(
                "Template error: Unable to get mapping for " + "::".join(map(str, keys))
            )
        value = value[key]
    return value


def _key(key: Any, parameters: Parameters) -> Any:
    """A key of a look-up, the value of the parameter where it is a reference to one."""
    if isinstance(key, dict) and set(key) == {"Ref"}:
        return parameters.get(key["Ref"], {}).get("Value", key["Ref"])
    return key
