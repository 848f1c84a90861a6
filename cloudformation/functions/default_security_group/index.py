"""Custom resource that closes a security group: it removes every rule and adds none.

Property ``SecurityGroupId``: id of the group, which is also the physical id of the resource.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

# The longest that CloudFormation takes is 4096 bytes for the whole answer.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10
# IAM takes some seconds until everybody knows a new role, and this one is new.
ROLE_KNOWN_AFTER_SECONDS = 45
RETRY_SECONDS = 3

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


@dataclass(frozen=True)
class Outcome:
    """What CloudFormation is told; ``reason`` explains a failure."""

    status: str
    reason: str = ""


def handler(event: dict[str, Any], _context: object) -> None:
    """Answer a request of CloudFormation, whatever happens: without an answer the stack hangs."""
    try:
        if event["RequestType"] != "Delete":
            group_id = event["ResourceProperties"]["SecurityGroupId"]
            once_allowed(lambda: close(group_id))
        outcome = Outcome("SUCCESS")
    except Exception as error:
        log.exception("the security group could not be closed")
        outcome = Outcome("FAILED", f"{type(error).__name__}: {error}"[:MAX_REASON_CHARACTERS])
    answer(event, outcome)


def once_allowed(
    action: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Do it, and again for a while as long as it is not allowed yet."""
    deadline = clock() + ROLE_KNOWN_AFTER_SECONDS
    while True:
        try:
            return action()
        except ClientError as error:
            refused = error.response["Error"]["Code"] == "UnauthorizedOperation"
            if not refused or clock() >= deadline:
                raise
        sleep(RETRY_SECONDS)


def close(group_id: str) -> None:
    """Remove every rule of the group; a group without rules is left as it is."""
    ec2 = boto3.client("ec2")
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": [group_id]}]
    )
    rules = [rule for page in pages for rule in page["SecurityGroupRules"]]
    for egress, revoke in (
        (False, ec2.revoke_security_group_ingress),
        (True, ec2.revoke_security_group_egress),
    ):
        for rule in rules:
            if rule["IsEgress"] is egress:
                revoke_rule(revoke, group_id, rule["SecurityGroupRuleId"])


def revoke_rule(revoke: Any, group_id: str, rule_id: str) -> None:
    """Remove one rule; that somebody else has just removed it is no failure."""
    try:
        revoke(GroupId=group_id, SecurityGroupRuleIds=[rule_id])
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidSecurityGroupRuleId.NotFound":
            raise
    log.info("removed %s from %s", rule_id, group_id)


def answer(event: dict[str, Any], outcome: Outcome) -> None:
    """Put the outcome to the pre-signed URL of the request."""
    properties = event.get("ResourceProperties", {})
    body = {
        "Status": outcome.status,
        "Reason": outcome.reason,
        "PhysicalResourceId": event.get("PhysicalResourceId")
        or properties.get("SecurityGroupId")
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
