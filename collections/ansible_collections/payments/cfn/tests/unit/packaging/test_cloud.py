# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploading, and asking who one is, against a real local cloud."""

from __future__ import annotations

import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import account, package, upload
from ansible_collections.payments.cfn.plugins.module_utils.errors import CloudError
from ansible_collections.payments.cfn.plugins.module_utils.package import Package
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

from .conftest import REGION, MakeClient

REGIONS = {"eu-west-1": "aws", "us-east-1": "aws", "cn-north-1": "aws-cn"}


def build(root: Path, bucket: str) -> Package:
    target = package.destination(bucket, REGION, "pre/fix", "amazonaws.com")
    return package.build(load_tree(root), {"Stage": "dev"}, ["Stage"], target)


def keys(s3: Any, bucket: str) -> set[str]:
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def send(s3: Any, packaged: Package, **options: str) -> upload.Uploaded:
    missing = upload.find_missing(s3, packaged.release)
    return upload.upload(s3, packaged.release.bucket, missing, packaged.contents, **options)


@pytest.fixture
def packaged(root: Path, bucket: str) -> Package:
    return build(root, bucket)


def test_everything_is_uploaded_once(s3: Any, packaged: Package, bucket: str) -> None:
    first = send(s3, packaged)
    assert set(first.keys) == set(packaged.contents) == keys(s3, bucket)
    assert first.warnings == ()
    assert upload.find_missing(s3, packaged.release) == ()


def test_only_what_changed_is_uploaded(s3: Any, root: Path, packaged: Package, bucket: str) -> None:
    send(s3, packaged)
    code = root.parent / "functions/closer/index.py"
    code.write_text(code.read_text() + "# changed\n")
    missing = upload.find_missing(s3, build(root, bucket).release)
    # the code, the template that names it, and the root above; not the other template
    assert [artifact.source for artifact in missing] == [
        "functions/closer",
        "network.yml",
        "root.yml",
    ]


def test_objects_are_whole_and_encrypted(s3: Any, packaged: Package, bucket: str) -> None:
    send(s3, packaged, kms_key_id="alias/example")
    for artifact in packaged.release.artifacts:
        stored = s3.get_object(Bucket=bucket, Key=artifact.key)
        assert stored["ServerSideEncryption"] == "aws:kms"
        assert stored["SSEKMSKeyId"] == "alias/example"
        assert stored["Body"].read() == packaged.contents[artifact.key]


def test_cloudformation_reads_the_url(s3: Any, make_client: MakeClient, packaged: Package) -> None:
    send(s3, packaged)
    summary = make_client("cloudformation", config={}).get_template_summary(
        TemplateURL=packaged.release.template_url
    )
    assert {item["ParameterKey"] for item in summary["Parameters"]} == {"Stage", "Cidr"}


def test_an_object_of_another_size_is_replaced(s3: Any, packaged: Package, bucket: str) -> None:
    send(s3, packaged)
    damaged = packaged.release.artifacts[0]
    s3.put_object(Bucket=bucket, Key=damaged.key, Body=b"cut off")
    assert send(s3, packaged).keys == (damaged.key,)
    assert s3.head_object(Bucket=bucket, Key=damaged.key)["ContentLength"] == damaged.size


def test_an_object_that_another_run_put_meanwhile_is_left_alone(
    s3: Any, packaged: Package, bucket: str
) -> None:
    send(s3, packaged)
    before = s3.list_objects_v2(Bucket=bucket)["Contents"]
    again = upload.upload(s3, bucket, packaged.release.artifacts, packaged.contents)
    assert again.warnings == ()
    assert s3.list_objects_v2(Bucket=bucket)["Contents"] == before


def test_a_full_bucket_is_asked_for_single_objects(s3: Any, packaged: Package, bucket: str) -> None:
    send(s3, packaged)
    with ThreadPoolExecutor(8) as pool:
        # these fill the first page of the listing
        names = (f"pre/fix/{number:064}" for number in range(1000))
        list(pool.map(lambda name: s3.put_object(Bucket=bucket, Key=name, Body=b""), names))
    assert upload.find_missing(s3, packaged.release) == ()
    lost = packaged.release.artifacts[1]
    s3.delete_object(Bucket=bucket, Key=lost.key)
    assert upload.find_missing(s3, packaged.release) == (lost,)


