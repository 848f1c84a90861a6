"""What CloudFormation asks IAM for: an action, on each kind of resource that the action knows."""

from __future__ import annotations

from tests.templates.bootstrap import BOUNDARY_ARN, BUCKET
from tests.templates.iam import ACCOUNT, REGION, Request
from tests.templates.reference import resource_types
from tests.templates.roles import ID


def things(application: str, region: str = REGION) -> dict[tuple[str, str], str]:
    """A resource of an application for each type of resource that the role has to do with."""

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"

    name = f"{application}-dev"
    role = f"arn:aws:iam::{ACCOUNT}:role/{name}-PaymentSt-PaymentRole-0123456789AB"
    return {
        ("application-autoscaling", "ScalableTarget"): arn(
            "application-autoscaling", "scalable-target/0ec50123456789abcdef"
        ),
        ("backup", "backupPlan"): arn("backup", f"backup-plan:{ID}"),
        ("backup", "backupVault"): arn("backup", f"backup-vault:{name}-0123456789ab"),
        ("cloudformation", "stack"): arn("cloudformation", f"stack/{name}-PaymentVPCStack-A/{ID}"),
        ("cloudwatch", "alarm"): arn("cloudwatch", f"alarm:{name}-service-cpu"),
        ("cloudwatch", "dashboard"): f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}",
        ("config", "ConfigRule"): arn("config", "config-rule/config-rule-abcdef"),
        ("config", "ConfigurationRecorder"): arn("config", f"configuration-recorder/{name}/abcdef"),
        ("ecs", "cluster"): arn("ecs", f"cluster/{name}"),
        ("ecs", "service"): arn("ecs", f"service/{name}/{name}-PaymentService-A"),
        ("ecs", "service-deployment"): arn("ecs", f"service-deployment/{name}/{name}-A/B"),
        ("ecs", "task-definition"): arn("ecs", f"task-definition/{name}:1"),
        **{
            ("elasticloadbalancing", kind): arn("elasticloadbalancing", f"{path}/payme-Payme-A/b")
            for kind, path in {
                "listener/app": "listener/app",
                "loadbalancer/app/": "loadbalancer/app",
                "targetgroup": "targetgroup",
            }.items()
        },
        ("events", "rule-on-default-event-bus"): arn("events", f"rule/{name}-PaymentEventRule-A"),
        ("iam", "role"): role,
        ("kms", "alias"): arn("kms", f"alias/{name}-data"),
        ("kms", "key"): arn("kms", f"key/{ID}"),
        ("lambda", "function"): arn("lambda", f"function:{name}-PaymentVPCStack-A"),
        ("logs", "log-group"): arn("logs", f"log-group:/aws/ecs/{name}/service"),
        **{
            ("rds", kind): arn("rds", f"{kind}:{name}")
            for kind in ("cluster", "cluster-pg", "cluster-snapshot", "db", "pg", "subgrp")
        },
        ("s3", "bucket"): f"arn:aws:s3:::{name}-paymentcomputestack-a",
        ("secretsmanager", "Secret"): arn("secretsmanager", f"secret:{application}/dev/a-AbCdEf"),
        ("sns", "topic"): arn("sns", f"{name}-PaymentSecurityStack-A"),
        ("ssm", "parameter"): arn("ssm", f"parameter/{application}/dev/vpc-id"),
        ("wafv2", "loadbalancer/app/"): arn("elasticloadbalancing", "loadbalancer/app/payme-A/b"),
        ("wafv2", "webacl"): arn("wafv2", f"regional/webacl/PaymentWebAcl-A/{ID}"),
    }  # fmt: skip


OURS = things("payments")
# EC2 names everything by itself: one kind stands for all.
OTHERS_OF_EC2 = {"ec2": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-0a1b2c3d"}


def tags(application: str) -> dict[str, str]:
    return {f"aws:{kind}/Application": application for kind in ("RequestTag", "ResourceTag")}


# What CloudFormation says along with a request, where the role looks at it.
CONTEXT = {
    "iam:PermissionsBoundary": BOUNDARY_ARN,
    "iam:PassedToService": "lambda.amazonaws.com",
    "iam:PolicyARN": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
    "iam:AWSServiceName": "ecs.amazonaws.com",
    "application-autoscaling:service-namespace": "ecs",
    "kms:ViaService": f"rds.{REGION}.amazonaws.com",
}


def on(
    action: str, of: dict[tuple[str, str], str] = OURS, keys: dict[str, str] | None = None
) -> list[Request]:
    """The request for an action on each kind of resource of an application that it knows."""
    service = action.split(":", maxsplit=1)[0]
    context = CONTEXT | (tags("payments") if keys is None else keys)
    if action == "iam:CreateServiceLinkedRole":
        linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/A"
        return [Request(action, linked, context)]
    kinds = resource_types(action)
    if service == "ec2":
        return [Request(action, OTHERS_OF_EC2["ec2"] if kinds else "*", context)]
    if action in ("s3:GetObject", "s3:GetObjectVersion"):
        return [Request(action, f"arn:aws:s3:::{BUCKET}/releases/a.template.json", context)]
    known = [of[service, kind] for kind in kinds if (service, kind) in of]
    return [Request(action, resource, context) for resource in known or ["*"]]
