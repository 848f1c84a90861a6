"""Who can reach whom: a graph of the security groups, from the rules on both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from verification.cloud import Record
from verification.rules import Rule, read_rules

INTERNET = "internet"


@dataclass(frozen=True, order=True)
class Way:
    """One way from a group, or the internet, to another: what both sides let through."""

    source: str
    target: str
    first: int
    last: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        """Return the way as people write it, for example `service -> database: tcp 5432`."""
        if self.protocol == "all":
            return f"{self.source} -> {self.target}: all traffic"
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.source} -> {self.target}: {self.protocol} {ports}"


def read_ways(groups: Mapping[str, Record], names: Mapping[str, str], cidr: str) -> set[Way]:
    """Return every way between the groups of a VPC, from the internet in and to the internet out.

    What is allowed by address is allowed to every group of the VPC where the addresses touch the
    VPC's, and to the internet where they reach beyond. So a way may be told that no packet can take
    because of where things are, but none is left out.

    Args:
        groups: the security groups by id, as EC2 describes them.
        names: what to call them; a group that has no name here is told by its own name and id.
        cidr: the address range of the VPC.
    """
    called = {
        group_id: names.get(group_id, f"{group.get('GroupName', 'group')} ({group_id})")
        for group_id, group in groups.items()
    }
    inward = {key: read_rules(group["IpPermissions"]) for key, group in groups.items()}
    outward = {key: read_rules(group["IpPermissionsEgress"]) for key, group in groups.items()}
    ways: set[Way] = set()
    for target, entries in inward.items():
        for entry in entries:
            if _beyond(entry.peer, groups, cidr):
                ways.add(Way(INTERNET, called[target], entry.first, entry.last, entry.protocol))
            for source in _inside(entry.peer, groups, cidr):
                for leave in outward[source]:
                    if target in _inside(leave.peer, groups, cidr):
                        ways |= _common(called[source], called[target], leave, entry)
    for source, leaves in outward.items():
        for leave in leaves:
            if _beyond(leave.peer, groups, cidr):
                ways.add(Way(called[source], INTERNET, leave.first, leave.last, leave.protocol))
    return ways


def reach(ways: Iterable[Way], source: str, without: Collection[str] = ()) -> dict[str, list[str]]:
    """Return everything that can be reached from a source, step by step, with the shortest path.

    Args:
        ways: the graph.
        source: where to start; it is not in the result.
        without: what the paths may not lead through or to.
    """
    onward: dict[str, set[str]] = {}
    for way in ways:
        onward.setdefault(way.source, set()).add(way.target)
    paths = {source: [source]}
    queue = [source]
    for here in queue:
        # The internet is where paths begin and end: it carries nobody from one group to another.
        if here == INTERNET and here != source:
            continue
        for there in sorted(onward.get(here, set()) - set(paths) - set(without)):
            paths[there] = [*paths[here], there]
            queue.append(there)
    del paths[source]
    return paths


def draw(ways: Iterable[Way]) -> str:
    """Return the graph as text, a way a line."""
    return "\n".join(f"  {way}" for way in sorted(ways)) or "  nobody reaches anybody"


def _inside(peer: str, groups: Mapping[str, Record], cidr: str) -> Collection[str]:
    """Return the groups of the VPC that the peer of a rule stands for."""
    if peer in groups:
        return (peer,)
    return groups if _is_range(peer) and _touches(peer, cidr) else ()


def _beyond(peer: str, groups: Mapping[str, Record], cidr: str) -> bool:
    """Whether the peer of a rule is, in whole or in part, outside the VPC."""
    if not _is_range(peer):
        # A group of another VPC, or a list of addresses of somebody else's.
        return peer not in groups
    inner, outer = ip_network(peer), ip_network(cidr)
    return inner.version != outer.version or not inner.subnet_of(outer)  # type: ignore[arg-type]  # both are of one version


def _is_range(peer: str) -> bool:
    return "/" in peer


def _touches(peer: str, cidr: str) -> bool:
    one, other = ip_network(peer), ip_network(cidr)
    return one.version == other.version and one.overlaps(other)


def _common(source: str, target: str, leave: Rule, entry: Rule) -> set[Way]:
    """Return the way that a rule outward and a rule inward both allow, if there is one."""
    if leave.protocol not in ("all", entry.protocol) and entry.protocol != "all":
        return set()
    first, last = max(leave.first, entry.first), min(leave.last, entry.last)
    if first > last:
        return set()
    protocol = entry.protocol if leave.protocol == "all" else leave.protocol
    return {Way(source, target, first, last, protocol)}
