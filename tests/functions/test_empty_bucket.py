"""The custom resource that empties a bucket before it is deleted, on a local cloud."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functions.conftest import Answers

Request = Callable[..., dict[str, Any]]


@pytest.fixture
def module(function: Callable[[str], ModuleType]) -> ModuleType:
    return function("empty_bucket")


@pytest.fixture
def bucket(cloud: Any, request: pytest.FixtureRequest) -> str:
    """A versioned bucket with two versions of one object and a delete marker over another."""
    s3 = cloud("s3")
    name = str(request.node.name).replace("_", "-")[:63].strip("-")
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="access/log", Body=b"first")
    s3.put_object(Bucket=name, Key="access/log", Body=b"second")
    s3.put_object(Bucket=name, Key="gone", Body=b"x")
    s3.delete_object(Bucket=name, Key="gone")
    return name


def left(cloud: Any, bucket: str) -> int:
    """Number of versions and delete markers in the bucket."""
    answer = cloud("s3").list_object_versions(Bucket=bucket)
    return len(answer.get("Versions", [])) + len(answer.get("DeleteMarkers", []))


def test_delete_takes_every_version_and_marker(
    module: ModuleType, cloud: Any, bucket: str, request_of: Request, answers: Answers
) -> None:
    assert left(cloud, bucket) == 4
    module.handler(request_of("Delete", {"BucketName": bucket}, PhysicalResourceId=bucket), None)
    assert answers.only["Status"] == "SUCCESS"
    assert left(cloud, bucket) == 0
    cloud("s3").delete_bucket(Bucket=bucket)


def test_delete_takes_more_than_one_page(
    module: ModuleType, cloud: Any, bucket: str, request_of: Request, answers: Answers
) -> None:
    s3 = cloud("s3")
    for number in range(1001):
        s3.put_object(Bucket=bucket, Key=f"log/{number:04}", Body=b"")
    module.handler(request_of("Delete", {"BucketName": bucket}, PhysicalResourceId=bucket), None)
    assert answers.only["Status"] == "SUCCESS"
    assert left(cloud, bucket) == 0


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_create_and_update_touch_nothing(
    request_type: str,
    module: ModuleType,
    cloud: Any,
    request_of: Request,
    answers: Answers,
) -> None:
    s3 = cloud("s3")
    name = f"touch-nothing-{request_type.lower()}"
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    s3.put_object(Bucket=name, Key="log", Body=b"x")
    module.handler(request_of(request_type, {"BucketName": name}), None)
    assert answers.only["Status"] == "SUCCESS"
    assert left(cloud, name) == 1


def test_the_bucket_is_the_physical_id(
    module: ModuleType, request_of: Request, answers: Answers
) -> None:
    module.handler(request_of("Create", {"BucketName": "logs"}), None)
    assert answers.only["PhysicalResourceId"] == "logs"


def test_another_bucket_is_another_physical_resource(
    module: ModuleType, request_of: Request, answers: Answers
) -> None:
    """So CloudFormation has the bucket that was replaced emptied before it deletes it."""
    module.handler(request_of("Update", {"BucketName": "new"}, PhysicalResourceId="old"), None)
    assert answers.only["PhysicalResourceId"] == "new"


def test_delete_of_a_create_that_failed_answers_with_the_id_it_was_given(
    module: ModuleType, cloud: Any, bucket: str, request_of: Request, answers: Answers
) -> None:
    assert cloud
    module.handler(
        request_of("Delete", {"BucketName": bucket}, PhysicalResourceId="payments-dev-X-1"), None
    )
    assert answers.only["PhysicalResourceId"] == "payments-dev-X-1"


def test_a_bucket_that_is_gone_is_empty_enough(
    module: ModuleType, cloud: Any, request_of: Request, answers: Answers
) -> None:
    with pytest.raises(ClientError):
        cloud("s3").head_bucket(Bucket="never-was")
    module.handler(
        request_of("Delete", {"BucketName": "never-was"}, PhysicalResourceId="never-was"), None
    )
    assert answers.only["Status"] == "SUCCESS"


def test_an_object_that_cannot_be_deleted_is_named(
    module: ModuleType, cloud: Any, request_of: Request, answers: Answers
) -> None:
    """An object under legal hold stays; the answer says which."""
    s3 = cloud("s3")
    s3.create_bucket(
        Bucket="held",
        CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},
        ObjectLockEnabledForBucket=True,
    )
    s3.put_object(Bucket="held", Key="evidence", Body=b"x", ObjectLockLegalHoldStatus="ON")
    module.handler(request_of("Delete", {"BucketName": "held"}, PhysicalResourceId="held"), None)
    assert answers.only["Status"] == "FAILED"
    assert "evidence" in answers.only["Reason"]


def test_a_failure_is_answered_and_says_why(
    module: ModuleType, cloud: Any, request_of: Request, answers: Answers
) -> None:
    assert cloud
    module.handler(request_of("Delete", {}, PhysicalResourceId="logs"), None)
    assert answers.only["Status"] == "FAILED"
    assert answers.only["Reason"].startswith("KeyError")


def test_the_answer_carries_what_cloudformation_matches_by(
    module: ModuleType, request_of: Request, answers: Answers
) -> None:
    event = request_of("Create", {"BucketName": "logs"})
    module.handler(event, None)
    assert {name: answers.only[name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {
        name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")
    }
    assert answers.content_types == [""]
