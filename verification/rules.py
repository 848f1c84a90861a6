"""Security group rules as plain values that can be compared and read."""

from __future__ import annotations

from dataclasses import dataclass

from verification.cloud import Record

ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
# A group without any rule outward is given one to everywhere by EC2; one to here leads nowhere.
NOWHERE = "127.0.0.1/32"


@dataclass(frozen=True, order=True)
class Rule:
    """One way in or out: protocol, first and last port, and the peer.

    `peer` is a CIDR block, a security group id or a prefix list id; `protocol` is "all" when the
    rule is for every protocol, and then the ports are 0 and 65535.
    """

    peer: str
    first: int
    last: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        """Return the rule as people write it, for example `tcp 443 with 10.0.0.0/16`."""
        if self.protocol == "all":
            return f"all traffic with {self.peer}"
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol} {ports} with {self.peer}"

    @property
    def is_open(self) -> bool:
        """Whether the peer is the whole internet."""
        return self.peer in ANYWHERE


def port(number: int, peer: str) -> Rule:
    """Return the rule for one TCP port."""
    return Rule(peer, number, number)


def read_rules(permissions: list[Record]) -> set[Rule]:
    """Return the rules of `IpPermissions` or `IpPermissionsEgress` that lead somewhere."""
    rules = {rule for permission in permissions for rule in _read_permission(permission)}
    return {rule for rule in rules if rule.peer != NOWHERE}


def _read_permission(permission: Record) -> list[Rule]:
    peers = [
        *(item["CidrIp"] for item in permission.get("IpRanges", [])),
        *(item["CidrIpv6"] for item in permission.get("Ipv6Ranges", [])),
        *(item["GroupId"] for item in permission.get("UserIdGroupPairs", [])),
        *(item["PrefixListId"] for item in permission.get("PrefixListIds", [])),
    ]
    protocol = str(permission["IpProtocol"])
    if protocol == "-1":
        return [Rule(peer, 0, 65535, "all") for peer in peers]
    first, last = permission.get("FromPort", 0), permission.get("ToPort", 65535)
    return [Rule(peer, first, last, protocol) for peer in peers]


def spell(rules: set[Rule]) -> str:
    """Return the rules as a readable list."""
    return ", ".join(str(rule) for rule in sorted(rules)) or "none"
