"""AWS Config: what its API refuses, and a recorder and a channel that wait for each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.support import REGION, Client, Stacks

ROLE = "arn:aws:iam::111111111111:role/recorder"
BUCKET = "configuration-history"
ACCOUNTS = itertools.count(111122220000)
RULE = {
    "ConfigRuleName": "a-rule",
    "Source": {"Owner": "AWS", "SourceIdentifier": "SNS_ENCRYPTED_KMS"},
}


@pytest.fixture
def config(client: Client) -> Any:
    """AWS Config in an account that has a bucket, a recorder and a running delivery channel."""
    account = str(next(ACCOUNTS))
    client("s3", account=account).create_bucket(
        Bucket=BUCKET + account, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    api = client("config", account=account)
    api.put_configuration_recorder(ConfigurationRecorder={"name": "first", "roleARN": ROLE})
    api.put_delivery_channel(DeliveryChannel={"name": "first", "s3BucketName": BUCKET + account})
    api.start_configuration_recorder(ConfigurationRecorderName="first")
    return api


def refusal(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def test_a_region_takes_one_recorder(config: Any) -> None:
    second = {"name": "second", "roleARN": ROLE}
    assert (
        refusal(config.put_configuration_recorder, ConfigurationRecorder=second)
        == "MaxNumberOfConfigurationRecordersExceededException"
    )
    config.put_configuration_recorder(ConfigurationRecorder={"name": "first", "roleARN": ROLE})


def test_a_region_takes_one_delivery_channel(config: Any) -> None:
    channel = config.describe_delivery_channels()["DeliveryChannels"][0]
    assert (
        refusal(config.put_delivery_channel, DeliveryChannel=channel | {"name": "second"})
        == "MaxNumberOfDeliveryChannelsExceededException"
    )
    config.put_delivery_channel(DeliveryChannel=channel)


def test_the_channel_of_a_running_recorder_stays(config: Any) -> None:
    assert (
        refusal(config.delete_delivery_channel, DeliveryChannelName="first")
        == "LastDeliveryChannelDeleteFailedException"
    )
    config.stop_configuration_recorder(ConfigurationRecorderName="first")
    config.delete_delivery_channel(DeliveryChannelName="first")
    assert (
        refusal(config.start_configuration_recorder, ConfigurationRecorderName="first")
        == "NoAvailableDeliveryChannelException"
    )


def test_a_channel_needs_its_bucket(config: Any) -> None:
    channel = {"name": "first", "s3BucketName": "no-such-bucket"}
    assert refusal(config.put_delivery_channel, DeliveryChannel=channel) == "NoSuchBucketException"


def test_rules_and_channels_need_a_recorder(config: Any) -> None:
    channel = config.describe_delivery_channels()["DeliveryChannels"][0]
    config.put_config_rule(ConfigRule=RULE)
    config.delete_configuration_recorder(ConfigurationRecorderName="first")
    needed = "NoAvailableConfigurationRecorderException"
    assert refusal(config.put_config_rule, ConfigRule=RULE) == needed
    assert refusal(config.put_delivery_channel, DeliveryChannel=channel) == needed
    assert (
        refusal(config.start_configuration_recorder, ConfigurationRecorderName="first")
        == "NoSuchConfigurationRecorderException"
    )


def test_a_channel_made_first_waits_for_the_recorder(stacks: Stacks) -> None:
    """A template cannot order the two, so the slower one may be the recorder."""
    trust = {"Effect": "Allow", "Principal": {"Service": "config.amazonaws.com"}}
    template = {
        "Resources": {
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Role": {
                "Type": "AWS::IAM::Role",
                "DependsOn": "Bucket",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [trust | {"Action": "sts:AssumeRole"}],
                    }
                },
            },
            "Recorder": {
                "Type": "AWS::Config::ConfigurationRecorder",
                "Properties": {"RoleARN": {"Fn::GetAtt": ["Role", "Arn"]}},
            },
            "Channel": {
                "Type": "AWS::Config::DeliveryChannel",
                "Properties": {"S3BucketName": {"Ref": "Bucket"}},
            },
        }
    }
    made = stacks.create("recording", template, Capabilities=["CAPABILITY_IAM"])
    assert made["StackStatus"] == "CREATE_COMPLETE"
    gone = stacks.delete("recording")
    assert gone["StackStatus"] == "DELETE_COMPLETE"
