"""AWS Config in the platform's region: its recorder, where it delivers to, and the rules."""

from __future__ import annotations

from verification.cloud import Record
from verification.platform import MissingError, Platform


def recorder(platform: Platform) -> Record:
    """Return the recorder of the region, whoever made it.

    Raises:
        MissingError: there is none, or more than the one that AWS allows.
    """
    return _only(platform, "describe_configuration_recorders", "ConfigurationRecorders")


def recorder_status(platform: Platform) -> Record:
    """Return whether the recorder of the region records, and how that went."""
    return _only(platform, "describe_configuration_recorder_status", "ConfigurationRecordersStatus")


def delivery_channel(platform: Platform) -> Record:
    """Return the delivery channel of the region, whoever made it."""
    return _only(platform, "describe_delivery_channels", "DeliveryChannels")


def _only(platform: Platform, operation: str, key: str) -> Record:
    found = [
        item
        for item in platform.cloud.every("config", operation, key)
        # Services of AWS keep recorders of their own beside the customer's.
        if not item.get("servicePrincipal")
    ]
    if len(found) != 1:
        names = ", ".join(item["name"] for item in found) or "none"
        raise MissingError(
            f"AWS Config in {platform.settings.region} needs one recorder and one delivery "
            f"channel; {operation} lists {names}."
        )
    return found[0]


def records(recorder: Record, kind: str) -> bool:
    """Whether a recorder records changes of a resource type."""
    group = recorder.get("recordingGroup", {})
    if kind in group.get("exclusionByResourceTypes", {}).get("resourceTypes", []):
        return False
    if kind in group.get("resourceTypes", []):
        return True
    if group.get("recordingStrategy", {}).get("useOnly") == "EXCLUSION_BY_RESOURCE_TYPES":
        return True
    is_global = kind.startswith("AWS::IAM::")
    return bool(group.get("allSupported")) and (
        not is_global or bool(group.get("includeGlobalResourceTypes"))
    )


def own_rules(platform: Platform) -> dict[str, Record]:
    """Return the rules of AWS Config that carry the platform's name, by their name."""
    found = platform.cloud.every("config", "describe_config_rules", "ConfigRules")
    prefix = f"{platform.settings.prefix}-"
    return {
        item["ConfigRuleName"]: item for item in found if item["ConfigRuleName"].startswith(prefix)
    }
