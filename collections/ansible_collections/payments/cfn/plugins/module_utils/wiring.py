# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that nested stacks are given what they need, and give what is read from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .errors import CfnError
from .evaluate import Scope, Unknown, as_text, nested_scope, passed_value
from .parameters import check_value, did_you_mean, secrets
from .templates import NestedStack, Template, TemplateTree

# CloudFormation's quota for one operation on a tree of nested stacks
MAX_TREE_RESOURCES = 2500


def check_wiring(tree: TemplateTree, scope: Scope) -> tuple[CfnError, ...]:
    """Everything wrong between the templates of a tree; ``scope`` is the root's."""
    errors = list(_check_tree(tree, scope, secrets(tree.template, scope.parameters)))
    count = sum(len(node.template.section("Resources")) for _, node in tree.walk())
    if count > MAX_TREE_RESOURCES:
        errors.append(
            tree.template.error(
                f"the tree has {count} resources, and CloudFormation takes at most "
                f"{MAX_TREE_RESOURCES} in nested stacks; split it into several stacks."
            )
        )
    return tuple(errors)


def _check_tree(tree: TemplateTree, scope: Scope, hidden: tuple[str, ...]) -> Iterator[CfnError]:
    yield from _check_outputs(tree)
    for child in tree.nested:
        if child.tree is None:
            continue
        yield from _check_declared(tree.template, child, child.tree.template)
        yield from _check_values(tree.template, child, child.tree.template, scope, hidden)
        inner = nested_scope(scope, child.tree.template, child.parameters)
        yield from _check_tree(child.tree, inner, hidden)


def _check_declared(parent: Template, child: NestedStack, template: Template) -> Iterator[CfnError]:
    at = ("Resources", child.logical_id)
    for name, declared in template.parameters.items():
        if name not in child.parameters and "Default" not in declared:
            yield parent.error(
                f"resource {child.logical_id} does not pass the parameter {name}, which "
                f"{template.path} requires; pass it or give it a Default there.",
                *at,
            )
    for name in child.parameters:
        if name not in template.parameters:
            yield parent.error(
                f"resource {child.logical_id} passes the parameter {name}, which {template.path} "
                f"does not declare; remove it or correct its name"
                f"{did_you_mean(name, template.parameters)}.",
                *at,
            )


def _check_values(
    parent: Template,
    child: NestedStack,
    template: Template,
    scope: Scope,
    hidden: tuple[str, ...],
) -> Iterator[CfnError]:
    for name, declared in template.parameters.items():
        value = passed_value(child.parameters[name], scope) if name in child.parameters else None
        if value is None or isinstance(value, Unknown):
            continue
        # a secret of the root stays one, even if the nested template forgot NoEcho
        secret = any(text in as_text(value) for text in hidden)
        for problem in check_value({**declared, "NoEcho": True} if secret else declared, value):
            yield parent.error(
                f"resource {child.logical_id} passes to {template.path} a parameter {name} "
                f"that {problem}.",
                "Resources",
                child.logical_id,
            )


def _check_outputs(tree: TemplateTree) -> Iterator[CfnError]:
    for section in ("Resources", "Outputs"):
        for entry, body in tree.template.section(section).items():
            for logical_id, attribute in dict.fromkeys(_attributes(body)):
                child = tree.children.get(logical_id)
                if child is None or child.tree is None:
                    continue
                outputs = child.tree.template.section("Outputs")
                name = attribute.removeprefix("Outputs.")
                if name == attribute or name not in outputs:
                    yield tree.template.error(
                        f"{entry} reads {logical_id}.{attribute}, but "
                        f"{child.tree.template.path} has no such output; add it or correct the "
                        f"name{did_you_mean(name, outputs)}.",
                        section,
                        entry,
                    )


def _attributes(node: Any) -> Iterator[tuple[str, str]]:
    """Each (logical id, attribute) that an expression reads by Fn::GetAtt or Fn::Sub."""
    if isinstance(node, list):
        for item in node:
            yield from _attributes(item)
    elif isinstance(node, dict):
        got = node.get("Fn::GetAtt")
        if isinstance(got, str):
            got = got.split(".", 1)
        if isinstance(got, list) and len(got) == 2 and all(isinstance(part, str) for part in got):
            yield got[0], got[1]
        text = node.get("Fn::Sub")
        text = text[0] if isinstance(text, list) and text else text
        if isinstance(text, str):
            yield from re.findall(r"\$\{\s*(\w+)\.([^}]+?)\s*\}", text)
        for value in node.values():
            yield from _attributes(value)
