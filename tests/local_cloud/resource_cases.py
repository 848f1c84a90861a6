"""Reading the table of cases in `resource_cases/`: one life of a resource per case.

A case gives the properties of the resource ``It`` and says what its service shows of it. Any
text with ``${Name}`` or ``${Name.Attribute}`` refers to another resource, of the case itself
(``also``) or of the library (`library.yml`), which brings along what it needs in turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jmespath
import yaml

from tests.local_cloud.support import REGION

FOLDER = Path(__file__).parent / "resource_cases"
_REFERENCE = re.compile(r"\$\{(\w+)(?:\.[\w.]+)?\}")
_ATTRIBUTE = re.compile(r"\$\{(\w+\.[\w.]+)\}")
IT = "It"


@dataclass(frozen=True)
class Lookup:
    """A call of a service and the place in its response that matters."""

    call: str
    by: dict[str, Any] = field(default_factory=dict)
    at: str = "@"
    region: str = REGION


@dataclass(frozen=True)
class Case:
    """One life of a resource.

    `before` are calls made ahead of it, whose results are referred to by their names. `found`
    names parts of what is read back, for the lookup of the tags.
    """

    type: str
    properties: dict[str, Any]
    read: Lookup
    shows: dict[str, Any]
    title: str = ""
    also: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Lookup] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    found: dict[str, str] = field(default_factory=dict)
    tags: str | Lookup = ""
    reserved_tags: bool = True
    change: dict[str, Any] = field(default_factory=dict)
    then: dict[str, Any] = field(default_factory=dict)
    replaces: bool = False
    survives: str = ""

    @property
    def name(self) -> str:
        return f"{self.type} {self.title}".strip()

    def template(self, *, changed: bool = False) -> dict[str, Any]:
        """The template of the stack; a property changed to null is left out."""
        properties = {**self.properties, **(self.change if changed else {})}
        properties = {key: value for key, value in properties.items() if value is not None}
        resources = {IT: {"Type": self.type, "Properties": properties}, **self.also}
        _bring_along(resources)
        outputs: dict[str, Any] = {name: {"Value": {"Ref": name}} for name in resources}
        for logical_id, attribute in self.wanted_attributes():
            outputs[output_key(logical_id, attribute)] = {
                "Value": {"Fn::GetAtt": [logical_id, attribute]}
            }
        return {"Resources": _substituting(resources), "Outputs": outputs}

    def given(self, made: dict[str, str]) -> Case:
        """The case with the results of its `before` calls put in."""
        return replace(
            self, properties=filled(self.properties, made), shows=filled(self.shows, made)
        )

    def wanted_attributes(self) -> set[tuple[str, str]]:
        """Every attribute that the case names, with the logical id it is of."""
        expected = json.dumps([self.shows, self.then, self.read.by, self.read.at])
        named = {tuple(found.split(".", 1)) for found in _ATTRIBUTE.findall(expected)}
        return {(IT, attribute) for attribute in self.attributes} | {
            (logical_id, attribute) for logical_id, attribute in named
        }


def output_key(logical_id: str, attribute: str) -> str:
    """The output that carries an attribute; its name may hold letters and digits only."""
    return logical_id + re.sub(r"\W", "", attribute)


def _bring_along(resources: dict[str, Any]) -> None:
    library = yaml.safe_load((FOLDER / "library.yml").read_text())
    while True:
        named = set(_REFERENCE.findall(json.dumps(resources)))
        missing = sorted(named & library.keys() - resources.keys())
        if not missing:
            return
        resources.update({name: library[name] for name in missing})


def _substituting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _substituting(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituting(item) for item in value]
    return {"Fn::Sub": value} if isinstance(value, str) and "${" in value else value


def filled(value: Any, outputs: dict[str, str]) -> Any:
    """Put the values of outputs in place of references."""
    if isinstance(value, dict):
        return {key: filled(item, outputs) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, outputs) for item in value]
    if not isinstance(value, str):
        return value
    for name in sorted(outputs, key=len, reverse=True):
        value = value.replace(f"${{{name}}}", outputs[name])
    return value


def at(path: str, document: Any) -> Any:
    """What a JMESPath expression finds."""
    return jmespath.search(path, document)


def cases() -> Iterator[Case]:
    """Every case of the folder."""
    for path in sorted(FOLDER.glob("*.yml")):
        if path.stem != "library":
            for entry in yaml.safe_load(path.read_text()):
                yield _case(entry)


def _case(entry: dict[str, Any]) -> Case:
    entry = dict(entry)
    entry["read"] = Lookup(entry.pop("read"), entry.pop("by", {}), entry.pop("at", "@"))
    if isinstance(entry.get("tags"), dict):
        entry["tags"] = Lookup(**entry["tags"])
    entry["before"] = {name: Lookup(**call) for name, call in entry.get("before", {}).items()}
    return Case(**entry)


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Where `actual` lacks what is expected; more than is expected is no difference."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            found
            for key, value in expected.items()
            for found in differences(value, actual.get(key), f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        if not any(isinstance(item, dict | list) for item in expected):
            expected, actual = sorted(map(str, expected)), sorted(map(str, actual))
        pairs = enumerate(zip(expected, actual, strict=True))
        return [f for n, (e, a) in pairs for f in differences(e, a, f"{path}[{n}]")]
    return [] if expected == actual else [f"{path}: {expected!r} asked, {actual!r} read back"]
