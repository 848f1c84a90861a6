# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check parameter values as CloudFormation does, before it is asked."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from .errors import CfnError, ParameterError
from .evaluate import as_text
from .templates import Template

MAX_VALUE_BYTES = 4096

_ID = "[0-9a-f]{8,17}"
_PATTERNS = {
    "AWS::EC2::AvailabilityZone::Name": r"[a-z]{2,}(-[a-z]+)+-\d+(-[a-z]+-\d+)?[a-z]",
    "AWS::EC2::Image::Id": f"ami-{_ID}",
    "AWS::EC2::Instance::Id": f"i-{_ID}",
    "AWS::EC2::KeyPair::KeyName": ".{1,255}",
    "AWS::EC2::SecurityGroup::GroupName": ".{1,255}",
    "AWS::EC2::SecurityGroup::Id": f"sg-{_ID}",
    "AWS::EC2::Subnet::Id": f"subnet-{_ID}",
    "AWS::EC2::Volume::Id": f"vol-{_ID}",
    "AWS::EC2::VPC::Id": f"vpc-{_ID}",
    "AWS::Route53::HostedZone::Id": "(/hostedzone/)?[A-Z0-9]{1,32}",
    "AWS::SSM::Parameter::Name": r"[A-Za-z0-9_.\-/]{1,2048}",
    "Number": r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?",
    "String": "(?s:.*)",
}
_SSM_KEY = r"[A-Za-z0-9_.\-/]{1,2048}(:[A-Za-z0-9_.\-]+)?"
_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
_LIST = re.compile("List<(.+)>")


def check_parameters(template: Template, given: Mapping[str, Any]) -> tuple[CfnError, ...]:
    """Everything wrong with the values given for a root template.

    A value of None counts as not given. The value of a NoEcho parameter is never in a sentence.
    """
    unknown = [name for name in given if name not in template.parameters]
    errors: list[CfnError] = [
        ParameterError(
            f"parameter {name} is not declared in {template.path}; "
            f"remove it or correct its name{did_you_mean(name, template.parameters)}."
        )
        for name in unknown
    ]
    for name, declared in template.parameters.items():
        value = given.get(name)
        if value is None and "Default" not in declared:
            errors.append(ParameterError(f"parameter {name} is required{_hint(declared)}."))
        else:
            chosen = declared["Default"] if value is None else value
            source = "the default of parameter" if value is None else "parameter"
            errors += [
                ParameterError(f"{source} {name} {problem}.")
                for problem in check_value(declared, chosen)
            ]
    return tuple(errors)


def check_value(declared: Mapping[str, Any], value: Any) -> tuple[str, ...]:
    """What is wrong with a value, as ends of a sentence (``is …``) without the full stop."""
    kind = str(declared["Type"])
    if isinstance(value, dict):
        return ("is a mapping, but CloudFormation takes text, numbers or lists of them",)
    if _item_type(kind) is None:
        return (f"has the type {kind}, which CloudFormation does not know; correct the template",)
    if len(as_text(value).encode()) > MAX_VALUE_BYTES:
        return (f"is longer than the {MAX_VALUE_BYTES} bytes that CloudFormation takes",)
    items = _items(kind, value)
    found = (problem for item in items for problem in _check_item(kind, declared, item))
    # one sentence a parameter: the first problem usually causes the others
    return tuple(found)[:1]


