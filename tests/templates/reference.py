"""AWS's own tables, from cfn-lint's data: what CloudFormation needs, and what IAM knows of it."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

_DATA = files("cfnlint") / "data"


@cache
def _services() -> dict[str, Any]:
    text = (_DATA / "AdditionalSpecs" / "Policies.json").read_text(encoding="utf-8")
    known: dict[str, Any] = json.loads(text)
    return known


@cache
def _schemas(region: str) -> dict[str, str]:
    text = (_DATA / "schemas" / "providers" / f"{region}.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known


@cache
def schema(resource_type: str, region: str = "us-east-1") -> dict[str, Any]:
    """The registry's schema of a resource type."""
    name = _schemas(region)[resource_type]
    text = (_DATA / "schemas" / "resources" / f"{name}.json").read_text(encoding="utf-8")
    known: dict[str, Any] = json.loads(text)
    return known


def permissions(resource_type: str, *handlers: str) -> set[str]:
    """The actions that handlers of a type (create, read, ...) may call, as its schema says."""
    found = schema(resource_type)
    called = {
        action
        for handler in handlers
        for action in found["handlers"].get(handler, {}).get("permissions", [])
    }
    return called | set(found.get("tagging", {}).get("permissions", []))


def exists(action: str) -> bool:
    """Whether IAM has the action."""
    service, name = action.split(":")
    return name.lower() in _services().get(service, {}).get("Actions", {})


def matching(pattern: str) -> set[str]:
    """The actions, in lower case, that a pattern with a wildcard at its end stands for."""
    service, name = pattern.lower().split(":")
    head, *tail = name.split("*")
    return {
        f"{service}:{action}"
        for action in _services().get(service, {}).get("Actions", {})
        if (action.startswith(head) and action.endswith(tail[-1]) if tail else action == name)
    }


def resource_types(action: str) -> list[str]:
    """The resource types on which IAM decides about an action; none for those without any."""
    service, name = action.split(":")
    found: list[str] = _services()[service]["Actions"][name.lower()].get("Resources", [])
    return found


def has_tags(action_service: str, resource_type: str) -> bool:
    """Whether IAM looks at the tags of a resource of that type."""
    keys = (
        _services()[action_service]["Resources"][resource_type.lower()].get("ConditionKeys") or []
    )
    return "aws:ResourceTag/${TagKey}" in keys
