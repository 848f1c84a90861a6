# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine against the local cloud, with a tree of three levels."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import upload
from ansible_collections.payments.cfn.plugins.module_utils.changesets import ChangeSetError
from ansible_collections.payments.cfn.plugins.module_utils.engine import (
    OperationFailed,
    Outcome,
    PackagedRelease,
)
from ansible_collections.payments.cfn.plugins.module_utils.events import Pace, StackTimeout
from ansible_collections.payments.cfn.plugins.module_utils.plan import Counts, Plan
from ansible_collections.payments.cfn.plugins.module_utils.session import Clients
from ansible_collections.payments.cfn.plugins.module_utils.stacks import StackStateError

from .conftest import Witness

RESOURCES = {
    "Marker",
    "Network/LogGroup",
    "Network/Topic",
    "Service/Greeting",
    "Service/Queue",
    "Service/Signal",
    "Service/Store/Bucket",
    "Service/Store/Cluster",
    "Service/Store/Table",
    "Service/Subscriber",
}


def paths(outcome: Outcome) -> set[str]:
    """Give the paths of the resources that a plan changes."""
    assert outcome.plan is not None
    return {"/".join(path) for path in outcome.plan.paths()}


def counts(outcome: Outcome) -> Counts:
    """Give the counts of a plan."""
    assert outcome.plan is not None
    return outcome.plan.counts


@pytest.fixture
def release(deployer: Any) -> PackagedRelease:
    """The tree, packaged and in the bucket."""
    packaged: PackagedRelease = deployer.package()
    return packaged


@pytest.fixture
def deployed(deployer: Any, release: PackagedRelease) -> PackagedRelease:
    """The tree, deployed."""
    deployer.deploy(release)
    return release


def test_first_deployment(deployer: Any, release: PackagedRelease) -> None:
    outcome = deployer.deploy(release)
    assert outcome.changed
    assert outcome.status == "CREATE_COMPLETE"
    assert set(outcome.outputs) == {"Topic", "Queue"}
    assert outcome.plan.operation == "create"
    assert paths(outcome) == RESOURCES
    assert counts(outcome) == Counts(add=len(RESOURCES))
    finished = deployer.witness.finished()
    assert {path for path, status in finished.items() if status == "CREATE_COMPLETE"} == (
        RESOURCES | {"Network", "Service", "Service/Store"}
    )
    last = deployer.witness.events[-1]
    assert (last.own, last.path, last.status) == (True, (), "CREATE_COMPLETE")
    assert last.done == len(RESOURCES)


def test_events_are_told_once_and_in_order(deployer: Any, deployed: PackagedRelease) -> None:
    events = deployer.witness.events
    assert len({event.event_id for event in events}) == len(events)
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert not any(event.status == "REVIEW_IN_PROGRESS" for event in events)
    created = {event.event_id for event in events}
    deployer.deploy(deployed, {"Message": "changed"})
    assert deployer.witness.events
    assert not created & {event.event_id for event in deployer.witness.events}


def test_second_deployment_changes_nothing_and_leaves_nothing(
    deployer: Any, deployed: PackagedRelease
) -> None:
    before = deployer.world()
    began = time.monotonic()
    outcome = deployer.deploy(deployed)
    assert time.monotonic() - began < 1
    assert not outcome.changed
    assert outcome.status == "CREATE_COMPLETE"
    assert set(outcome.outputs) == {"Topic", "Queue"}
    assert counts(outcome).total == 0
    assert deployer.witness.events == []
    assert deployer.world() == before


def test_one_parameter_changes_one_resource(deployer: Any, deployed: PackagedRelease) -> None:
    outcome = deployer.deploy(deployed, {"Message": "changed"})
    assert outcome.status == "UPDATE_COMPLETE"
    assert counts(outcome) == Counts(modify=1)
    ((path, change),) = outcome.plan.changes()
    assert (path, change.logical_id) == (("Service",), "Greeting")
    ((item,),) = [change.properties]
    assert (item.name, [str(cause) for cause in item.causes]) == ("Value", ["parameter Message"])
    assert [item.to_dict() for item in outcome.plan.parameters] == [
        {"name": "Message", "old": "hello", "new": "changed"}
    ]
    assert deployer.witness.events[-1].done == 1


def test_replacement_is_planned_and_the_old_resource_goes(
    deployer: Any, deployed: PackagedRelease
) -> None:
    outcome = deployer.deploy(deployed, {"QueueName": "named"})
    assert outcome.outputs["Queue"] == "named"
    replaced = {
        change.logical_id: change.replacement
        for _path, change in outcome.plan.changes()
        if change.kind == "replace"
    }
    assert replaced == {"Queue": "True"}
    history = [event.status for event in deployer.witness.events if event.name == "Service/Queue"]
    assert history[-1] == "DELETE_COMPLETE"


