"""Reads which requirement of PCI DSS is met by what, and writes it down for people.

compliance/controls.yml maps each requirement that infrastructure can meet to the properties that
meet it, the rules of AWS Config that watch it, and the tests and static rules that prove it. What
it names has to exist; compliance_page.py makes docs/compliance.md from it.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import guard  # noqa: E402 - needs the path above
from scripts.packaged import sources, write_templates  # noqa: E402

CONTROLS = ROOT / "compliance" / "controls.yml"

CONFIG_RULE = "AWS::Config::ConfigRule"
# By which of its members an item of a list is named in a path.
_NAMES = ("Key", "Name", "Sid", "PolicyName", "RuleName", "Id")
# What a resource says outside of its properties.
_ATTRIBUTES = ("DeletionPolicy", "UpdateReplacePolicy")


@dataclass(frozen=True)
class Requirement:
    """One requirement and where it is met, watched and proven.

    ``resources`` has paths into the properties of resources, by template and logical id; tests are
    named as pytest does, ``left_to_you`` says what the platform cannot do for its owner.
    """

    id: str
    title: str
    resources: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    config_rules: Sequence[str] = ()
    verification: Sequence[str] = ()
    template_tests: Sequence[str] = ()
    guard_rules: Sequence[str] = ()
    left_to_you: str = ""

    @property
    def chapter(self) -> str:
        """The number of the principal requirement that this is part of."""
        return self.id.split(".")[0]


@dataclass(frozen=True)
class Controls:
    """The whole mapping: the version of the standard, the names of its chapters, requirements."""

    standard: str
    chapters: Mapping[str, str]
    requirements: Sequence[Requirement]


@dataclass(frozen=True)
class Existing:
    """What a requirement may name: resources of prod by template and logical id, tests, rules."""

    templates: Mapping[str, Mapping[str, Any]]
    verification: frozenset[str]
    template_tests: frozenset[str]
    own_rules: Mapping[str, Path]
    control_tower_rules: frozenset[str]

    @property
    def config_rules(self) -> dict[str, Any]:
        """The rules of AWS Config by logical id."""
        return {
            logical_id: resource["Properties"]
            for logical_id, resource in self.templates["compliance.yml"].items()
            if resource["Type"] == CONFIG_RULE
        }


def load(path: Path = CONTROLS) -> Controls:
    """Read the mapping."""
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    requirements = [Requirement(**entry) for entry in body["requirements"]]
    return Controls(body["standard"], body["chapters"], requirements)


def existing() -> Existing:
    """Look up what there is: the templates as they read in prod, the tests, the rules."""
    files = sources()
    with tempfile.TemporaryDirectory() as folder:
        templates = {
            files[path.stem]: json.loads(path.read_text(encoding="utf-8"))["Resources"]
            for path in write_templates(Path(folder), environments=["prod"])
        }
    return Existing(
        templates,
        frozenset(_tests(ROOT / "verification")),
        frozenset(_tests(ROOT / "tests" / "templates")),
        guard.rules(guard.OUR_OWN),
        frozenset(guard.rules(guard.CONTROL_TOWER)),
    )


def _tests(folder: Path) -> Iterator[str]:
    for path in folder.glob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.name}::{node.name}"


def mistakes(controls: Controls, there: Existing) -> list[str]:
    """What the mapping names and is not there, and what is there and not mapped, in sentences."""
    found = [
        f"{requirement.id}: {mistake}"
        for requirement in controls.requirements
        for mistake in _mistakes_of(requirement, there)
    ]
    ids = [requirement.id for requirement in controls.requirements]
    found += [f"{id_} is listed twice." for id_ in dict.fromkeys(ids) if ids.count(id_) > 1]
    for rule, properties in there.config_rules.items():
        claimed = set(_numbers(properties["Description"]))
        mapped = {r.id for r in controls.requirements if rule in r.config_rules}
        if claimed != mapped:
            found.append(
                f"{rule} says that it watches {_and(claimed)}, but is mapped to {_and(mapped)}."
            )
    named = {rule for requirement in controls.requirements for rule in requirement.guard_rules}
    found += [
        f"{rule} of compliance/rules is mapped to nothing."
        for rule in there.own_rules.keys() - named
    ]
    return found


def _mistakes_of(requirement: Requirement, there: Existing) -> Iterator[str]:
    for file, resources in requirement.resources.items():
        for logical_id, paths in resources.items():
            resource = there.templates.get(file, {}).get(logical_id)
            if resource is None:
                yield f"{file} has no {logical_id} in prod."
                continue
            for path in paths:
                if not _leads_somewhere(resource, path):
                    yield f"{logical_id} of {file} has no {path} in prod."
    kinds = (
        (requirement.config_rules, there.config_rules, "rule of AWS Config in compliance.yml"),
        (requirement.verification, there.verification, "test in verification/"),
        (requirement.template_tests, there.template_tests, "test in tests/templates/"),
        (
            requirement.guard_rules,
            there.own_rules.keys() | there.control_tower_rules,
            "rule of ours or of Control Tower",
        ),
    )
    for names, known, kind in kinds:
        for name in names:
            if name not in known:
                yield f"{name} is no {kind}."
    if not requirement.resources and not requirement.config_rules:
        yield "nothing meets or watches it."
    if requirement.resources and not (requirement.verification or requirement.template_tests):
        yield "no test proves it."


def _leads_somewhere(resource: Mapping[str, Any], path: str) -> bool:
    """Whether a resource has what a path names; an item of a list goes by its name."""
    if path in _ATTRIBUTES:
        return path in resource
    node: Any = resource.get("Properties", {})
    for step in path.split("/"):
        if isinstance(node, list):
            node = next((item for item in node if _is_named(item, step)), None)
        elif isinstance(node, Mapping):
            node = node.get(step)
        else:
            return False
    return node is not None


def _is_named(item: Any, name: str) -> bool:
    if isinstance(item, Mapping):
        return any(item.get(member) == name for member in _NAMES)
    return bool(item == name)


def _numbers(description: str) -> list[str]:
    """The requirements that the description of a Config rule names before its colon."""
    return re.findall(r"\d+(?:\.\d+){2,}", description.partition(":")[0])


def _and(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
