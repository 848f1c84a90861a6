"""EC2: what addresses, NAT gateways, flow logs and default security groups leave out."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from ministack.services import ec2 as _ec2

from ..expressions import search
from .core import Amendment, Members, Mend, Operation, Refusal, scoped

# What an endpoint without a policy of its own shows.
_OPEN_POLICY = {
    "Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]
}
_FLOW_LOG_SETTINGS = (
    "DeliverLogsPermissionArn",
    "DeliverCrossAccountRole",
    "LogFormat",
    "LogGroupName",
    "MaxAggregationInterval",
    "DestinationOptions",
)
_DEFAULT_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
    "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)
_flow_logs: dict[tuple[str, str, str], Members] = {}


def _chosen(member: str, filters: Mapping[str, str]) -> Amendment:
    """A describe call that knows few filters: the rest are applied to what it found.

    `filters` maps a filter's name to the JMESPath expression of what it compares.
    """

    def choose(request: Members, response: Members) -> None:
        for wanted in request.get("Filters") or ():
            name, values = wanted["Name"], wanted["Values"]
            if name.startswith("tag:"):
                expression = f"Tags[?Key=='{name[4:]}'].Value"
            elif name in filters:
                expression = filters[name]
            else:
                continue
            response[member] = [
                record
                for record in response[member]
                if any(
                    fnmatchcase(str(found), value)
                    for found in _values(expression, record)
                    for value in values
                )
            ]

    return Amendment(f"Describe{member}", choose)


def _values(expression: str, record: Members) -> list[Any]:
    found = search(expression, record)
    return found if isinstance(found, list) else [found]


def _show_association(request: Members, response: Members) -> None:
    """An address shows the NAT gateway that has it; it can be asked for by its number."""
    wanted = request.get("PublicIps")
    gateways = {
        nat["AllocationId"]: nat
        for nat in _ec2._nat_gateways.values()
        if nat["State"] == "available"
    }
    response["Addresses"] = [
        _associated(address, gateways.get(address["AllocationId"]))
        for address in response["Addresses"]
        if not wanted or address["PublicIp"] in wanted
    ]


def _associated(address: Members, gateway: Any) -> Members:
    if gateway is None:
        return address
    return {
        **address,
        "AssociationId": _derived("eipassoc", gateway["NatGatewayId"]),
        "NetworkInterfaceId": _derived("eni", gateway["NatGatewayId"]),
    }


def _show_gateway_addresses(_request: Members, response: Members) -> None:
    """A NAT gateway shows the address and the interface that it was given."""
    for gateway in response.get("NatGateways", [response.get("NatGateway")]):
        kept = _ec2._nat_gateways[gateway["NatGatewayId"]]
        address = _ec2._addresses.get(kept["AllocationId"]) or {}
        shown = {
            "NetworkInterfaceId": _derived("eni", gateway["NatGatewayId"]),
            "IsPrimary": True,
            "Status": "succeeded",
        }
        if address:
            shown |= {
                "AllocationId": kept["AllocationId"],
                "PublicIp": address["PublicIp"],
                "AssociationId": _derived("eipassoc", gateway["NatGatewayId"]),
            }
        gateway["NatGatewayAddresses"] = [shown]


def _derived(prefix: str, seed: str) -> str:
    return f"{prefix}-{hashlib.sha256((prefix + seed).encode()).hexdigest()[:17]}"


def _remember_flow_log(request: Members, response: Members) -> None:
    settings = {name: request[name] for name in _FLOW_LOG_SETTINGS if name in request}
    shown = {"MaxAggregationInterval": 600, "LogFormat": _DEFAULT_FORMAT, **settings}
    tags = [
        tag
        for specification in request.get("TagSpecifications") or ()
        if specification["ResourceType"] == "vpc-flow-log"
        for tag in specification["Tags"]
    ]
    for flow_log in response["FlowLogIds"]:
        _ec2._tags[flow_log] = list(tags)
        _flow_logs[scoped(flow_log)] = {**shown, "DeliverLogsStatus": "SUCCESS"}


def _show_flow_log(_request: Members, response: Members) -> None:
    for flow_log in response["FlowLogs"]:
        flow_log.update(_flow_logs.get(scoped(flow_log["FlowLogId"]), {}))


def _open_default_groups(_request: Members, response: Members) -> None:
    open_default_group(response["Vpc"]["VpcId"])


def open_default_group(vpc_id: str) -> None:
    """A VPC's default security group lets in what its own members send."""
    group = _ec2._security_groups[_ec2._vpcs[vpc_id]["DefaultSecurityGroupId"]]
    if not group["IpPermissions"]:
        group["IpPermissions"].append(
            {
                "IpProtocol": "-1",
                "IpRanges": [],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
                "UserIdGroupPairs": [{"GroupId": group["GroupId"], "UserId": group["OwnerId"]}],
            }
        )


