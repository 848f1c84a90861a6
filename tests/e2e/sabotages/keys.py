"""Sabotage of the keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="dev")


@noticed_by("security::test_keys_are_rotated")
def key_is_not_rotated(victim: Victim) -> Iterator[str]:
    key = victim.outputs["DataKeyArn"].rpartition("/")[2]
    victim.client("kms").disable_key_rotation(KeyId=key)
    yield key
    victim.client("kms").enable_key_rotation(KeyId=key)


@noticed_by("security::test_keys_are_enabled")
def key_is_disabled(victim: Victim) -> Iterator[str]:
    key = victim.outputs["LogsKeyArn"].rpartition("/")[2]
    victim.client("kms").disable_key(KeyId=key)
    yield key
    victim.client("kms").enable_key(KeyId=key)


@contextmanager
def key_policy(victim: Victim, change: dict[str, Any]) -> Iterator[str]:
    """Add a statement to the policy of the data key for a while; gives the key's id."""
    kms, key = victim.client("kms"), victim.outputs["DataKeyArn"].rpartition("/")[2]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    policy = json.loads(before)
    policy["Statement"].append({"Sid": "Sabotage", "Effect": "Allow", "Resource": "*", **change})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    yield key
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


@noticed_by(
    "security::test_key_policies_grant_only_the_account_and_its_services",
    "security::test_keys_are_used_only_through_services",
)
def key_is_given_to_everybody(victim: Victim) -> Iterator[str]:
    with key_policy(victim, {"Principal": "*", "Action": "kms:Decrypt"}):
        yield "Sabotage"


@noticed_by("security::test_keys_are_used_only_through_services")
def key_is_used_without_a_service(victim: Victim) -> Iterator[str]:
    account = victim.outputs["DataKeyArn"].split(":")[4]
    who = {"AWS": f"arn:aws:iam::{account}:root"}
    with key_policy(victim, {"Principal": who, "Action": "kms:*"}):
        yield "kms:*"


@noticed_by("security::test_key_policies_refuse_grants_to_others")
def key_can_be_given_away(victim: Victim) -> Iterator[str]:
    kms, key = victim.client("kms"), victim.outputs["DataKeyArn"].rpartition("/")[2]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    kept = [item for item in json.loads(before)["Statement"] if item["Effect"] == "Allow"]
    kms.put_key_policy(
        KeyId=key,
        PolicyName="default",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": kept}),
    )
    yield key
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


@noticed_by("security::test_keys_go_by_their_names")
def alias_leads_to_another_key(victim: Victim) -> Iterator[str]:
    kms, alias = victim.client("kms"), f"alias/{victim.prefix}-data"
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    yield alias
    kms.update_alias(AliasName=alias, TargetKeyId=victim.outputs["DataKeyArn"].rpartition("/")[2])
