"""Custom resource that empties a bucket, every version of every object, before it is deleted.

CloudFormation deletes a bucket only when it is empty. Create and update do nothing.

Property ``BucketName``: name of the bucket, which is also the physical id of the resource.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

# The longest that CloudFormation takes is 4096 bytes for the whole answer.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class BucketNotEmptied(Exception):
    """An object could not be deleted."""


@dataclass(frozen=True)
class Outcome:
    """What CloudFormation is told; ``reason`` explains a failure."""

    status: str
    reason: str = ""


def handler(event: dict[str, Any], _context: object) -> None:
    """Answer a request of CloudFormation, whatever happens: without an answer the stack hangs."""
    try:
        if event["RequestType"] == "Delete":
            empty(event["ResourceProperties"]["BucketName"])
        outcome = Outcome("SUCCESS")
    except Exception as error:
        log.exception("the bucket could not be emptied")
        outcome = Outcome("FAILED", f"{type(error).__name__}: {error}"[:MAX_REASON_CHARACTERS])
    answer(event, outcome)


def empty(bucket: str) -> None:
    """Delete every version and delete marker; a bucket that is gone already is empty enough."""
    s3 = boto3.client("s3")
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            delete(s3, bucket, [*page.get("Versions", []), *page.get("DeleteMarkers", [])])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def delete(s3: Any, bucket: str, versions: list[dict[str, Any]]) -> None:
    """Delete one page of versions (a page and a request both hold 1000)."""
    if not versions:
        return
    objects = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get(
        "Errors"
    )
    if errors:
        raise BucketNotEmptied(f"{errors[0]['Key']}: {errors[0]['Message']}")
    log.info("deleted %d versions from %s", len(objects), bucket)


def answer(event: dict[str, Any], outcome: Outcome) -> None:
    """Put the outcome to the pre-signed URL of the request."""
    properties = event.get("ResourceProperties", {})
    # A delete has to name what it was asked to delete; otherwise a bucket that replaced another
    # becomes a new physical resource, and CloudFormation has the old one emptied.
    physical_id = event.get("PhysicalResourceId") if event["RequestType"] == "Delete" else None
    body = {
        "Status": outcome.status,
        "Reason": outcome.reason,
        "PhysicalResourceId": physical_id
        or properties.get("BucketName")
        or event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    request = urllib.request.Request(
        event["ResponseURL"],
        data=json.dumps(body).encode(),
        method="PUT",
        # The URL is signed for an empty content type; urllib would send one of its own.
        headers={"Content-Type": ""},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS):
        log.info("answered %s: %s", event["RequestType"], outcome.status)
