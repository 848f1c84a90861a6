"""The network: three zones, three tiers, and routes that lead only where they should."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from verification.cloud import Record
from verification.logs import log_group_problem
from verification.platform import MissingError, Platform
from verification.policies import allowed, as_list, principals, read_policy
from verification.rules import port, read_rules, spell
from verification.settings import Settings
from verification.stacks import tag_map

TIERS = ("Public", "Private", "Database")
ZONES = 3
INTERFACE_ENDPOINTS = ("ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager", "ssm", "ssmmessages")
ALL = "0.0.0.0/0"
# The bucket in which ECR keeps the layers of images.
IMAGE_LAYERS = "starport-layer-bucket"


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


def _table(platform: Platform, subnet: Record) -> Record:
    """Return the route table that a subnet is associated with by itself."""
    for table in platform.in_vpc("describe_route_tables", "RouteTables"):
        if any(item.get("SubnetId") == subnet["SubnetId"] for item in table["Associations"]):
            return table
    raise MissingError(f"Subnet {subnet['SubnetId']} has no route table of its own.")


def _routes(platform: Platform, subnet: Record) -> list[Record]:
    """Return the routes of a subnet that lead somewhere."""
    routes = _table(platform, subnet)["Routes"]
    return [route for route in routes if route.get("State", "active") == "active"]


def _target(route: Record) -> str:
    """Return what a route leads to."""
    # Its kind is in the name of the field: GatewayId, NatGatewayId, VpcPeeringConnectionId, ...
    targets = [
        value
        for key, value in route.items()
        if key.endswith(("Id", "CoreNetworkArn")) and key != "DestinationPrefixListId"
    ]
    return str(targets[0]) if targets else "nothing"


def _spell_route(route: Record) -> str:
    """Return a route as people write it, for example `0.0.0.0/0 to nat-1`."""
    where = [value for key, value in route.items() if key.startswith("Destination")]
    return f"{where[0] if where else 'nowhere'} to {_target(route)}"


def _way_out(platform: Platform, subnet: Record) -> Record:
    """Return the default route of a subnet, empty if it has none."""
    routes = _routes(platform, subnet)
    return next((item for item in routes if item.get("DestinationCidrBlock") == ALL), {})


def test_no_route_is_a_dead_end(platform: Platform) -> None:
    dead = [
        f"{table['RouteTableId']}: {_spell_route(route)}"
        for table in platform.in_vpc("describe_route_tables", "RouteTables")
        for route in table["Routes"]
        if route.get("State", "active") != "active"
    ]
    assert not dead, f"Routes to what is gone: {'; '.join(dead)}."


@pytest.mark.parametrize("tier", TIERS)
def test_tier_has_only_the_planned_routes(
    platform: Platform, settings: Settings, tier: str
) -> None:
    for subnet in platform.tier(tier):
        strange = [
            _spell_route(route)
            for route in _table(platform, subnet)["Routes"]
            if not _is_planned(platform, settings, tier, route)
        ]
        assert not strange, f"{tier} subnet {subnet['SubnetId']} also leads {'; '.join(strange)}."


def _is_planned(platform: Platform, settings: Settings, tier: str, route: Record) -> bool:
    if _target(route) == "local":
        return route.get("DestinationCidrBlock") == settings.vpc_cidr
    if tier == "Private" and _target(route) == _endpoint(platform, "s3")["VpcEndpointId"]:
        return True
    # Where the way out of the other two leads, the checks below follow.
    return tier != "Database" and route.get("DestinationCidrBlock") == ALL


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


def test_nat_gateways_have_elastic_addresses_of_their_own(platform: Platform) -> None:
    known = {
        item["AllocationId"]: item
        for item in platform.cloud.every("ec2", "describe_addresses", "Addresses")
    }
    made = {item.physical_id for item in platform.resources("AWS::EC2::EIP")}
    for gateway in platform.nat_gateways:
        name = gateway["NatGatewayId"]
        for item in gateway["NatGatewayAddresses"]:
            address = known.get(item.get("AllocationId", ""), {})
            where = (address.get("PublicIp"), address.get("NetworkInterfaceId"))
            assert where == (item.get("PublicIp"), item.get("NetworkInterfaceId")), (
                f"NAT gateway {name} uses {item.get('PublicIp')}, "
                f"which is not an elastic address that is associated with it."
            )
            assert address["PublicIp"] in made, (
                f"NAT gateway {name} uses {address['PublicIp']}, an address of somebody else."
            )


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


def test_flow_logs_are_delivered(platform: Platform) -> None:
    wanted = platform.output("FlowLogGroupName")
    roles = {item.physical_id for item in platform.resources("AWS::IAM::Role")}
    for log in _flow_logs(platform):
        name, role = log["FlowLogId"], log.get("DeliverLogsPermissionArn", "none")
        assert log.get("LogGroupName") == wanted, (
            f"{name} goes to {log.get('LogGroupName')}, not to {wanted}."
        )
        assert role.rpartition("/")[2] in roles, f"{name} is delivered by role {role}, not ours."
        assert log.get("DeliverLogsStatus", "SUCCESS") == "SUCCESS", (
            f"{name} is not delivered: {log.get('DeliverLogsErrorMessage', 'no reason told')}."
        )


def test_flow_logs_are_encrypted_and_kept(platform: Platform) -> None:
    names = [item["LogGroupName"] for item in _flow_logs(platform) if item.get("LogGroupName")]
    assert names, "No flow log goes to a log group."
    for name in names:
        problem = log_group_problem(platform, name)
        assert not problem, problem


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


def test_s3_is_reached_from_the_private_subnets_only(platform: Platform) -> None:
    tables = {_table(platform, subnet)["RouteTableId"] for subnet in platform.tier("Private")}
    others = sorted(set(_endpoint(platform, "s3")["RouteTableIds"]) - tables)
    assert not others, f"The S3 endpoint is in other route tables too: {', '.join(others)}."


def test_vpc_has_no_other_endpoint(platform: Platform, settings: Settings) -> None:
    wanted = {
        f"com.amazonaws.{settings.region}.{service}" for service in ("s3", *INTERFACE_ENDPOINTS)
    }
    found = [
        item["ServiceName"] for item in platform.in_vpc("describe_vpc_endpoints", "VpcEndpoints")
    ]
    others = sorted(set(found) - wanted)
    twice = sorted({name for name in found if found.count(name) > 1})
    assert not others, f"Endpoints that were not planned: {', '.join(others)}."
    assert not twice, f"Services with more than one endpoint: {', '.join(twice)}."


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


@pytest.mark.parametrize("service", INTERFACE_ENDPOINTS)
def test_interface_endpoint_has_its_own_group(platform: Platform, service: str) -> None:
    groups = [item["GroupId"] for item in _endpoint(platform, service).get("Groups", [])]
    wanted = platform.output("VpcEndpointSecurityGroupId")
    assert groups == [wanted], f"The {service} endpoint has groups {groups}, not {wanted}."


@pytest.mark.parametrize("service", INTERFACE_ENDPOINTS)
def test_interface_endpoint_serves_only_this_account(platform: Platform, service: str) -> None:
    statements = allowed(read_policy(_endpoint(platform, service)["PolicyDocument"]))
    account = platform.account
    prefix = service.partition(".")[0]
    assert statements, f"The policy of the {service} endpoint allows nothing."
    for item in statements:
        actions = as_list(item.get("Action", "*"))
        wide = [name for name in actions if "*" in name or not name.startswith(f"{prefix}:")]
        asked = item.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalAccount")
        assert not wide, f"The {service} endpoint lets {', '.join(wide)} through."
        assert asked == account, (
            f"The {service} endpoint serves {', '.join(principals(item))} "
            f"of account {asked or 'any'}, not only of {account}."
        )


def test_s3_endpoint_leads_to_image_layers_only(platform: Platform) -> None:
    statements = allowed(read_policy(_endpoint(platform, "s3")["PolicyDocument"]))
    assert statements, "The policy of the S3 endpoint allows nothing: no image could be pulled."
    for item in statements:
        actions, resources = as_list(item.get("Action")), as_list(item.get("Resource"))
        foreign = [name for name in resources if IMAGE_LAYERS not in name]
        assert actions == ["s3:GetObject"], f"The S3 endpoint lets {', '.join(actions)} through."
        assert not foreign, f"The S3 endpoint leads to {', '.join(foreign)}."


def test_interface_endpoints_answer_only_the_platform(platform: Platform) -> None:
    group_id = platform.output("VpcEndpointSecurityGroupId")
    group = platform.security_group("VpcEndpointSecurityGroupId")
    clients = {
        platform.output(name) for name in ("ServiceSecurityGroupId", "RotationSecurityGroupId")
    }
    wanted = {port(443, client) for client in clients}
    inward, outward = (read_rules(group[key]) for key in ("IpPermissions", "IpPermissionsEgress"))
    assert inward == wanted, (
        f"The endpoints' group {group_id} lets in {spell(inward)}, not {spell(wanted)}."
    )
    assert not outward, f"The endpoints' group {group_id} lets out {spell(outward)}."


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


def test_network_acls_leave_the_choice_to_the_groups(platform: Platform) -> None:
    # The platform closes by security groups; an ACL that blocks something is an outage to come.
    for acl in platform.in_vpc("describe_network_acls", "NetworkAcls"):
        for egress in (False, True):
            entries = [item for item in acl["Entries"] if item["Egress"] is egress]
            first: Record = min(entries, key=lambda item: int(item["RuleNumber"]), default={})
            open_ = (first.get("RuleAction"), first.get("Protocol"), first.get("CidrBlock"))
            assert open_ == ("allow", "-1", ALL), (
                f"Network ACL {acl['NetworkAclId']} first says {open_} "
                f"of what goes {'out' if egress else 'in'}."
            )


def test_network_parts_carry_names(platform: Platform) -> None:
    unnamed = [
        item["SubnetId"]
        for item in platform.subnets.values()
        if not tag_map(item.get("Tags", [])).get("Name")
    ]
    assert not unnamed, f"Subnets without a Name tag: {', '.join(unnamed)}."
