"""IAM as it decides on requests: the policies of the templates as they read once deployed.

The decision itself is MiniStack's, which implements IAM's evaluation with boundaries and explicit
denials. What it lacks are variables in policies; they are put in before it looks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ministack.core.iam_evaluator import (
    EvalContext,
    ParsedStatement,
    evaluate,
    parse_policy_document,
)

Policy = dict[str, Any]

ACCOUNT = "111122223333"
REGION = "eu-west-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
VARIABLE = re.compile(r"\$\{([^}]+)\}")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Request:
    """What somebody wants to do: ``keys`` are the condition keys that IAM knows of it."""

    action: str
    resource: str
    keys: Mapping[str, str] = field(default_factory=dict)
    region: str = REGION


def permits(request: Request, policies: Iterable[Policy], boundary: Policy | None = None) -> bool:
    """Whether IAM lets a request through that has these policies and perhaps a boundary."""
    keys = {name.lower(): value for name, value in request.keys.items()}
    context = EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/role/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=request.action,
        resource_arn=request.resource,
        region=request.region,
        service_context={"aws:tagkeys": None} | keys,
    )
    layers = [list(policies), *([[boundary]] if boundary else [])]
    parsed = [[_parsed(_filled(policy, keys)) for policy in layer] for layer in layers]
    return bool(evaluate(context, *parsed).decision == "Allow")


def _filled(policy: Policy, keys: Mapping[str, str]) -> str:
    """The policy with its variables replaced; one without a value matches nothing, as in IAM."""
    return VARIABLE.sub(lambda m: keys.get(m[1].lower(), m[0]), json.dumps(policy))


@cache
def _parsed(policy: str) -> list[ParsedStatement]:
    return parse_policy_document(policy)


def resolved(node: Any, values: Mapping[str, Any]) -> Any:
    """A piece of a template with names put in: ``values`` has what Ref and GetAtt give.

    Raises:
        KeyError: it uses a name that has no value.
    """
    result = node
    match node:
        case list():
            result = [resolved(item, values) for item in node]
        case {"Ref": str(name)}:
            result = values[name]
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            result = values[f"{name}.{attribute}"]
        case {"Fn::Sub": str(text)}:
            result = _substituted(text, values)
        case {"Fn::Sub": [str(text), dict(own)]}:
            result = _substituted(text, {**values, **resolved(own, values)})
        case {"Fn::Join": [str(separator), items]}:
            result = separator.join(resolved(items, values))
        case {"Fn::Select": [index, items]}:
            result = resolved(items, values)[int(index)]
        case {"Fn::Split": [str(separator), text]}:
            result = resolved(text, values).split(separator)
        case dict():
            result = {key: resolved(value, values) for key, value in node.items()}
    return result


def _substituted(text: str, values: Mapping[str, Any]) -> str:
    # ${!Name} is CloudFormation's way to write a ${Name} that it leaves alone.
    return VARIABLE.sub(
        lambda m: f"${{{m[1][1:]}}}" if m[1].startswith("!") else str(values[m[1]]), text
    )


def size(policy: Policy) -> int:
    """Characters of a policy as IAM counts them, without white space."""
    return len(re.sub(r"\s", "", json.dumps(policy)))
