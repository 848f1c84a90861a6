"""Types that MiniStack serves well as they are; it lacks only what replaces them.

Without these lists a change set calls the replacement of such a resource "Conditional". Of some it
does not notice that the name is taken.
"""

from __future__ import annotations

from collections.abc import Callable

from ..model import Api, Document, ResourceType


def _is_alias(api: Api, document: Document) -> bool:
    return any(a["AliasName"] == document["name"] for a in api("kms", "list_aliases")["Aliases"])


def _is_log_group(api: Api, document: Document) -> bool:
    name = document["name"]
    found = api("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
    return any(group["logGroupName"] == name for group in found)


def _kept(
    name: str,
    *create_only: str,
    named: str = "",
    conditional: tuple[str, ...] = (),
    service: str = "",
    taken: Callable[[Api, Document], bool] | None = None,
) -> ResourceType:
    return ResourceType(
        name=f"AWS::{name}",
        service=service,
        mends_builtin=True,
        create_only=create_only,
        conditional=conditional,
        named=named,
        taken=taken,
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
    _kept("KMS::Alias", named="AliasName", service="kms", taken=_is_alias),
    _kept("KMS::Key"),
    _kept("Logs::LogGroup", named="LogGroupName", service="logs", taken=_is_log_group),
    _kept("RDS::DBSubnetGroup", named="DBSubnetGroupName"),
    _kept("S3::BucketPolicy", "Bucket"),
    _kept("SNS::Subscription", "Endpoint", "Protocol", "TopicArn", conditional=("Region",)),
    _kept("SNS::TopicPolicy"),
    _kept("SSM::Parameter", named="Name"),
)
