"""The network: zones, subnets, routes, endpoints, flow logs, default security group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.loader import Template

FILE = "vpc.yml"
ZONES = range(3)
TIERS = ("Public", "Private", "Database")
INTERFACES = {"ecr.api", "ecr.dkr", "logs", "secretsmanager", "kms", "ssm", "ssmmessages"}

Deployed = Callable[..., Template]
Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Deployed) -> Resources:
    """The resources of the network in the environment of the test."""
    found: Resources = deployed(FILE)["Resources"]
    return found


def of_type(resources: Resources, name: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by logical id."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in resources.items()
        if resource["Type"] == name
    }


def default_routes(resources: Resources) -> dict[str, dict[str, Any]]:
    """The route to everywhere of each route table that has one."""
    return {
        route["RouteTableId"]["Ref"]: route
        for route in of_type(resources, "AWS::EC2::Route").values()
        if route["DestinationCidrBlock"] == "0.0.0.0/0"
    }


@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_has_a_subnet_in_each_of_three_zones(resources: Resources, tier: str) -> None:
    zones = [
        resources[f"Payment{tier}Subnet{zone + 1}"]["Properties"]["AvailabilityZone"]
        for zone in ZONES
    ]
    assert zones == [{"Fn::Select": [zone, {"Fn::GetAZs": ""}]} for zone in ZONES]


def test_no_subnet_gives_public_addresses(resources: Resources) -> None:
    subnets = of_type(resources, "AWS::EC2::Subnet")
    assert len(subnets) == 9
    assert {subnet["MapPublicIpOnLaunch"] for subnet in subnets.values()} == {False}


def test_subnets_are_different_blocks_that_the_smallest_vpc_holds(resources: Resources) -> None:
    blocks = [
        subnet["CidrBlock"]["Fn::Select"]
        for subnet in of_type(resources, "AWS::EC2::Subnet").values()
    ]
    (count, host_bits) = {tuple(block["Fn::Cidr"][1:]) for _, block in blocks}.pop()
    indexes = {index for index, _ in blocks}
    smallest_prefix = 20
    assert len(indexes) == len(blocks)
    assert max(indexes) < count <= 2 ** (32 - host_bits - smallest_prefix)


def test_vpc_resolves_names_of_endpoints(resources: Resources) -> None:
    vpc = resources["PaymentVPC"]["Properties"]
    assert vpc["EnableDnsSupport"] is True
    assert vpc["EnableDnsHostnames"] is True


def test_nat_gateway_per_zone_except_in_dev(resources: Resources, environment: str) -> None:
    expected = 1 if environment == "dev" else 3
    assert len(of_type(resources, "AWS::EC2::NatGateway")) == expected
    assert len(of_type(resources, "AWS::EC2::EIP")) == expected


def test_private_subnets_leave_through_the_gateway_of_their_zone(
    resources: Resources, environment: str
) -> None:
    routes = default_routes(resources)
    gateways = [
        routes[f"PaymentPrivateRouteTable{zone + 1}"]["NatGatewayId"]["Ref"] for zone in ZONES
    ]
    one_each = [f"PaymentNatGateway{zone + 1}" for zone in ZONES]
    assert gateways == (["PaymentNatGateway1"] * 3 if environment == "dev" else one_each)


def test_output_names_the_gateways_that_exist(deployed: Deployed, resources: Resources) -> None:
    value = deployed(FILE)["Outputs"]["NatGatewayIds"]["Value"]
    listed = value["Fn::Join"][1] if "Fn::Join" in value else [value]
    existing = of_type(resources, "AWS::EC2::NatGateway")
    assert [item["Ref"] for item in listed] == list(existing)


def test_public_subnets_leave_through_the_internet_gateway(resources: Resources) -> None:
    route = default_routes(resources)["PaymentPublicRouteTable"]
    assert route["GatewayId"] == {"Ref": "PaymentInternetGateway"}


def test_no_route_leaves_the_database_subnets(resources: Resources) -> None:
    tables = {
        route["RouteTableId"]["Ref"] for route in of_type(resources, "AWS::EC2::Route").values()
    }
    gateways = {
        table["Ref"]
        for endpoint in of_type(resources, "AWS::EC2::VPCEndpoint").values()
        for table in endpoint.get("RouteTableIds", [])
    }
    assert "PaymentDatabaseRouteTable" not in tables | gateways


def test_every_subnet_has_the_route_table_of_its_tier(resources: Resources) -> None:
    tables = {
        association["SubnetId"]["Ref"]: association["RouteTableId"]["Ref"]
        for association in of_type(resources, "AWS::EC2::SubnetRouteTableAssociation").values()
    }
    assert tables == {
        f"Payment{tier}Subnet{zone + 1}": f"Payment{tier}RouteTable"
        + (str(zone + 1) if tier == "Private" else "")
        for tier in TIERS
        for zone in ZONES
    }


def test_addresses_wait_for_the_way_to_the_internet(resources: Resources) -> None:
    """EC2 asks for it: an address in a VPC needs the VPC's gateway to be attached."""
    addresses = [r for r in resources.values() if r["Type"] == "AWS::EC2::EIP"]
    assert {address["DependsOn"] for address in addresses} == {"PaymentInternetGatewayAttachment"}


