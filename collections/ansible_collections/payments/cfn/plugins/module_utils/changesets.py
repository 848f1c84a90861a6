# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change sets over a tree of nested stacks: the few calls, and waiting for them."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from .errors import CfnError
from .plan import RawPage

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import CapabilityType
    from mypy_boto3_cloudformation.type_defs import CreateChangeSetInputTypeDef

_CHANGE_SET_ARN = re.compile(r"arn:[-\w]+:cloudformation:[-\w]*:\d*:changeSet/[-\w/]+")
_SHORTEST, _LONGEST = 0.1, 2.0


class ChangeSetError(CfnError):
    """AWS could not make a change set of what it was given."""


@dataclass(frozen=True)
class TemplateUrl:
    """A template that lies in S3."""

    url: str


@dataclass(frozen=True)
class TemplateBody:
    """A template that goes with the request."""

    text: str


@dataclass(frozen=True)
class Proposal:
    """What a stack is to become.

    ``template`` is the URL of the root template in S3, or its text. ``tags`` is None to leave the
    stack's tags as they are.
    """

    stack_name: str
    template: TemplateUrl | TemplateBody
    parameters: Mapping[str, str]
    tags: Mapping[str, str] | None
    capabilities: Sequence[str]
    role_arn: str | None


def new_name(release_id: str | None, now: datetime | None = None) -> str:
    """Make a name that no other run has and that says when and what for.

    A change set's name has at most 128 letters, digits and hyphens and begins with a letter.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    purpose = f"release-{release_id}" if release_id else "deploy"
    return f"{purpose}-{moment}-{secrets.token_hex(4)}"


def create(
    client: CloudFormationClient, proposal: Proposal, operation: str, name: str
) -> tuple[str, str]:
    """Ask for a change set over the whole tree and return its id and the stack's.

    :param operation: ``create`` or ``update``.
    """
    request: CreateChangeSetInputTypeDef = {
        "StackName": proposal.stack_name,
        "ChangeSetName": name,
        # A request that is sent again after a lost answer makes no second one.
        "ClientToken": name,
        "ChangeSetType": "CREATE" if operation == "create" else "UPDATE",
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in proposal.parameters.items()
        ],
        "Capabilities": cast("list[CapabilityType]", list(proposal.capabilities)),
        "IncludeNestedStacks": True,
        "OnStackFailure": "ROLLBACK",
    }
    if isinstance(proposal.template, TemplateBody):
        request["TemplateBody"] = proposal.template.text
    else:
        request["TemplateURL"] = proposal.template.url
    if proposal.tags is not None:
        request["Tags"] = [{"Key": key, "Value": value} for key, value in proposal.tags.items()]
    if proposal.role_arn:
        request["RoleARN"] = proposal.role_arn
    answer = client.create_change_set(**request)
    return answer["Id"], answer["StackId"]


def wait(
    client: CloudFormationClient,
    change_set_id: str,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> RawPage:
    """Wait until the change set is made or has failed, and return its first page.

    :param timeout: the limit in seconds.
    :raises ChangeSetError: the limit has passed.
    """
    deadline = clock() + timeout
    interval = _SHORTEST
    while True:
        page = client.describe_change_set(ChangeSetName=change_set_id)
        if page["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return page
        if clock() >= deadline:
            raise ChangeSetError(
                f"{page['StackName']}: the change set is still {page['Status']} after {timeout:g} "
                "seconds; run this again, or with a higher timeout."
            )
        sleep(interval)
        interval = min(_LONGEST, interval * 1.5)


def describe_tree(
    client: CloudFormationClient, pool: Executor, root: RawPage
) -> dict[str, list[RawPage]]:
    """Read every page of the root's change set and of those of its nested stacks.

    :param root: the first page of the root's change set.
    :return: the pages by change set id.
    """
    pages: dict[str, list[RawPage]] = {root["ChangeSetId"]: _rest(client, root)}
    level = _nested_ids(pages[root["ChangeSetId"]])
    while level:
        described = pool.map(lambda change_set_id: _all_pages(client, change_set_id), level)
        found = dict(zip(level, described, strict=True))
        pages |= found
        level = [
            change_set_id
            for below in found.values()
            for change_set_id in _nested_ids(below)
            if change_set_id not in pages
        ]
    return pages


def _rest(client: CloudFormationClient, first: RawPage) -> list[RawPage]:
    if not first.get("NextToken"):
        return [first]
    return _all_pages(client, first["ChangeSetId"])


def _all_pages(client: CloudFormationClient, change_set_id: str) -> list[RawPage]:
    paginator = client.get_paginator("describe_change_set")
    return list(paginator.paginate(ChangeSetName=change_set_id))


def _nested_ids(pages: Sequence[RawPage]) -> list[str]:
    changes = (item.get("ResourceChange", {}) for page in pages for item in page.get("Changes", []))
    return [change["ChangeSetId"] for change in changes if change.get("ChangeSetId")]


def failure(client: CloudFormationClient, page: RawPage) -> str:
    """Say why a change set failed: the reason of the nested one that it names, if it names one."""
    reason = " ".join(str(page.get("StatusReason", "")).split()).rstrip(". ")
    seen = {page["ChangeSetId"]}
    where = page["StackName"]
    while (named := _CHANGE_SET_ARN.search(reason)) and named[0] not in seen:
        seen.add(named[0])
        try:
            below = client.describe_change_set(ChangeSetName=named[0])
        except client.exceptions.ChangeSetNotFoundException:
            break
        if not below.get("StatusReason"):
            break
        reason, where = below["StatusReason"].rstrip(". "), below["StackName"]
    return (
        f"{where}: AWS cannot make a change set: {reason}; nothing was changed, so correct the "
        "templates or parameters and run this again."
    )


def list_ids(client: CloudFormationClient, stack_id: str) -> list[str]:
    """Give the ids of a stack's change sets."""
    pages = client.get_paginator("list_change_sets").paginate(StackName=stack_id)
    return [item["ChangeSetId"] for page in pages for item in page["Summaries"]]


