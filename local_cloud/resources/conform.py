"""Turning a template's values into what an operation's input wants.

CloudFormation templates write ``ContainerDefinitions`` where the API says
``containerDefinitions``, ``"true"`` where it wants a boolean, and a policy as a mapping where it
wants JSON text. The API's own description (botocore's shapes) settles each of these.
"""

from __future__ import annotations

import json
from typing import Any

from .errors import ResourceError


def member(shape: Any, name: str) -> str:
    """The name under which a structure's shape knows a property, or "" where it does not."""
    if name in shape.members:
        return name
    folded = name.lower()
    return next((known for known in shape.members if known.lower() == folded), "")


def conform(value: Any, shape: Any, path: str) -> Any:
    """Return a value in the form that a shape asks for; `path` names it in an error."""
    converter = _CONVERTERS.get(shape.type_name)
    return converter(value, shape, path) if converter else value


def _structure(value: Any, shape: Any, path: str) -> Any:
    if not isinstance(value, dict):
        return value
    converted = {}
    for key, item in value.items():
        known = member(shape, key)
        if not known:
            raise ResourceError(f"{path}.{key} is not a property that the service knows.")
        converted[known] = conform(item, shape.members[known], f"{path}.{key}")
    return converted


def _list(value: Any, shape: Any, path: str) -> Any:
    items = value if isinstance(value, list) else [value]
    return [conform(item, shape.member, f"{path}[{n}]") for n, item in enumerate(items)]


def _map(value: Any, shape: Any, path: str) -> Any:
    return {str(key): conform(item, shape.value, f"{path}.{key}") for key, item in value.items()}


def _text(value: Any, _shape: Any, _path: str) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _boolean(value: Any, _shape: Any, _path: str) -> Any:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _integer(value: Any, _shape: Any, path: str) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise ResourceError(f"{path} must be a whole number, not {value!r}.") from error


def _number(value: Any, _shape: Any, path: str) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ResourceError(f"{path} must be a number, not {value!r}.") from error


_CONVERTERS = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _text,
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
}
