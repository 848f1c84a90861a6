"""The ways in which services take tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RESERVED = "aws:"


@dataclass(frozen=True)
class Style:
    """The calls that add and remove tags, and the names of their parameters.

    `key` and `value` name the members of a tag; both are empty where tags are a mapping. With
    `several` the target goes into a list. `fixed` are further parameters.
    """

    add: str
    remove: str
    target: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    key: str = "Key"
    value: str = "Value"
    several: bool = False
    fixed: tuple[tuple[str, str], ...] = ()

    def written(self, tags: Mapping[str, str]) -> Any:
        """Write tags the way this service reads them."""
        if not self.key:
            return dict(tags)
        return [{self.key: key, self.value: value} for key, value in tags.items()]

    def to_add(self, target: str, tags: Mapping[str, str]) -> dict[str, Any]:
        """Return the parameters of the call that adds tags."""
        return {**self._aim(target), self.tags: self.written(tags)}

    def to_remove(self, target: str, keys: list[str]) -> dict[str, Any]:
        """Return the parameters of the call that removes tags."""
        if self.keys == self.tags:  # EC2 takes tags, not keys
            return {**self._aim(target), self.keys: [{self.key: key} for key in keys]}
        return {**self._aim(target), self.keys: keys}

    def _aim(self, target: str) -> dict[str, Any]:
        return {self.target: [target] if self.several else target, **dict(self.fixed)}


STYLES = {
    "ec2": Style("create_tags", "delete_tags", "Resources", keys="Tags", several=True),
    "rds": Style("add_tags_to_resource", "remove_tags_from_resource", "ResourceName"),
    "elbv2": Style("add_tags", "remove_tags", "ResourceArns", several=True),
    "ResourceARN": Style("tag_resource", "untag_resource", "ResourceARN"),
    "ResourceARN map": Style(
        "tag_resource", "untag_resource", "ResourceARN", key="", value=""
    ),
    "backup": Style(
        "tag_resource", "untag_resource", "ResourceArn", keys="TagKeyList", key="", value=""
    ),
    "ecs": Style(
        "tag_resource", "untag_resource", "resourceArn",
        tags="tags", keys="tagKeys", key="key", value="value",
    ),
    "secretsmanager": Style("tag_resource", "untag_resource", "SecretId"),
    "kms": Style("tag_resource", "untag_resource", "KeyId", key="TagKey", value="TagValue"),
    "iam oidc": Style(
        "tag_open_id_connect_provider",
        "untag_open_id_connect_provider",
        "OpenIDConnectProviderArn",
    ),
    "route53": Style(
        "change_tags_for_resource", "change_tags_for_resource", "ResourceId",
        tags="AddTags", keys="RemoveTagKeys", fixed=(("ResourceType", "healthcheck"),),
    ),
}  # fmt: skip


def as_mapping(tags: Any) -> dict[str, str]:
    """Read a template's tags, whether they are a list or a mapping."""
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or ()}