def _show_endpoint(_request: Members, response: Members) -> None:
    """An endpoint shows its policy, and its security groups, interfaces and names."""
    endpoints = response.get("VpcEndpoints") or [response.get("VpcEndpoint")]
    for endpoint in endpoints:
        if not endpoint:
            continue
        kept = _ec2._vpc_endpoints[endpoint["VpcEndpointId"]]
        policy = kept.get("PolicyDocument") or _OPEN_POLICY
        endpoint["PolicyDocument"] = policy if isinstance(policy, str) else json.dumps(policy)
        if endpoint["VpcEndpointType"] != "Interface":
            continue
        groups = kept.get("SecurityGroupIds") or ()
        endpoint["Groups"] = [
            {"GroupId": group, "GroupName": _ec2._security_groups[group]["GroupName"]}
            for group in groups
            if group in _ec2._security_groups
        ]
        endpoint["NetworkInterfaceIds"] = [
            _derived("eni", endpoint["VpcEndpointId"] + subnet)
            for subnet in kept.get("SubnetIds") or ()
        ]
        region, name = kept["ServiceName"].split(".", 3)[2:]
        endpoint["DnsEntries"] = [
            {"DnsName": f"{endpoint['VpcEndpointId']}.{name}.{region}.vpce.amazonaws.com"}
        ]
        endpoint["PrivateDnsEnabled"] = str(kept.get("PrivateDnsEnabled")).lower() == "true"
        if endpoint["PrivateDnsEnabled"]:
            endpoint["DnsEntries"].append({"DnsName": f"{name}.{region}.amazonaws.com"})


_entries: dict[tuple[str, str, str], Members] = {}


def _remember_entry(request: Members, _response: Members) -> None:
    ports: Members = {
        name: request[name] for name in ("PortRange", "IcmpTypeCode") if name in request
    }
    _entries[_entry(request["NetworkAclId"], request)] = ports


def _entry(acl_id: str, entry: Members) -> tuple[str, str, str]:
    return scoped(f"{acl_id}|{entry['RuleNumber']}|{entry['Egress']}")


def _show_acl(_request: Members, response: Members) -> None:
    """Entries show their ports, and the default ACL the subnets that no other ACL has."""
    moved = {a["SubnetId"] for acl in _ec2._network_acls.values() for a in acl["Associations"]}
    for acl in response["NetworkAcls"]:
        for entry in acl["Entries"]:
            entry.update(_entries.get(_entry(acl["NetworkAclId"], entry), {}))
        if acl["IsDefault"]:
            acl["Associations"] += [
                {
                    "NetworkAclAssociationId": _derived("aclassoc", subnet["SubnetId"]),
                    "NetworkAclId": acl["NetworkAclId"],
                    "SubnetId": subnet["SubnetId"],
                }
                for subnet in _ec2._subnets.values()
                if subnet["VpcId"] == acl["VpcId"] and subnet["SubnetId"] not in moved
            ]


def _move_subnet(request: Members) -> Members:
    """Give the subnet of an association to another ACL; MiniStack forgets which it was."""
    association, target = request["AssociationId"], request["NetworkAclId"]
    if target not in _ec2._network_acls:
        raise Refusal("InvalidNetworkAclID.NotFound", f"The network ACL '{target}' does not exist.")
    subnet = next(
        (
            found["SubnetId"]
            for acl in _ec2._network_acls.values()
            for found in acl["Associations"]
            if found["NetworkAclAssociationId"] == association
        ),
        None,
    ) or next((name for name in _ec2._subnets if _derived("aclassoc", name) == association), None)
    if subnet is None:
        raise Refusal(
            "InvalidAssociationID.NotFound", f"The association ID '{association}' does not exist."
        )
    for acl in _ec2._network_acls.values():
        acl["Associations"] = [a for a in acl["Associations"] if a["SubnetId"] != subnet]
    new = f"aclassoc-{uuid.uuid4().hex[:17]}"
    _ec2._network_acls[target]["Associations"].append(
        {"NetworkAclAssociationId": new, "SubnetId": subnet}
    )
    return {"NewAssociationId": new}


MENDS: tuple[Mend, ...] = (
    Amendment("DescribeAddresses", _show_association),
    _chosen(
        "Addresses",
        {
            "allocation-id": "AllocationId",
            "association-id": "AssociationId",
            "domain": "Domain",
            "network-interface-id": "NetworkInterfaceId",
            "public-ip": "PublicIp",
        },
    ),
    Amendment("CreateNatGateway", _show_gateway_addresses),
    Amendment("DescribeNatGateways", _show_gateway_addresses),
    Amendment("CreateFlowLogs", _remember_flow_log),
    Amendment("DescribeFlowLogs", _show_flow_log),
    _chosen(
        "FlowLogs",
        {
            "deliver-log-status": "DeliverLogsStatus",
            "flow-log-id": "FlowLogId",
            "log-destination-type": "LogDestinationType",
            "log-group-name": "LogGroupName",
            "traffic-type": "TrafficType",
        },
    ),
    Amendment("CreateVpc", _open_default_groups),
    Amendment("CreateVpcEndpoint", _show_endpoint),
    Amendment("DescribeVpcEndpoints", _show_endpoint),
    _chosen(
        "VpcEndpoints",
        {
            "service-name": "ServiceName",
            "vpc-endpoint-id": "VpcEndpointId",
            "vpc-endpoint-state": "State",
            "vpc-endpoint-type": "VpcEndpointType",
            "vpc-id": "VpcId",
        },
    ),
    Amendment("CreateNetworkAclEntry", _remember_entry),
    Amendment("ReplaceNetworkAclEntry", _remember_entry),
    Amendment("DescribeNetworkAcls", _show_acl),
    _chosen(
        "NetworkAcls",
        {
            "association.association-id": "Associations[].NetworkAclAssociationId",
            "association.subnet-id": "Associations[].SubnetId",
            "network-acl-id": "NetworkAclId",
        },
    ),
    Operation("ReplaceNetworkAclAssociation", _move_subnet),
)
