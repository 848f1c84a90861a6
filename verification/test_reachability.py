"""Who can reach whom, computed from the rules of every security group of the VPC."""

from __future__ import annotations

import pytest

from verification.platform import Platform
from verification.reachability import INTERNET, Way, draw, reach, read_ways
from verification.settings import Settings

BALANCER, SERVICE, DATABASE = "load balancer", "service", "database"
ENDPOINTS, ROTATION = "endpoints", "rotation"
# What people call the group that an output names, and the tier its interfaces are in.
GROUPS = {
    "LoadBalancerSecurityGroupId": (BALANCER, "Public"),
    "ServiceSecurityGroupId": (SERVICE, "Private"),
    "DatabaseSecurityGroupId": (DATABASE, "Database"),
    "VpcEndpointSecurityGroupId": (ENDPOINTS, "Private"),
    "RotationSecurityGroupId": (ROTATION, "Private"),
}


def _ways(platform: Platform) -> set[Way]:
    names = {platform.output(output): name for output, (name, _) in GROUPS.items()}
    return read_ways(platform.security_groups, names, platform.vpc["CidrBlock"])


def _planned(platform: Platform, settings: Settings) -> set[Way]:
    port = settings.container_port
    data = int(platform.output("DatabasePort"))
    return {
        Way(INTERNET, BALANCER, 80, 80),
        Way(INTERNET, BALANCER, 443, 443),
        Way(BALANCER, SERVICE, port, port),
        Way(SERVICE, DATABASE, data, data),
        Way(SERVICE, ENDPOINTS, 443, 443),
        Way(SERVICE, INTERNET, 443, 443),
        # Who may call everybody by TLS may call what is open to everybody.
        Way(SERVICE, BALANCER, 443, 443),
        Way(ROTATION, DATABASE, data, data),
        Way(ROTATION, ENDPOINTS, 443, 443),
    }


def test_groups_reach_each_other_as_planned_and_nobody_else(
    platform: Platform, settings: Settings
) -> None:
    actual, planned = _ways(platform), _planned(platform, settings)
    more = "; ".join(str(way) for way in sorted(actual - planned))
    less = "; ".join(str(way) for way in sorted(planned - actual))
    assert actual <= planned, f"Ways that were not planned: {more}. All ways:\n{draw(actual)}"
    assert planned <= actual, f"Ways that are missing: {less}. All ways:\n{draw(actual)}"


@pytest.mark.parametrize(
    ("target", "guard"), [(SERVICE, BALANCER), (DATABASE, SERVICE), (ENDPOINTS, SERVICE)]
)
def test_the_internet_comes_only_through(platform: Platform, target: str, guard: str) -> None:
    ways = _ways(platform)
    path = reach(ways, INTERNET, without={guard}).get(target, [])
    assert not path, (
        f"The internet reaches the {target} around the {guard}: {' -> '.join(path)}. "
        f"All ways:\n{draw(ways)}"
    )
    assert target in reach(ways, INTERNET), (
        f"Nothing leads from the internet to the {target}. All ways:\n{draw(ways)}"
    )


def test_only_the_planned_groups_come_to_the_database(platform: Platform) -> None:
    ways = _ways(platform)
    sources = {way.source for way in ways} - {DATABASE}
    coming = {name: path for name in sources if (path := reach(ways, name).get(DATABASE))}
    strangers = sorted(set(coming) - {INTERNET, BALANCER, SERVICE, ROTATION})
    told = "; ".join(" -> ".join(coming[name]) for name in strangers)
    assert not strangers, f"Others come to the database: {told}. All ways:\n{draw(ways)}"


@pytest.mark.parametrize("name", [DATABASE, ENDPOINTS])
def test_nothing_leads_on_from(platform: Platform, name: str) -> None:
    ways = _ways(platform)
    onward = sorted(" -> ".join(path) for path in reach(ways, name).values())
    assert not onward, f"From here one gets on: {'; '.join(onward)}. All ways:\n{draw(ways)}"


def test_only_the_service_gets_out(platform: Platform) -> None:
    ways = _ways(platform)
    leaving = sorted(str(way) for way in ways if way.target == INTERNET and way.source != SERVICE)
    assert not leaving, f"Others leave the VPC: {'; '.join(leaving)}. All ways:\n{draw(ways)}"


def test_interfaces_carry_the_groups_of_their_tier(platform: Platform) -> None:
    tiers = {
        subnet["SubnetId"]: tier
        for tier in ("Public", "Private", "Database")
        for subnet in platform.tier(tier)
    }
    wanted = {platform.output(output): tier for output, (_, tier) in GROUPS.items()}
    wrong = [
        f"{item['NetworkInterfaceId']} in {item['SubnetId']} has {group['GroupId']}"
        for item in platform.in_vpc("describe_network_interfaces", "NetworkInterfaces")
        for group in item.get("Groups", [])
        if tiers.get(item["SubnetId"], "none") != wanted.get(group["GroupId"])
    ]
    assert not wrong, f"Interfaces with groups that do not belong there: {'; '.join(wrong)}."


def test_no_interface_is_public_but_those_of_the_public_subnets(platform: Platform) -> None:
    public = {subnet["SubnetId"] for subnet in platform.tier("Public")}
    shown = [
        f"{item['NetworkInterfaceId']} by {item['Association']['PublicIp']}"
        for item in platform.in_vpc("describe_network_interfaces", "NetworkInterfaces")
        if item.get("Association", {}).get("PublicIp") and item["SubnetId"] not in public
    ]
    assert not shown, f"Interfaces that the internet reaches by address: {', '.join(shown)}."