def test_nested_stack_is_added_and_removed(deployer: Any, deployed: PackagedRelease) -> None:
    added = deployer.deploy(deployed, {"Extra": "yes"})
    assert counts(added) == Counts(add=2)
    assert paths(added) == {"Addition/First", "Addition/Second"}
    removed = deployer.deploy(deployed)
    assert counts(removed) == Counts(remove=2)
    policies = {change.logical_id: change.policy_action for _path, change in removed.plan.changes()}
    assert policies == {"First": "Delete", "Second": "Retain"}
    finished = deployer.witness.finished()
    assert finished["Addition/First"] == "DELETE_COMPLETE"
    assert finished["Addition/Second"] == "DELETE_SKIPPED"


def test_plan_of_a_new_stack_is_the_one_that_is_carried_out_and_leaves_nothing(
    deployer: Any,
) -> None:
    unpublished = deployer.package(upload_it=False)
    before = deployer.world()
    foreseen = deployer.deploy(unpublished, dry_run=True)
    assert foreseen.changed
    assert foreseen.status == "ABSENT"
    assert deployer.world() == before
    done = deployer.deploy(deployer.package())
    assert paths(foreseen) == paths(done) == RESOURCES
    assert foreseen.plan.parameters == done.plan.parameters


def test_plan_of_an_update_leaves_nothing(deployer: Any, deployed: PackagedRelease) -> None:
    before = deployer.world()
    outcome = deployer.deploy(deployed, {"Message": "changed"}, protection=True, dry_run=True)
    assert outcome.changed
    assert outcome.status == "CREATE_COMPLETE"
    assert paths(outcome) == {"Service/Greeting"}
    assert [item.name for item in outcome.plan.settings] == ["TerminationProtection"]
    assert deployer.world() == before


def test_plan_with_templates_that_the_bucket_lacks_leaves_nothing(
    deployer: Any, deployed: PackagedRelease, tmp_path: Path
) -> None:
    assert deployed
    changed = edited(tmp_path, "network.yml", "!Ref Retention", "30")
    unpublished = deployer.package(changed, upload_it=False)
    before = deployer.world()
    outcome = deployer.deploy(unpublished, dry_run=True)
    assert paths(outcome) == {"Network/LogGroup"}
    assert deployer.world() == before


def test_plan_that_fails_takes_its_templates_away_again(
    deployer: Any, deployed: PackagedRelease, tmp_path: Path
) -> None:
    assert deployed
    broken = edited(tmp_path, "network.yml", "AWS::SNS::Topic", "AWS::SNS::Toppic")
    unpublished = deployer.package(broken, upload_it=False)
    before = deployer.world()
    with pytest.raises(ChangeSetError, match="Toppic"):
        deployer.deploy(unpublished, dry_run=True)
    assert deployer.world() == before


@dataclass
class Passerby(Witness):
    """Does something while a plan has its templates in the bucket."""

    act: Callable[[], None] = lambda: None

    def planned(self, plan: Plan) -> None:
        super().planned(plan)
        self.act()


def test_plan_does_no_harm_to_a_deployment_beside_it(
    deployer: Any, deployed: PackagedRelease, tmp_path: Path
) -> None:
    assert deployed
    changed = edited(tmp_path, "network.yml", "!Ref Retention", "30")
    release = deployer.package(changed, upload_it=False)
    before = deployer.world()

    def publish() -> None:
        during = {key for key, _ in deployer.world()["versions"]}
        # the changed template and the root, which names it
        assert len(during - {key for key, _ in before["versions"]}) == 2
        missing = upload.find_missing(deployer.clients.s3, release.release)
        assert {item.source for item in missing} == {"network.yml", "root.yml"}
        deployer.package(changed)

    foreseen = deployer.deploy(release, dry_run=True, witness=Passerby(act=publish))
    assert upload.find_missing(deployer.clients.s3, release.release) == ()
    done = deployer.deploy(release)
    assert paths(foreseen) == paths(done) == {"Network/LogGroup"}
    assert foreseen.plan.to_dict()["counts"] == done.plan.to_dict()["counts"]
    keys = {key for key, _ in deployer.world()["versions"]}
    assert not [key for key in keys if key.startswith("plans/")]


