"""Operators for IAM policies: of roles, keys, buckets, topics and endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scripts.mutants.operators.model import Edit, operator
from scripts.mutants.operators.values import shortened
from scripts.mutants.places import REMOVED, Place

FOREIGN_ACCOUNT = "999999999999"


def as_list(value: Any) -> list[Any]:
    """A list of what may be one thing or several."""
    return value if isinstance(value, list) else [value]


def _is_statement(node: Any) -> bool:
    return isinstance(node, dict) and "Effect" in node


def _in_statement(place: Place, *keys: str) -> bool:
    """Whether this is in one of a statement's entries, at any depth."""
    steps = zip(place.above, place.path, strict=True)
    return any(_is_statement(node) and step in keys for node, step in steps)


def _of_statement(place: Place, *keys: str) -> bool:
    """Whether this is one of a statement's entries itself."""
    return _is_statement(place.parent) and place.key in keys


@operator("statement-remove", "A policy no longer allows or refuses something.")
def statement_remove(place: Place) -> Iterator[Edit]:
    """Leave out a statement."""
    if _is_statement(place.value) and isinstance(place.parent, list):
        yield Edit(place.path, REMOVED, f"without the {place.value['Effect']} statement")


@operator("effect-flip", "What was refused is allowed, or the other way round.")
def effect_flip(place: Place) -> Iterator[Edit]:
    """Turn Allow and Deny over."""
    if _of_statement(place, "Effect"):
        other = "Allow" if place.value == "Deny" else "Deny"
        yield Edit(place.path, other, f"{place.value} → {other}")


@operator("statement-add", "A policy allows one thing more.")
def statement_add(place: Place) -> Iterator[Edit]:
    """Let a policy allow something that nobody asked for."""
    statements = place.value.get("Statement") if isinstance(place.value, dict) else None
    if not isinstance(statements, list) or not statements:
        return
    first = statements[0]
    service = str(as_list(first["Action"])[0]).split(":")[0]
    more = {"Sid": "More", "Effect": "Allow", "Action": f"{service}:*"}
    more |= {key: "*" for key in ("Principal", "Resource") if key in first}
    yield Edit((*place.path, "Statement"), [*statements, more], f"{service}:* too")


@operator("action-widen", "Some actions of a service become all.")
def action_widen(place: Place) -> Iterator[Edit]:
    """Put every action of each service in the place of those of a statement."""
    if not _of_statement(place, "Action"):
        return
    services = sorted({action.split(":")[0] for action in as_list(place.value)})
    for service in services:
        if f"{service}:*" in as_list(place.value):
            continue
        rest = [item for item in as_list(place.value) if item.split(":")[0] != service]
        yield Edit(place.path, [*rest, f"{service}:*"], f"{service}:*", service)


@operator("action-add", "A statement allows one action more.")
def action_add(place: Place) -> Iterator[Edit]:
    """Add an action that is none of the statement's business."""
    if _of_statement(place, "Action") and place.parent["Effect"] == "Allow":
        yield Edit(place.path, [*as_list(place.value), "iam:PassRole"], "iam:PassRole too")


@operator("action-remove", "A statement no longer covers an action.")
def action_remove(place: Place) -> Iterator[Edit]:
    """Leave out one of several actions."""
    if _in_statement(place, "Action") and isinstance(place.key, int) and len(place.parent) > 1:
        yield Edit(place.path, REMOVED, f"without {place.value}", str(place.value))


@operator("resource-widen", "A statement for some resources holds for all.")
def resource_widen(place: Place) -> Iterator[Edit]:
    """Put every resource in the place of those of a statement, or of one of them."""
    one_of_many = isinstance(place.key, int) and _in_statement(place, "Resource")
    if one_of_many and not _is_statement(place.above[-2]):
        return
    if (_of_statement(place, "Resource") or one_of_many) and place.value != "*":
        yield Edit(place.path, "*", "every resource")


@operator("resource-remove", "A statement no longer covers a resource.")
def resource_remove(place: Place) -> Iterator[Edit]:
    """Leave out one of several resources."""
    listed = isinstance(place.key, int) and len(place.parent) > 1
    if listed and _is_statement(place.above[-2]) and place.path[-2] == "Resource":
        yield Edit(place.path, REMOVED, "without this resource")


