"""What a resource depends on: what its metadata refers to as well as its properties.

CloudFormation resolves the functions in the attribute ``Metadata``, so a resource is created after
those that its metadata names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Extract = Callable[[Mapping[str, Any], set[str]], set[str]]


def reads_metadata(original: Extract) -> Extract:
    """Wrap MiniStack's ``_extract_deps``, which reads the properties alone."""

    def extract(definition: Mapping[str, Any], names: set[str]) -> set[str]:
        metadata = {"Properties": definition.get("Metadata", {})}
        return original(definition, names) | original(metadata, names)

    return extract
