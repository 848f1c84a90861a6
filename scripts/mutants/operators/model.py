"""What an operator is: a way to change a value, tried at every place of a template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scripts.mutants.places import Path, Place


@dataclass(frozen=True)
class Edit:
    """A value to put at a path of a template, and the change in words."""

    path: Path
    value: Any
    what: str
    # Tells edits of one operator at one place apart.
    variant: str = ""


Find = Callable[[Place], Iterator[Edit]]


@dataclass(frozen=True)
class Operator:
    """A kind of change with what it does to a template, and how to find where it fits."""

    name: str
    weakens: str
    find: Find
    # One of these a resource is run by default: the rest differ in nothing but the name.
    one_a_resource: bool = False


OPERATORS: dict[str, Operator] = {}


def operator(name: str, weakens: str, *, one_a_resource: bool = False) -> Callable[[Find], Find]:
    """Register the decorated function as an operator."""

    def register(find: Find) -> Find:
        OPERATORS[name] = Operator(name, weakens, find, one_a_resource)
        return find

    return register
