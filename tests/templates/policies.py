"""Reads policies, and writes the ARNs that they are held against."""

from __future__ import annotations

from typing import Any

from tests.templates.iam import as_list


def arn(service: str, resource: str) -> dict[str, str]:
    """The ARN of something of the stack's own account and region, as templates write it."""
    own = "${AWS::Partition}:" + service + ":${AWS::Region}:${AWS::AccountId}"
    return {"Fn::Sub": f"arn:{own}:{resource}"}


def allowed(role: dict[str, Any]) -> dict[str, Any]:
    """Every action that the properties of a role allow, with the resources it is allowed on."""
    found: dict[str, Any] = {}
    for policy in role.get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in as_list(statement["Action"]):
                assert action not in found, f"{action} is allowed twice"
                found[action] = statement["Resource"]
    return found
