"""Operators for what lets traffic in and out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from scripts.mutants.operators.model import Edit, operator
from scripts.mutants.places import Place, changed

EVERYWHERE = "0.0.0.0/0"
_PEERS = ("SourceSecurityGroupId", "DestinationSecurityGroupId")


def _resource(place: Place) -> bool:
    return place.section == "Resources" and len(place.path) == 2


@operator("cidr-widen", "A range of addresses becomes the whole internet.")
def cidr_widen(place: Place) -> Iterator[Edit]:
    """Let everybody in where a range stood."""
    if not place.in_properties or not isinstance(place.value, str) or "/" not in place.value:
        return
    try:
        narrow = ip_network(place.value).prefixlen > 0
    except ValueError:
        return
    if narrow:
        yield Edit(place.path, EVERYWHERE, f"{place.value} → {EVERYWHERE}")


@operator("peer-widen", "A rule for one group holds for the whole internet.")
def peer_widen(place: Place) -> Iterator[Edit]:
    """Put every address in the place of a security group."""
    if place.in_properties and place.key in _PEERS:
        rule = {key: value for key, value in place.parent.items() if key != place.key}
        yield Edit(place.path[:-1], {**rule, "CidrIp": EVERYWHERE}, f"{place.key} → {EVERYWHERE}")


@operator("ports-widen", "A rule for one port holds for all.")
def ports_widen(place: Place) -> Iterator[Edit]:
    """Open every port from or up to the one that a rule names."""
    ends = {"FromPort": 0, "ToPort": 65535}
    if place.in_properties and place.key in ends:
        yield Edit(place.path, ends[str(place.key)], f"{place.key} {ends[str(place.key)]}")


@operator("protocol-widen", "A rule for one protocol holds for all.")
def protocol_widen(place: Place) -> Iterator[Edit]:
    """Let every protocol through."""
    if place.in_properties and place.key == "IpProtocol" and place.value != "-1":
        yield Edit(place.path, "-1", f"{place.value} → every protocol")


@operator("rule-add", "A group lets more in, or out, than it needs.")
def rule_add(place: Place) -> Iterator[Edit]:
    """Give a security group one more rule of its own, and one more as a resource."""
    if not _resource(place) or place.resource_type != "AWS::EC2::SecurityGroup":
        return
    rule = {"IpProtocol": "-1", "CidrIp": EVERYWHERE, "Description": "Everything"}
    for direction in ("Ingress", "Egress"):
        name = f"SecurityGroup{direction}"
        rules = [*place.value["Properties"].get(name, []), rule]
        group = changed(place.value, ("Properties", name), rules)
        yield Edit(place.path, group, f"everything by {name}", name)
        new = {
            "Type": f"AWS::EC2::{name}",
            "Properties": {**rule, "GroupId": {"Ref": place.key}},
        }
        path = ("Resources", f"{place.key}Anybody{direction}")
        yield Edit(path, new, f"everything by a {name} resource", f"{name}-resource")


@operator("route-add", "A route table leads to the internet.")
def route_add(place: Place) -> Iterator[Edit]:
    """Give a route table a route to the internet gateway."""
    if not _resource(place) or place.resource_type != "AWS::EC2::RouteTable":
        return
    gateways = (
        name
        for name, resource in place.template["Resources"].items()
        if resource["Type"] == "AWS::EC2::InternetGateway"
    )
    for gateway in gateways:
        route = {
            "RouteTableId": {"Ref": place.key},
            "DestinationCidrBlock": EVERYWHERE,
            "GatewayId": {"Ref": gateway},
        }
        yield Edit(
            ("Resources", f"{place.key}Internet"),
            {"Type": "AWS::EC2::Route", "Properties": route},
            f"a route to {gateway}",
        )
