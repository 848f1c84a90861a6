"""Sabotage of the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, sabotage

noticed_by = partial(sabotage, on="prod")

ALL = "0.0.0.0/0"


def table_of(victim: Victim, subnet: str) -> str:
    """The id of a subnet's route table."""
    for table in victim.in_vpc("describe_route_tables", "RouteTables"):
        if subnet in [item.get("SubnetId") for item in table["Associations"]]:
            return str(table["RouteTableId"])
    raise LookupError(subnet)


def main_table(victim: Victim) -> str:
    """The id of the route table of subnets that have none of their own."""
    for table in victim.in_vpc("describe_route_tables", "RouteTables"):
        if any(item.get("Main") for item in table["Associations"]):
            return str(table["RouteTableId"])
    raise LookupError("main route table")


def gateway(victim: Victim) -> str:
    """The id of the internet gateway."""
    filters = [{"Name": "attachment.vpc-id", "Values": [victim.outputs["VpcId"]]}]
    found = victim.ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]
    return str(found[0]["InternetGatewayId"])


def endpoint(victim: Victim, service: str) -> dict[str, Any]:
    """The endpoint of a service."""
    for item in victim.in_vpc("describe_vpc_endpoints", "VpcEndpoints"):
        if item["ServiceName"].endswith(f".{service}"):
            return item
    raise LookupError(service)


@noticed_by("network::test_private_subnets_lead_to_a_nat_gateway")
def private_subnet_loses_its_way_out(victim: Victim) -> Iterator[str]:
    subnet = victim.subnets("Private")[1]
    table, nats = table_of(victim, subnet), victim.outputs["NatGatewayIds"].split(",")
    victim.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=ALL)
    yield subnet
    # Of its own zone, or the only one.
    nat = nats[min(1, len(nats) - 1)]
    victim.ec2.create_route(RouteTableId=table, DestinationCidrBlock=ALL, NatGatewayId=nat)


@noticed_by("network::test_private_subnets_lead_to_a_nat_gateway")
def private_subnet_leaves_through_another_zone(victim: Victim) -> Iterator[str]:
    first, second, _ = victim.outputs["NatGatewayIds"].split(",")
    table = table_of(victim, victim.subnets("Private")[0])
    victim.ec2.replace_route(RouteTableId=table, DestinationCidrBlock=ALL, NatGatewayId=second)
    yield second
    victim.ec2.replace_route(RouteTableId=table, DestinationCidrBlock=ALL, NatGatewayId=first)


@noticed_by("network::test_private_subnets_lead_to_a_nat_gateway")
def private_subnet_becomes_public(victim: Victim) -> Iterator[str]:
    subnet = victim.subnets("Private")[0]
    table, nat = table_of(victim, subnet), victim.outputs["NatGatewayIds"].split(",")[0]
    place = {"RouteTableId": table, "DestinationCidrBlock": ALL}
    victim.ec2.replace_route(**place, GatewayId=gateway(victim))
    yield subnet
    victim.ec2.replace_route(**place, NatGatewayId=nat)


@noticed_by("network::test_public_subnets_lead_to_the_internet_gateway")
def public_subnets_lead_to_nat(victim: Victim) -> Iterator[str]:
    subnet = victim.subnets("Public")[0]
    place = {"RouteTableId": table_of(victim, subnet), "DestinationCidrBlock": ALL}
    victim.ec2.replace_route(**place, NatGatewayId=victim.outputs["NatGatewayIds"].split(",")[0])
    yield subnet
    victim.ec2.replace_route(**place, GatewayId=gateway(victim))


@noticed_by(
    "network::test_database_subnets_lead_nowhere", "network::test_tier_has_only_the_planned_routes"
)
def database_subnets_get_a_way_out(victim: Victim) -> Iterator[str]:
    subnet, nat = victim.subnets("Database")[0], victim.outputs["NatGatewayIds"].split(",")[0]
    table = table_of(victim, subnet)
    victim.ec2.create_route(RouteTableId=table, DestinationCidrBlock=ALL, NatGatewayId=nat)
    yield nat
    victim.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=ALL)


