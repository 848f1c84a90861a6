"""Reads templates, follows their references and works out what they mean in one environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Template = dict[str, Any]

DIRECTORY = Path(__file__).parents[2] / "cloudformation"
ROOT = "master.yml"
# A stack beside the platform, which serves every environment and outlives them.
BOOTSTRAP = "bootstrap.yml"
RECORDER = "recorder.yml"
BESIDE = (BOOTSTRAP, RECORDER)
ENVIRONMENTS = ("dev", "staging", "prod")
STACK = "AWS::CloudFormation::Stack"
# How a template finds the boundary of its roles, which is made before any platform.
BOUNDARY = "{{resolve:ssm:/payments/bootstrap/permissions-boundary-arn}}"


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short forms become functions, dates stay strings."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


# What has been read, by its file; every test reads a template from here, and none changes it.
READ: dict[Path, Template] = {}


def load(path: Path) -> Template:
    """Read one template into plain dictionaries, with the long form of every function."""
    if path not in READ:
        READ[path] = _read(path)
    return READ[path]


def _read(path: Path) -> Template:
    with path.open(encoding="utf-8") as stream:
        template = yaml.load(stream, Loader=_Loader)
    if not isinstance(template, dict):
        raise TypeError(f"{path} is no template: it holds no mapping.")
    return template


def load_all() -> dict[str, Template]:
    """Every template of the platform by its file name: the root and what is nested in it."""
    paths = sorted(path for path in DIRECTORY.glob("*.yml") if path.name not in BESIDE)
    return {path.name: load(path) for path in paths}


@dataclass(frozen=True)
class Child:
    """A nested stack as the root declares it."""

    logical_id: str
    file: str
    parameters: Mapping[str, Any]


def children(root: Template) -> list[Child]:
    """The nested stacks of a template, in the order in which it names them."""
    return [
        Child(
            logical_id, resource["Properties"]["TemplateURL"], resource["Properties"]["Parameters"]
        )
        for logical_id, resource in root["Resources"].items()
        if resource["Type"] == STACK
    ]


@dataclass(frozen=True)
class Reference:
    """One use of a name: ``kind`` is Ref, GetAtt, FindInMap or Condition.

    ``name`` is what is used; ``detail`` is the attribute of a GetAtt or the third key of a
    FindInMap (None where that key is itself a function).
    """

    kind: str
    name: str
    detail: str | None = None


def references(node: Any) -> Iterator[Reference]:
    """Every reference at or below a node, those inside the text of Fn::Sub included."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _reference(key, value)
            yield from references(value)


def _reference(key: str, value: Any) -> Iterator[Reference]:
    match key, value:
        case ("Ref", str(name)):
            yield Reference("Ref", name)
        case ("Condition", str(name)):
            yield Reference("Condition", name)
        case ("Fn::GetAtt", [str(name), str(attribute)]):
            yield Reference("GetAtt", name, attribute)
        case ("Fn::FindInMap", [str(name), _, detail, *_]):
            yield Reference("FindInMap", name, detail if isinstance(detail, str) else None)
        case ("Fn::If", [str(name), *_]):
            yield Reference("Condition", name)
        case ("Fn::Sub", str(text)):
            yield from _in_text(text, own=())
        case ("Fn::Sub", [str(text), dict(own)]):
            yield from _in_text(text, own=tuple(own))


def _in_text(text: str, own: tuple[str, ...]) -> Iterator[Reference]:
    for piece in text.split("${")[1:]:
        name = piece.split("}", 1)[0]
        if name.startswith("!") or name in own:
            continue
        if "." in name:
            logical_id, attribute = name.split(".", 1)
            yield Reference("GetAtt", logical_id, attribute)
        else:
            yield Reference("Ref", name)


class _Absent:
    """Stands for AWS::NoValue while a template is being resolved."""


_ABSENT = _Absent()


@dataclass(frozen=True)
class _Resolver:
    template: Template
    parameters: Mapping[str, Any]

    def condition(self, node: Any) -> bool:
        match node:
            case {"Condition": str(name)}:
                return self.condition(self.template["Conditions"][name])
            case {"Fn::Equals": [left, right]}:
                return bool(self.value(left) == self.value(right))
            case {"Fn::Not": [inner]}:
                return not self.condition(inner)
            case {"Fn::And": inner}:
                return all(self.condition(item) for item in inner)
            case {"Fn::Or": inner}:
                return any(self.condition(item) for item in inner)
        raise ValueError(f"{node} is no condition that this resolver knows.")

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [value for value in values if value is not _ABSENT]
        if not isinstance(node, dict):
            return node
        result = self._function(node)
        if result is not node:
            return result
        found = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in found.items() if value is not _ABSENT}

    def _function(self, node: dict[str, Any]) -> Any:
        """The value of a function; the node itself where it has none before the deployment."""
        match node:
            case {"Ref": "AWS::NoValue"}:
                return _ABSENT
            case {"Ref": str(name)} if name in self.parameters:
                return self.parameters[name]
            case {"Fn::If": [str(name), then, otherwise]}:
                return self.value(then if self.condition({"Condition": name}) else otherwise)
            case {"Fn::FindInMap": [mapping, first, second]}:
                keys = [self.value(key) for key in (mapping, first, second)]
                return self.template["Mappings"][keys[0]][keys[1]][keys[2]]
            case {"Fn::Sub": str(text)}:
                return self._substituted(text)
        return node

    def _substituted(self, text: str) -> Any:
        for name, value in self.parameters.items():
            text = text.replace(f"${{{name}}}", str(value))
        return {"Fn::Sub": text} if "${" in text else text

    def exists(self, item: Any) -> bool:
        name = item.get("Condition")
        return name is None or self.condition({"Condition": name})


# What in_environment made, and of which template: many tests look at the same one.
_MADE: dict[tuple[int, str], tuple[Template, Template]] = {}


def in_environment(template: Template, environment: str, **parameters: Any) -> Template:
    """The template as it is deployed in an environment.

    Parameters have the given values or else their defaults; maps and conditions are resolved, what
    a condition rules out is gone. References to resources and pseudo parameters stay functions.
    """
    key = (id(template), f"{environment} {sorted(parameters.items())}")
    made_of, made = _MADE.get(key, (None, {}))
    if made_of is not template:
        made = _resolved(template, {"EnvironmentType": environment} | parameters)
        _MADE[key] = (template, made)
    return made


def _resolved(template: Template, parameters: Mapping[str, Any]) -> Template:
    known = {
        name: definition["Default"]
        for name, definition in template.get("Parameters", {}).items()
        if "Default" in definition
    }
    resolver = _Resolver(template, known | dict(parameters))
    resolved = {
        section: {
            name: resolver.value(item)
            for name, item in template.get(section, {}).items()
            if resolver.exists(item)
        }
        for section in ("Resources", "Outputs")
    }
    return template | resolved
