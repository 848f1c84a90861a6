"""EC2: addresses, gateways, rules of security groups, network ACLs and flow logs."""

from __future__ import annotations

from ..mends import ec2
from ..model import EVERY, Api, Call, Document, Read, ResourceType, Step, Tags


def _associate_acl(api: Api, document: Document) -> dict[str, str]:
    """Move a subnet from the ACL it has to the one of the template."""
    subnet = document["properties"]["SubnetId"]
    return {"id": _move_subnet(api, subnet, document["properties"]["NetworkAclId"])}


def _return_to_default_acl(api: Api, document: Document) -> None:
    """Deleting an association leaves the subnet with its VPC's default ACL."""
    subnet = document["properties"]["SubnetId"]
    found = api("ec2", "describe_subnets", SubnetIds=[subnet])["Subnets"]
    filters = [
        {"Name": "vpc-id", "Values": [found[0]["VpcId"]]},
        {"Name": "default", "Values": ["true"]},
    ]
    acls = api("ec2", "describe_network_acls", Filters=filters)["NetworkAcls"]
    default = next(acl for acl in acls if acl["IsDefault"])
    _move_subnet(api, subnet, default["NetworkAclId"])


def _move_subnet(api: Api, subnet: str, acl_id: str) -> str:
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    acls = api("ec2", "describe_network_acls", Filters=filters)["NetworkAcls"]
    current = next(
        association["NetworkAclAssociationId"]
        for acl in acls
        for association in acl["Associations"]
        if association["SubnetId"] == subnet
    )
    moved = api(
        "ec2", "replace_network_acl_association", AssociationId=current, NetworkAclId=acl_id
    )
    return str(moved["NewAssociationId"])


