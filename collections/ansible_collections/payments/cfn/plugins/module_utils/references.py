# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that whatever a template names inside itself is declared there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .errors import CfnError
from .parameters import did_you_mean
from .templates import LANGUAGE_EXTENSIONS, Template

PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in (
        "AccountId", "NoValue", "NotificationARNs", "Partition", "Region", "StackId", "StackName",
        "URLSuffix",
    )
)  # fmt: skip
LOOP = "Fn::ForEach::"

# Section → what an entry of it is called.
_SECTIONS = {
    "Rules": "rule",
    "Conditions": "condition",
    "Resources": "resource",
    "Outputs": "output",
}
# Where nothing exists yet but the parameters.
_BEFORE_RESOURCES = ("Rules", "Conditions")
# ${!Name} stays as text; ${Topic${Name}} is computed by a loop, and only its inner name is one.
_VARIABLE = re.compile(r"\$\{\s*([^!\s${}][^${}]*?)\s*\}")
_COMPUTED = re.compile(r"[$&]\{[^{}]*\}")


class Kind(Enum):
    """What a name in an expression stands for; the value says it in words."""

    VALUE = "neither a parameter nor a resource"
    RESOURCE = "not a resource"
    CONDITION = "not a condition"
    MAPPING = "not a mapping"


@dataclass(frozen=True)
class Use:
    """A name in an expression.

    ``function`` is the intrinsic function or attribute that it stands in, ``at`` leads there from
    the entry of the section, ``keys`` are what follows the name of a mapping.
    """

    kind: Kind
    name: str
    function: str
    at: tuple[str, ...]
    keys: tuple[Any, ...] = ()


# Function → what its first argument names.
_NAMING = {
    "Ref": Kind.VALUE,
    "Fn::Sub": Kind.VALUE,
    "Fn::GetAtt": Kind.RESOURCE,
    "Fn::If": Kind.CONDITION,
    "Condition": Kind.CONDITION,
    "Fn::FindInMap": Kind.MAPPING,
}

Branches = Callable[[list[Any]], Iterable[Any]]
"""Chooses what to look into of the arguments of an ``Fn::If``, the condition's name left out."""


def check_references(template: Template) -> tuple[CfnError, ...]:
    """Every name that the template does not declare.

    Nothing is found in a template with macros or modules: they declare names of their own.
    """
    if declares_unseen_names(template):
        return ()
    names = _Names(template)
    return tuple(
        template.error(f"{kind} {entry}: {problem}.", section, entry)
        for section, kind in _SECTIONS.items()
        for entry, body in template.section(section).items()
        for use in entry_uses(section, {entry: body} if entry.startswith(LOOP) else body)
        if (problem := names.problem(use, section)) is not None
    )


def declares_unseen_names(template: Template) -> bool:
    """Whether a macro or a module may declare names that cannot be read in the template."""
    declared = template.body.get("Transform", [])
    transforms = declared if isinstance(declared, list) else [declared]
    return (
        any(item != LANGUAGE_EXTENSIONS for item in transforms)
        or _has_transform(template.body)
        or any(resource["Type"].endswith("::MODULE") for resource in template.resources.values())
    )


def entry_uses(section: str, body: Any, branches: Branches | None = None) -> list[Use]:
    """Every name that an entry of a section uses, in the order of the file.

    ``branches`` is for one who knows how conditions turn out; without, all are looked into.
    """
    walk = _Walk(section == "Conditions", branches)
    if isinstance(body, Mapping) and section in ("Resources", "Outputs"):
        condition = body.get("Condition")
        if isinstance(condition, str):
            walk.found.append(Use(Kind.CONDITION, condition, "Condition", ()))
        depends_on = body.get("DependsOn")
        for name in depends_on if isinstance(depends_on, list) else [depends_on]:
            if isinstance(name, str):
                walk.found.append(Use(Kind.RESOURCE, name, "DependsOn", ()))
    walk.into(body, (), frozenset())
    return walk.found


@dataclass
class _Walk:
    """A way through expressions; ``{"Condition": …}`` is a function among conditions only."""

    in_conditions: bool
    branches: Branches | None
    found: list[Use] = field(default_factory=list)

    def into(self, node: Any, at: tuple[str, ...], loops: frozenset[str]) -> None:
        """Note what is used at and below a node; ``loops`` are the identifiers of its loops."""
        if isinstance(node, list):
            for index, item in enumerate(node):
                if isinstance(item, dict | list):
                    self.into(item, (*at, str(index)), loops)
        elif isinstance(node, dict):
            for key, argument in node.items():
                if key.startswith(LOOP):
                    self._into_loop(argument, (*at, key), loops)
                    continue
                if key in _NAMING:
                    self._note(key, argument, at, loops)
                if isinstance(argument, dict | list):
                    self.into(self._below(key, argument), (*at, key), loops)

    def _into_loop(self, argument: Any, at: tuple[str, ...], loops: frozenset[str]) -> None:
        if isinstance(argument, list) and argument:
            names = argument[0] if isinstance(argument[0], list) else [argument[0]]
            inner = loops | {name for name in names if isinstance(name, str)}
            for index, item in enumerate(argument[1:], 1):
                self.into(item, (*at, str(index)), inner)

    def _below(self, key: str, argument: Any) -> Any:
        if key == "Fn::If" and self.branches is not None and isinstance(argument, list):
            return list(self.branches(argument))
        return argument

    def _note(self, key: str, argument: Any, at: tuple[str, ...], loops: frozenset[str]) -> None:
        """Note the names that a function itself uses, not those of its arguments' functions."""
        first = argument[0] if isinstance(argument, list) and argument else argument
        if not isinstance(first, str) or (key == "Condition" and not self.in_conditions):
            return
        named = _variables(first, argument) if key == "Fn::Sub" else [(_NAMING[key], first)]
        keys = tuple(argument[1:]) if key == "Fn::FindInMap" and isinstance(argument, list) else ()
        for kind, written in named:
            # what follows a resource's name is an attribute
            name = written.partition(".")[0] if kind is Kind.RESOURCE else written
            if name not in loops and not (loops and _COMPUTED.search(name)):
                self.found.append(Use(kind, name, key, at, keys))