def execute(client: CloudFormationClient, change_set_id: str, token: str) -> None:
    """Start the change set; that it was started already by the same run is no error.

    :param token: marks every event of the operation.
    """
    try:
        client.execute_change_set(
            ChangeSetName=change_set_id,
            ClientRequestToken=token,
            # What a failed deployment created goes again, whatever its DeletionPolicy: it holds
            # nothing yet, and its name would be in the way of the next attempt.
            RetainExceptOnCreate=True,
        )
    except client.exceptions.InvalidChangeSetStatusException:
        # boto3 sends a request again when the answer to the first was lost.
        page = client.describe_change_set(ChangeSetName=change_set_id)
        if page.get("ExecutionStatus") not in ("EXECUTE_IN_PROGRESS", "EXECUTE_COMPLETE"):
            raise


def delete(
    client: CloudFormationClient,
    change_set_id: str,
    timeout: float = 60.0,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Delete a change set with those of its nested stacks, and wait until they are gone.

    :param timeout: the limit in seconds.
    :return: whether it is gone.
    """
    client.delete_change_set(ChangeSetName=change_set_id)
    deadline = clock() + timeout
    interval = _SHORTEST
    while _exists(client, change_set_id):
        if clock() >= deadline:
            return False
        sleep(interval)
        interval = min(_LONGEST, interval * 1.5)
    return True


def _exists(client: CloudFormationClient, change_set_id: str) -> bool:
    try:
        page: RawPage = client.describe_change_set(ChangeSetName=change_set_id)
    except client.exceptions.ChangeSetNotFoundException:
        return False
    except client.exceptions.ClientError as error:
        # With its last change set a stack that was never made may be gone as well.
        if "does not exist" in str(error):
            return False
        raise
    return bool(page["Status"] != "DELETE_COMPLETE")