def test_plan_changes_nothing_if_the_bucket_lost_what_is_deployed(
    deployer: Any, deployed: PackagedRelease
) -> None:
    client = deployer.clients.s3
    (network,) = [item for item in deployed.release.artifacts if item.source == "network.yml"]
    client.delete_object(Bucket=deployer.bucket, Key=network.key)
    before = deployer.world()
    outcome = deployer.deploy(deployed, dry_run=True)
    assert counts(outcome).total == 0
    assert not outcome.changed
    assert deployer.world() == before


def test_change_set_of_a_new_stack_that_fails_leaves_no_stack(
    deployer: Any, tmp_path: Path
) -> None:
    broken = edited(tmp_path, "network.yml", "AWS::SNS::Topic", "AWS::SNS::Toppic")
    release = deployer.package(broken)
    before = deployer.world()
    with pytest.raises(ChangeSetError, match=r"AWS cannot make a change set: .*Toppic"):
        deployer.deploy(release)
    assert deployer.world() == before
    assert deployer.witness.warnings == []


def test_change_of_outputs_alone_is_carried_out(
    deployer: Any, deployed: PackagedRelease, tmp_path: Path
) -> None:
    assert deployed
    more = edited(tmp_path, "root.yml", "Outputs:", "Outputs:\n  More:\n    Value: more")
    outcome = deployer.deploy(deployer.package(more))
    assert outcome.changed
    assert outcome.outputs["More"] == "more"
    assert counts(outcome).total == 0


def test_first_failure_is_named_with_its_path_and_reason(
    deployer: Any, release: PackagedRelease
) -> None:
    with pytest.raises(OperationFailed) as caught:
        deployer.deploy(release, {"Broken": "yes"})
    assert str(caught.value).startswith(
        "tree ended ROLLBACK_COMPLETE because Service/Obstacle "
        "(AWS::CloudFormation::WaitCondition) was CREATE_FAILED: WaitCondition timed out."
    )
    assert caught.value.status == "ROLLBACK_COMPLETE"
    assert caught.value.cause.path == ("Service", "Obstacle")
    with pytest.raises(StackStateError, match=r"ROLLBACK_COMPLETE: .*run `aws cloudformation "):
        deployer.deploy(release)
    assert deployer.delete().changed


def test_update_that_fails_is_rolled_back_and_can_be_repeated(
    deployer: Any, deployed: PackagedRelease
) -> None:
    with pytest.raises(OperationFailed, match="tree ended UPDATE_ROLLBACK_COMPLETE because "
                                              "Service/Obstacle"):  # fmt: skip
        deployer.deploy(deployed, {"Broken": "yes", "Message": "changed"})
    outcome = deployer.deploy(deployed, {"Message": "changed"})
    assert outcome.status == "UPDATE_COMPLETE"
    assert paths(outcome) == {"Service/Greeting"}


def test_waiting_is_told_and_ends_with_the_limit(deployer: Any, release: PackagedRelease) -> None:
    deployer.pace = Pace(first=0.1, shortest=0.1, longest=0.2, lull=0.3, repeat=0.3)
    began = time.monotonic()
    with pytest.raises(StackTimeout) as caught:
        deployer.deploy(release, {"Broken": "yes", "Patience": "4"}, timeout=2)
    assert 2 <= time.monotonic() - began < 3
    assert "tree: still CREATE_IN_PROGRESS after 2 seconds, waiting for Service/Obstacle" in str(
        caught.value
    )
    assert len(deployer.witness.lulls) > 1
    ((waiting,), *_more) = deployer.witness.lulls
    assert waiting.event.name == "Service/Obstacle"
    with pytest.raises(StackStateError, match="CREATE_IN_PROGRESS: another operation"):
        deployer.deploy(release)
    with pytest.raises(StackStateError, match="CREATE_IN_PROGRESS: another operation"):
        deployer.delete()


def test_deletion_tells_what_it_keeps(deployer: Any, deployed: PackagedRelease) -> None:
    assert deployed
    before = deployer.world()
    foreseen = deployer.delete(dry_run=True)
    assert foreseen.changed
    assert deployer.world() == before
    outcome = deployer.delete()
    assert outcome.status == "DELETE_COMPLETE"
    assert paths(outcome) == RESOURCES
    assert sorted((item.path, item.how) for item in outcome.kept) == [
        ("Service/Store/Bucket", "retained"),
        ("Service/Store/Cluster", "snapshot"),
    ]
    assert sorted((item.path, item.how) for item in foreseen.kept) == sorted(
        (item.path, item.how) for item in outcome.kept
    )
    (bucket,) = [item.physical_id for item in outcome.kept if item.how == "retained"]
    deployer.clients.s3.head_bucket(Bucket=bucket)
    snapshots = rds(deployer.clients).describe_db_cluster_snapshots()["DBClusterSnapshots"]
    assert len(snapshots) == 1
    again = deployer.delete()
    assert not again.changed
    assert again.status == "ABSENT"


