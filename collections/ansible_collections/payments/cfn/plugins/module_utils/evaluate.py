# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluate intrinsic functions without AWS, as far as the known parameters reach.

What cannot be known stays :class:`Unknown` and says why; nothing is ever guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .templates import Template, TemplateTree


class NoValue(Enum):
    """``AWS::NoValue``: the property is to be left out."""

    NO_VALUE = "AWS::NoValue"


NO_VALUE = NoValue.NO_VALUE


@dataclass(frozen=True)
class Unknown:
    """A value that is only known later.

    ``parameters`` are the root parameters it depends on that were not given, ``others`` what else
    it depends on, in words (``Fn::GetAtt of Network``).
    """

    parameters: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    def __or__(self, other: Unknown) -> Unknown:
        """What depends on both."""
        return Unknown(self.parameters | other.parameters, self.others | other.others)


def unknown_parameter(name: str) -> Unknown:
    """The value of a root parameter that was not given."""
    return Unknown(parameters=frozenset({name}))


def unknown_because(reason: str) -> Unknown:
    """A value that no parameter of the root can settle."""
    return Unknown(others=frozenset({reason}))


@dataclass(frozen=True)
class Scope:
    """What a template's expressions are evaluated against.

    ``parameters`` holds a known value or an :class:`Unknown` for each declared parameter;
    ``pseudo`` the known pseudo parameters (``AWS::Region`` …).
    """

    template: Template
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, str] = field(default_factory=dict)


def root_scope(
    template: Template,
    given: Mapping[str, Any],
    pseudo: Mapping[str, str] | None = None,
    *,
    use_defaults: bool = True,
) -> Scope:
    """The scope of a root template.

    With ``use_defaults`` a parameter that is not given takes its Default, as on the creation of a
    stack; without, it is unknown, because any later deployment may set it.
    """
    values: dict[str, Any] = {}
    for name, declared in template.parameters.items():
        if name in given:
            values[name] = parameter_value(declared, given[name])
        elif use_defaults and "Default" in declared:
            values[name] = parameter_value(declared, declared["Default"])
        else:
            values[name] = unknown_parameter(name)
    return Scope(template, values, pseudo or {})


def nested_scope(parent: Scope, template: Template, passed: Mapping[str, Any]) -> Scope:
    """The scope of a nested template, given what its parent passes (unevaluated)."""
    values: dict[str, Any] = {}
    for name, declared in template.parameters.items():
        if name in passed:
            value = passed_value(passed[name], parent)
            known = not isinstance(value, Unknown)
            values[name] = parameter_value(declared, value) if known else value
        elif "Default" in declared:
            values[name] = parameter_value(declared, declared["Default"])
        else:
            values[name] = unknown_because(f"parameter {name}, which is not passed")
    return Scope(template, values, parent.pseudo)


def passed_value(expression: Any, parent: Scope) -> Any:
    """What a nested stack is given for a parameter.

    A dynamic reference (``{{resolve:…}}``) among the properties of a stack is resolved by AWS, so
    the nested stack never sees its text.
    """
    value = evaluate(expression, parent)
    if not isinstance(value, Unknown | NoValue | dict) and "{{resolve:" in as_text(value):
        return unknown_because("a dynamic reference")
    return value


def parameter_value(declared: Mapping[str, Any], value: Any) -> Any:
    """A parameter's value as Ref gives it: text, a list of texts, or Unknown for SSM values."""
    kind = str(declared.get("Type", "String"))
    if kind.startswith("AWS::SSM::Parameter::Value<"):
        return unknown_because(f"SSM parameter {as_text(value)}")
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        items = value if isinstance(value, list) else as_text(value).split(",")
        return [as_text(item).strip() for item in items]
    return as_text(value)


