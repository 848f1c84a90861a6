"""Sabotage of the buckets, the alarm topic and the log groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="dev")
STRANGER = "arn:aws:iam::999999999999:root"


@noticed_by("security::test_buckets_block_public_access")
def bucket_may_become_public(victim: Victim) -> Iterator[str]:
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    before = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=name)
    yield name
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=before)


@contextmanager
def bucket_policy(victim: Victim, sid: str = "", **more: Any) -> Iterator[str]:
    """Take a statement from the policy of the log bucket, or add one, for a while."""
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    before = s3.get_bucket_policy(Bucket=name)["Policy"]
    policy = json.loads(before)
    policy["Statement"] = [item for item in policy["Statement"] if item["Sid"] != sid]
    if more:
        place = f"arn:aws:s3:::{name}/*"
        policy["Statement"].append(
            {"Sid": "Sabotage", "Effect": "Allow", "Resource": place, **more}
        )
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    yield name
    s3.put_bucket_policy(Bucket=name, Policy=before)


@noticed_by("security::test_buckets_refuse_plain_http")
def bucket_answers_without_tls(victim: Victim) -> Iterator[str]:
    with bucket_policy(victim, "RefusePlainText") as name:
        yield name


@noticed_by("security::test_load_balancer_may_write_its_logs")
def logs_are_refused_by_the_bucket(victim: Victim) -> Iterator[str]:
    with bucket_policy(victim, "DeliverLogs") as name:
        yield name


@noticed_by("security::test_buckets_are_granted_to_services_only")
def bucket_is_granted_to_a_stranger(victim: Victim) -> Iterator[str]:
    with bucket_policy(victim, Principal={"AWS": STRANGER}, Action="s3:GetObject"):
        yield STRANGER


@noticed_by("security::test_buckets_keep_versions_and_own_their_objects")
def bucket_keeps_no_versions(victim: Victim) -> Iterator[str]:
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    yield name
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


@noticed_by("security::test_access_logs_are_kept_as_planned")
def access_logs_are_soon_deleted(victim: Victim) -> Iterator[str]:
    s3, name = victim.client("s3"), victim.outputs["AccessLogsBucketName"]
    before = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    rules = [{**item, "Expiration": {"Days": 1}} for item in before]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    yield name
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": before})


@noticed_by("security::test_alarm_topic_is_encrypted_with_a_key_of_the_platform")
def topic_is_not_encrypted(victim: Victim) -> Iterator[str]:
    sns, topic = victim.client("sns"), victim.outputs["AlarmTopicArn"]
    key = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"]
    for value in ("", key):
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=value
        )
        if not value:
            yield "alarm topic"


@noticed_by("security::test_alarms_may_publish_to_the_topic")
def alarms_may_not_publish(victim: Victim) -> Iterator[str]:
    sns, topic = victim.client("sns"), victim.outputs["AlarmTopicArn"]
    before = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    policy = before.replace("cloudwatch.amazonaws.com", "s3.amazonaws.com")
    for new in (policy, before):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=new)
        if new == policy:
            yield "CloudWatch may not publish"


@noticed_by(
    "security::test_alarm_topic_refuses_plain_http",
    "security::test_only_services_of_the_account_publish_to_the_topic",
)
def topic_takes_messages_of_anybody(victim: Victim) -> Iterator[str]:
    sns, topic = victim.client("sns"), victim.outputs["AlarmTopicArn"]
    before = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    anybody = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    wide = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=wide)
    yield "alarm topic takes messages"
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=before)


@noticed_by(
    "security::test_log_groups_are_encrypted_and_kept_as_planned",
    "service::test_containers_log_to_an_encrypted_group",
)
def logs_of_the_service_are_soon_deleted(victim: Victim) -> Iterator[str]:
    logs, name = victim.client("logs"), victim.outputs["ServiceLogGroupName"]
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    logs.put_retention_policy(logGroupName=name, retentionInDays=1)
    yield name
    logs.put_retention_policy(logGroupName=name, retentionInDays=found["retentionInDays"])