def secrets(template: Template, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of NoEcho parameters, which nothing may print."""
    return tuple(
        as_text(given[name])
        for name, declared in template.parameters.items()
        if is_secret(declared)
        and isinstance(given.get(name), str | int | float)
        and given[name] != ""
    )


def is_secret(declared: Mapping[str, Any]) -> bool:
    """Whether a parameter is declared with NoEcho."""
    return as_text(declared.get("NoEcho", False)).lower() == "true"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """`` (did you mean X?)`` if a candidate is near, else nothing."""
    near = difflib.get_close_matches(name, list(candidates), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _items(kind: str, value: Any) -> list[str]:
    if kind == "CommaDelimitedList" or _LIST.fullmatch(kind):
        parts = value if isinstance(value, list) else as_text(value).split(",")
        return [as_text(part).strip() for part in parts]
    return [as_text(value)]


def _item_type(kind: str) -> str | None:
    """The type of one item, None if CloudFormation has no such type."""
    if kind == "CommaDelimitedList" or _SSM_VALUE.fullmatch(kind):
        return "String"
    listed = _LIST.fullmatch(kind)
    inner = listed[1] if listed else kind
    return inner if inner in _PATTERNS else None


def _check_item(kind: str, declared: Mapping[str, Any], item: str) -> Iterator[str]:
    inner = _item_type(kind) or kind
    shown = "has a value that" if is_secret(declared) else f"is {item!r}, which"
    if item == "":
        shown = "is empty, which"
    expected = _SSM_KEY if _SSM_VALUE.fullmatch(kind) else _PATTERNS[inner]
    if not re.fullmatch(expected, item):
        name = "the name of an SSM parameter" if _SSM_VALUE.fullmatch(kind) else inner
        yield f"{shown} is not a valid {name}{_hint(declared)}"
    allowed = declared.get("AllowedValues")
    if isinstance(allowed, list) and item not in [as_text(value) for value in allowed]:
        choices = ", ".join(as_text(value) or "''" for value in allowed)
        yield f"{shown} is not allowed; choose one of {choices}"
    yield from _check_pattern(declared, item, shown)
    yield from _check_bounds(inner, declared, item, shown)


def _check_pattern(declared: Mapping[str, Any], item: str, shown: str) -> Iterator[str]:
    pattern = declared.get("AllowedPattern")
    compiled = java_pattern(pattern) if isinstance(pattern, str) else None
    if compiled is not None and not compiled.fullmatch(item):
        yield f"{shown} does not match {pattern}{_hint(declared)}"


def _check_bounds(kind: str, declared: Mapping[str, Any], item: str, shown: str) -> Iterator[str]:
    size: float = len(item)
    names, unit = ("MinLength", "MaxLength"), " character"
    if kind == "Number":
        names, unit = ("MinValue", "MaxValue"), ""
        if not re.fullmatch(_PATTERNS["Number"], item):
            return
        size = float(item)
    low, high = (_number(declared.get(name)) for name in names)
    if low is not None and size < low:
        yield f"{shown} is less than the minimum of {_amount(low, unit)}{_hint(declared)}"
    if high is not None and size > high:
        yield f"{shown} is more than the maximum of {_amount(high, unit)}{_hint(declared)}"


def _amount(number: float, unit: str) -> str:
    plural = "s" if unit and number != 1 else ""
    return f"{number:.15g}{unit}{plural}"


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _hint(declared: Mapping[str, Any]) -> str:
    """What the template says of the parameter, as the end of a sentence."""
    text = declared.get("ConstraintDescription") or declared.get("Description")
    if not isinstance(text, str) or not text.strip():
        return "; give it a valid value"
    return f": {' '.join(text.split()).rstrip('.')}"


# Java's classes for US-ASCII, written so that they also work inside square brackets
_JAVA_CLASSES = {
    "Alnum": "A-Za-z0-9",
    "Alpha": "A-Za-z",
    "ASCII": r"\x00-\x7f",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "Digit": "0-9",
    "Graph": r"\x21-\x7e",
    "Lower": "a-z",
    "Print": r"\x20-\x7e",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r"\s",
    "Upper": "A-Z",
    "XDigit": "0-9A-Fa-f",
}


@lru_cache(maxsize=256)
def java_pattern(pattern: str) -> re.Pattern[str] | None:
    r"""Compile a Java regular expression; None if Python has no equal (AWS then decides).

    Differences handled: ``(?<name>``, ``\z``, ``\p{Alpha}`` and its like, and that ``\d``,
    ``\w`` and ``\s`` mean ASCII. Unicode classes and ``[a&&b]`` have no equal.
    """
    pieces: list[str] = []
    position, in_class = 0, False
    while position < len(pattern):
        named = re.compile(r"\\p\{(\w+)\}").match(pattern, position)
        if named:
            if named[1] not in _JAVA_CLASSES:
                return None
            ranges = _JAVA_CLASSES[named[1]]
            pieces.append(ranges if in_class else f"[{ranges}]")
            position = named.end()
            continue
        token = pattern[position : position + (2 if pattern[position] == "\\" else 1)]
        if token in (r"\P", r"\Q", r"\h", r"\R", r"\X", r"\G") or (
            in_class and (token == "[" or pattern.startswith("&&", position))
        ):
            return None
        if token in "[]":
            in_class = token == "["
        pieces.append({r"\z": r"\Z", r"\Z": r"(?=\n?\Z)"}.get(token, token))
        position += len(token)
    text = re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", "".join(pieces))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(text, re.ASCII)
    except (re.error, Warning, OverflowError):
        return None