@noticed_by("network::test_tier_has_only_the_planned_routes")
def private_subnet_leads_to_a_stranger(victim: Victim) -> Iterator[str]:
    table, block = table_of(victim, victim.subnets("Private")[0]), "192.168.0.0/16"
    victim.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock=block, GatewayId=gateway(victim)
    )
    yield block
    victim.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=block)


@noticed_by("network::test_main_route_table_leads_nowhere")
def main_route_table_gets_a_way_out(victim: Victim) -> Iterator[str]:
    table = main_table(victim)
    victim.ec2.create_route(RouteTableId=table, DestinationCidrBlock=ALL, GatewayId=gateway(victim))
    yield gateway(victim)
    victim.ec2.delete_route(RouteTableId=table, DestinationCidrBlock=ALL)


@noticed_by(
    "network::test_internet_gateway_is_attached",
    "network::test_public_subnets_lead_to_the_internet_gateway",
)
def internet_gateway_is_detached(victim: Victim) -> Iterator[str]:
    place = {"InternetGatewayId": gateway(victim), "VpcId": victim.outputs["VpcId"]}
    victim.ec2.detach_internet_gateway(**place)
    yield "internet gateway"
    victim.ec2.attach_internet_gateway(**place)


@noticed_by("network::test_nat_gateways_are_as_many_as_planned")
def nat_gateway_is_added(victim: Victim) -> Iterator[str]:
    address = victim.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = victim.ec2.create_nat_gateway(SubnetId=victim.subnets("Public")[0], AllocationId=address)[
        "NatGateway"
    ]["NatGatewayId"]
    yield "NAT gateways"
    victim.ec2.delete_nat_gateway(NatGatewayId=nat)
    victim.ec2.release_address(AllocationId=address)


@noticed_by("network::test_tier_gives_no_public_address_by_itself")
def subnet_gives_public_addresses(victim: Victim) -> Iterator[str]:
    subnet = victim.subnets("Private")[2]
    for on in (True, False):
        victim.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": on})
        if on:
            yield subnet


@noticed_by("network::test_vpc_has_no_other_subnet")
def subnet_is_added(victim: Victim) -> Iterator[str]:
    block = victim.outputs["VpcCidr"].replace(".0.0/16", ".200.0/24")
    subnet = victim.ec2.create_subnet(VpcId=victim.outputs["VpcId"], CidrBlock=block)["Subnet"]
    yield subnet["SubnetId"]
    victim.ec2.delete_subnet(SubnetId=subnet["SubnetId"])


@noticed_by("network::test_vpc_resolves_names")
def names_of_hosts_are_off(victim: Victim) -> Iterator[str]:
    vpc = victim.outputs["VpcId"]
    victim.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    yield "enableDnsHostnames"
    victim.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})


@noticed_by("network::test_interface_endpoint_serves_the_private_subnets")
def endpoint_leaves_a_zone(victim: Victim) -> Iterator[str]:
    name, subnet = endpoint(victim, "ecr.dkr")["VpcEndpointId"], victim.subnets("Private")[0]
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, RemoveSubnetIds=[subnet])
    yield "ecr.dkr"
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, AddSubnetIds=[subnet])


@noticed_by("network::test_interface_endpoint_serves_only_this_account")
def endpoint_serves_everybody(victim: Victim) -> Iterator[str]:
    found = endpoint(victim, "kms")
    anything = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    name = found["VpcEndpointId"]
    victim.ec2.modify_vpc_endpoint(
        VpcEndpointId=name, PolicyDocument=json.dumps({"Statement": [anything]})
    )
    yield "kms"
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, PolicyDocument=found["PolicyDocument"])


@noticed_by("network::test_s3_endpoint_leads_to_image_layers_only")
def s3_endpoint_leads_to_every_bucket(victim: Victim) -> Iterator[str]:
    found = endpoint(victim, "s3")
    name = found["VpcEndpointId"]
    wide = found["PolicyDocument"].replace("prod-", "*").replace("starport-layer-bucket/", "")
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, PolicyDocument=wide)
    yield "S3 endpoint"
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, PolicyDocument=found["PolicyDocument"])


