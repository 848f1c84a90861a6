"""The life of a platform in each environment: planned, deployed, changed, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Target

STACK = "payments-{}"
NESTED = "AWS::CloudFormation::Stack"


@pytest.fixture(scope="class")
def target(request: pytest.FixtureRequest, target_for: Callable[[str], Target]) -> Target:
    """The account in which one life is lived."""
    return target_for(request.cls.inventory)


class Life:
    """The steps in order; each stands on the one before it."""

    inventory: str

    @property
    def stack(self) -> str:
        return STACK.format(self.inventory)

    def test_plan_of_a_new_platform_adds_and_creates_nothing(self, target: Target) -> None:
        before = target.holdings()
        output = target.play("playbooks/plan.yml").succeeded().output
        assert "0 to change, 0 to replace, 0 to remove" in output
        assert "PaymentDBCluster" in output
        assert target.holdings() == before

    def test_check_mode_of_a_new_platform_creates_nothing(self, target: Target) -> None:
        before = target.holdings()
        target.play("deploy.yml", "--check", "--diff").succeeded()
        assert target.holdings() == before

    def test_deploys_and_verifies(self, target: Target) -> None:
        run = target.play("deploy.yml").succeeded()
        assert run.recap["changed"] > 0
        [stack] = target.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        assert (target.artifacts / "verification.xml").is_file()
        outputs = json.loads((target.artifacts / "outputs.json").read_text())
        assert outputs["VpcId"].startswith("vpc-")
        # Nested stacks are no changes of their own, neither in the plan nor here.
        planned = json.loads((target.artifacts / "plan.json").read_text())["counts"]
        assert planned["add"] == len(resources(target.client("cloudformation"), self.stack))

    def test_second_deployment_changes_nothing(self, target: Target) -> None:
        run = target.play("deploy.yml").succeeded()
        assert run.recap["changed"] == 0, run.output
        sets = target.client("cloudformation").list_change_sets(StackName=self.stack)["Summaries"]
        assert [s for s in sets if s["ExecutionStatus"] != "EXECUTE_COMPLETE"] == []

    def test_plan_of_one_variable_names_one_resource(self, target: Target) -> None:
        output = (
            target.play("playbooks/plan.yml", payments_service_desired_count=4).succeeded().output
        )
        assert "0 to add, 1 to change, 0 to replace, 0 to remove" in output
        assert "PaymentService" in output
        assert "ServiceDesiredCount" in output

    def test_one_variable_changes_one_resource(self, target: Target) -> None:
        cloudformation = target.client("cloudformation")
        before = last_events(cloudformation, self.stack)
        target.play("deploy.yml", payments_service_desired_count=4).succeeded()
        after = last_events(cloudformation, self.stack)
        touched = {key for key in after if after[key] != before.get(key)}
        assert {t for t in touched if t[1] != NESTED} == {("PaymentService", "AWS::ECS::Service")}

    def cluster_and_snapshots(self, target: Target) -> tuple[list[str], list[str]]:
        rds = target.client("rds")
        clusters = [c["DBClusterIdentifier"] for c in rds.describe_db_clusters()["DBClusters"]]
        snapshots = rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]
        return clusters, [s["DBClusterIdentifier"] for s in snapshots]

    def is_gone(self, target: Target) -> bool:
        pages = target.client("cloudformation").get_paginator("list_stacks").paginate()
        left = {
            stack["StackName"]
            for page in pages
            for stack in page["StackSummaries"]
            if stack["StackStatus"] != "DELETE_COMPLETE"
        }
        # What the account was prepared with outlives what was deployed.
        return left == {"payments-bootstrap", "payments-recorder"}


def tree(cloudformation: Any, root: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every stack of a tree with its resources."""
    names = [root]
    while names:
        name = names.pop()
        found = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        names += [r["PhysicalResourceId"] for r in found if r["ResourceType"] == NESTED]
        yield name, found


def resources(cloudformation: Any, root: str) -> list[dict[str, Any]]:
    """The resources of a tree that are no stacks."""
    return [
        resource
        for _, found in tree(cloudformation, root)
        for resource in found
        if resource["ResourceType"] != NESTED
    ]


def last_events(cloudformation: Any, root: str) -> dict[tuple[str, str], str]:
    """The time of the last event of each resource in a tree, by logical id and type."""
    found: dict[tuple[str, str], str] = {}
    for name, _ in tree(cloudformation, root):
        for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
            for event in page["StackEvents"]:
                key = (event["LogicalResourceId"], event["ResourceType"])
                stamp = event["Timestamp"].isoformat()
                found[key] = max(found.get(key, ""), stamp)
    return found


class TestDev(Life):
    inventory = "dev"

    def test_removal_needs_the_right_name(self, target: Target) -> None:
        run = target.play("playbooks/destroy.yml", payments_destroy="prod")
        assert run.code != 0
        assert "'prod'" in run.output
        assert not self.is_gone(target)

    def test_removal_leaves_no_database(self, target: Target) -> None:
        target.play("playbooks/destroy.yml", payments_destroy="dev").succeeded()
        assert self.is_gone(target)
        assert self.cluster_and_snapshots(target) == ([], [])

    def test_removal_again_finds_nothing(self, target: Target) -> None:
        run = target.play("playbooks/destroy.yml", payments_destroy="dev").succeeded()
        assert run.recap["changed"] == 0


class TestStaging(Life):
    inventory = "staging"

    def test_removal_leaves_a_snapshot(self, target: Target) -> None:
        target.play("playbooks/destroy.yml", payments_destroy="staging").succeeded()
        assert self.is_gone(target)
        assert self.cluster_and_snapshots(target) == ([], ["payments-staging"])


class TestProd(Life):
    inventory = "prod"

    def test_removal_is_refused(self, target: Target) -> None:
        run = target.play("playbooks/destroy.yml", payments_destroy="prod")
        assert run.code != 0
        assert "payments_termination_protection" in run.output
        assert not self.is_gone(target)

    def test_removal_on_purpose_keeps_the_database(self, target: Target) -> None:
        lifted = {"payments_termination_protection": False}
        run = target.play("playbooks/destroy.yml", payments_destroy="prod", **lifted)
        assert run.code != 0, "protection is lifted by a deployment, not by a variable alone"
        target.play("deploy.yml", **lifted).succeeded()
        target.play("playbooks/destroy.yml", payments_destroy="prod", **lifted).succeeded()
        assert self.is_gone(target)
        assert self.cluster_and_snapshots(target) == (["payments-prod"], [])
