"""The network: zones, subnets, routes, endpoints, flow logs, default security group."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from tests.templates.loader import Template
from tests.templates.policies import allowed, arn

FILE = "vpc.yml"
ZONES = range(3)
TIERS = ("Public", "Private", "Database")
# What may be asked of an AWS API through its endpoint: what tasks and the rotation need of it.
PULLING = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
}
INTERFACES = {
    "ecr.api": PULLING,
    "ecr.dkr": PULLING,
    "kms": {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"},
    "logs": {
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
    },
    "secretsmanager": {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetRandomPassword",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    },
    "ssm": {"ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"},
    "ssmmessages": {
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    },
}
# Each tier takes four blocks of the range and uses three.
BLOCKS = {
    "PaymentPublicSubnet1": "10.20.0.0/24",
    "PaymentPublicSubnet2": "10.20.1.0/24",
    "PaymentPublicSubnet3": "10.20.2.0/24",
    "PaymentPrivateSubnet1": "10.20.4.0/24",
    "PaymentPrivateSubnet2": "10.20.5.0/24",
    "PaymentPrivateSubnet3": "10.20.6.0/24",
    "PaymentDatabaseSubnet1": "10.20.8.0/24",
    "PaymentDatabaseSubnet2": "10.20.9.0/24",
    "PaymentDatabaseSubnet3": "10.20.10.0/24",
}

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


def block(node: dict[str, Any]) -> str:
    """What CloudFormation selects from the blocks that it cuts a range into."""
    index, cut = node["Fn::Select"]
    range_, count, host_bits = cut["Fn::Cidr"]
    blocks = list(ip_network(range_).subnets(new_prefix=32 - host_bits))[:count]
    assert (count, host_bits) == (12, 8), "the parameter says twelve blocks of /24"
    return str(blocks[index])


def test_the_range_is_the_one_that_is_asked_for(deployed: Deployed) -> None:
    resources = deployed(FILE, VpcCidr="10.20.0.0/16")["Resources"]
    assert resources["PaymentVPC"]["Properties"]["CidrBlock"] == "10.20.0.0/16"
    subnets = of_type(resources, "AWS::EC2::Subnet")
    assert {name: block(subnet["CidrBlock"]) for name, subnet in subnets.items()} == BLOCKS


def test_vpc_resolves_names_of_endpoints(resources: Resources) -> None:
    vpc = resources["PaymentVPC"]["Properties"]
    assert vpc["EnableDnsSupport"] is True
    assert vpc["EnableDnsHostnames"] is True


def test_everything_is_in_the_one_vpc(resources: Resources) -> None:
    (only,) = of_type(resources, "AWS::EC2::VPC")
    for logical_id, resource in resources.items():
        vpc = resource["Properties"].get("VpcId", {"Ref": only})
        assert vpc == {"Ref": only}, logical_id
    (attachment,) = of_type(resources, "AWS::EC2::VPCGatewayAttachment").values()
    assert attachment["InternetGatewayId"] == {"Ref": "PaymentInternetGateway"}


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_nat_gateway_is_public_in_its_zone(resources: Resources, number: int) -> None:
    gateway = resources[f"PaymentNatGateway{number}"]["Properties"]
    address = resources[f"PaymentNatAddress{number}"]["Properties"]
    assert gateway["SubnetId"] == {"Ref": f"PaymentPublicSubnet{number}"}
    assert gateway["AllocationId"] == {"Fn::GetAtt": [f"PaymentNatAddress{number}", "AllocationId"]}
    assert address["Domain"] == "vpc"


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


def test_there_is_no_other_route(resources: Resources) -> None:
    routes = of_type(resources, "AWS::EC2::Route")
    assert len(routes) == len(default_routes(resources)) == 4


def test_route_to_the_internet_waits_for_the_way_there(resources: Resources) -> None:
    route = resources["PaymentPublicDefaultRoute"]
    assert route["DependsOn"] == "PaymentInternetGatewayAttachment"


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
    assert endpoint["ServiceName"] == {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"}
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["RouteTableIds"] == [
        {"Ref": f"PaymentPrivateRouteTable{zone + 1}"} for zone in ZONES
    ]


def test_interface_endpoints_are_those_that_the_service_needs(resources: Resources) -> None:
    actions = {
        endpoint["ServiceName"]["Fn::Sub"].removeprefix("com.amazonaws.${AWS::Region}."): set(
            endpoint["PolicyDocument"]["Statement"][0]["Action"]
        )
        for endpoint in of_type(resources, "AWS::EC2::VPCEndpoint").values()
        if endpoint["VpcEndpointType"] == "Interface"
    }
    assert actions == INTERFACES


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
            assert statement["Effect"] == "Allow"
            assert statement["Condition"] == {
                "StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}
            }, logical_id
            assert not [action for action in statement["Action"] if "*" in action], logical_id


def test_s3_endpoint_only_reads_the_image_layers_of_ecr(resources: Resources) -> None:
    (statement,) = resources["PaymentS3Endpoint"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == {
        "Fn::Sub": "arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*"
    }


def test_endpoint_group_lets_nobody_in_by_itself(resources: Resources) -> None:
    group = resources["PaymentVpcEndpointSecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    (nowhere,) = group["SecurityGroupEgress"]
    assert (nowhere["IpProtocol"], nowhere["CidrIp"]) == ("-1", "127.0.0.1/32")
    assert nowhere["Description"]
    # Who may enter is said where the group of the service is.
    assert not of_type(resources, "AWS::EC2::SecurityGroupIngress")
    assert not of_type(resources, "AWS::EC2::SecurityGroupEgress")


def test_flow_log_records_everything_into_an_encrypted_group(
    resources: Resources, environment: str
) -> None:
    flow_log = resources["PaymentFlowLog"]["Properties"]
    group = resources[flow_log["LogGroupName"]["Ref"]]["Properties"]
    assert group["LogGroupName"] == f"/aws/vpc/payments-{environment}/flow-logs"
    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceType"] == "VPC"
    assert flow_log["ResourceId"] == {"Ref": "PaymentVPC"}
    assert flow_log["LogDestinationType"] == "cloud-watch-logs"
    assert flow_log["LogGroupName"] == {"Ref": "PaymentFlowLogGroup"}
    assert flow_log["DeliverLogsPermissionArn"] == {"Fn::GetAtt": ["PaymentFlowLogRole", "Arn"]}
    assert group["KmsKeyId"] == {"Fn::GetAtt": ["PaymentNetworkLogsKey", "Arn"]}


def test_flow_logs_are_seen_within_a_minute_in_prod(resources: Resources, environment: str) -> None:
    seconds = resources["PaymentFlowLog"]["Properties"]["MaxAggregationInterval"]
    assert seconds == {"dev": 600, "staging": 600, "prod": 60}[environment]


def test_delivery_of_flow_logs_may_only_write_them(resources: Resources) -> None:
    group = {"Fn::GetAtt": ["PaymentFlowLogGroup", "Arn"]}
    assert allowed(resources["PaymentFlowLogRole"]["Properties"]) == {
        "logs:CreateLogStream": group,
        "logs:DescribeLogStreams": group,
        "logs:PutLogEvents": group,
        "logs:DescribeLogGroups": arn("logs", "log-group:*"),
    }


def test_default_group_of_this_vpc_is_closed(resources: Resources) -> None:
    group_id = {"Fn::GetAtt": ["PaymentVPC", "DefaultSecurityGroup"]}
    closing = resources["PaymentDefaultSecurityGroup"]["Properties"]
    assert closing["SecurityGroupId"] == group_id
    assert closing["ServiceToken"] == {"Fn::GetAtt": ["PaymentDefaultSecurityGroupFunction", "Arn"]}


def test_function_may_only_close_this_group(resources: Resources) -> None:
    group = {
        "Fn::Sub": [
            arn("ec2", "security-group/${GroupId}")["Fn::Sub"],
            {"GroupId": {"Fn::GetAtt": ["PaymentVPC", "DefaultSecurityGroup"]}},
        ]
    }
    log = {"Fn::GetAtt": ["PaymentDefaultSecurityGroupLogGroup", "Arn"]}
    assert allowed(resources["PaymentDefaultSecurityGroupRole"]["Properties"]) == {
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "ec2:DescribeSecurityGroupRules": "*",
        "ec2:RevokeSecurityGroupEgress": group,
        "ec2:RevokeSecurityGroupIngress": group,
    }


def test_cloudformation_waits_for_the_function_and_a_second_try(resources: Resources) -> None:
    function = resources["PaymentDefaultSecurityGroupFunction"]["Properties"]
    closing = resources["PaymentDefaultSecurityGroup"]["Properties"]
    assert (function["MemorySize"], function["Timeout"]) == (128, 60)
    assert closing["ServiceTimeout"] == 2 * function["Timeout"]


# --- seams


@pytest.mark.parametrize("tier", TIERS)
def test_output_lists_the_subnets_of_a_tier(deployed: Deployed, tier: str) -> None:
    """Their order is that of the zones, which the gateways and the readers of it rely on."""
    value = deployed(FILE)["Outputs"][f"{tier}SubnetIds"]["Value"]
    assert value == {
        "Fn::Join": [",", [{"Ref": f"Payment{tier}Subnet{zone + 1}"} for zone in ZONES]]
    }


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("VpcId", {"Ref": "PaymentVPC"}),
        ("VpcCidr", {"Fn::GetAtt": ["PaymentVPC", "CidrBlock"]}),
        ("DefaultSecurityGroupId", {"Fn::GetAtt": ["PaymentVPC", "DefaultSecurityGroup"]}),
        ("VpcEndpointSecurityGroupId", {"Ref": "PaymentVpcEndpointSecurityGroup"}),
        ("FlowLogGroupName", {"Ref": "PaymentFlowLogGroup"}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates[FILE]["Outputs"][output]["Value"] == value