def test_s3_is_reached_by_a_gateway_from_the_private_subnets(resources: Resources) -> None:
    endpoint = resources["PaymentS3Endpoint"]["Properties"]
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["RouteTableIds"] == [
        {"Ref": f"PaymentPrivateRouteTable{zone + 1}"} for zone in ZONES
    ]


def test_interface_endpoints_are_those_that_the_service_needs(resources: Resources) -> None:
    services = {
        endpoint["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}.")
        for endpoint in of_type(resources, "AWS::EC2::VPCEndpoint").values()
        if endpoint["VpcEndpointType"] == "Interface"
    }
    assert services == INTERFACES


def test_interface_endpoints_are_private_and_in_every_zone(resources: Resources) -> None:
    for logical_id, endpoint in of_type(resources, "AWS::EC2::VPCEndpoint").items():
        if endpoint["VpcEndpointType"] == "Interface":
            assert endpoint["PrivateDnsEnabled"] is True, logical_id
            assert endpoint["SecurityGroupIds"] == [{"Ref": "PaymentVpcEndpointSecurityGroup"}]
            assert endpoint["SubnetIds"] == [
                {"Ref": f"PaymentPrivateSubnet{zone + 1}"} for zone in ZONES
            ]


def test_interface_endpoints_serve_this_account_and_named_actions_only(
    resources: Resources,
) -> None:
    for logical_id, endpoint in of_type(resources, "AWS::EC2::VPCEndpoint").items():
        if endpoint["VpcEndpointType"] == "Interface":
            (statement,) = endpoint["PolicyDocument"]["Statement"]
            assert statement["Condition"] == {
                "StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}
            }, logical_id
            assert not [action for action in statement["Action"] if "*" in action], logical_id


def test_s3_endpoint_only_reads_the_image_layers_of_ecr(resources: Resources) -> None:
    (statement,) = resources["PaymentS3Endpoint"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == {
        "Fn::Sub": "arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*"
    }


def test_endpoint_group_lets_nobody_in_by_itself(resources: Resources) -> None:
    group = resources["PaymentVpcEndpointSecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == ["127.0.0.1/32"]


def test_flow_log_records_everything_into_an_encrypted_group(resources: Resources) -> None:
    flow_log = resources["PaymentFlowLog"]["Properties"]
    group = resources[flow_log["LogGroupName"]["Ref"]]["Properties"]
    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceId"] == {"Ref": "PaymentVPC"}
    assert flow_log["DeliverLogsPermissionArn"] == {"Fn::GetAtt": ["PaymentFlowLogRole", "Arn"]}
    assert group["KmsKeyId"] == {"Fn::GetAtt": ["PaymentNetworkLogsKey", "Arn"]}


def test_flow_logs_are_kept_for_a_year_in_prod(resources: Resources, environment: str) -> None:
    days = resources["PaymentFlowLogGroup"]["Properties"]["RetentionInDays"]
    assert days == {"dev": 30, "staging": 90, "prod": 400}[environment]


def test_default_group_of_this_vpc_is_closed(resources: Resources) -> None:
    group_id = {"Fn::GetAtt": ["PaymentVPC", "DefaultSecurityGroup"]}
    closing = resources["PaymentDefaultSecurityGroup"]["Properties"]
    role = resources["PaymentDefaultSecurityGroupRole"]["Properties"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    (revoking,) = [s for s in statements if s["Sid"] == "RemoveRules"]
    assert closing["SecurityGroupId"] == group_id
    assert revoking["Resource"]["Fn::Sub"][1] == {"GroupId": group_id}