def _variables(text: str, argument: Any) -> Iterator[tuple[Kind, str]]:
    own = argument[1] if isinstance(argument, list) and len(argument) > 1 else {}
    for name in dict.fromkeys(_VARIABLE.findall(text)):
        if not isinstance(own, dict) or name not in own:
            yield Kind.RESOURCE if "." in name else Kind.VALUE, name


class _Names:
    """What a template declares; what its loops may declare is taken as declared."""

    def __init__(self, template: Template) -> None:
        self._mappings = template.section("Mappings")
        values = {*template.parameters, *PSEUDO_PARAMETERS}
        resources = set(template.resources)
        self._declared = {
            Kind.VALUE: values | resources,
            Kind.RESOURCE: resources,
            Kind.CONDITION: set(template.section("Conditions")),
            Kind.MAPPING: set(self._mappings),
        }
        self._values = values
        looped = [re.compile(text) for text in _looped(template.section("Resources"))]
        self._looped = {
            Kind.VALUE: looped,
            Kind.RESOURCE: looped,
            Kind.CONDITION: [re.compile(text) for text in _looped(template.section("Conditions"))],
            Kind.MAPPING: [re.compile(text) for text in _looped(self._mappings)],
        }

    def problem(self, use: Use, section: str) -> str | None:
        """What is wrong with a name, as the end of a sentence without its full stop."""
        place = f"{use.function} in {'.'.join(use.at)}" if use.at else use.function
        only_parameters = section in _BEFORE_RESOURCES and use.kind is Kind.VALUE
        declared = self._values if only_parameters else self._declared[use.kind]
        looped = [] if only_parameters else self._looped[use.kind]
        if use.name in declared:
            return self._key_problem(use, place)
        if any(pattern.fullmatch(use.name) for pattern in looped):
            return None
        hint = did_you_mean(use.name, declared)
        if only_parameters and use.name in self._declared[Kind.RESOURCE]:
            return (
                f"{place} names the resource {use.name}, but {section} can read parameters only; "
                "name a parameter"
            )
        if use.function == "Fn::Sub" and not hint:
            hint = f", or write ${{!{use.name}}} for text that stays"
        what = "not a parameter" if only_parameters else use.kind.value
        return (
            f"{place} names {use.name}, which is {what} of this template; declare it or correct "
            f"the name{hint}"
        )

    def _key_problem(self, use: Use, place: str) -> str | None:
        """What is wrong with the keys that are written out, if no default stands in for them."""
        if use.kind is not Kind.MAPPING or len(use.keys) != 2:
            return None
        mapping = self._mappings[use.name]
        if not isinstance(mapping, dict) or any(
            _is_open(inner) for inner in (mapping, *mapping.values())
        ):
            return None
        top, second = use.keys
        if isinstance(top, str | int) and str(top) not in mapping:
            return _no_key(place, str(top), use.name, mapping)
        if isinstance(second, str | int):
            rows = [mapping[str(top)]] if isinstance(top, str | int) else list(mapping.values())
            known = {key: None for row in rows for key in row}
            if str(second) not in known:
                name = f"{use.name}.{top}" if isinstance(top, str | int) else use.name
                return _no_key(place, str(second), name, known)
        return None


def _is_open(mapping: Any) -> bool:
    """Whether a mapping may have keys that are not written out."""
    return not isinstance(mapping, dict) or any(key.startswith("Fn::") for key in mapping)


def _no_key(place: str, key: str, mapping: str, known: Iterable[str]) -> str:
    return (
        f"{place} looks for {key} in the mapping {mapping}, which has no such key; add it or "
        f"correct it{did_you_mean(key, known)}"
    )


def _looped(section: Mapping[str, Any]) -> Iterator[str]:
    """A regular expression for the names that each loop of a section declares."""
    for key, loop in section.items():
        if key.startswith(LOOP) and isinstance(loop, list) and loop and isinstance(loop[-1], dict):
            yield from _looped(loop[-1])
            for name in loop[-1]:
                if not name.startswith(LOOP):
                    yield ".*".join(re.escape(part) for part in _COMPUTED.split(name))


def _has_transform(node: Any) -> bool:
    if isinstance(node, dict):
        if "Fn::Transform" in node:
            return True
        node = node.values()
    # not a generator expression: this goes through whole templates
    for item in node:  # noqa: SIM110
        if isinstance(item, dict | list) and _has_transform(item):
            return True
    return False
