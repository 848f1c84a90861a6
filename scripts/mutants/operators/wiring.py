"""Operators for how things hang together: references, conditions, dependencies, outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scripts.mutants.operators.model import Edit, operator
from scripts.mutants.places import REMOVED, Place, is_function
from tests.templates.loader import Template, references


def _after(name: str, names: list[str]) -> str | None:
    """The name that follows another in a ring of names."""
    if name not in names:
        return next(iter(names), None)
    others = names[names.index(name) + 1 :] + names[: names.index(name)]
    return next(iter(others), None)


def _kind(name: str) -> str:
    """The last word of a name, which says what it is: Arn, Id, Ids, Port."""
    return re.split(r"(?<=[a-z0-9])(?=[A-Z])", name)[-1]


def _sibling_parameter(name: str, template: Template) -> str | None:
    """Another parameter that would be taken in the place of one, best one with a like name."""
    own = template["Parameters"][name]
    alike = [n for n, item in template["Parameters"].items() if item["Type"] == own["Type"]]
    same = [other for other in alike if _kind(other) == _kind(name)]
    return _after(name, same) or _after(name, alike)


def _sibling_resource(name: str, template: Template) -> str | None:
    resources = template["Resources"]
    same = [n for n, item in resources.items() if item["Type"] == resources[name]["Type"]]
    return _after(name, same)


def _sibling_attribute(name: str, attribute: str, template: Template) -> list[str] | None:
    """Another attribute in use: of a like resource, or else another one of the same."""
    stack = attribute.startswith("Outputs.")
    other = None if stack else _sibling_resource(name, template)
    if other:
        return [other, attribute]
    used = {(r.name, r.detail) for r in references(template) if r.kind == "GetAtt" and r.detail}
    alike = [(n, d) for n, d in sorted(used) if _kind(str(d)) == _kind(attribute)]
    same = [d for n, d in alike if n == name and d != attribute]
    elsewhere = [(n, d) for n, d in alike if n != name] if stack else []
    pair = (name, same[0]) if same else next(iter(elsewhere), None)
    return [pair[0], str(pair[1])] if pair else None


def _is_linked(place: Place) -> bool:
    used = place.section in ("Resources", "Outputs") and not (place.in_tags or place.in_prose)
    # The environment chooses a row of a mapping: environment-fix changes that.
    return used and place.in_function != "Fn::FindInMap"


@operator("unlink", "Something takes the place of something like it.")
def unlink(place: Place) -> Iterator[Edit]:
    """Let a reference lead to another resource, parameter or attribute of the same kind."""
    if not _is_linked(place) or not is_function(place.value):
        return
    template = place.template
    new: dict[str, Any] | None = None
    match place.value:
        case {"Ref": str(name)} if name in template.get("Parameters", {}):
            other = _sibling_parameter(name, template)
            new = {"Ref": other} if other else None
        case {"Ref": str(name)} if name in template["Resources"]:
            other = _sibling_resource(name, template)
            new = {"Ref": other} if other else None
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            pair = _sibling_attribute(name, attribute, template)
            new = {"Fn::GetAtt": pair} if pair else None
    if new:
        yield Edit(place.path, new, f"{_words(place.value)} → {_words(new)}")


@operator("unlink-in-text", "A text names something like what it named.")
def unlink_in_text(place: Place) -> Iterator[Edit]:
    """Let each variable of a text lead to another of the same kind."""
    if not _is_linked(place) or not isinstance(place.value, dict) or "Fn::Sub" not in place.value:
        return
    text, own = place.value["Fn::Sub"], {}
    if isinstance(text, list):
        text, own = text
    for variable in sorted(set(re.findall(r"\$\{([\w.]+)\}", text))):
        other = _sibling_variable(variable, own, place.template)
        if not other:
            continue
        changed = text.replace(f"${{{variable}}}", f"${{{other}}}")
        value = {"Fn::Sub": [changed, own]} if own else {"Fn::Sub": changed}
        yield Edit(place.path, value, f"{variable} → {other} in the text", variable)


def _sibling_variable(variable: str, own: dict[str, Any], template: Template) -> str | None:
    if variable in own:
        return _after(variable, list(own))
    name, _, attribute = variable.partition(".")
    if name in template.get("Parameters", {}):
        return _sibling_parameter(name, template)
    other = _sibling_resource(name, template) if name in template["Resources"] else None
    return f"{other}.{attribute}" if other and attribute else other


@operator("map-key-swap", "Another entry of a mapping is used.")
def map_key_swap(place: Place) -> Iterator[Edit]:
    """Look another key up, whose value is of the same type."""
    match place.value:
        case {"Fn::FindInMap": [str(name), _, str(key)]}:
            row = next(iter(place.template["Mappings"][name].values()))
            if key in row:  # else the second key is literal and the rows differ
                other = _after(key, [k for k in row if type(row[k]) is type(row[key])])
                if other:
                    yield Edit((*place.path, "Fn::FindInMap", 2), other, f"{key} → {other}")


@operator("environment-fix", "One environment's value is used in all.")
def environment_fix(place: Place) -> Iterator[Edit]:
    """Look the value of dev up wherever the environment was asked."""
    if place.in_function != "Fn::FindInMap" or not isinstance(place.value, dict):
        return
    rows = place.template["Mappings"][place.parent[0]]
    first = next(iter(rows))
    if len({str(row.get(place.parent[2])) for row in rows.values()}) > 1:
        yield Edit(place.path, first, f"always that of {first}")


@operator("if-swap", "What held in some environments holds in the others.")
def if_swap(place: Place) -> Iterator[Edit]:
    """Turn the branches of an Fn::If over."""
    match place.value:
        case {"Fn::If": [name, then, otherwise]}:
            yield Edit(place.path, {"Fn::If": [name, otherwise, then]}, f"{name} turned over")


@operator("condition-invert", "A condition holds where it did not.")
def condition_invert(place: Place) -> Iterator[Edit]:
    """Turn a condition over; make one of several arms enough; leave an arm out."""
    if place.section != "Conditions":
        return
    if len(place.path) == 2:
        yield Edit(place.path, {"Fn::Not": [place.value]}, "turned over", "not")
    match place.value:
        case {"Fn::And": list(arms)}:
            yield Edit(place.path, {"Fn::Or": arms}, "and → or", "or")
        case {"Fn::Or": list(arms)}:
            yield Edit(place.path, {"Fn::And": arms}, "or → and", "and")
        case {"Fn::Equals": [left, str(right)]}:
            yield Edit(place.path, {"Fn::Equals": [left, f"{right}x"]}, f"{right!r} → …x", "value")


@operator("exists-always", "A resource of some environments is in all.")
def exists_always(place: Place) -> Iterator[Edit]:
    """Take the condition off a resource or an output."""
    if place.section in ("Resources", "Outputs") and place.path[2:] == ("Condition",):
        yield Edit(place.path, REMOVED, f"without {place.value}")


@operator("depends-on-drop", "Something is made before what it needs.")
def depends_on_drop(place: Place) -> Iterator[Edit]:
    """Do not wait for a resource."""
    waits = place.section == "Resources" and place.path[2:3] == ("DependsOn",)
    if waits and isinstance(place.value, str):
        yield Edit(place.path, REMOVED, f"does not wait for {place.value}", place.value)


@operator("resource-drop", "A resource is missing.")
def resource_drop(place: Place) -> Iterator[Edit]:
    """Leave out a resource that nothing in the template names."""
    if place.section == "Resources" and len(place.path) == 2:
        used = {reference.name for reference in references(place.template)}
        waited = [item.get("DependsOn", []) for item in place.template["Resources"].values()]
        used |= {name for item in waited for name in ([item] if isinstance(item, str) else item)}
        if place.key not in used:
            yield Edit(place.path, REMOVED, f"without this {place.resource_type}")


@operator("output-remove", "A stack no longer says what others need.")
def output_remove(place: Place) -> Iterator[Edit]:
    """Leave out an output, or its export."""
    if place.section == "Outputs" and len(place.path) == 2:
        yield Edit(place.path, REMOVED, "without this output")
    elif place.section == "Outputs" and place.path[2:] == ("Export",):
        yield Edit(place.path, REMOVED, "not exported")


@operator("output-change", "A stack says something else, or under another name.")
def output_change(place: Place) -> Iterator[Edit]:
    """Change a text of an output."""
    if place.section != "Outputs" or not isinstance(place.value, str):
        return
    if place.in_function == "Fn::Sub":
        yield Edit(place.path, f"{place.value}-x", f"{place.value} → …-x")


@operator("transform-drop", "Functions stay unresolved.")
def transform_drop(place: Place) -> Iterator[Edit]:
    """Leave out the template's transform."""
    if place.path == ("Transform",):
        yield Edit(place.path, REMOVED, f"without {place.value}")


@operator("assertion-drop", "A wrong combination of parameters is let in.")
def assertion_drop(place: Place) -> Iterator[Edit]:
    """Leave out a rule for the parameters."""
    if place.section == "Rules" and len(place.path) == 2:
        yield Edit(place.path, REMOVED, "without this rule")


def _words(function: dict[str, Any]) -> str:
    ((_, argument),) = function.items()
    return ".".join(argument) if isinstance(argument, list) else str(argument)
