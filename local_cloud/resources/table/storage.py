"""S3."""

from __future__ import annotations

from typing import Any

from ..mends import s3
from ..model import Api, Call, Document, ResourceType, Step

_ENCRYPTION = """properties.BucketEncryption && {
    Rules: properties.BucketEncryption.ServerSideEncryptionConfiguration[].{
        ApplyServerSideEncryptionByDefault: ServerSideEncryptionByDefault,
        BucketKeyEnabled: BucketKeyEnabled || `false`
    }
}"""
_LOGGING = """{LoggingEnabled: properties.LoggingConfiguration && {
    TargetBucket: properties.LoggingConfiguration.DestinationBucketName || id,
    TargetPrefix: properties.LoggingConfiguration.LogFilePrefix || '',
    TargetObjectKeyFormat: properties.LoggingConfiguration.TargetObjectKeyFormat
}}"""
# Members of a lifecycle rule that the API names as the template does.
_RULE_MEMBERS = ("Status", "AbortIncompleteMultipartUpload")


def _change_lifecycle(api: Api, document: Document) -> None:
    rules = (document["properties"].get("LifecycleConfiguration") or {}).get("Rules")
    if not rules:
        api("s3", "delete_bucket_lifecycle", Bucket=document["id"])
        return
    api(
        "s3",
        "put_bucket_lifecycle_configuration",
        Bucket=document["id"],
        LifecycleConfiguration={"Rules": [_rule(rule) for rule in rules]},
    )


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Write a template's lifecycle rule as the API has it."""
    made = {name: rule[name] for name in _RULE_MEMBERS if name in rule}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    made["Filter"] = _filter(rule)
    expiration = {
        name: rule[given]
        for given, name in (
            ("ExpirationInDays", "Days"),
            ("ExpirationDate", "Date"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if given in rule
    }
    if expiration:
        made["Expiration"] = expiration
    if "NoncurrentVersionExpirationInDays" in rule:
        days = rule["NoncurrentVersionExpirationInDays"]
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    if "NoncurrentVersionExpiration" in rule:
        made["NoncurrentVersionExpiration"] = rule["NoncurrentVersionExpiration"]
    moves = rule.get("Transitions") or ([rule["Transition"]] if "Transition" in rule else [])
    if moves:
        made["Transitions"] = [
            {
                "StorageClass": move["StorageClass"],
                **({"Days": move["TransitionInDays"]} if "TransitionInDays" in move else {}),
                **({"Date": move["TransitionDate"]} if "TransitionDate" in move else {}),
            }
            for move in moves
        ]
    if "NoncurrentVersionTransitions" in rule:
        made["NoncurrentVersionTransitions"] = [
            {"StorageClass": move["StorageClass"], "NoncurrentDays": move["TransitionInDays"]}
            for move in rule["NoncurrentVersionTransitions"]
        ]
    return made


def _filter(rule: dict[str, Any]) -> dict[str, Any]:
    names = ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
    conditions = {name: rule[name] for name in names if name in rule}
    tags = rule.get("TagFilters")
    if len(conditions) + len(tags or ()) > 1:
        return {"And": {**conditions, **({"Tags": tags} if tags else {})}}
    if tags:
        return {"Tag": tags[0]}
    return conditions or {"Prefix": ""}


def _tag(_api: Api, document: Document) -> None:
    """The API refuses the tags that CloudFormation gives a bucket, so it is gone round."""
    s3.tag_bucket(document["id"], document["old"].get("Tags"), document["properties"].get("Tags"))


STORAGE: tuple[ResourceType, ...] = (
    ResourceType(
        name="AWS::S3::Bucket",
        service="s3",
        mends_builtin=True,
        settings=(
            Call(
                "put_bucket_encryption",
                {"Bucket": "id", "ServerSideEncryptionConfiguration": "item"},
                each=f"[{_ENCRYPTION}]",
            ),
            Call(
                "delete_bucket_encryption",
                {"Bucket": "id"},
                each="(!properties.BucketEncryption && old.BucketEncryption && `[1]`) || `[]`",
            ),
            Call(
                "put_bucket_versioning",
                {
                    "Bucket": "id",
                    "VersioningConfiguration": "properties.VersioningConfiguration"
                    " || {Status: 'Suspended'}",
                },
            ),
            Call("put_bucket_logging", {"Bucket": "id", "BucketLoggingStatus": _LOGGING}),
            Call(
                "put_bucket_ownership_controls",
                {"Bucket": "id", "OwnershipControls": "properties.OwnershipControls"},
            ),
            Step(_change_lifecycle, on=("LifecycleConfiguration",)),
            Step(_tag, on=("Tags",)),
        ),
        create_only=("BucketNamePrefix", "BucketNamespace"),
        named="BucketName",
        name_limit=63,
        name_lowercase=True,
    ),
)
