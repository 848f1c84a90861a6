"""The expressions of the table."""

from __future__ import annotations

import importlib
from typing import Any

# Imported by name because it ships no type information.
_jmespath = importlib.import_module("jmespath")


def search(expression: str, document: Any) -> Any:
    """What a JMESPath expression finds in a document; None where it finds nothing."""
    return _jmespath.search(expression, document)