def test_termination_protection_is_set_and_lifted_and_holds(
    deployer: Any, deployed: PackagedRelease
) -> None:
    assert deployer.deploy(deployed, protection=True).changed
    assert not deployer.deploy(deployed, protection=True).changed
    assert not deployer.deploy(deployed, protection=None).changed
    with pytest.raises(StackStateError, match="termination protection is on"):
        deployer.delete()
    with pytest.raises(StackStateError, match="termination protection is on"):
        deployer.delete(dry_run=True)
    assert deployer.deploy(deployed, protection=False).changed
    assert deployer.delete().changed


def test_tags_are_put_on_the_stack_and_kept_if_not_given(
    deployer: Any, deployed: PackagedRelease
) -> None:
    def tags() -> dict[str, str]:
        (stack,) = deployer.clients.cloudformation.describe_stacks(StackName="tree")["Stacks"]
        return {tag["Key"]: tag["Value"] for tag in stack["Tags"]}

    assert deployer.deploy(deployed, tags={"Owner": "team"}).changed
    assert tags() == {"Owner": "team"}
    assert not deployer.deploy(deployed, tags={"Owner": "team"}).changed
    assert not deployer.deploy(deployed).changed
    assert tags() == {"Owner": "team"}


def test_value_of_a_secret_parameter_is_nowhere(deployer: Any, release: PackagedRelease) -> None:
    secret = "a-value-that-nobody-may-see"
    foreseen = deployer.deploy(release, {"Secret": secret}, dry_run=True)
    done = deployer.deploy(release, {"Secret": secret})
    for outcome in (foreseen, done):
        assert secret not in str(outcome.plan)
        shown = [item for item in outcome.plan.parameters if item.name == "Secret"]
        assert [(item.old, item.new) for item in shown] == [(None, "****")]


def test_operation_of_many_events_is_told_in_full(deployer: Any, tmp_path: Path) -> None:
    topics = "\n".join(f"  Topic{i}:\n    Type: AWS::SNS::Topic" for i in range(70))
    source = tmp_path / "wide"
    source.mkdir()
    (source / "root.yml").write_text(f"Resources:\n{topics}\n", encoding="utf-8")
    outcome = deployer.deploy(deployer.package(source))
    assert counts(outcome) == Counts(add=70)
    created = [e.name for e in deployer.witness.events if e.status == "CREATE_COMPLETE" if e.path]
    assert sorted(created) == sorted(f"Topic{i}" for i in range(70))


def test_stack_that_was_only_reviewed_is_deleted(deployer: Any, release: PackagedRelease) -> None:
    before = deployer.world()
    client = deployer.clients.cloudformation
    client.create_change_set(
        StackName="tree",
        ChangeSetName="by-hand",
        ChangeSetType="CREATE",
        TemplateURL=release.release.template_url,
        Capabilities=["CAPABILITY_IAM"],
        IncludeNestedStacks=True,
    )
    client.get_waiter("change_set_create_complete").wait(
        StackName="tree", ChangeSetName="by-hand", WaiterConfig={"Delay": 1}
    )
    reviewed = deployer.world()
    assert {status for _, status in reviewed["stacks"]} == {"REVIEW_IN_PROGRESS"}
    foreseen = deployer.delete(dry_run=True)
    assert (foreseen.changed, foreseen.status) == (True, "REVIEW_IN_PROGRESS")
    assert deployer.world() == reviewed
    outcome = deployer.delete()
    assert (outcome.changed, outcome.status) == (True, "DELETE_COMPLETE")
    assert paths(outcome) == set()
    assert deployer.world() == before
    assert not deployer.delete().changed


def test_deletion_that_runs_already_is_joined(deployer: Any, deployed: PackagedRelease) -> None:
    assert deployed
    deployer.clients.cloudformation.delete_stack(StackName="tree")
    outcome = deployer.delete()
    assert outcome.status in ("DELETE_COMPLETE", "ABSENT")


def edited(directory: Path, name: str, old: str, new: str) -> Path:
    """Give a copy of the tree with one passage of one template changed."""
    source = directory / "edited"
    shutil.copytree(Path(__file__).parent / "tree", source)
    text = (source / name).read_text(encoding="utf-8")
    assert old in text
    (source / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return source


def rds(clients: Clients) -> Any:
    """Give a client for RDS."""
    return clients._session.client("rds", region_name=clients.region)
