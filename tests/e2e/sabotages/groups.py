"""Sabotage of who can reach whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="dev")
ALL = "0.0.0.0/0"


def opening(
    peer: str, first: int, last: int | None = None, protocol: str = "tcp"
) -> dict[str, Any]:
    """A rule of a security group, for an address range or another group."""
    ports = {"FromPort": first, "ToPort": last or first} if protocol != "-1" else {}
    kind = (
        {"IpRanges": [{"CidrIp": peer}]}
        if "/" in peer
        else {"UserIdGroupPairs": [{"GroupId": peer}]}
    )
    return {"IpProtocol": protocol, **ports, **kind}


@contextmanager
def let_in(victim: Victim, group: str, rule: dict[str, Any]) -> Iterator[None]:
    """Let somebody into a group for a while."""
    victim.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    yield
    victim.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])


@contextmanager
def let_out(victim: Victim, group: str, rule: dict[str, Any]) -> Iterator[None]:
    """Let a group out somewhere for a while."""
    victim.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    yield
    victim.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[rule])


def default_group(victim: Victim) -> str:
    """The id of the default security group."""
    groups = victim.in_vpc("describe_security_groups", "SecurityGroups")
    return next(item["GroupId"] for item in groups if item["GroupName"] == "default")


@noticed_by(
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
    "reachability::test_the_internet_comes_only_through",
)
def database_is_open_to_the_world(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["DatabaseSecurityGroupId"], opening(ALL, 5432)):
        yield "internet -> database"


@noticed_by(
    "security::test_only_the_service_and_the_rotation_reach_the_database",
    "security::test_no_other_security_group_is_open_to_the_internet",
)
def database_takes_the_worlds_addresses(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["DatabaseSecurityGroupId"], opening(ALL, 5432)):
        yield "tcp 5432 with 0.0.0.0/0"


@noticed_by(
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
    "reachability::test_the_internet_comes_only_through",
)
def tasks_are_open_to_the_world_by_ssh(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["ServiceSecurityGroupId"], opening(ALL, 22)):
        yield "internet -> service"


@noticed_by("security::test_only_the_load_balancer_reaches_the_service")
def tasks_take_ssh(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["ServiceSecurityGroupId"], opening("10.0.0.0/8", 22)):
        yield "tcp 22 with 10.0.0.0/8"


@noticed_by(
    "security::test_the_internet_reaches_the_load_balancer_on_http_and_https",
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
)
def load_balancer_takes_another_port(victim: Victim) -> Iterator[str]:
    with let_in(victim, victim.outputs["LoadBalancerSecurityGroupId"], opening(ALL, 8443)):
        yield "tcp 8443"


@noticed_by("security::test_nobody_else_reaches_the_load_balancer")
def load_balancer_takes_a_neighbour(victim: Victim) -> Iterator[str]:
    group = victim.outputs["LoadBalancerSecurityGroupId"]
    with let_in(victim, group, opening("10.99.0.0/16", 8080)):
        yield "10.99.0.0/16"


@noticed_by(
    "security::test_the_service_leaves_only_by_tls_and_to_the_database",
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
)
def tasks_may_leave_by_every_port(victim: Victim) -> Iterator[str]:
    rule = opening(ALL, 0, protocol="-1")
    with let_out(victim, victim.outputs["ServiceSecurityGroupId"], rule):
        yield "all traffic"


@noticed_by(
    "security::test_the_database_reaches_nobody",
    "reachability::test_only_the_service_gets_out",
    "reachability::test_nothing_leads_on_from",
)
def database_may_leave(victim: Victim) -> Iterator[str]:
    with let_out(victim, victim.outputs["DatabaseSecurityGroupId"], opening(ALL, 443)):
        yield "database"


@noticed_by("network::test_interface_endpoints_answer_only_the_platform")
def endpoints_answer_the_whole_vpc(victim: Victim) -> Iterator[str]:
    block = victim.outputs["VpcCidr"]
    with let_in(victim, victim.outputs["VpcEndpointSecurityGroupId"], opening(block, 443)):
        yield block


@noticed_by(
    "security::test_the_rotation_reaches_only_the_database_and_secrets",
    "reachability::test_only_the_service_gets_out",
)
def rotation_may_leave(victim: Victim) -> Iterator[str]:
    with let_out(victim, victim.outputs["RotationSecurityGroupId"], opening(ALL, 443)):
        yield "rotation"


@contextmanager
def cut_off(victim: Victim) -> Iterator[None]:
    """Take the load balancer's way to the service for a while."""
    group = victim.outputs["LoadBalancerSecurityGroupId"]
    filters = [{"Name": "group-id", "Values": [group]}]
    found = victim.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    [rule] = [item for item in found if item["IsEgress"] and "ReferencedGroupInfo" in item]
    victim.ec2.revoke_security_group_egress(
        GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
    )
    yield
    before = opening(rule["ReferencedGroupInfo"]["GroupId"], rule["FromPort"])
    victim.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[before])


@noticed_by("security::test_the_load_balancer_reaches_only_the_service")
def load_balancer_may_not_reach_the_service(victim: Victim) -> Iterator[str]:
    with cut_off(victim):
        yield "The load balancer lets out none"


@noticed_by(
    "reachability::test_groups_reach_each_other_as_planned_and_nobody_else",
    "reachability::test_the_internet_comes_only_through",
)
def internet_does_not_come_to_the_service(victim: Victim) -> Iterator[str]:
    with cut_off(victim):
        yield "service"


@noticed_by("network::test_default_security_group_is_closed")
def default_group_is_opened(victim: Victim) -> Iterator[str]:
    with let_in(victim, default_group(victim), opening(ALL, 22)):
        yield "tcp 22 with 0.0.0.0/0"


@noticed_by("reachability::test_only_the_planned_groups_come_to_the_database")
def another_group_comes_to_the_database(victim: Victim) -> Iterator[str]:
    group = victim.ec2.create_security_group(
        GroupName="bastion", Description="Nobody planned it", VpcId=victim.outputs["VpcId"]
    )["GroupId"]
    with let_in(victim, victim.outputs["DatabaseSecurityGroupId"], opening(group, 5432)):
        yield "bastion"
    victim.ec2.delete_security_group(GroupId=group)


@noticed_by("reachability::test_interfaces_carry_the_groups_of_their_tier")
def a_stranger_wears_the_group_of_the_service(victim: Victim) -> Iterator[str]:
    made = victim.ec2.create_network_interface(
        SubnetId=victim.subnets("Public")[0], Groups=[victim.outputs["ServiceSecurityGroupId"]]
    )["NetworkInterface"]["NetworkInterfaceId"]
    yield made
    victim.ec2.delete_network_interface(NetworkInterfaceId=made)
