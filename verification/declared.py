"""What a deployed template asks for once its functions are worked out.

Only what needs no resource is worked out: parameters, mappings, conditions and text. A reference to
a resource stays as it is.
"""

from __future__ import annotations

from typing import Any

from verification.platform import Platform
from verification.stacks import Resource


class _Resolver:
    def __init__(self, template: dict[str, Any], parameters: dict[str, str]) -> None:
        self._template = template
        self._parameters = parameters

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        found = self._function(node)
        return {key: self.value(item) for key, item in node.items()} if found is node else found

    def _function(self, node: dict[str, Any]) -> Any:
        """What a function gives; the node itself where it is none that can be worked out."""
        found: Any = node
        match node:
            case {"Ref": str(name)} if name in self._parameters:
                found = self._parameters[name]
            case {"Fn::Sub": str(text)}:
                found = self._substituted(text)
            case {"Fn::Join": [str(between), list(parts)]}:
                found = between.join(str(self.value(part)) for part in parts)
            case {"Fn::FindInMap": [*keys]}:
                name, first, second = (self.value(key) for key in keys)
                found = self._template["Mappings"][name][str(first)][str(second)]
            case {"Fn::If": [str(name), then, otherwise]}:
                found = self.value(then if self._holds({"Condition": name}) else otherwise)
        return found

    def _holds(self, node: Any) -> bool:
        match node:
            case {"Condition": str(name)}:
                return self._holds(self._template["Conditions"][name])
            case {"Fn::And": list(parts)}:
                return all(self._holds(part) for part in parts)
            case {"Fn::Or": list(parts)}:
                return any(self._holds(part) for part in parts)
            case {"Fn::Not": [part]}:
                return not self._holds(part)
            case {"Fn::Equals": [left, right]}:
                return bool(str(self.value(left)) == str(self.value(right)))
        raise ValueError(f"{node} is no condition.")

    def _substituted(self, text: str) -> str:
        for name, value in self._parameters.items():
            text = text.replace(f"${{{name}}}", value)
        return text


def resolve(node: Any, template: dict[str, Any], parameters: dict[str, str]) -> Any:
    """Return a part of a template with its functions worked out."""
    return _Resolver(template, parameters).value(node)


def declared(platform: Platform, resource: Resource) -> dict[str, Any]:
    """Return the properties that the deployed template gives a resource of the tree."""
    template = platform.template(resource.stack)
    properties = template["Resources"][resource.logical_id].get("Properties", {})
    parameters = platform.nested(resource.stack).parameters
    found: dict[str, Any] = resolve(properties, template, parameters)
    return found
