"""Making the table known to MiniStack."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from ministack.services.cloudformation import provisioners as _provisioners

from . import mends
from .engine import handlers_for
from .model import ResourceType
from .table import RESOURCE_TYPES


def register(handlers: MutableMapping[str, Any]) -> None:
    """Add every type of the table to MiniStack's `_RESOURCE_HANDLERS`, once, before it serves.

    The handlers call the server's own API, so MiniStack must run the types that `worker_types`
    names on worker threads.
    """
    mends.apply()
    for kind in RESOURCE_TYPES:
        builtin = handlers.get(kind.name)
        if kind.mends_builtin and not builtin:
            raise LookupError(f"MiniStack has no {kind.name} that could be mended.")
        if not kind.described_only:
            handlers[kind.name] = handlers_for(kind, builtin)
        _describe(kind)


def worker_types() -> frozenset[str]:
    """The types whose handlers call the server's own API, and so may not run on its loop."""
    return frozenset(kind.name for kind in RESOURCE_TYPES if not kind.described_only)


def _describe(kind: ResourceType) -> None:
    """Tell MiniStack's tag and replacement tables about a type."""
    if kind.tags:
        _provisioners._STACK_TAG_PROPERTY[kind.name] = (kind.tags.property_name, kind.tags.shape)
    replacing = (*kind.create_only, kind.named) if kind.named else kind.create_only
    _provisioners._REPLACING_PROPERTIES[kind.name] = replacing
    _provisioners._CONDITIONALLY_REPLACING_PROPERTIES[kind.name] = kind.conditional
    if (
        kind.named
        and not kind.name_shared
        and kind.name not in _provisioners._CUSTOM_NAME_REPLACEMENT
    ):
        _provisioners._CUSTOM_NAME_REPLACEMENT[kind.name] = {"name": kind.named}