@noticed_by("network::test_s3_is_reached_through_a_gateway_endpoint")
def s3_endpoint_leaves_a_route_table(victim: Victim) -> Iterator[str]:
    name, subnet = endpoint(victim, "s3")["VpcEndpointId"], victim.subnets("Private")[0]
    table = [table_of(victim, subnet)]
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, RemoveRouteTableIds=table)
    yield subnet
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, AddRouteTableIds=table)


@noticed_by("network::test_s3_is_reached_from_the_private_subnets_only")
def s3_endpoint_serves_the_database(victim: Victim) -> Iterator[str]:
    name = endpoint(victim, "s3")["VpcEndpointId"]
    table = table_of(victim, victim.subnets("Database")[0])
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, AddRouteTableIds=[table])
    yield table
    victim.ec2.modify_vpc_endpoint(VpcEndpointId=name, RemoveRouteTableIds=[table])


@noticed_by("network::test_vpc_has_no_other_endpoint")
def endpoint_is_added(victim: Victim) -> Iterator[str]:
    name = f"com.amazonaws.{victim.target.region}.sqs"
    made = victim.ec2.create_vpc_endpoint(
        VpcId=victim.outputs["VpcId"], ServiceName=name, VpcEndpointType="Interface"
    )["VpcEndpoint"]
    yield name
    victim.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])


@noticed_by("network::test_network_acls_leave_the_choice_to_the_groups")
def network_acl_blocks_the_service(victim: Victim) -> Iterator[str]:
    acl = victim.in_vpc("describe_network_acls", "NetworkAcls")[0]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 10, "Egress": False}
    victim.ec2.create_network_acl_entry(
        **entry, Protocol="6", RuleAction="deny", CidrBlock=ALL, PortRange={"From": 443, "To": 443}
    )
    yield acl
    victim.ec2.delete_network_acl_entry(**entry)


@noticed_by(
    "network::test_interface_endpoint_serves_the_private_subnets",
    "network::test_interface_endpoint_has_its_own_group",
    lasting=True,
)
def endpoint_is_made_anew_by_hand(victim: Victim) -> Iterator[str]:
    found = endpoint(victim, "secretsmanager")
    victim.ec2.delete_vpc_endpoints(VpcEndpointIds=[found["VpcEndpointId"]])
    victim.ec2.create_vpc_endpoint(
        VpcId=victim.outputs["VpcId"],
        ServiceName=found["ServiceName"],
        VpcEndpointType="Interface",
        SubnetIds=found["SubnetIds"],
        SecurityGroupIds=[victim.outputs["ServiceSecurityGroupId"]],
        PrivateDnsEnabled=False,
    )
    yield "secretsmanager"


@noticed_by(
    "network::test_flow_logs_are_encrypted_and_kept",
    "security::test_log_groups_are_encrypted_and_kept_as_planned",
    lasting=True,
)
def flow_logs_lose_their_key(victim: Victim) -> Iterator[str]:
    logs, name = victim.client("logs"), victim.outputs["FlowLogGroupName"]
    logs.delete_log_group(logGroupName=name)
    logs.create_log_group(logGroupName=name)
    yield f"{name} is encrypted with no key"


@noticed_by(
    "network::test_private_subnets_lead_to_a_nat_gateway",
    "network::test_nat_gateways_are_as_many_as_planned",
    lasting=True,
)
def nat_gateway_is_deleted(victim: Victim) -> Iterator[str]:
    victim.ec2.delete_nat_gateway(NatGatewayId=victim.outputs["NatGatewayIds"].split(",")[0])
    yield "NAT gateway"


@noticed_by("network::test_flow_logs_record_all_traffic", lasting=True)
def flow_logs_are_stopped(victim: Victim) -> Iterator[str]:
    filters = [{"Name": "resource-id", "Values": [victim.outputs["VpcId"]]}]
    logs = victim.ec2.describe_flow_logs(Filters=filters)["FlowLogs"]
    victim.ec2.delete_flow_logs(FlowLogIds=[item["FlowLogId"] for item in logs])
    yield "flow log"
