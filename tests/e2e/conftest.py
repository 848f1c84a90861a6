"""The real playbooks and inventories, run as a user runs them, against a local cloud."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
RECAP = re.compile(
    r"ok=(?P<ok>\d+)\s+changed=(?P<changed>\d+)\s+unreachable=0\s+failed=(?P<failed>\d+)"
)


@dataclass(frozen=True)
class Run:
    """What a playbook printed and how it ended."""

    code: int
    output: str

    @property
    def recaps(self) -> list[dict[str, int]]:
        """The counts of each target's line in the play recap."""
        found = RECAP.findall(self.output)
        return [
            dict(zip(("ok", "changed", "failed"), map(int, line), strict=True)) for line in found
        ]

    @property
    def recap(self) -> dict[str, int]:
        """The counts of the one target's line in the play recap."""
        [counts] = self.recaps
        return counts

    def succeeded(self) -> Run:
        """This run, after a check that it ended well."""
        assert self.code == 0, self.output
        assert {counts["failed"] for counts in self.recaps} == {0}, self.output
        return self


@dataclass(frozen=True)
class Target:
    """One account of the local cloud, and an inventory to deploy to it."""

    environment: dict[str, str]
    inventory: str  # one of the shipped inventories, or the path of another
    region: str
    artifacts: Path

    def play(self, playbook: str, *arguments: str, stdin: str = "", **extra: Any) -> Run:
        """Run a playbook with the shipped inventory and these extra variables."""
        variables = {"payments_artifacts_dir": str(self.artifacts), **extra}
        inventory = str(ROOT / "inventories" / self.inventory)
        command = [str(BIN / "ansible-playbook"), "-i", inventory, playbook]
        command += ["-e", json.dumps(variables), *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment, "ANSIBLE_NOCOLOR": "1"},
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def client(self, service: str) -> Any:
        """A boto3 client in the target's account and region."""
        endpoint = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=self.environment.get(endpoint, self.environment["AWS_ENDPOINT_URL"]),
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=self.environment.get("AWS_SESSION_TOKEN"),
        )

    def holdings(self) -> dict[str, list[str]]:
        """What the account holds of the things that a deployment makes first."""
        pages = self.client("cloudformation").get_paginator("list_stacks").paginate()
        return {
            "stacks": [stack["StackId"] for page in pages for stack in page["StackSummaries"]],
            "buckets": [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]],
            "aliases": [a["AliasName"] for a in self.client("kms").list_aliases()["Aliases"]],
        }


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A local cloud of this test process; gives the environment that leads to it."""
    state = str(tmp_path_factory.mktemp("local_cloud"))
    command = [sys.executable, "-m", "local_cloud"]
    started = subprocess.run(
        [*command, "up", "--state-dir", state],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    try:
        yield json.loads(started.stdout)["environment"]
    finally:
        subprocess.run(
            [*command, "down", "--state-dir", state], cwd=ROOT, check=True, capture_output=True
        )


REGIONS = {"dev": "eu-west-1", "staging": "us-west-2", "prod": "us-east-1"}


@pytest.fixture(scope="session")
def accounts() -> Iterator[str]:
    """Account ids, each new to the local cloud."""
    return (f"{number:012d}" for number in itertools.count(300000000001))


@pytest.fixture(scope="class")
def target_for(
    cloud: dict[str, str], accounts: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Target]:
    """Make a target for an inventory, in an account that nobody else uses."""

    def make(inventory: str) -> Target:
        environment = {**cloud, "AWS_ACCESS_KEY_ID": next(accounts)}
        artifacts = tmp_path_factory.mktemp(inventory)
        return Target(environment, inventory, REGIONS[inventory], artifacts)

    return make
