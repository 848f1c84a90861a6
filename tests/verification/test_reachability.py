"""The graph of who can reach whom, from rules as EC2 describes them."""

from __future__ import annotations

from typing import Any

import pytest

from verification.reachability import INTERNET, Way, draw, reach, read_ways

CIDR = "10.0.0.0/16"
NAMES = {"sg-web": "web", "sg-app": "app", "sg-data": "data"}


def permission(peer: str, port: int = 0, protocol: str = "tcp") -> dict[str, Any]:
    """A rule as EC2 describes it; port 0 with protocol -1 is everything."""
    ports = {} if protocol == "-1" else {"FromPort": port, "ToPort": port}
    kind, field = ("IpRanges", "CidrIp") if "/" in peer else ("UserIdGroupPairs", "GroupId")
    if ":" in peer:
        kind, field = "Ipv6Ranges", "CidrIpv6"
    return {"IpProtocol": protocol, **ports, kind: [{field: peer}]}


def group(
    inward: list[dict[str, Any]] | None = None, outward: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "GroupName": "own-name",
        "IpPermissions": inward or [],
        "IpPermissionsEgress": outward or [],
    }


def chain() -> dict[str, dict[str, Any]]:
    """Internet to web, web to app, app to data."""
    return {
        "sg-web": group([permission("0.0.0.0/0", 443)], [permission("sg-app", 8080)]),
        "sg-app": group([permission("sg-web", 8080)], [permission("sg-data", 5432)]),
        "sg-data": group([permission("sg-app", 5432)]),
    }


CHAIN = {
    Way(INTERNET, "web", 443, 443),
    Way("web", "app", 8080, 8080),
    Way("app", "data", 5432, 5432),
}


def test_chain() -> None:
    ways = read_ways(chain(), NAMES, CIDR)
    assert ways == CHAIN
    assert reach(ways, INTERNET) == {
        "web": [INTERNET, "web"],
        "app": [INTERNET, "web", "app"],
        "data": [INTERNET, "web", "app", "data"],
    }
    assert reach(ways, INTERNET, without={"app"}).keys() == {"web"}
    assert reach(ways, "data") == {}


@pytest.mark.parametrize("side", ["IpPermissions", "IpPermissionsEgress"])
def test_a_rule_on_one_side_alone_opens_nothing(side: str) -> None:
    groups = chain()
    groups["sg-data"][side].append(permission("sg-web", 5432))
    groups["sg-web"][side].append(permission("sg-app", 5432))
    assert read_ways(groups, NAMES, CIDR) == CHAIN


def test_other_ports_and_protocols_do_not_meet() -> None:
    groups = chain()
    groups["sg-app"]["IpPermissionsEgress"] = [permission("sg-data", 5433)]
    groups["sg-web"]["IpPermissionsEgress"] = [permission("sg-app", 8080, "udp")]
    assert read_ways(groups, NAMES, CIDR) == {Way(INTERNET, "web", 443, 443)}


@pytest.mark.parametrize("peer", ["0.0.0.0/0", "10.0.0.0/8", "10.0.4.0/24"])
def test_addresses_of_the_vpc_stand_for_all_its_groups(peer: str) -> None:
    groups = chain()
    groups["sg-data"]["IpPermissions"] = [permission(peer, 5432)]
    ways = read_ways(groups, NAMES, CIDR)
    assert Way("app", "data", 5432, 5432) in ways
    assert (Way(INTERNET, "data", 5432, 5432) in ways) == (peer != "10.0.4.0/24")


@pytest.mark.parametrize("peer", ["::/0", "203.0.113.0/24", "sg-elsewhere"])
def test_what_is_beyond_the_vpc_is_the_internet(peer: str) -> None:
    groups = chain()
    groups["sg-data"]["IpPermissions"].append(permission(peer, 5432))
    groups["sg-app"]["IpPermissionsEgress"].append(permission(peer, 443))
    ways = read_ways(groups, NAMES, CIDR)
    assert ways - CHAIN == {Way(INTERNET, "data", 5432, 5432), Way("app", INTERNET, 443, 443)}


def test_everything_narrows_to_what_the_other_side_allows() -> None:
    groups = chain()
    groups["sg-app"]["IpPermissionsEgress"] = [permission("0.0.0.0/0", protocol="-1")]
    ways = read_ways(groups, NAMES, CIDR)
    # The web group lets in the whole internet, and so the app group too.
    assert ways - CHAIN == {
        Way("app", INTERNET, 0, 65535, "all"),
        Way("app", "web", 443, 443),
    }


def test_the_internet_carries_nobody_from_group_to_group() -> None:
    ways = {Way("app", INTERNET, 443, 443), Way(INTERNET, "web", 443, 443)}
    assert reach(ways, "app") == {INTERNET: ["app", INTERNET]}


def test_members_of_one_group() -> None:
    groups = {"sg-1": group([permission("sg-1", 80)], [permission("sg-1", 80)])}
    assert draw(read_ways(groups, {}, CIDR)) == ("  own-name (sg-1) -> own-name (sg-1): tcp 80")


def test_drawing() -> None:
    assert draw(CHAIN).splitlines() == [
        "  app -> data: tcp 5432",
        "  internet -> web: tcp 443",
        "  web -> app: tcp 8080",
    ]
    assert draw([]) == "  nobody reaches anybody"
