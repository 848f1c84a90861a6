"""The network: three zones, three tiers, and routes that lead only where they should."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from verification.cloud import Record
from verification.logs import log_group
from verification.platform import MissingError, Platform
from verification.rules import read_rules, spell
from verification.settings import Settings
from verification.stacks import tag_map

TIERS = ("Public", "Private", "Database")
ZONES = 3
INTERFACE_ENDPOINTS = ("ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager", "ssm", "ssmmessages")
ALL = "0.0.0.0/0"


# --- VPC and subnets ----------------------------------------------------------------------------


def test_vpc_is_available_with_the_planned_range(platform: Platform, settings: Settings) -> None:
    vpc = platform.vpc
    assert vpc["State"] == "available", f"VPC {vpc['VpcId']} is {vpc['State']}."
    assert vpc["CidrBlock"] == settings.vpc_cidr, (
        f"The VPC has {vpc['CidrBlock']}, the inventory says {settings.vpc_cidr}."
    )


@pytest.mark.parametrize(
    ("attribute", "key"),
    [("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")],
)
def test_vpc_resolves_names(platform: Platform, attribute: str, key: str) -> None:
    # Private DNS of the interface endpoints works only with both.
    found = platform.cloud.get(
        "ec2", "describe_vpc_attribute", VpcId=platform.output("VpcId"), Attribute=attribute
    )
    assert found[key]["Value"] is True, f"{attribute} is off for VPC {platform.output('VpcId')}."


@pytest.mark.parametrize("tier", TIERS)
def test_tier_has_a_subnet_in_each_zone(platform: Platform, tier: str) -> None:
    zones = sorted(subnet["AvailabilityZone"] for subnet in platform.tier(tier))
    assert len(zones) == len(set(zones)) == ZONES, (
        f"{tier} subnets should be in {ZONES} different zones, they are in {', '.join(zones)}."
    )


def test_tiers_share_their_zones(platform: Platform) -> None:
    zones = {
        tier: tuple(sorted(subnet["AvailabilityZone"] for subnet in platform.tier(tier)))
        for tier in TIERS
    }
    assert len(set(zones.values())) == 1, f"The tiers are in different zones: {zones}."


def test_vpc_has_no_other_subnet(platform: Platform) -> None:
    known = {subnet["SubnetId"] for tier in TIERS for subnet in platform.tier(tier)}
    others = sorted(set(platform.subnets) - known)
    assert len(known) == ZONES * len(TIERS), f"There are {len(known)} subnets in the tiers, not 9."
    assert not others, f"Subnets outside the three tiers: {', '.join(others)}."


def test_subnets_are_parts_of_the_range(platform: Platform, settings: Settings) -> None:
    ranges = [ip_network(item["CidrBlock"]) for item in platform.subnets.values()]
    vpc = ip_network(settings.vpc_cidr)
    outside = [str(item) for item in ranges if not item.subnet_of(vpc)]  # type: ignore[arg-type]  # both are IPv4
    assert not outside, f"Outside {vpc}: {', '.join(outside)}."
    overlapping = [
        f"{one} and {other}"
        for index, one in enumerate(ranges)
        for other in ranges[index + 1 :]
        if one.overlaps(other)
    ]
    assert not overlapping, f"Subnets overlap: {'; '.join(overlapping)}."


@pytest.mark.parametrize("tier", TIERS)
def test_tier_gives_no_public_address_by_itself(platform: Platform, tier: str) -> None:
    giving = [item["SubnetId"] for item in platform.tier(tier) if item["MapPublicIpOnLaunch"]]
    assert not giving, f"{tier} subnets give public addresses on launch: {', '.join(giving)}."


# --- Routes -------------------------------------------------------------------------------------


def _routes(platform: Platform, subnet: Record) -> list[Record]:
    """Return the routes of the table that a subnet is associated with by itself."""
    for table in platform.in_vpc("describe_route_tables", "RouteTables"):
        if any(item.get("SubnetId") == subnet["SubnetId"] for item in table["Associations"]):
            return [route for route in table["Routes"] if route.get("State", "active") == "active"]
    raise MissingError(f"Subnet {subnet['SubnetId']} has no route table of its own.")


def _way_out(platform: Platform, subnet: Record) -> Record:
    """Return the default route of a subnet, empty if it has none."""
    routes = _routes(platform, subnet)
    return next((item for item in routes if item.get("DestinationCidrBlock") == ALL), {})


def test_internet_gateway_is_attached(platform: Platform) -> None:
    gateways = platform.in_vpc(
        "describe_internet_gateways", "InternetGateways", "attachment.vpc-id"
    )
    assert len(gateways) == 1, f"The VPC has {len(gateways)} internet gateways, not one."


def test_public_subnets_lead_to_the_internet_gateway(platform: Platform) -> None:
    gateways = platform.in_vpc(
        "describe_internet_gateways", "InternetGateways", "attachment.vpc-id"
    )
    known = {item["InternetGatewayId"] for item in gateways}
    for subnet in platform.tier("Public"):
        target = _way_out(platform, subnet).get("GatewayId")
        assert target in known, (
            f"Public subnet {subnet['SubnetId']} leads to {target}, not to the internet gateway."
        )


def test_private_subnets_lead_to_a_nat_gateway(platform: Platform, settings: Settings) -> None:
    gateways = {item["NatGatewayId"]: item for item in platform.nat_gateways}
    for subnet in platform.tier("Private"):
        where, zone = subnet["SubnetId"], subnet["AvailabilityZone"]
        target = _way_out(platform, subnet).get("NatGatewayId")
        assert target in gateways, (
            f"Private subnet {where} leads to {target}, not to a NAT gateway."
        )
        nat_zone = platform.subnets[gateways[target]["SubnetId"]]["AvailabilityZone"]
        # One gateway per zone is of use only if a zone does not depend on another one's.
        if settings.expectations.nat_gateways == ZONES:
            assert nat_zone == zone, (
                f"Private subnet {where} in {zone} leaves by NAT gateway {target} in {nat_zone}."
            )


def test_database_subnets_lead_nowhere(platform: Platform, settings: Settings) -> None:
    for subnet in platform.tier("Database"):
        ways = [
            route
            for route in _routes(platform, subnet)
            if route.get("DestinationCidrBlock") != settings.vpc_cidr
            and not route.get("GatewayId", "").startswith("vpce-")
        ]
        assert not ways, f"Database subnet {subnet['SubnetId']} leads out of the VPC: {ways}."


def test_main_route_table_leads_nowhere(platform: Platform, settings: Settings) -> None:
    # A subnet that someone adds later falls to the main table.
    for table in platform.in_vpc("describe_route_tables", "RouteTables"):
        if any(item.get("Main") for item in table["Associations"]):
            ways = [
                route
                for route in table["Routes"]
                if route.get("DestinationCidrBlock") != settings.vpc_cidr
            ]
            assert not ways, f"The main route table leads out of the VPC: {ways}."
            return
    raise MissingError("The VPC has no main route table.")


def test_nat_gateways_are_as_many_as_planned(platform: Platform, settings: Settings) -> None:
    found = platform.nat_gateways
    wanted = settings.expectations.nat_gateways
    assert len(found) == wanted, f"There are {len(found)} NAT gateways, {wanted} were planned."
    told = set(platform.outputs("NatGatewayIds"))
    assert {item["NatGatewayId"] for item in found} == told, (
        f"NatGatewayIds names {', '.join(sorted(told))}, which are not the VPC's NAT gateways."
    )


def test_nat_gateways_work_from_public_subnets(platform: Platform) -> None:
    public = {item["SubnetId"] for item in platform.tier("Public")}
    found = platform.nat_gateways
    assert found, "The VPC has no NAT gateway."
    for gateway in found:
        name = gateway["NatGatewayId"]
        assert gateway["State"] == "available", f"NAT gateway {name} is {gateway['State']}."
        assert gateway["SubnetId"] in public, f"NAT gateway {name} is not in a public subnet."
        addresses = [item.get("AllocationId") for item in gateway["NatGatewayAddresses"]]
        assert any(addresses), f"NAT gateway {name} has no elastic address."


# --- Flow logs ----------------------------------------------------------------------------------


def _flow_logs(platform: Platform) -> list[Record]:
    return platform.cloud.every(
        "ec2",
        "describe_flow_logs",
        "FlowLogs",
        Filters=[{"Name": "resource-id", "Values": [platform.output("VpcId")]}],
    )


def test_flow_logs_record_all_traffic(platform: Platform) -> None:
    found = _flow_logs(platform)
    assert found, f"VPC {platform.output('VpcId')} has no flow log."
    for log in found:
        assert log["FlowLogStatus"] == "ACTIVE", f"{log['FlowLogId']} is {log['FlowLogStatus']}."
        assert log["TrafficType"] == "ALL", (
            f"{log['FlowLogId']} records {log['TrafficType']} traffic, not ALL."
        )


def test_flow_logs_are_encrypted_and_kept(platform: Platform, settings: Settings) -> None:
    names = [item["LogGroupName"] for item in _flow_logs(platform) if item.get("LogGroupName")]
    assert names, "No flow log goes to a log group."
    for name in names:
        group = log_group(platform, name)
        wanted = settings.expectations.log_retention_days
        assert group.get("kmsKeyId"), f"Log group {name} is not encrypted with a customer key."
        assert group.get("retentionInDays") == wanted, (
            f"Log group {name} keeps {group.get('retentionInDays')} days, not {wanted}."
        )


# --- Endpoints ----------------------------------------------------------------------------------


def _endpoint(platform: Platform, service: str) -> Record:
    name = f"com.amazonaws.{platform.settings.region}.{service}"
    for item in platform.in_vpc("describe_vpc_endpoints", "VpcEndpoints"):
        if item["ServiceName"] == name:
            return item
    raise MissingError(f"The VPC has no endpoint for {name}.")


def test_s3_is_reached_through_a_gateway_endpoint(platform: Platform) -> None:
    endpoint = _endpoint(platform, "s3")
    assert endpoint["VpcEndpointType"] == "Gateway", (
        f"The S3 endpoint is of type {endpoint['VpcEndpointType']}, not Gateway."
    )
    tables = {
        item["SubnetId"]: table["RouteTableId"]
        for table in platform.in_vpc("describe_route_tables", "RouteTables")
        for item in table["Associations"]
        if item.get("SubnetId")
    }
    unrouted = [
        subnet["SubnetId"]
        for subnet in platform.tier("Private")
        if tables.get(subnet["SubnetId"]) not in endpoint["RouteTableIds"]
    ]
    assert not unrouted, f"Private subnets without a route to S3: {', '.join(unrouted)}."


@pytest.mark.parametrize("service", INTERFACE_ENDPOINTS)
def test_interface_endpoint_serves_the_private_subnets(platform: Platform, service: str) -> None:
    endpoint = _endpoint(platform, service)
    private = {item["SubnetId"] for item in platform.tier("Private")}
    assert endpoint["VpcEndpointType"] == "Interface", (
        f"The {service} endpoint is of type {endpoint['VpcEndpointType']}, not Interface."
    )
    assert endpoint["State"].lower() == "available", f"The {service} endpoint: {endpoint['State']}."
    assert endpoint.get("PrivateDnsEnabled") is True, f"The {service} endpoint has no private DNS."
    assert set(endpoint["SubnetIds"]) == private, (
        f"The {service} endpoint is in {', '.join(sorted(endpoint['SubnetIds']))}, "
        "not in the private subnets."
    )


def test_interface_endpoints_answer_only_the_vpc(platform: Platform, settings: Settings) -> None:
    for service in INTERFACE_ENDPOINTS:
        groups = [item["GroupId"] for item in _endpoint(platform, service).get("Groups", [])]
        assert groups, f"The {service} endpoint has no security group."
        for group_id in groups:
            rules = read_rules(platform.security_groups[group_id]["IpPermissions"])
            inside = {settings.vpc_cidr, *platform.security_groups}
            strangers = {rule for rule in rules if rule.peer not in inside or rule.first != 443}
            assert rules, f"Nobody can reach the {service} endpoint: {group_id} lets nothing in."
            assert not strangers, f"The {service} endpoint lets in {spell(strangers)}."


# --- What is closed -----------------------------------------------------------------------------


def _default_groups(platform: Platform) -> Iterator[Record]:
    return (item for item in platform.security_groups.values() if item["GroupName"] == "default")


def test_default_security_group_is_closed(platform: Platform) -> None:
    groups = list(_default_groups(platform))
    assert len(groups) == 1, f"The VPC has {len(groups)} default security groups, not one."
    inward = read_rules(groups[0]["IpPermissions"])
    outward = read_rules(groups[0]["IpPermissionsEgress"])
    assert not inward, f"The default security group lets in {spell(inward)}."
    assert not outward, f"The default security group lets out {spell(outward)}."


def test_network_parts_carry_names(platform: Platform) -> None:
    unnamed = [
        item["SubnetId"]
        for item in platform.subnets.values()
        if not tag_map(item.get("Tags", [])).get("Name")
    ]
    assert not unnamed, f"Subnets without a Name tag: {', '.join(unnamed)}."
