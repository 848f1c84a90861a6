"""Reads IAM, key and resource policies."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

Statement = dict[str, Any]


def read_policy(document: str | dict[str, Any]) -> list[Statement]:
    """Return the statements of a policy that AWS gave as text (plain or URL-encoded) or parsed."""
    parsed = _parse(document) if isinstance(document, str) else document
    statements: list[Statement] = as_list(parsed["Statement"])
    return statements


def _parse(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text if text.lstrip().startswith("{") else unquote(text))
    return found


def as_list(value: Any) -> list[Any]:
    """Return a value that policies write as one item or as a list, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def allowed(statements: list[Statement]) -> list[Statement]:
    """Return the statements that allow."""
    return [item for item in statements if item.get("Effect") == "Allow"]


def principals(statement: Statement) -> list[str]:
    """Return every principal of a statement, whatever its kind."""
    principal = statement.get("Principal", {})
    if isinstance(principal, str):
        return [principal]
    return [item for value in principal.values() for item in as_list(value)]


def grants(statement: Statement, service: str) -> list[str]:
    """Return the actions of a statement that belong to a service, `*` included."""
    return [
        action
        for action in as_list(statement.get("Action"))
        if action == "*" or action.lower().startswith(f"{service}:")
    ]


def covers(patterns: list[str], name: str) -> bool:
    """Whether one of the patterns, as policies write actions and resources, has all of a name."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def overlaps(patterns: list[str], name: str) -> bool:
    """Whether a name, which may be a pattern itself, and one of the patterns have one in common.

    Names are actions or resources; `*` stands for anything, as in policies.
    """
    return covers(patterns, name) or any(covers([name], pattern) for pattern in patterns)


def refuses_plain_http(statements: list[Statement]) -> bool:
    """Whether a resource policy denies everything that does not come by TLS."""
    return any(
        item.get("Effect") == "Deny"
        and "*" in principals(item)
        and str(item.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")).lower()
        == "false"
        for item in statements
    )
