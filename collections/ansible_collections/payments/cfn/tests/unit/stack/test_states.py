# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can begin from which state of a stack, and names and requests of change sets."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import boto3
import pytest
from ansible_collections.payments.cfn.plugins.module_utils import changesets, stacks
from ansible_collections.payments.cfn.plugins.module_utils.stacks import StackStateError


def aws_statuses() -> list[str]:
    """Every status that AWS's API knows, except that of a stack that is gone."""
    client = boto3.client("cloudformation", region_name="eu-west-1")
    shape = client.meta.service_model.shape_for("StackStatus")
    return sorted(set(shape.enum) - {"DELETE_COMPLETE"})


@pytest.mark.parametrize("status", aws_statuses())
def test_every_state_deploys_or_says_what_mends_it(status: str) -> None:
    assert status in stacks.STATES
    try:
        operation = stacks.deployment({"StackStatus": status}, "app", "eu-west-1")
    except StackStateError as error:
        sentence = str(error)
        assert sentence.startswith(f"app is {status}: ")
        assert "--stack-name app --region eu-west-1` and then this again." in sentence
        assert "{" not in sentence
    else:
        assert operation in ("create", "update")


@pytest.mark.parametrize(
    ("status", "operation"),
    [
        (None, "create"),
        ("REVIEW_IN_PROGRESS", "create"),
        ("CREATE_COMPLETE", "update"),
        ("UPDATE_ROLLBACK_COMPLETE", "update"),
    ],
)
def test_operation_by_state(status: str | None, operation: str) -> None:
    stack = {"StackStatus": status} if status else None
    assert stacks.deployment(stack, "app", "eu-west-1") == operation


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("ROLLBACK_COMPLETE", "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "delete-stack"),
        ("UPDATE_IN_PROGRESS", "wait stack-update-complete"),
        ("DELETE_IN_PROGRESS", "wait stack-delete-complete"),
    ],
)
def test_command_by_state(status: str, command: str) -> None:
    with pytest.raises(StackStateError, match=f"run `aws cloudformation {command} "):
        stacks.deployment({"StackStatus": status}, "app", "eu-west-1")


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_deletion_does_not_begin_while_something_else_runs(status: str) -> None:
    with pytest.raises(StackStateError, match="is in progress"):
        stacks.check_deletable({"StackStatus": status}, "app", "eu-west-1")


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED"])
def test_deletion_begins_from_what_can_only_be_deleted(status: str) -> None:
    stacks.check_deletable({"StackStatus": status}, "app", "eu-west-1")


def test_deletion_of_a_protected_stack_is_refused() -> None:
    stack = {"StackStatus": "CREATE_COMPLETE", "EnableTerminationProtection": True}
    with pytest.raises(StackStateError, match="termination protection is on"):
        stacks.check_deletable(stack, "app", "eu-west-1")


@pytest.mark.parametrize("release_id", [None, "0123456789abcdef"])
def test_names_of_change_sets_are_valid_and_differ(release_id: str | None) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    names = {changesets.new_name(release_id, moment) for _ in range(50)}
    assert len(names) == 50
    for name in names:
        assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", name)
        assert "20260102T030405Z" in name
        assert (release_id or "deploy") in name
