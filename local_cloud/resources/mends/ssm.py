"""Parameter Store: a value has to match the pattern that its parameter allows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ssm as _ssm

from .core import Members


def check_patterns() -> None:
    """Make every way to put a parameter, CloudFormation's included, check the pattern."""
    _ssm._put_parameter = _checking(_ssm._put_parameter)


def _checking(put: Callable[[Members], Any]) -> Callable[[Members], Any]:
    def put_what_matches(request: Members) -> Any:
        pattern = request.get("AllowedPattern")
        if not pattern:
            return put(request)
        try:
            matches = [re.fullmatch(pattern, value) for value in _values(request)]
        except re.error as error:
            return error_response_json("InvalidAllowedPatternException", str(error))
        if not all(matches):
            return error_response_json(
                "ParameterPatternMismatchException",
                f"Parameter value, cannot be validated against allowedPattern: {pattern}",
            )
        return put(request)

    return put_what_matches


def _values(request: Members) -> list[str]:
    """What the pattern is held against: of a list, each of its items."""
    value = str(request.get("Value", ""))
    return value.split(",") if request.get("Type") == "StringList" else [value]
