"""KMS keys: who administers one, who uses it, and how long it can be saved from deletion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.loader import in_environment, load_all

TEMPLATES = load_all()
KEYS = [
    pytest.param(file, logical_id, id=f"{file}-{logical_id}")
    for file, template in TEMPLATES.items()
    for logical_id, resource in template["Resources"].items()
    if resource["Type"] == "AWS::KMS::Key"
]
each_key = pytest.mark.parametrize(("file", "logical_id"), KEYS)

ACCOUNT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
# What keeps a key in order and lets nobody read with it.
ADMINISTRATION = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:Describe*",
    "kms:DisableKey*",
    "kms:EnableKey*",
    "kms:Get*",
    "kms:List*",
    "kms:Put*",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:Update*",
]
# Beside administration and the refusal of grants: who reads and writes with a key.
USES = {
    "PaymentNetworkLogsKey": ("EncryptLogs",),
    "PaymentDataKey": ("UseThroughDatabaseAndSecrets", "GrantToDatabaseAndSecrets"),
    "PaymentLogsKey": ("EncryptLogs",),
    "PaymentAlarmKey": ("EncryptAlarms", "UseThroughTopic"),
    "PaymentBackupKey": ("UseThroughBackup", "GrantToBackup"),
}
USE = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
# CloudWatch Logs encrypts only groups of this application and environment.
LOG_GROUPS = {
    "kms:EncryptionContext:aws:logs:arn": {
        "Fn::Sub": [
            "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*${Name}*",
            {"Name": "payments-prod"},
        ]
    }
}
ALARMS = {
    "aws:SourceArn": {
        "Fn::Sub": [
            "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:${Name}-*",
            {"Name": "payments-prod"},
        ]
    }
}


def key(file: str, logical_id: str, environment: str = "prod") -> dict[str, Any]:
    """The properties of a key in an environment."""
    resources = in_environment(TEMPLATES[file], environment)["Resources"]
    return dict(resources[logical_id]["Properties"])


def statements(properties: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The statements of a key's policy by their ids."""
    listed = properties["KeyPolicy"]["Statement"]
    found = {statement["Sid"]: statement for statement in listed}
    assert len(found) == len(listed)
    return found


@each_key
def test_the_account_administers_the_key_and_cannot_read_with_it(
    file: str, logical_id: str
) -> None:
    found = statements(key(file, logical_id))
    assert found["AdministerThroughIam"] == {
        "Sid": "AdministerThroughIam",
        "Effect": "Allow",
        "Principal": ACCOUNT,
        "Action": ADMINISTRATION,
        "Resource": "*",
    }


@each_key
def test_the_longer_an_environment_matters_the_longer_its_key_can_be_saved(
    environment: str, file: str, logical_id: str
) -> None:
    days = key(file, logical_id, environment)["PendingWindowInDays"]
    assert days == {"dev": 7, "staging": 14, "prod": 30}[environment]


@each_key
def test_key_stays_in_its_region_and_under_its_policy(file: str, logical_id: str) -> None:
    properties = key(file, logical_id)
    assert not properties.get("MultiRegion")
    assert not properties.get("BypassPolicyLockoutSafetyCheck")
    assert len(properties["Description"]) > 10


@each_key
def test_key_is_known_by_the_name_in_its_tag(environment: str, file: str, logical_id: str) -> None:
    (alias,) = [
        resource["Properties"]["AliasName"]
        for resource in in_environment(TEMPLATES[file], environment)["Resources"].values()
        if resource["Type"] == "AWS::KMS::Alias"
        and resource["Properties"]["TargetKeyId"] == {"Ref": logical_id}
    ]
    tags = {tag["Key"]: tag["Value"] for tag in key(file, logical_id, environment)["Tags"]}
    assert alias == f"alias/{tags['Name']}"
    assert alias.startswith(f"alias/payments-{environment}-")


@each_key
def test_a_key_has_no_statement_but_these(file: str, logical_id: str) -> None:
    found = statements(key(file, logical_id))
    assert tuple(found) == ("AdministerThroughIam", *USES[logical_id], "RefuseGrantsToOthers")
    for name in USES[logical_id]:
        assert found[name]["Effect"] == "Allow"
        # In a key's policy this is the key.
        assert found[name]["Resource"] == "*"
        if name.startswith(("UseThrough", "GrantTo")):
            assert found[name]["Principal"] == ACCOUNT


@pytest.mark.parametrize(
    ("file", "logical_id"),
    [("security.yml", "PaymentLogsKey"), ("vpc.yml", "PaymentNetworkLogsKey")],
)
def test_only_cloudwatch_logs_uses_the_keys_of_logs(file: str, logical_id: str) -> None:
    using = statements(key(file, logical_id))["EncryptLogs"]
    assert using["Principal"] == {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}
    assert using["Action"] == sorted([*USE, "kms:Describe*"])
    assert using["Condition"] == {"ArnLike": LOG_GROUPS}


def test_only_alarms_use_the_key_of_their_topic() -> None:
    using = statements(key("security.yml", "PaymentAlarmKey"))["EncryptAlarms"]
    assert using["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert using["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": ALARMS,
    }


def test_data_key_encrypts_for_the_database_and_the_secrets() -> None:
    found = statements(key("security.yml", "PaymentDataKey"))
    using, granting = found["UseThroughDatabaseAndSecrets"], found["GrantToDatabaseAndSecrets"]
    assert using["Action"] == USE
    assert set(using["Condition"]) == {"StringEquals"}
    assert granting["Action"] == "kms:CreateGrant"
    # A grant is made for a service that works for somebody, and for nobody else.
    assert set(granting["Condition"]) == {"Bool", "StringEquals"}
    assert granting["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
