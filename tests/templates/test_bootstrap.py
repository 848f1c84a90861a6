"""The bucket of releases: private, encrypted, versioned, over TLS only, and there to stay."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.loader import ARTIFACTS, DIRECTORY, load, load_all

TEMPLATE = load(DIRECTORY / ARTIFACTS)
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
BUCKET: dict[str, Any] = RESOURCES["PaymentArtifactsBucket"]["Properties"]


@pytest.mark.parametrize("name", RESOURCES)
def test_everything_is_retained(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == "Retain"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", ["PaymentArtifactsKey", "PaymentArtifactsBucket"])
def test_six_tags(name: str) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in RESOURCES[name]["Properties"]["Tags"]}
    tags.pop("Name")
    assert tags == {
        "Application": {"Ref": "ApplicationName"},
        "Environment": "shared",
        "CostCenter": {"Ref": "CostCenter"},
        "Owner": {"Ref": "Owner"},
        "DataClassification": {"Ref": "DataClassification"},
        "ManagedBy": "CloudFormation",
    }


@pytest.mark.parametrize("name", ["ApplicationName", "CostCenter", "Owner", "DataClassification"])
def test_parameters_are_those_of_the_platform(name: str) -> None:
    assert TEMPLATE["Parameters"][name] == load_all()["master.yml"]["Parameters"][name]


def test_bucket_is_private() -> None:
    assert set(BUCKET["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(BUCKET["PublicAccessBlockConfiguration"]) == 4
    assert BUCKET["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_bucket_is_versioned_and_tidied() -> None:
    assert BUCKET["VersioningConfiguration"] == {"Status": "Enabled"}
    [rule] = BUCKET["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "NoncurrentDays"}}
    # A current version may be what a recorded release needs: only replaced ones expire.
    assert "ExpirationInDays" not in rule


def test_bucket_is_encrypted_with_its_own_key() -> None:
    [rule] = BUCKET["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["PaymentArtifactsKey", "Arn"]},
    }
    assert RESOURCES["PaymentArtifactsKey"]["Properties"]["EnableKeyRotation"] is True


def test_key_is_used_through_s3_only() -> None:
    statements = RESOURCES["PaymentArtifactsKey"]["Properties"]["KeyPolicy"]["Statement"]
    administering, using, refusing = statements
    assert not {"kms:Decrypt", "kms:Encrypt", "kms:*"} & set(administering["Action"])
    assert set(using["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}
    assert "kms:ViaService" in using["Condition"]["StringEquals"]
    assert (refusing["Effect"], refusing["Action"]) == ("Deny", "kms:CreateGrant")


def test_plain_text_is_refused() -> None:
    policy = RESOURCES["PaymentArtifactsBucketPolicy"]["Properties"]["PolicyDocument"]
    [statement] = policy["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Action"] == "s3:*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2
