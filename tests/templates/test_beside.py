"""The stacks beside the platform: what holds for everything in them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.loader import BESIDE, DIRECTORY, load
from tests.templates.test_keys import ACCOUNT, ADMINISTRATION
from tests.templates.test_tags import TAGS, as_mapping, taggable

TEMPLATES = {name: load(DIRECTORY / name) for name in BESIDE}
RESOURCES: dict[str, dict[str, Any]] = {
    logical_id: resource
    for template in TEMPLATES.values()
    for logical_id, resource in template["Resources"].items()
}
TAGGED = {
    logical_id: name
    for template in TEMPLATES.values()
    for logical_id, name in taggable(template).items()
    if name in template["Resources"][logical_id]["Properties"]
}
# Releases and history outlive their stacks, and what was kept of a platform needs its boundary.
KEPT = {
    "PaymentArtifactsBucket",
    "PaymentArtifactsBucketPolicy",
    "PaymentArtifactsKey",
    "PaymentArtifactsKeyAlias",
    "PaymentConfigBucket",
    "PaymentConfigBucketPolicy",
    "PaymentOidcProvider",
    "PaymentPermissionsBoundary",
}
NAMES = {
    "PaymentArtifactsKey": {"Fn::Sub": "${ApplicationName}-artifacts"},
    "PaymentArtifactsBucket": {"Ref": "BucketName"},
    "PaymentConfigBucket": {"Fn::Sub": "${ApplicationName}-config"},
    "PaymentConfigRole": {"Fn::Sub": "${ApplicationName}-config"},
}


@pytest.mark.parametrize("logical_id", TAGGED)
def test_resource_is_tagged_as_shared_by_the_environments(logical_id: str) -> None:
    tags = dict(as_mapping(RESOURCES[logical_id]["Properties"][TAGGED[logical_id]]))
    name = tags.pop("Name")
    assert tags == {**TAGS, "Environment": "shared"}
    assert name == NAMES.get(logical_id, name)


def test_what_can_be_tagged_is_tagged() -> None:
    able = {name for template in TEMPLATES.values() for name in taggable(template)}
    assert able == set(TAGGED)


def test_what_has_to_outlive_its_stack_is_kept_and_nothing_else() -> None:
    kept = {
        logical_id
        for logical_id, resource in RESOURCES.items()
        if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {None}
    }
    assert kept == KEPT
    for logical_id in KEPT:
        policies = [
            RESOURCES[logical_id][name] for name in ("DeletionPolicy", "UpdateReplacePolicy")
        ]
        assert policies == ["Retain", "Retain"], logical_id


def test_key_of_releases_is_administered_by_the_account_and_used_through_s3() -> None:
    key = RESOURCES["PaymentArtifactsKey"]["Properties"]
    administer, use, refuse = key["KeyPolicy"]["Statement"]
    for statement in (administer, use):
        assert (statement["Effect"], statement["Principal"]) == ("Allow", ACCOUNT)
    assert administer["Action"] == ADMINISTRATION
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert use["Condition"] == {
        "StringEquals": {
            "kms:CallerAccount": {"Ref": "AWS::AccountId"},
            "kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"},
        }
    }
    assert (refuse["Effect"], refuse["Principal"], refuse["Action"]) == (
        "Deny",
        "*",
        "kms:CreateGrant",
    )
    assert refuse["Condition"] == {
        "BoolIfExists": {
            "kms:GrantIsForAWSResource": "false",
            "aws:PrincipalIsAWSService": "false",
        }
    }


def test_key_of_releases_can_be_saved_for_a_month_and_nothing_opens_it() -> None:
    key = RESOURCES["PaymentArtifactsKey"]["Properties"]
    assert set(key) == {
        "Description",
        "EnableKeyRotation",
        "PendingWindowInDays",
        "KeyPolicy",
        "Tags",
    }
    assert (key["EnableKeyRotation"], key["PendingWindowInDays"]) == (True, 30)
    assert key["Description"] == {"Fn::Sub": "Encrypts the artifacts of ${ApplicationName}"}


def test_key_of_releases_has_a_name() -> None:
    alias = RESOURCES["PaymentArtifactsKeyAlias"]["Properties"]
    assert alias == {
        "AliasName": {"Fn::Sub": "alias/${ApplicationName}-artifacts"},
        "TargetKeyId": {"Ref": "PaymentArtifactsKey"},
    }


@pytest.mark.parametrize("bucket", ["PaymentArtifactsBucket", "PaymentConfigBucket"])
def test_whole_bucket_refuses_plain_text(bucket: str) -> None:
    policy = RESOURCES[f"{bucket}Policy"]["Properties"]
    refusal = policy["PolicyDocument"]["Statement"][-1]
    assert policy["Bucket"] == {"Ref": bucket}
    assert refusal == {
        "Sid": "RefusePlainText",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
