# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a small tree of templates, and a real local cloud for the modules."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

import boto3
import pytest
from ansible_collections.payments.cfn.plugins.module_utils import upload
from ansible_collections.payments.cfn.plugins.module_utils.templates import Template, load_template
from botocore.config import Config

REGION = "eu-west-1"
COLLECTIONS = Path(__file__).resolve().parents[6]

ROOT = """
    Transform: AWS::LanguageExtensions
    Parameters:
      Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
      Cidr:
        Type: String
        AllowedPattern: "[0-9./]+"
        ConstraintDescription: must be a CIDR block, for example 10.0.0.0/16.
    Resources:
      Network:
        Type: AWS::CloudFormation::Stack
        Properties:
          TemplateURL: network.yml
          Parameters: {Stage: !Ref Stage, Cidr: !Ref Cidr}
      Data:
        Type: AWS::CloudFormation::Stack
        Properties:
          TemplateURL: data/data.yml
          Parameters: {Stage: !Ref Stage, Network: !GetAtt Network.Outputs.Id}
    Outputs:
      NetworkId: {Value: !GetAtt Network.Outputs.Id}
    """
NETWORK = """
    Parameters:
      Stage: {Type: String}
      Cidr: {Type: String}
    Resources:
      Vpc:
        Type: AWS::EC2::VPC
        Properties: {CidrBlock: !Ref Cidr}
      Closer:
        Type: AWS::Lambda::Function
        Properties: {Code: functions/closer, Handler: index.handler, Runtime: python3.13}
    Outputs:
      Id: {Value: !Ref Vpc}
    """
DATA = """
    Transform: AWS::LanguageExtensions
    Parameters:
      Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
      Network: {Type: String}
    Mappings:
      Stages: {dev: {OnDelete: Delete}, prod: {OnDelete: Retain}}
    Conditions:
      IsProd: !Equals [!Ref Stage, prod]
    Resources:
      Table:
        Type: AWS::DynamoDB::Table
        DeletionPolicy: !FindInMap [Stages, !Ref Stage, OnDelete]
        UpdateReplacePolicy: !If [IsProd, Retain, Delete]
        Properties: {BillingMode: PAY_PER_REQUEST}
      Replica:
        Type: AWS::SNS::Topic
        Condition: IsProd
    """


Write = Callable[[str, str], Path]
ReadTemplate = Callable[[str], Template]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the test's directory, its text dedented."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def template(write: Write) -> ReadTemplate:
    """Read a template from its text; a topic is added if it has no resources."""

    def read(text: str) -> Template:
        text = dedent(text)
        if "Resources:" not in text:
            text += "\nResources: {Topic: {Type: AWS::SNS::Topic}}\n"
        return load_template(write("template.yml", text))

    return read


@pytest.fixture
def root(write: Write) -> Path:
    """The root of a tree with two nested stacks and one function."""
    write("network.yml", NETWORK)
    write("data/data.yml", DATA)
    write("functions/closer/index.py", "def handler(event, context):\n    return None\n")
    return write("root.yml", ROOT)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A local cloud of its own; gives the environment that leads to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = tmp_path_factory.mktemp("cloud")
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=directory,
            # with AUTH policies are obeyed; the account's id is the key of its root user
            env=os.environ | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "AUTH": "true"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(f"{url}/_ministack/health", server)
        yield aws_environment(url)
    finally:
        server.terminate()
        server.wait(timeout=20)


def aws_environment(endpoint: str) -> dict[str, str]:
    """The process's environment, with credentials for an endpoint."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return clean | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "111122223333",
        "AWS_SECRET_ACCESS_KEY": "a-secret-access-key-for-the-local-cloud",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)  # between two looks at the condition
    raise RuntimeError(f"the local cloud does not answer at {url}")


class MakeClient(Protocol):
    """Makes a client for the local cloud."""

    def __call__(
        self,
        service: str,
        *,
        config: Mapping[str, Any] = ...,
        key: tuple[str, str] | None = ...,
        endpoint: str | None = ...,
    ) -> Any: ...


@pytest.fixture(scope="session")
def make_client(cloud: dict[str, str]) -> MakeClient:
    """Make a client, as the account's root unless a key (id, secret) is given."""

    def make(
        service: str,
        *,
        config: Mapping[str, Any] = upload.CLIENT_SETTINGS,
        key: tuple[str, str] | None = None,
        endpoint: str | None = None,
    ) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=endpoint or cloud["AWS_ENDPOINT_URL"],
            aws_access_key_id=key[0] if key else cloud["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=key[1] if key else cloud["AWS_SECRET_ACCESS_KEY"],
            config=Config(**config),
        )

    return make


@pytest.fixture(scope="session")
def s3(make_client: MakeClient) -> Any:
    """A client for S3 as root."""
    return make_client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of the test's own that encrypts with KMS by default."""
    name = f"test-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


RunModule = Callable[..., dict[str, Any]]
RunPlaybook = Callable[[list[dict[str, Any]], Mapping[str, str]], str]

_ANSIBLE = {
    "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
    "ANSIBLE_LOCALHOST_WARNING": "False",
}


@pytest.fixture
def run_module(tmp_path: Path, cloud: dict[str, str]) -> RunModule:
    """Run a module of the collection through Ansible and return its result."""

    def run(
        name: str,
        options: Mapping[str, Any],
        *,
        check: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        command = [sys.executable, "-m", "ansible", "adhoc", "localhost"]
        arguments = json.dumps({"region": REGION} | dict(options))
        command += ["-m", f"payments.cfn.{name}", "-a", arguments, *(["--check"] if check else [])]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**(cloud if environment is None else environment), **_ANSIBLE},
            capture_output=True,
            text=True,
            check=False,
        )
        assert " => {" in done.stdout, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.split(" => ", 1)[1])
        found["failed"] = done.returncode != 0
        # what the run shows a person counts as well, for secrets
        found["shown"] = done.stdout + done.stderr
        return found

    return run


@pytest.fixture
def run_playbook(tmp_path: Path) -> RunPlaybook:
    """Run a playbook, which must succeed, and return what it shows."""

    def run(plays: list[dict[str, Any]], environment: Mapping[str, str]) -> str:
        path = tmp_path / "playbook.yml"
        path.write_text(json.dumps(plays))
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", str(path)],
            cwd=tmp_path,
            env={**environment, **_ANSIBLE},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