def _rule(direction: str) -> ResourceType:
    """The stand-alone rule of a security group; its description alone can change."""
    other = "Source" if direction == "Ingress" else "Destination"
    operation = direction.lower()
    target = f"properties.{other}SecurityGroupId"
    pair = f"{{GroupId: {target}, Description: properties.Description}}"
    if direction == "Ingress":
        pair = (
            f"{{GroupId: {target}, Description: properties.Description,"
            " UserId: properties.SourceSecurityGroupOwnerId}"
        )
    prefix = f"properties.{other}PrefixListId"
    permission = f"""[{{
        IpProtocol: properties.IpProtocol,
        FromPort: properties.FromPort,
        ToPort: properties.ToPort,
        IpRanges: properties.CidrIp
            && [{{CidrIp: properties.CidrIp, Description: properties.Description}}],
        Ipv6Ranges: properties.CidrIpv6
            && [{{CidrIpv6: properties.CidrIpv6, Description: properties.Description}}],
        PrefixListIds: {prefix}
            && [{{PrefixListId: {prefix}, Description: properties.Description}}],
        UserIdGroupPairs: {target} && [{pair}]
    }}]"""
    identity = ["GroupId", "IpProtocol", "FromPort", "ToPort", "CidrIp", "CidrIpv6"]
    identity += [f"{other}PrefixListId", f"{other}SecurityGroupId"]
    if direction == "Ingress":
        identity += ["GroupName", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId"]
    changed = """[{SecurityGroupRuleId: id, SecurityGroupRule: {
        IpProtocol: properties.IpProtocol, FromPort: properties.FromPort,
        ToPort: properties.ToPort, CidrIpv4: properties.CidrIp, CidrIpv6: properties.CidrIpv6,
        PrefixListId: PREFIX, ReferencedGroupId: TARGET, Description: properties.Description
    }}]""".replace("PREFIX", prefix).replace("TARGET", target)
    return ResourceType(
        name=f"AWS::EC2::SecurityGroup{direction}",
        service="ec2",
        create=Call(
            f"authorize_security_group_{operation}",
            {"GroupId": "properties.GroupId", "IpPermissions": permission},
        ),
        reference="response.SecurityGroupRules[0].SecurityGroupRuleId",
        read=Read(
            "describe_security_group_rules",
            {"SecurityGroupRuleIds": "[id]"},
            "SecurityGroupRules[0]",
        ),
        attributes={"Id": "id"},
        updates=(
            Call(
                "modify_security_group_rules",
                {"GroupId": "properties.GroupId", "SecurityGroupRules": changed},
                on=("Description",),
            ),
        ),
        delete=Call(
            f"revoke_security_group_{operation}",
            {"GroupId": "properties.GroupId", "SecurityGroupRuleIds": "[id]"},
        ),
        create_only=tuple(identity),
    )


def _open_default_group(_api: Api, document: Document) -> None:
    """MiniStack's own handler makes the VPC without the API that is mended."""
    ec2.open_default_group(document["id"])


NETWORK = (
    ResourceType(
        name="AWS::EC2::VPC",
        service="ec2",
        mends_builtin=True,
        after_create=(Step(_open_default_group),),
        read=Read("describe_vpcs", {"VpcIds": "[id]"}, "Vpcs[0]"),
        attributes={
            "CidrBlock": "record.CidrBlock",
            "CidrBlockAssociations": "record.CidrBlockAssociationSet[].AssociationId",
        },
        create_only=(
            "CidrBlock",
            "Ipv4IpamPoolId",
            "Ipv4NetmaskLength",
            "VpcEncryptionControl",
        ),
        conditional=("InstanceTenancy",),
    ),
    ResourceType(
        name="AWS::EC2::Subnet",
        service="ec2",
        mends_builtin=True,
        read=Read("describe_subnets", {"SubnetIds": "[id]"}, "Subnets[0]"),
        attributes={
            "AvailabilityZone": "record.AvailabilityZone",
            "AvailabilityZoneId": "record.AvailabilityZoneId",
            "CidrBlock": "record.CidrBlock",
            "SubnetId": "id",
            "VpcId": "record.VpcId",
        },
        create_only=(
            "AvailabilityZone",
            "AvailabilityZoneId",
            "CidrBlock",
            "Ipv4IpamPoolId",
            "Ipv4NetmaskLength",
            "Ipv6IpamPoolId",
            "Ipv6Native",
            "Ipv6NetmaskLength",
            "OutpostArn",
            "VpcId",
        ),
        conditional=("Ipv6CidrBlock",),
    ),
    ResourceType(
        name="AWS::EC2::EIP",
        service="ec2",
        create=Call("allocate_address", takes=EVERY),
        reference="response.PublicIp",
        read=Read("describe_addresses", {"PublicIps": "[id]"}, "Addresses[0]"),
        attributes={"AllocationId": "record.AllocationId", "PublicIp": "record.PublicIp"},
        delete=Call("release_address", {"AllocationId": "record.AllocationId"}),
        create_only=("Address", "IpamPoolId", "NetworkBorderGroup", "TransferAddress"),
        tags=Tags("ec2", "record.AllocationId", kind="elastic-ip"),
    ),
    ResourceType(
        name="AWS::EC2::NatGateway",
        service="ec2",
        create=Call("create_nat_gateway", takes=EVERY),
        reference="response.NatGateway.NatGatewayId",
        read=Read("describe_nat_gateways", {"NatGatewayIds": "[id]"}, "NatGateways[0]"),
        ready="record.State == 'available'",
        attributes={
            "NatGatewayId": "id",
            "EniId": "record.NatGatewayAddresses[0].NetworkInterfaceId",
        },
        delete=Call("delete_nat_gateway", {"NatGatewayId": "id"}),
        create_only=(
            "AllocationId",
            "AvailabilityMode",
            "ConnectivityType",
            "PrivateIpAddress",
            "SubnetId",
            "VpcId",
        ),
        ignored=("MaxDrainDurationSeconds",),
        tags=Tags("ec2", kind="natgateway"),
    ),
    ResourceType(
        name="AWS::EC2::FlowLog",
        service="ec2",
        create=Call("create_flow_logs", {"ResourceIds": "[properties.ResourceId]"}, EVERY),
        reference="response.FlowLogIds[0]",
        read=Read("describe_flow_logs", {"FlowLogIds": "[id]"}, "FlowLogs[0]"),
        attributes={"Id": "id"},
        delete=Call("delete_flow_logs", {"FlowLogIds": "[id]"}),
        create_only=(
            "DeliverCrossAccountRole",
            "DeliverLogsPermissionArn",
            "DestinationOptions",
            "LogDestination",
            "LogDestinationType",
            "LogFormat",
            "LogGroupName",
            "MaxAggregationInterval",
            "ResourceId",
            "ResourceType",
            "TagFieldSpecifications",
            "TrafficType",
        ),
        tags=Tags("ec2", kind="vpc-flow-log"),
    ),
    _rule("Ingress"),
    _rule("Egress"),
    ResourceType(
        name="AWS::EC2::NetworkAcl",
        service="ec2",
        create=Call("create_network_acl", takes=EVERY),
        reference="response.NetworkAcl.NetworkAclId",
        read=Read("describe_network_acls", {"NetworkAclIds": "[id]"}, "NetworkAcls[0]"),
        attributes={"Id": "id"},
        delete=Call("delete_network_acl", {"NetworkAclId": "id"}),
        create_only=("VpcId",),
        tags=Tags("ec2", kind="network-acl"),
    ),
    ResourceType(
        name="AWS::EC2::NetworkAclEntry",
        service="ec2",
        create=Call(
            "create_network_acl_entry",
            {"Egress": "properties.Egress || `false`", "IcmpTypeCode": "properties.Icmp"},
            EVERY,
        ),
        reference="join('|', [properties.NetworkAclId, to_string(properties.RuleNumber),"
        " to_string(properties.Egress || `false`)])",
        attributes={"Id": "id"},
        updates=(
            Call(
                "replace_network_acl_entry",
                {
                    "NetworkAclId": "properties.NetworkAclId",
                    "RuleNumber": "properties.RuleNumber",
                    "Egress": "properties.Egress || `false`",
                    "IcmpTypeCode": "properties.Icmp",
                },
                ("CidrBlock", "Ipv6CidrBlock", "PortRange", "Protocol", "RuleAction"),
            ),
        ),
        delete=Call(
            "delete_network_acl_entry",
            {
                "NetworkAclId": "properties.NetworkAclId",
                "RuleNumber": "properties.RuleNumber",
                "Egress": "properties.Egress || `false`",
            },
        ),
        create_only=("Egress", "NetworkAclId", "RuleNumber"),
    ),
    ResourceType(
        name="AWS::EC2::SubnetNetworkAclAssociation",
        service="ec2",
        create=Step(_associate_acl),
        reference="response.id",
        attributes={"AssociationId": "id"},
        delete=Step(_return_to_default_acl),
        create_only=("NetworkAclId", "SubnetId"),
    ),
)
