"""Finds log groups."""

from __future__ import annotations

from verification.cloud import Record
from verification.platform import MissingError, Platform


def log_group(platform: Platform, name: str) -> Record:
    """Return the description of one log group."""
    found = platform.cloud.every(
        "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name
    )
    for group in found:
        if group["logGroupName"] == name:
            return group
    raise MissingError(f"Log group {name} does not exist.")
