"""Load balancing: the VPC of a load balancer, and the defaults of attributes."""

from __future__ import annotations

from ministack.services import alb as _alb
from ministack.services import ec2 as _ec2

from .core import Amendment, Members, Mend

_LOAD_BALANCER_DEFAULTS = {
    "access_logs.s3.bucket": "",
    "access_logs.s3.enabled": "false",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
}
_TARGET_GROUP_DEFAULTS = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.type": "lb_cookie",
}


def _where_its_subnets_are(_request: Members, response: Members) -> None:
    """A load balancer is in the VPC and the zones of its subnets."""
    for balancer in response["LoadBalancers"]:
        kept = _alb._lbs[balancer["LoadBalancerArn"]]
        subnets = [_ec2._subnets[name] for name in kept["Subnets"] if name in _ec2._subnets]
        if not subnets:
            continue
        kept["VpcId"] = balancer["VpcId"] = subnets[0]["VpcId"]
        balancer["AvailabilityZones"] = [
            {"ZoneName": subnet["AvailabilityZone"], "SubnetId": subnet["SubnetId"]}
            for subnet in subnets
        ]


def _show_protocol_version(_request: Members, response: Members) -> None:
    for group in response["TargetGroups"]:
        if group.get("Protocol") in ("HTTP", "HTTPS"):
            kept = _alb._tgs[group["TargetGroupArn"]]
            group.setdefault("ProtocolVersion", kept.get("ProtocolVersion") or "HTTP1")


def _filled(defaults: dict[str, str], response: Members) -> None:
    given = {item["Key"]: item["Value"] for item in response["Attributes"]}
    response["Attributes"] = [
        {"Key": key, "Value": value} for key, value in {**defaults, **given}.items()
    ]


def _balancer_attributes(_request: Members, response: Members) -> None:
    _filled(_LOAD_BALANCER_DEFAULTS, response)


def _group_attributes(_request: Members, response: Members) -> None:
    _filled(_TARGET_GROUP_DEFAULTS, response)


MENDS: tuple[Mend, ...] = (
    Amendment("CreateLoadBalancer", _where_its_subnets_are),
    Amendment("DescribeLoadBalancers", _where_its_subnets_are),
    Amendment("DescribeTargetGroups", _show_protocol_version),
    Amendment("DescribeLoadBalancerAttributes", _balancer_attributes),
    Amendment("DescribeTargetGroupAttributes", _group_attributes),
)