@operator("principal-widen", "A statement for some holds for everybody.")
def principal_widen(place: Place) -> Iterator[Edit]:
    """Put everybody in the place of a principal."""
    if _of_statement(place, "Principal") and place.value != "*":
        yield Edit(place.path, "*", "everybody")


@operator("principal-change", "A statement holds for somebody else.")
def principal_change(place: Place) -> Iterator[Edit]:
    """Put another service in the place of the one that a statement names."""
    if _in_statement(place, "Principal") and place.key == "Service":
        yield Edit(place.path, "ec2.amazonaws.com", "the service is EC2")


@operator("condition-drop", "A statement holds without its condition, or a part of it.")
def condition_drop(place: Place) -> Iterator[Edit]:
    """Leave out a condition, a test of it, and a key of a test, each where it is one of many."""
    if _of_statement(place, "Condition"):
        yield Edit(place.path, REMOVED, "without the condition")
    elif _in_statement(place, "Condition") and isinstance(place.key, str):
        of_condition = _is_statement(place.above[-2]) or _is_statement(place.above[-3])
        if of_condition and len(place.parent) > 1:
            yield Edit(place.path, REMOVED, f"without {place.key}")


@operator("condition-loosen", "The condition of a statement is met by more.")
def condition_loosen(place: Place) -> Iterator[Edit]:
    """Let any value meet a test that knows wildcards, and any but the right one another."""
    tests = {"ArnLike": "*", "StringLike": "*", "ArnEquals": "*"}
    if not _in_statement(place, "Condition") or not _is_statement(place.above[-3]):
        return
    test = str(place.path[-2])
    if test in tests:
        yield Edit(place.path, tests[test], "met by any value")
    elif test == "StringEquals":
        rest = {key: value for key, value in place.parent.items() if key != place.key}
        condition = {**place.above[-2], "StringNotEquals": {place.key: place.value}}
        condition[test] = rest
        yield Edit(place.path[:-2], condition, f"{place.key} must differ", str(place.key))


@operator("arn-widen", "An ARN in a policy matches more.")
def arn_widen(place: Place) -> Iterator[Edit]:
    """Put any value in the place of each variable of an ARN."""
    text = place.value
    if place.in_policy and isinstance(text, str) and text.startswith("arn:"):
        for variable in sorted(set(re.findall(r"\$\{([^}!]+)\}", text)) - {"AWS::Partition"}):
            wider = text.replace(f"${{{variable}}}", "*")
            yield Edit(place.path, wider, f"any {variable} in {shortened(text)}", variable)


@operator("account-change", "Another account takes this one's place.")
def account_change(place: Place) -> Iterator[Edit]:
    """Name a foreign account where this one was."""
    if place.section == "Resources" and place.value == {"Ref": "AWS::AccountId"}:
        yield Edit(place.path, FOREIGN_ACCOUNT, "another account")
    elif place.in_policy and isinstance(place.value, str) and "${AWS::AccountId}" in place.value:
        text = place.value.replace("${AWS::AccountId}", FOREIGN_ACCOUNT)
        yield Edit(place.path, text, f"another account in {shortened(place.value)}")


@operator("policy-text-change", "A policy names something else.")
def policy_text_change(place: Place) -> Iterator[Edit]:
    """Change a text of a resource, principal or condition."""
    entries = ("Resource", "Principal", "Condition")
    if not isinstance(place.value, str) or not _in_statement(place, *entries):
        return
    if place.key in ("Ref", "Service") or place.value in ("*", "true", "false"):
        return
    if place.in_function in ("", "Fn::Sub"):
        yield Edit(place.path, f"{place.value}-x", f"{shortened(place.value)} → …-x")


@operator("managed-policy-add", "A role may do everything.")
def managed_policy_add(place: Place) -> Iterator[Edit]:
    """Attach AWS's policy of administrators to a role."""
    if place.resource_type == "AWS::IAM::Role" and place.path[2:] == ("Properties",):
        policies = [
            *place.value.get("ManagedPolicyArns", []),
            {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"},
        ]
        yield Edit((*place.path, "ManagedPolicyArns"), policies, "AdministratorAccess attached")
