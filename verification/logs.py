"""Finds log groups and says what is wrong with them."""

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


def log_group_problem(platform: Platform, name: str) -> str:
    """Return what is wrong with a log group, or nothing if it is encrypted and kept as planned."""
    group = log_group(platform, name)
    key, days = group.get("kmsKeyId"), group.get("retentionInDays")
    wanted = platform.settings.expectations.log_retention_days
    if key not in platform.keys:
        return f"Log group {name} is encrypted with {key or 'no key'}, not with one of the stack."
    if days != wanted:
        return f"Log group {name} keeps {days} days, not {wanted}."
    return ""
