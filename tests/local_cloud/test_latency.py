"""With a latency, resources take their time as on AWS, and the rest goes on meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local_cloud import process
from local_cloud.latency import DEFAULT_SECONDS, TYPICAL_SECONDS, Latency
from tests.local_cloud.support import (
    ACCOUNT,
    REGION,
    Stacks,
    Template,
    child_of,
    eventually,
)

FACTOR = 0.1
TOPIC_SECONDS = FACTOR * TYPICAL_SECONDS["AWS::SNS::Topic"]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    directory = process.StateDirectory(tmp_path_factory.mktemp("slow_cloud"))
    report = process.up(directory, port=0, strict_port=False, latency=FACTOR, timeout=60)
    assert report.server is not None
    session = boto3.Session(ACCOUNT, "a-secret-of-no-importance", region_name=REGION)
    s3, cloudformation = (
        session.client(service, endpoint_url=report.server.endpoint)
        for service in ("s3", "cloudformation")
    )
    yield Stacks(cloudformation, s3)
    process.down(directory, timeout=60)


def topic(name: str, **attributes: Any) -> Template:
    return {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}, **attributes}


def start(slow: Stacks, name: str, resources: dict[str, Any]) -> None:
    body = json.dumps({"Resources": resources})
    slow.cloudformation.create_stack(StackName=name, TemplateBody=body)


def test_a_resource_stays_in_progress_as_long_as_on_aws(slow: Stacks) -> None:
    began = time.monotonic()
    start(slow, "wait", {"A": topic("a"), "B": topic("b"), "C": topic("c", DependsOn="A")})
    in_progress = slow.resource("wait", "A")
    assert in_progress["ResourceStatus"] == "CREATE_IN_PROGRESS"
    assert in_progress["PhysicalResourceId"].endswith(":a")
    assert slow.settled("wait")["StackStatus"] == "CREATE_COMPLETE"
    assert time.monotonic() - began >= 2 * TOPIC_SECONDS
    events = slow.events("wait")
    a_ended = events.index(("A", "CREATE_COMPLETE"))
    assert events.index(("B", "CREATE_IN_PROGRESS")) < a_ended, "side by side"
    assert events.index(("C", "CREATE_IN_PROGRESS")) > a_ended, "one after the other"


def test_a_failure_cuts_the_waiting_short(slow: Stacks) -> None:
    handle = {"Handle": "no-handle", "Timeout": "1"}
    start(
        slow,
        "short",
        {
            "Database": {
                "Type": "AWS::RDS::DBCluster",
                "Properties": {
                    "Engine": "aurora-postgresql",
                    "MasterUsername": "master",
                    "ManageMasterUserPassword": True,
                },
            },
            "Topic": topic("short"),
            "Bad": {
                "Type": "AWS::CloudFormation::WaitCondition",
                "Properties": handle,
                "DependsOn": "Topic",
            },
        },
    )
    assert slow.settled("short")["StackStatus"] == "ROLLBACK_COMPLETE"
    assert slow.reason("short", "Database", "CREATE_FAILED") == "Resource creation cancelled"
    assert ("Database", "DELETE_COMPLETE") in slow.events("short")
    reason = slow.reason("short", "short", "ROLLBACK_IN_PROGRESS")
    assert reason == (
        "The following resource(s) failed to create: [Bad, Database]. Rollback requested by user."
    )


def test_a_failure_stops_a_child_that_is_at_work(slow: Stacks) -> None:
    slow.s3.create_bucket(
        Bucket=slow.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    child = {"First": topic("first"), "Second": topic("second", DependsOn="First")}
    handle = {"Handle": "no-handle", "Timeout": "1"}
    start(
        slow,
        "stop",
        {
            "Child": child_of(slow.upload({"Resources": child})),
            "Own": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}},
            "Bad": {
                "Type": "AWS::CloudFormation::WaitCondition",
                "Properties": handle,
                "DependsOn": "Own",
            },
        },
    )
    assert slow.settled("stop")["StackStatus"] == "ROLLBACK_COMPLETE"
    failed = next(
        event
        for event in slow.raw_events("stop")
        if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Child", "CREATE_FAILED")
    )
    assert failed["ResourceStatusReason"] == "Resource creation cancelled"
    events = slow.events(failed["PhysicalResourceId"])
    assert ("First", "CREATE_FAILED") in events
    assert ("Second", "CREATE_IN_PROGRESS") not in events
    assert events[-1][1] == "DELETE_COMPLETE"


def test_an_update_can_be_cancelled_while_it_waits(slow: Stacks) -> None:
    slow.create("halt", {"Resources": {"A": topic("halt-a")}})
    changed = {"A": topic("halt-a"), "B": topic("halt-b"), "C": topic("halt-c", DependsOn="B")}
    slow.cloudformation.update_stack(
        StackName="halt", TemplateBody=json.dumps({"Resources": changed})
    )
    eventually(lambda: slow.events("halt"), lambda found: ("B", "CREATE_IN_PROGRESS") in found)
    slow.cloudformation.cancel_update_stack(StackName="halt")
    assert slow.settled("halt")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = slow.events("halt")
    assert ("C", "CREATE_IN_PROGRESS") not in events
    assert ("B", "CREATE_COMPLETE") not in events
    assert ("B", "DELETE_COMPLETE") in events


def test_without_a_factor_nothing_waits() -> None:
    assert Latency().seconds("AWS::RDS::DBInstance") == 0
    assert Latency(0.01).seconds("AWS::RDS::DBInstance") == 6
    assert Latency(2).seconds("AWS::Not::Listed") == 2 * DEFAULT_SECONDS
