"""The configuration history of an account and region: recorder, channel and bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from tests.templates.iam import as_list
from tests.templates.loader import DIRECTORY, RECORDER, load, load_all, references
from tests.templates.managed_rules import RULES

TEMPLATE = load(DIRECTORY / RECORDER)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
TAGS = {
    "Name",
    "Application",
    "Environment",
    "CostCenter",
    "Owner",
    "DataClassification",
    "ManagedBy",
}


def properties(logical_id: str) -> dict[str, Any]:
    return dict(RESOURCES[logical_id]["Properties"])


def statements(policies: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for policy in policies:
        yield from policy["PolicyDocument"]["Statement"]


def test_template_goes_with_the_request() -> None:
    assert len((DIRECTORY / RECORDER).read_bytes()) <= 51_200


@pytest.mark.parametrize("logical_id", ["PaymentConfigRecorder", "PaymentConfigDeliveryChannel"])
def test_recorder_and_channel_carry_the_name_of_the_application(logical_id: str) -> None:
    """By its name a second deployment tells this recorder from somebody else's."""
    assert properties(logical_id)["Name"] == {"Ref": "ApplicationName"}


@pytest.mark.parametrize("logical_id", ["PaymentConfigBucket", "PaymentConfigBucketPolicy"])
def test_history_outlives_its_stack(logical_id: str) -> None:
    resource = RESOURCES[logical_id]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("logical_id", ["PaymentConfigBucket", "PaymentConfigRole"])
def test_taggable_resource_is_tagged_as_shared(logical_id: str) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in properties(logical_id)["Tags"]}
    assert set(tags) == TAGS
    assert tags["Environment"] == "shared"


@pytest.mark.parametrize("name", RULES)
def test_recorder_records_what_triggers_a_rule(name: str) -> None:
    """Without a recorded change the rule would never be evaluated, and nobody would notice."""
    types = properties("PaymentConfigRecorder")["RecordingGroup"]["ResourceTypes"]
    assert not set(RULES[name].judges) - set(types)


def test_history_is_kept_for_a_year_at_least() -> None:
    (rule,) = properties("PaymentConfigBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == {"Ref": "HistoryDays"}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "HistoryDays"}}
    days = TEMPLATE["Parameters"]["HistoryDays"]
    assert (days["Default"], days["MinValue"]) == (400, 365)


# --- recorder


def test_recorder_and_channel_do_not_wait_for_each_other() -> None:
    """CloudFormation starts the recorder when there is a channel: either order would hang."""
    pair = {"PaymentConfigRecorder", "PaymentConfigDeliveryChannel"}
    for logical_id in pair:
        resource = RESOURCES[logical_id]
        named = {reference.name for reference in references(resource)}
        assert not pair & (named | {resource.get("DependsOn")})


def test_channel_delivers_to_the_bucket_once_the_policy_lets_it() -> None:
    channel = RESOURCES["PaymentConfigDeliveryChannel"]
    assert channel["DependsOn"] == "PaymentConfigBucketPolicy"
    assert channel["Properties"]["S3BucketName"] == {"Ref": "PaymentConfigBucket"}


def test_recorder_records_chosen_types_only() -> None:
    group = properties("PaymentConfigRecorder")["RecordingGroup"]
    types = group["ResourceTypes"]
    assert (group["AllSupported"], group["IncludeGlobalResourceTypes"]) == (False, False)
    assert types == sorted(types, key=str.lower)
    assert len(types) == len(set(types))


def test_recorder_records_types_that_aws_config_knows() -> None:
    model = botocore.session.get_session().get_service_model("config")
    types = properties("PaymentConfigRecorder")["RecordingGroup"]["ResourceTypes"]
    assert not set(types) - set(model.shape_for("ResourceType").enum)


def test_recorder_has_its_own_role() -> None:
    recorder = properties("PaymentConfigRecorder")
    role = properties("PaymentConfigRole")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert recorder["RoleARN"] == {"Fn::GetAtt": ["PaymentConfigRole", "Arn"]}
    assert trust["Principal"] == {"Service": "config.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {
            "aws:SourceArn": {
                "Fn::Sub": "arn:${AWS::Partition}:config:${AWS::Region}:${AWS::AccountId}:*"
            }
        },
    }
    assert role["ManagedPolicyArns"] == [
        {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWS_ConfigRole"}
    ]


def test_recorder_may_only_deliver_to_its_bucket() -> None:
    allowed = {
        action: statement["Resource"]
        for statement in statements(properties("PaymentConfigRole")["Policies"])
        for action in as_list(statement["Action"])
    }
    bucket = {"Fn::GetAtt": ["PaymentConfigBucket", "Arn"]}
    files = {"Fn::Sub": "${PaymentConfigBucket.Arn}/AWSLogs/${AWS::AccountId}/Config/*"}
    assert allowed == {
        "s3:GetBucketAcl": bucket,
        "s3:ListBucket": bucket,
        "s3:PutObject": files,
        "s3:PutObjectAcl": files,
    }


# --- bucket


def test_bucket_is_private_versioned_and_encrypted() -> None:
    bucket = properties("PaymentConfigBucket")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_only_config_of_this_account_may_write_and_only_over_tls() -> None:
    policy = properties("PaymentConfigBucketPolicy")["PolicyDocument"]
    find, deliver, deny = policy["Statement"]
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    for statement in (find, deliver):
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == {"Service": "config.amazonaws.com"}
    assert (find["Action"], find["Condition"]) == (
        ["s3:GetBucketAcl", "s3:ListBucket"],
        {"StringEquals": account},
    )
    assert deliver["Action"] == "s3:PutObject"
    assert deliver["Resource"] == {
        "Fn::Sub": "${PaymentConfigBucket.Arn}/AWSLogs/${AWS::AccountId}/Config/*"
    }
    assert deliver["Condition"] == {
        "StringEquals": {**account, "s3:x-amz-acl": "bucket-owner-full-control"}
    }
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(deny["Resource"]) == 2


@pytest.mark.parametrize("name", ["ApplicationName", "CostCenter", "Owner", "DataClassification"])
def test_common_parameter_is_the_one_of_the_platform(name: str) -> None:
    assert TEMPLATE["Parameters"][name] == load_all()["master.yml"]["Parameters"][name]


def test_tidying_is_one_rule_that_also_ends_uploads() -> None:
    (rule,) = properties("PaymentConfigBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["Id"] == "expire-history"
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_config_finds_this_bucket_only() -> None:
    find = properties("PaymentConfigBucketPolicy")["PolicyDocument"]["Statement"][0]
    assert find["Resource"] == {"Fn::GetAtt": ["PaymentConfigBucket", "Arn"]}


def test_outputs() -> None:
    assert {name: output["Value"] for name, output in TEMPLATE["Outputs"].items()} == {
        "ConfigRecorderName": {"Ref": "PaymentConfigRecorder"},
        "ConfigBucketName": {"Ref": "PaymentConfigBucket"},
    }
