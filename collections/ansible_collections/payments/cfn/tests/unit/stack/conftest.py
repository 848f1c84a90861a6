# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a real local cloud, and an account of its own in it for each test."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import manifest, package, upload
from ansible_collections.payments.cfn.plugins.module_utils.changesets import Proposal, TemplateUrl
from ansible_collections.payments.cfn.plugins.module_utils.engine import (
    Deletion,
    Deployment,
    Engine,
    Outcome,
    PackagedRelease,
)
from ansible_collections.payments.cfn.plugins.module_utils.events import (
    EventTree,
    Pace,
    StackEvent,
    Waiting,
)
from ansible_collections.payments.cfn.plugins.module_utils.plan import Plan
from ansible_collections.payments.cfn.plugins.module_utils.session import Clients
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

REGION = "eu-west-1"
TREE = Path(__file__).parent / "tree"
PROJECT = Path(__file__).resolve().parents[7]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a local cloud that lives as long as the tests."""
    command = [sys.executable, "-m", "local_cloud"]
    state = ["--state-dir", str(tmp_path_factory.mktemp("cloud"))]
    # An endpoint or credentials of whoever runs the tests must not reach the cloud.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    started = subprocess.run(
        [*command, "up", *state], cwd=PROJECT, env=clean, check=True, stdout=subprocess.PIPE
    )
    yield str(json.loads(started.stdout)["endpoint"])
    subprocess.run([*command, "down", *state], cwd=PROJECT, env=clean, check=True)


@pytest.fixture
def account(cloud: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that leads to a new account; it is set for the test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    variables = {
        "AWS_ENDPOINT_URL": cloud,
        "AWS_ACCESS_KEY_ID": f"{secrets.randbelow(10**12):012}",
        "AWS_SECRET_ACCESS_KEY": "a-secret-access-key-for-the-local-cloud",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def clients(account: Mapping[str, str]) -> Clients:
    """Clients for the account."""
    assert account
    return Clients({"region": REGION}, 8)


@dataclass
class Witness:
    """Remembers everything that an engine tells."""

    plans: list[Plan] = field(default_factory=list)
    events: list[StackEvent] = field(default_factory=list)
    lulls: list[Sequence[Waiting]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)

    def happened(self, event: StackEvent, tree: EventTree) -> None:
        assert tree.root_id
        self.events.append(event)

    def quiet(self, seconds: float, waiting: Sequence[Waiting], tree: EventTree) -> None:
        assert seconds > 0
        assert tree.root_id
        self.lulls.append(waiting)

    def warned(self, text: str) -> None:
        self.warnings.append(text)

    def finished(self) -> dict[str, str]:
        """Give the last status of each resource by its path."""
        return {event.name: event.status for event in self.events if not event.own}


@dataclass
class Deployer:
    """Packages and deploys the tree of the tests in one account."""

    clients: Clients
    bucket: str
    directory: Path
    name: str = "tree"
    pace: Pace = field(default_factory=Pace)
    witness: Witness = field(default_factory=Witness)

    def package(self, source: Path = TREE, *, upload_it: bool = True) -> PackagedRelease:
        """Package a tree, and bring it to the bucket."""
        target = package.Destination(self.bucket, REGION)
        built = package.build(load_tree(source / "root.yml"), {}, [], target)
        directory = self.directory / built.release.release_id
        for artifact in built.release.artifacts:
            manifest.replace_file(directory / artifact.path, built.contents[artifact.key])
        manifest.write(built.release, directory / manifest.FILE_NAME)
        if upload_it:
            upload.upload(self.clients.s3, self.bucket, built.release.artifacts, built.contents)
        return PackagedRelease(built.release, directory)

    def deploy(
        self,
        release: PackagedRelease,
        parameters: Mapping[str, str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        protection: bool | None = None,
        timeout: float = 60,
        dry_run: bool = False,
        witness: Witness | None = None,
    ) -> Outcome:
        """Deploy a packaged tree, with a new witness unless one is given."""
        proposal = Proposal(
            stack_name=self.name,
            template=TemplateUrl(release.release.template_url),
            parameters=parameters or {},
            tags=tags,
            capabilities=[],
            role_arn=None,
        )
        deployment = Deployment(proposal, release, None, protection, timeout, dry_run)
        self.witness = witness or Witness()
        with ThreadPoolExecutor(8) as pool:
            return Engine(self.clients, pool, self.witness, self.pace).deploy(deployment)

    def delete(self, *, timeout: float = 60, dry_run: bool = False) -> Outcome:
        """Delete the stack, with a new witness."""
        self.witness = Witness()
        with ThreadPoolExecutor(8) as pool:
            engine = Engine(self.clients, pool, self.witness, self.pace)
            return engine.delete(Deletion(self.name, None, timeout, dry_run))

    def world(self) -> dict[str, Any]:
        """Give everything in the account that a plan could leave a trace in."""
        cloudformation, s3 = self.clients.cloudformation, self.clients.s3
        versions = s3.list_object_versions(Bucket=self.bucket)
        stacks = cloudformation.describe_stacks()["Stacks"]
        return {
            "versions": sorted((v["Key"], v["VersionId"]) for v in versions.get("Versions", [])),
            "markers": versions.get("DeleteMarkers", []),
            "stacks": sorted((s["StackId"], s["StackStatus"]) for s in stacks),
            "change sets": sorted(
                summary["ChangeSetId"]
                for stack in stacks
                for summary in cloudformation.list_change_sets(StackName=stack["StackName"])[
                    "Summaries"
                ]
            ),
        }


@pytest.fixture
def deployer(clients: Clients, tmp_path: Path) -> Deployer:
    """A deployer with a versioned bucket."""
    bucket = f"artifacts-{secrets.token_hex(6)}"
    clients.s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    clients.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return Deployer(clients, bucket, tmp_path / "packages")
