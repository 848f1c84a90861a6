"""S3: the tags that CloudFormation gives a bucket."""

from __future__ import annotations

from typing import Any

from ministack.services import s3 as _s3
from ministack.services.cloudformation import provisioners as _provisioners

from ..tags import as_mapping


def tag_bucket(bucket: str, old: Any, new: Any) -> None:
    """Give a bucket its new tags and take the old ones away; others stay."""
    dropped = as_mapping(old).keys() - as_mapping(new).keys()
    kept = _s3._bucket_tags.get(bucket) or {}
    _s3._bucket_tags[bucket] = {
        **{key: value for key, value in kept.items() if key not in dropped},
        **as_mapping(new),
    }


def tag_buckets_with_their_stack() -> None:
    """Make the tags of a stack reach its buckets."""
    _provisioners._STACK_TAG_PROPERTY["AWS::S3::Bucket"] = ("Tags", "list")
