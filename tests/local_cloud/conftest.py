"""One local cloud for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local_cloud import process
from tests.local_cloud.support import ACCOUNT, REGION, Client, Stacks


@dataclass(frozen=True)
class LocalCloud:
    """The running local cloud."""

    endpoint: str
    environment: dict[str, str]
    state: process.State


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    directory = process.StateDirectory(tmp_path_factory.mktemp("local_cloud"))
    report = process.up(directory, port=0, strict_port=False, latency=0.0, timeout=60)
    assert report.server is not None
    yield LocalCloud(report.server.endpoint, report.server.environment, report.server)
    process.down(directory, timeout=60)


@pytest.fixture(scope="session")
def client(local_cloud: LocalCloud) -> Client:
    """Make a boto3 client: ``client(service, region=..., account=...)``."""
    made: dict[tuple[str, str, str], Any] = {}

    def make(service: str, region: str = REGION, account: str = ACCOUNT) -> Any:
        key = (service, region, account)
        if key not in made:
            session = boto3.Session(account, "a-secret-of-no-importance", region_name=region)
            made[key] = session.client(
                service,
                endpoint_url=_endpoint(local_cloud.environment, session, service),
                config=Config(retries={"total_max_attempts": 1}),
            )
        return made[key]

    return make


def _endpoint(environment: dict[str, str], session: boto3.Session, service: str) -> str:
    service_id = session._session.get_service_model(service).service_id
    own = f"AWS_ENDPOINT_URL_{service_id.upper().replace(' ', '_')}"
    return environment.get(own, environment["AWS_ENDPOINT_URL"])


@pytest.fixture
def stacks(client: Client) -> Stacks:
    """CloudFormation with a bucket for nested templates."""
    s3 = client("s3")
    if not any(b["Name"] == Stacks.bucket for b in s3.list_buckets()["Buckets"]):
        s3.create_bucket(
            Bucket=Stacks.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    return Stacks(client("cloudformation"), s3)
