"""What is shown of the templates: a table of rows, and the stations of a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scripts.drawing.platform import Found, Member, Stack, per_environment


def by_name(member: Member) -> str:
    """Tell resources of one type apart by their logical id."""
    return member.logical_id


def by_endpoint_type(member: Member) -> str:
    """Tell VPC endpoints apart: Gateway or Interface."""
    return str(member.value("VpcEndpointType"))


def by_namespace(member: Member) -> str:
    """Tell alarms apart by the first CloudWatch namespace that they read."""
    return next(_texts(member.properties, "Namespace"), "")


def _texts(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get(key), str):
            yield node[key]
        for value in node.values():
            yield from _texts(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value, key)


def _endpoint_services(found: Found) -> str:
    services = (name.split(".", 3)[-1].split(".")[0] for name in found.each("ServiceName"))
    return ", ".join(dict.fromkeys(services))


def _listener_ports(found: Found) -> str:
    pairs = zip(found.each("Protocol"), found.each("Port"), strict=True)
    return ", ".join(f"{protocol} {port}" for protocol, port in pairs)


def _retention(found: Found) -> str:
    return f"kept {per_environment(found.first('RetentionInDays'))} days"


def _instance_classes(found: Found) -> str:
    families, sizes = zip(
        *(name.removeprefix("db.").split(".") for name in found.first("DBInstanceClass")),
        strict=True,
    )
    return f"{per_environment(families)} {per_environment(sizes)}"


def _task_range(found: Found) -> str:
    limits = zip(found.first("MinCapacity"), found.first("MaxCapacity"), strict=True)
    return f"{per_environment(f'{low}-{high}' for low, high in limits)} tasks"


def _web_acl_rules(found: Found) -> str:
    rules = found.all[0].properties["Rules"]
    limits = sum("RateBasedStatement" in rule["Statement"] for rule in rules)
    return f"{len(rules) - limits} rule sets, " + ("rate limit" if limits else "no rate limit")


def _scheme(found: Found) -> str:
    return str(found.all[0].value("Scheme"))


def _tasks(found: Found) -> str:
    where = str(found.all[0].value("LaunchType") or "EC2").capitalize()
    return f"{where}, {per_environment(found.first('DesiredCount'))} tasks"


def _engine(found: Found) -> str:
    return f"PostgreSQL {per_environment(found.first('EngineVersion'))}"


@dataclass(frozen=True)
class Kind:
    """One row of a box: the resources it counts, and what it says of them.

    ``one`` and ``many`` are its label. A resource belongs here if it has one of the ``types`` and
    what ``by`` says of it matches ``where``. ``note`` makes the second, smaller line.
    """

    group: str
    one: str
    many: str
    types: tuple[str, ...]
    where: str
    by: Callable[[Member], str]
    note: Callable[[Found], str] | None

    def picks(self, member: Member) -> bool:
        """Whether the resource belongs in this row."""
        return member.type in self.types and re.search(self.where, self.by(member)) is not None


def kind(
    group: str,
    label: str,
    types: str,
    where: str = "",
    *,
    by: Callable[[Member], str] = by_name,
    note: Callable[[Found], str] | None = None,
) -> Kind:
    """A row; ``label`` is ``singular|plural``, or the singular of a regular plural."""
    one, _, many = label.partition("|")
    names = tuple(f"AWS::{name}" for name in types.split())
    return Kind(group, one, many or f"{one}s", names, where, by, note)


def endpoints(label: str) -> Kind:
    """The row of one type of VPC endpoint."""
    by, note = by_endpoint_type, _endpoint_services
    return kind("VPC endpoints", f"{label}|{label}", "EC2::VPCEndpoint", label, by=by, note=note)


def alarms(on: str, namespace: str) -> Kind:
    """The row of the alarms on something."""
    return kind("Alarms", f"{on}|{on}", "CloudWatch::Alarm", namespace, by=by_namespace)


# The order here is the order in a box; a row joins the others of its group.
KINDS = (
    kind("Network", "VPC", "EC2::VPC"),
    kind("Network", "Internet gateway", "EC2::InternetGateway"),
    kind("Network", "NAT gateway", "EC2::NatGateway"),
    kind("Network", "Route table", "EC2::RouteTable"),
    kind("Subnets", "Public|Public", "EC2::Subnet", "Public"),
    kind("Subnets", "Private|Private", "EC2::Subnet", "Private"),
    kind("Subnets", "Isolated|Isolated", "EC2::Subnet", "Database"),
    endpoints("Gateway"),
    endpoints("Interface"),
    kind("Cluster", "ECS cluster", "ECS::Cluster"),
    kind("Cluster", "Aurora instance", "RDS::DBInstance", note=_instance_classes),
    kind("Cluster", "Parameter group", "RDS::DBClusterParameterGroup RDS::DBParameterGroup"),
    kind("Load balancer", "Listener", "ElasticLoadBalancingV2::Listener", note=_listener_ports),
    kind("Load balancer", "Target group", "ElasticLoadBalancingV2::TargetGroup"),
    kind("Tasks", "Task definition", "ECS::TaskDefinition"),
    kind("Tasks", "Scaling target", "ApplicationAutoScaling::ScalableTarget", note=_task_range),
    kind("Tasks", "Scaling policy|Scaling policies", "ApplicationAutoScaling::ScalingPolicy"),
    alarms("Service", "ECS"),
    alarms("Database", "RDS"),
    alarms("Load balancer", "ApplicationELB"),
    alarms("NAT gateways", "NATGateway"),
    alarms("Rotation", "Lambda"),
    alarms("Backup jobs", "Backup"),
    kind("Alarms", "Composite alarm", "CloudWatch::CompositeAlarm"),
    kind("Alarms", "SNS topic", "SNS::Topic"),
    kind("Overview", "Dashboard", "CloudWatch::Dashboard"),
    kind("Rules", "Config rule", "Config::ConfigRule"),
    kind("Rules", "Notification", "Events::Rule"),
    kind("Backups", "Vault", "Backup::BackupVault"),
    kind("Backups", "Plan", "Backup::BackupPlan"),
    kind("Published", "Parameter", "SSM::Parameter"),
    kind("Protection", "Secret", "SecretsManager::Secret"),
    kind("Protection", "Rotation", "SecretsManager::RotationSchedule"),
    kind("Protection", "KMS key", "KMS::Key"),
    kind("Protection", "Security group", "EC2::SecurityGroup"),
    kind("Protection", "Firewall rule", "EC2::SecurityGroupIngress EC2::SecurityGroupEgress"),
    kind(
        "Protection", "Permissions boundary|Permissions boundaries", "IAM::ManagedPolicy", "Bound"
    ),
    kind("Supporting", "IAM role", "IAM::Role"),
    kind("Supporting", "Log group", "Logs::LogGroup", note=_retention),
    kind("Supporting", "Flow log", "EC2::FlowLog"),
    kind("Supporting", "Bucket", "S3::Bucket"),
    kind("Supporting", "Lambda function", "Lambda::Function"),
)
# Parts of something that has a row.
PARTS = frozenset(
    f"AWS::{name}"
    for name in (
        "Backup::BackupSelection",
        "EC2::EIP", "EC2::Route", "EC2::SubnetRouteTableAssociation", "EC2::VPCGatewayAttachment",
        "KMS::Alias", "Lambda::Permission", "RDS::DBSubnetGroup", "S3::BucketPolicy",
        "SecretsManager::SecretTargetAttachment", "SNS::Subscription", "SNS::TopicPolicy",
        "WAFv2::LoggingConfiguration", "WAFv2::WebACLAssociation",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Hop:
    """A station of a request: the resource type that stands for it, and what is said of it."""

    label: str
    type: str
    note: Callable[[Found], str]


# Where a request goes, from the internet on.
HOPS = (
    Hop("WAF web ACL", "AWS::WAFv2::WebACL", _web_acl_rules),
    Hop("Load balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer", _scheme),
    Hop("ECS service", "AWS::ECS::Service", _tasks),
    Hop("Aurora cluster", "AWS::RDS::DBCluster", _engine),
)


@dataclass(frozen=True)
class Row:
    """A line of a box: a label, counts and a note (or none)."""

    group: str
    label: str
    counts: str
    note: str


def rows(stack: Stack) -> tuple[Row, ...]:
    """The rows of a box. A type that no table names gets one too, lest something new be missed."""
    made = []
    counted: set[str] = set()
    for each in KINDS:
        found = stack.resources.where(each.picks)
        if found.all:
            counted.update(member.logical_id for member in found.all)
            label = each.one if set(found.counts) == {1} else each.many
            note = each.note(found) if each.note else ""
            made.append(Row(each.group, label, per_environment(found.counts), note))
    known = PARTS | {hop.type for hop in HOPS}
    others = stack.resources.where(
        lambda member: (
            not (
                member.logical_id in counted
                or member.type in known
                or member.type.startswith("Custom::")
            )
        )
    )
    for name in dict.fromkeys(member.type for member in others.all):
        found = others.of_type(name)
        made.append(Row("Other", name.removeprefix("AWS::"), per_environment(found.counts), ""))
    return tuple(sorted(made, key=lambda row: [r.group for r in made].index(row.group)))


# What an output's name says of its form, not of what it is.
_FORM = re.compile(r"(?<=.)(Ids?|Arn|FullName|Name|Identifier)$")
_WORDS = {"vpc": "VPC", "nat": "NAT", "dns": "DNS", "resource": "resource id"}


def output_name(output: str, source: str) -> str:
    """An output in words: ``public subnets`` for PublicSubnetIds, ``port`` for DatabasePort."""
    own = output.removeprefix(source)
    kept = output if own in ("", "Name", "Arn", "Id") else own
    form = _FORM.search(kept)
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", _FORM.sub("", kept))
    text = " ".join(_WORDS.get(word.lower(), word.lower()) for word in words)
    return f"{text}s" if form and form[0] == "Ids" else text
