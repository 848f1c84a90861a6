"""Types that MiniStack serves well as they are; it lacks only what replaces them.

Without these lists a change set calls the replacement of such a resource "Conditional".
"""

from __future__ import annotations

from ..model import ResourceType


def _kept(
    name: str,
    *create_only: str,
    named: str = "",
    conditional: tuple[str, ...] = (),
) -> ResourceType:
    return ResourceType(
        name=f"AWS::{name}",
        service="",
        mends_builtin=True,
        create_only=create_only,
        conditional=conditional,
        named=named,
    )


BUILTIN: tuple[ResourceType, ...] = (
    _kept("EC2::InternetGateway"),
    _kept(
        "EC2::Route",
        "DestinationCidrBlock",
        "DestinationIpv6CidrBlock",
        "DestinationPrefixListId",
        "RouteTableId",
    ),
    _kept("EC2::RouteTable", "VpcId"),
    _kept("EC2::SecurityGroup", "GroupDescription", "VpcId", named="GroupName"),
    _kept("EC2::SubnetRouteTableAssociation", "RouteTableId", "SubnetId"),
    _kept(
        "EC2::VPCEndpoint",
        "ResourceConfigurationArn",
        "ServiceName",
        "ServiceNetworkArn",
        "ServiceRegion",
        "VpcEndpointType",
        "VpcId",
    ),
    _kept("EC2::VPCGatewayAttachment", "VpcId"),
    _kept("IAM::ManagedPolicy", "Description", "Path", named="ManagedPolicyName"),
    _kept("KMS::Alias", "AliasName"),
    _kept("KMS::Key"),
    _kept("Logs::LogGroup", named="LogGroupName"),
    _kept("RDS::DBSubnetGroup", named="DBSubnetGroupName"),
    _kept("S3::BucketPolicy", "Bucket"),
    _kept("SNS::Subscription", "Endpoint", "Protocol", "TopicArn", conditional=("Region",)),
    _kept("SNS::TopicPolicy"),
    _kept("SSM::Parameter", named="Name"),
    _kept("SecretsManager::Secret", named="Name"),
)
