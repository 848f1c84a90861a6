"""What the schemas of AWS's resource types say of a property: required, its values, its type.

They are the ones that cfn-lint brings. A change that they refuse is refused by the linter too, and
by CloudFormation before it deploys anything: no test has to notice it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from scripts.mutants.places import Path

Schema = dict[str, Any]


@cache
def of_type(resource_type: str) -> Schema:
    """The schema of a resource type; empty for a custom one."""
    if not resource_type.startswith("AWS::"):
        return {}
    found = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type)
    return dict(found.schema)


def is_required(resource_type: str, path: Path, siblings: set[str]) -> bool:
    """Whether a property cannot be left out beside its siblings."""
    root = of_type(resource_type)
    for schema in _at(root, root, path[:-1]):
        if path[-1] in schema.get("required", []):
            return True
        for group in (schema.get("requiredXor", []), schema.get("requiredOr", [])):
            if path[-1] in group and not siblings & set(group):
                return True
        for present, needed in schema.get("dependentRequired", {}).items():
            if present in siblings and path[-1] in needed:
                return True
    return False


def allowed_values(resource_type: str, path: Path) -> list[Any]:
    """The values that a property may have; empty where the schema lists none."""
    root = of_type(resource_type)
    return next((schema["enum"] for schema in _at(root, root, path) if "enum" in schema), [])


def is_known(resource_type: str, path: Path) -> bool:
    """Whether a type has a property."""
    root = of_type(resource_type)
    return bool(_at(root, root, path))


def _at(root: Schema, schema: Schema, path: Path) -> list[Schema]:
    """The schemas that hold at a path: several where one is put together from alternatives."""
    found = [schema]
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _at(root, target, path)
    if path:
        step, *rest = path
        if isinstance(step, int):
            inner = schema.get("items")
        else:
            inner = schema.get("properties", {}).get(step)
        found = _at(root, inner, tuple(rest)) if isinstance(inner, dict) else []
    for word in ("anyOf", "oneOf", "allOf"):
        for alternative in schema.get(word, []):
            found += _at(root, alternative, path)
    return found