def test_a_bucket_without_kms_gives_a_warning(s3: Any, packaged: Package, bucket: str) -> None:
    s3.delete_bucket_encryption(Bucket=bucket)
    (warning,) = send(s3, packaged).warnings
    assert warning == (
        f"bucket {bucket} does not encrypt with a KMS key; set SSE-KMS as its default encryption "
        "or give kms_key_id."
    )


def test_a_missing_bucket(s3: Any, root: Path) -> None:
    absent = build(root, "there-is-no-such-bucket")
    sentence = "bucket there-is-no-such-bucket does not exist; create it or correct the option"
    with pytest.raises(upload.MissingBucketError, match=sentence):
        upload.find_missing(s3, absent.release)
    with pytest.raises(upload.MissingBucketError, match=sentence):
        upload.upload(s3, absent.release.bucket, absent.release.artifacts, absent.contents)


@pytest.mark.parametrize(
    ("allowed", "needed"),
    [((), "s3:ListBucket on arn:*:s3:::"), (("s3:ListBucket",), "s3:PutObject (and kms:")],
)
def test_a_bucket_that_refuses(
    make_client: MakeClient, packaged: Package, allowed: tuple[str, ...], needed: str
) -> None:
    iam = make_client("iam", config={})
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    if allowed:
        statement = {"Effect": "Allow", "Action": list(allowed), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="some", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = make_client("s3", key=(key["AccessKeyId"], key["SecretAccessKey"]))
    with pytest.raises(CloudError) as caught:
        send(user, packaged)
    sentence = str(caught.value)
    assert sentence.startswith(f"bucket {packaged.release.bucket} refuses access (User: arn:aws:")
    assert f"; allow {needed}" in sentence
    assert "\n" not in sentence


def test_who_is_calling(make_client: MakeClient, cloud: dict[str, str]) -> None:
    identity = account.caller_identity(make_client("sts", config=account.CLIENT_SETTINGS))
    assert identity.account_id == cloud["AWS_ACCESS_KEY_ID"]
    assert identity.arn == f"arn:aws:iam::{identity.account_id}:root"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (("AKIAIOSFODNN7EXAMPLE", "x" * 40), "(InvalidClientTokenId); check the access key id"),
        (None, "(SignatureDoesNotMatch); check the secret access key and this machine's clock"),
    ],
)
def test_credentials_that_are_refused(
    make_client: MakeClient, key: tuple[str, str] | None, says: str
) -> None:
    if key is None:
        iam = make_client("iam", config={})
        name = f"user-{uuid.uuid4()}"
        iam.create_user(UserName=name)
        real = iam.create_access_key(UserName=name)["AccessKey"]
        key = (real["AccessKeyId"], "x" * 40)
    client = make_client("sts", config=account.CLIENT_SETTINGS, key=key)
    with pytest.raises(CloudError) as caught:
        account.caller_identity(client)
    sentence = str(caught.value)
    assert sentence.startswith(f"AWS refuses the credentials at {client.meta.endpoint_url} ")
    assert says in sentence


def test_an_endpoint_that_never_answers(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = {**account.CLIENT_SETTINGS, "read_timeout": 1}
        client = make_client("sts", config=settings, endpoint=endpoint)
        with pytest.raises(CloudError, match="cannot be reached") as caught:
            account.caller_identity(client)
    assert str(caught.value).startswith(
        f"the AWS endpoint {endpoint} cannot be reached (no answer within 1 s); check the network"
    )


@pytest.mark.parametrize(
    ("region", "says"),
    [
        ("eu-west-1", None),
        (None, "no region is set; give the option region"),
        ("", "no region is set"),
        ("eu-wst-1", "(did you mean eu-west-1?)"),
        ("zzz", "(there are cn-north-1, eu-west-1, us-east-1 …)"),
    ],
)
def test_regions(region: str | None, says: str | None) -> None:
    error = account.check_region(region, REGIONS)
    assert (error is None) is (says is None)
    assert says is None or says in str(error)