def as_text(value: Any) -> str:
    """A scalar, or a list of them, as CloudFormation passes it on."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(as_text(item) for item in value)
    return str(value)


def evaluate(node: Any, scope: Scope) -> Any:
    """The value of an expression: plain data, :data:`NO_VALUE` or :class:`Unknown`.

    A mapping or list with an unknown part is unknown as a whole.
    """
    if isinstance(node, list):
        return _combine([evaluate(item, scope) for item in node])
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((name, argument),) = node.items()
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](argument, scope)
        if name.startswith("Fn::"):
            return unknown_because(_describe(name, argument))
    values = {key: evaluate(value, scope) for key, value in node.items()}
    unknown = _first_unknown(list(values.values()))
    if unknown is not None:
        return unknown
    return {key: value for key, value in values.items() if value is not NO_VALUE}


def condition(name: str, scope: Scope) -> bool | Unknown:
    """Whether a condition of the template holds."""
    conditions = scope.template.section("Conditions")
    if name not in conditions:
        return unknown_because(f"condition {name}, which is not declared")
    return _truth(conditions[name], scope)


@dataclass(frozen=True)
class PlannedResource:
    """A resource that a new stack would create; not ``certain`` if its condition is unknown."""

    logical_id: str
    type: str
    certain: bool = True


def resources_to_create(
    template: Template,
    parameters: Mapping[str, Any],
    pseudo: Mapping[str, str] | None = None,
) -> tuple[PlannedResource, ...]:
    """What a new stack of a single template would create, in the order of the file.

    ``parameters`` are the values given (Defaults fill the rest), ``pseudo`` the pseudo parameters
    known. For a whole tree see :func:`tree_scopes` and :func:`planned`.
    """
    return planned(root_scope(template, parameters, pseudo))


def planned(scope: Scope) -> tuple[PlannedResource, ...]:
    """What a new stack would create in one scope, in the order of the file."""
    found = []
    for logical_id, resource in scope.template.resources.items():
        holds: bool | Unknown = True
        if "Condition" in resource:
            holds = condition(resource["Condition"], scope)
        if holds is not False:
            certain = not isinstance(holds, Unknown)
            found.append(PlannedResource(logical_id, resource["Type"], certain))
    return tuple(found)


def tree_scopes(
    tree: TemplateTree,
    scope: Scope,
    prefix: tuple[str, ...] = (),
) -> dict[tuple[str, ...], tuple[TemplateTree, Scope]]:
    """The scope of each nested stack of a tree, by its path of logical ids; the root is ``()``."""
    found = {prefix: (tree, scope)}
    for child in tree.nested:
        if child.tree is not None:
            inner = nested_scope(scope, child.tree.template, child.parameters)
            found |= tree_scopes(child.tree, inner, (*prefix, child.logical_id))
    return found


def _describe(name: str, argument: Any) -> str:
    if name == "Fn::GetAtt" and isinstance(argument, list):
        return f"Fn::GetAtt of {'.'.join(str(part) for part in argument)}"
    return name


def _first_unknown(values: list[Any]) -> Unknown | None:
    found: Unknown | None = None
    for value in values:
        if isinstance(value, Unknown):
            found = value if found is None else found | value
    return found


def _combine(values: list[Any]) -> Any:
    unknown = _first_unknown(values)
    if unknown is not None:
        return unknown
    return [value for value in values if value is not NO_VALUE]


def _truth(node: Any, scope: Scope) -> bool | Unknown:
    value = evaluate(node, scope)
    if isinstance(value, bool | Unknown):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return unknown_because("a condition that is neither true nor false")


def _ref(name: Any, scope: Scope) -> Any:
    if name == NO_VALUE.value:
        return NO_VALUE
    if not isinstance(name, str):
        return unknown_because("a computed Ref")
    if name in scope.parameters:
        return scope.parameters[name]
    if name in scope.pseudo:
        return scope.pseudo[name]
    return unknown_because(f"Ref of {name}")


def _condition(name: Any, scope: Scope) -> Any:
    # outside Conditions, {"Condition": …} may as well be a part of an IAM policy
    return condition(name, scope) if isinstance(name, str) else {"Condition": evaluate(name, scope)}


def _arguments(argument: Any, name: str, *counts: int) -> list[Any] | Unknown:
    if isinstance(argument, list) and (not counts or len(argument) in counts):
        return argument
    return unknown_because(f"a malformed {name}")


def _if(argument: Any, scope: Scope) -> Any:
    parts = _arguments(argument, "Fn::If", 3)
    if isinstance(parts, Unknown):
        return parts
    name, then, otherwise = parts
    holds = condition(name, scope) if isinstance(name, str) else _truth(name, scope)
    if isinstance(holds, Unknown):
        branches = evaluate(then, scope), evaluate(otherwise, scope)
        same = branches[0] == branches[1] and not isinstance(branches[0], Unknown)
        return branches[0] if same else holds
    return evaluate(then if holds else otherwise, scope)


def _equals(argument: Any, scope: Scope) -> bool | Unknown:
    parts = _arguments(argument, "Fn::Equals", 2)
    values = parts if isinstance(parts, Unknown) else evaluate(parts, scope)
    if isinstance(values, Unknown):
        return values
    return len(values) == 2 and as_text(values[0]) == as_text(values[1])


def _and(argument: Any, scope: Scope) -> bool | Unknown:
    return _logic(argument, scope, "Fn::And", decisive=False)


def _or(argument: Any, scope: Scope) -> bool | Unknown:
    return _logic(argument, scope, "Fn::Or", decisive=True)


def _logic(argument: Any, scope: Scope, name: str, *, decisive: bool) -> bool | Unknown:
    parts = _arguments(argument, name)
    if isinstance(parts, Unknown):
        return parts
    values = [_truth(part, scope) for part in parts]
    # one decisive operand settles the whole, whatever the unknown ones turn out to be
    if decisive in values:
        return decisive
    unknown = _first_unknown(values)
    return not decisive if unknown is None else unknown


def _not(argument: Any, scope: Scope) -> bool | Unknown:
    parts = _arguments(argument, "Fn::Not", 1)
    value = parts if isinstance(parts, Unknown) else _truth(parts[0], scope)
    return value if isinstance(value, Unknown) else not value


def _find_in_map(argument: Any, scope: Scope) -> Any:
    parts = _arguments(argument, "Fn::FindInMap", 3, 4)
    keys = parts if isinstance(parts, Unknown) else evaluate(parts[:3], scope)
    if isinstance(keys, Unknown):
        return keys
    found: Any = scope.template.section("Mappings")
    for key in keys:
        if not isinstance(found, dict) or as_text(key) not in found:
            if len(argument) == 4 and isinstance(argument[3], dict):
                return evaluate(argument[3].get("DefaultValue"), scope)
            path = ".".join(as_text(part) for part in keys)
            return unknown_because(f"{path}, which is not in Mappings")
        found = found[as_text(key)]
    return evaluate(found, scope)


def _sub(argument: Any, scope: Scope) -> Any:
    text, extra = argument, {}
    if isinstance(argument, list) and len(argument) == 2:
        text, extra = argument
    if not isinstance(text, str) or not isinstance(extra, dict):
        return unknown_because("a malformed Fn::Sub")
    missing: list[Any] = []

    def replace(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        value = evaluate(extra[name], scope) if name in extra else _sub_name(name, scope)
        missing.append(value)
        return "" if isinstance(value, Unknown) else as_text(value)

    result = re.sub(r"\$\{([^}]*)\}", replace, text)
    unknown = _first_unknown(missing)
    return result if unknown is None else unknown


def _sub_name(name: str, scope: Scope) -> Any:
    if "." in name:
        return unknown_because(f"Fn::GetAtt of {name}")
    return _ref(name, scope)


def _join(argument: Any, scope: Scope) -> Any:
    parts = _arguments(argument, "Fn::Join", 2)
    values = parts if isinstance(parts, Unknown) else evaluate(parts, scope)
    if isinstance(values, Unknown):
        return values
    separator, items = values
    if not isinstance(items, list):
        return unknown_because("a malformed Fn::Join")
    return as_text(separator).join(as_text(item) for item in items)


def _split(argument: Any, scope: Scope) -> Any:
    parts = _arguments(argument, "Fn::Split", 2)
    values = parts if isinstance(parts, Unknown) else evaluate(parts, scope)
    if isinstance(values, Unknown):
        return values
    separator, text = (as_text(value) for value in values)
    return text.split(separator) if separator else unknown_because("a malformed Fn::Split")


def _select(argument: Any, scope: Scope) -> Any:
    parts = _arguments(argument, "Fn::Select", 2)
    values = parts if isinstance(parts, Unknown) else evaluate(parts, scope)
    if isinstance(values, Unknown):
        return values
    index, items = as_text(values[0]), values[1]
    if not isinstance(items, list) or not index.isdecimal() or int(index) >= len(items):
        return unknown_because("a malformed Fn::Select")
    return items[int(index)]


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Condition": _condition,
    "Fn::And": _and,
    "Fn::Equals": _equals,
    "Fn::FindInMap": _find_in_map,
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Not": _not,
    "Fn::Or": _or,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
}
