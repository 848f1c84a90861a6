"""What holds for every resource type of the table, whatever the type."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.resources import RESOURCE_TYPES, worker_types
from local_cloud.resources.engine import handlers_for
from local_cloud.resources.errors import ResourceError
from local_cloud.resources.model import ResourceType, Step
from tests.local_cloud.support import Client, Stacks


def _stack(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Resources": {"It": {"Type": kind, "Properties": properties}}}


def _reason(stacks: Stacks, name: str) -> str:
    events = stacks.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return next(
        event["ResourceStatusReason"]
        for event in reversed(events)
        if event["ResourceStatus"].endswith("FAILED") and event["LogicalResourceId"] == "It"
    )


def test_no_type_is_described_twice() -> None:
    names = [kind.name for kind in RESOURCE_TYPES]
    assert sorted(names) == sorted(set(names))


def test_types_that_call_the_server_run_on_worker_threads() -> None:
    assert {"AWS::EC2::EIP", "AWS::RDS::DBCluster", "AWS::S3::Bucket"} <= worker_types()
    assert "AWS::EC2::RouteTable" not in worker_types()


def test_an_unknown_type_is_refused(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        stacks.create("unknown-type", _stack("AWS::EC2::CapacityReservation", InstanceType="x"))


def test_an_unknown_property_fails_the_resource(stacks: Stacks) -> None:
    template = _stack("AWS::EC2::EIP", Domain="vpc", InstanceTypo="x")
    stack = stacks.create("unknown-property", template)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "AWS::EC2::EIP has no InstanceTypo" in _reason(stacks, "unknown-property")


def test_an_error_is_told_as_cloudformation_tells_it(stacks: Stacks) -> None:
    template = _stack(
        "AWS::EC2::SecurityGroupIngress", GroupId="sg-none", IpProtocol="-1", CidrIp="10.0.0.0/8"
    )
    stacks.create("refused", template)
    reason = _reason(stacks, "refused")
    assert reason.startswith('Resource handler returned message: "')
    assert "InvalidGroup.NotFound" in reason
    assert reason.endswith("HandlerErrorCode: NotFound)")


def _refuse(*_anything: object) -> Any:
    raise ResourceError("refused")


HALF_MADE = ResourceType(
    name="AWS::Case::Thing", service="ec2", mends_builtin=True, after_create=(Step(_refuse),)
)


def test_what_fails_after_its_creation_is_removed_again() -> None:
    deleted = []
    builtin = {
        "create": lambda logical_id, _properties, _stack_name: (f"{logical_id}-1", {}),
        "delete": lambda physical_id, _properties: deleted.append(physical_id),
    }
    with pytest.raises(ResourceError, match=r"^refused$"):
        handlers_for(HALF_MADE, builtin)["create"]("It", {}, "a-stack")
    assert deleted == ["It-1"]


def test_what_cannot_be_removed_again_is_named() -> None:
    builtin = {"create": lambda *_anything: ("It-1", {}), "delete": _refuse}
    with pytest.raises(ResourceError, match="refused What was created of it, It-1, could not"):
        handlers_for(HALF_MADE, builtin)["create"]("It", {}, "a-stack")


def test_what_is_gone_already_counts_as_deleted(stacks: Stacks, client: Client) -> None:
    stacks.create("gone", _stack("AWS::EC2::EIP", Domain="vpc"))
    address = stacks.resource("gone", "It")["PhysicalResourceId"]
    ec2 = client("ec2")
    found = ec2.describe_addresses(PublicIps=[address])["Addresses"][0]
    ec2.release_address(AllocationId=found["AllocationId"])
    assert stacks.delete("gone")["StackStatus"] == "DELETE_COMPLETE"


def test_a_resource_belongs_to_the_account_and_region_of_its_stack(client: Client) -> None:
    where = {"region": "ap-south-1", "account": "333333333333"}
    stacks = Stacks(client("cloudformation", **where), client("s3", **where))
    stacks.create("elsewhere", _stack("AWS::EC2::EIP", Domain="vpc"))
    address = stacks.resource("elsewhere", "It")["PhysicalResourceId"]
    assert client("ec2", **where).describe_addresses(PublicIps=[address])["Addresses"]
    for other in ({"region": "ap-south-1"}, {"account": "333333333333"}):
        assert not client("ec2", **other).describe_addresses(PublicIps=[address])["Addresses"]


def test_a_tag_that_the_template_drops_is_removed(stacks: Stacks, client: Client) -> None:
    tags = [{"Key": "One", "Value": "1"}, {"Key": "Two", "Value": "2"}]
    stacks.create("retagged", _stack("AWS::EC2::EIP", Domain="vpc", Tags=tags))
    stacks.update("retagged", _stack("AWS::EC2::EIP", Domain="vpc", Tags=tags[1:]))
    address = stacks.resource("retagged", "It")["PhysicalResourceId"]
    found = client("ec2").describe_addresses(PublicIps=[address])["Addresses"][0]["Tags"]
    own = {tag["Key"] for tag in found if not tag["Key"].startswith("aws:")}
    assert own == {"Two"}


def test_a_named_resource_that_would_be_replaced_is_refused(stacks: Stacks) -> None:
    cluster = {
        "Engine": "aurora-postgresql",
        "MasterUsername": "master",
        "ManageMasterUserPassword": True,
        "DBClusterIdentifier": "named",
    }
    stacks.create("named", _stack("AWS::RDS::DBCluster", **cluster))
    stack = stacks.update("named", _stack("AWS::RDS::DBCluster", **cluster, StorageEncrypted=True))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Rename named and update the stack again" in _reason(stacks, "named")


def test_a_protected_cluster_is_not_deleted(stacks: Stacks) -> None:
    cluster = {
        "Engine": "aurora-postgresql",
        "MasterUsername": "m",
        "MasterUserPassword": "of-none",
    }
    template = _stack("AWS::RDS::DBCluster", **cluster, DeletionProtection=True)
    stacks.create("protected", template)
    assert stacks.delete("protected")["StackStatus"] == "DELETE_FAILED"


def test_a_snapshot_policy_leaves_a_snapshot(stacks: Stacks, client: Client) -> None:
    template = _stack(
        "AWS::RDS::DBCluster",
        Engine="aurora-postgresql",
        MasterUsername="m",
        MasterUserPassword="of-no-importance",
    )
    template["Resources"]["It"]["DeletionPolicy"] = "Snapshot"
    stacks.create("snapshot", template)
    cluster = stacks.resource("snapshot", "It")["PhysicalResourceId"]
    assert stacks.delete("snapshot")["StackStatus"] == "DELETE_COMPLETE"
    kept = client("rds").describe_db_cluster_snapshots(DBClusterIdentifier=cluster)
    assert len(kept["DBClusterSnapshots"]) == 1


def test_a_vpc_made_by_the_api_has_the_default_rules_too(client: Client) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    filters = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    group = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]
    assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"]


NAMED = {
    "AWS::Logs::LogGroup": {"LogGroupName": "/taken"},
    "AWS::CloudWatch::Alarm": {
        "AlarmName": "taken",
        "Namespace": "N",
        "MetricName": "M",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    },
    "AWS::CloudWatch::CompositeAlarm": {"AlarmName": "taken-too", "AlarmRule": "FALSE"},
    "AWS::CloudWatch::Dashboard": {"DashboardName": "taken", "DashboardBody": '{"widgets": []}'},
    "AWS::ECS::Cluster": {"ClusterName": "taken"},
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_that_is_taken_fails_the_resource_and_leaves_the_other_alone(
    stacks: Stacks, kind: str
) -> None:
    suffix = kind.rpartition("::")[2].lower()
    template = _stack(kind, **NAMED[kind])
    assert stacks.create(f"first-{suffix}", template)["StackStatus"] == "CREATE_COMPLETE"
    second = stacks.create(f"second-{suffix}", template)
    assert second["StackStatus"] == "ROLLBACK_COMPLETE"
    assert _reason(stacks, f"second-{suffix}").endswith("HandlerErrorCode: AlreadyExists)")
    # Still there, so its own stack can change it.
    changed = stacks.create(f"third-{suffix}", template)
    assert changed["StackStatus"] == "ROLLBACK_COMPLETE"


def test_an_alias_that_is_taken_fails_the_resource(stacks: Stacks) -> None:
    template = {
        "Resources": {
            "Key": {
                "Type": "AWS::KMS::Key",
                "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": []}},
            },
            "It": {
                "Type": "AWS::KMS::Alias",
                "Properties": {"AliasName": "alias/taken", "TargetKeyId": {"Ref": "Key"}},
            },
        }
    }
    assert stacks.create("first-alias", template)["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.create("second-alias", template)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert _reason(stacks, "second-alias").endswith("HandlerErrorCode: AlreadyExists)")
