"""The role that CloudFormation deploys with may do all that the templates need, and not more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.templates.bootstrap import SERVICE_ROLE, actions
from tests.templates.iam import REGION, Request, as_list, permits
from tests.templates.loader import load_all
from tests.templates.reference import has_tags, matching, permissions, resource_types
from tests.templates.requests import OURS, on, tags, things

TYPES = sorted(
    {
        resource["Type"]
        for template in load_all().values()
        for resource in template["Resources"].values()
        if not resource["Type"].startswith("Custom::")
    }
)
# What AWS's schemas name for a type although nothing in the templates makes CloudFormation call it.
# `*` takes all of a service.
NEVER_CALLED = {
    # Other services that a property could lead to.
    "amplify:*", "apigateway:*", "apprunner:*", "appsync:*", "autoscaling:*", "bedrock-agentcore:*",
    "cognito-idp:*", "docdb-elastic:*", "elasticfilesystem:*", "firehose:*", "payments:*",
    "redshift:*", "redshift-serverless:*", "s3files:*", "s3tables:*", "vpc-lattice:*", "vpce:*",
    # Scheduled scaling, provisioned concurrency, account settings.
    "application-autoscaling:PutScheduledAction", "application-autoscaling:DeleteScheduledAction",
    "lambda:DeleteProvisionedConcurrencyConfig", "lambda:PutProvisionedConcurrencyConfig",
    "lambda:GetProvisionedConcurrencyConfig",
    "ecs:PutAccountSetting", "ecs:PutAccountSettingDefault",
    # The mount of a vault without a key.
    "backup-storage:Mount",
    # Stack policies and the protection of nested stacks.
    "cloudformation:SetStackPolicy", "cloudformation:UpdateTerminationProtection",
    # Addresses of instances and from elsewhere, VPN gateways, IPv6, verified access.
    "ec2:AcceptAddressTransfer", "ec2:AssociateAddress", "ec2:DisassociateAddress",
    "ec2:AttachVpnGateway", "ec2:DetachVpnGateway", "ec2:AssociateSubnetCidrBlock",
    "ec2:DisassociateSubnetCidrBlock", "ec2:CreateVpcEncryptionControl", "ec2:ModifyVpcTenancy",
    "ec2:AssignPrivateNatGatewayAddress", "ec2:AssociateNatGatewayAddress",
    "ec2:DisassociateNatGatewayAddress", "ec2:UnassignPrivateNatGatewayAddress",
    "ec2:AssociateVerifiedAccessInstanceWebAcl", "ec2:DisassociateVerifiedAccessInstanceWebAcl",
    "ec2:GetVerifiedAccessInstanceWebAcl",
    # Reserved capacity and address pools of load balancers; ECS registers the targets itself.
    "elasticloadbalancing:ModifyCapacityReservation", "elasticloadbalancing:ModifyIpPools",
    "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets",
    # A boundary is never taken away; whose organization it is, nobody asks; roles are named.
    "iam:DeleteRolePermissionsBoundary", "iam:DescribeOrganization", "iam:ListRoles",
    # Signing, concurrency, recursion, layers and versions of functions.
    "lambda:AssociateRuntimeAlias", "lambda:DeleteFunctionCodeSigningConfig",
    "lambda:DeleteFunctionConcurrency", "lambda:PassCapacityProvider", "lambda:PublishVersion",
    "lambda:PutFunctionCodeSigningConfig", "lambda:PutFunctionConcurrency",
    "lambda:PutFunctionRecursionConfig", "lambda:PutFunctionScalingConfig",
    "lambda:PutRuntimeManagementConfig", "lambda:GetCodeSigningConfig", "lambda:GetLayerVersion",
    # Data protection, field indexes, resource policies and tokens of log groups.
    "logs:DeleteDataProtectionPolicy", "logs:DeleteIndexPolicy", "logs:DeleteResourcePolicy",
    "logs:PutBearerTokenAuthentication", "logs:PutDataProtectionPolicy", "logs:PutIndexPolicy",
    "logs:PutLogGroupDeletionProtection", "s3:REST.PUT.OBJECT",
    # Roles, snapshots, replicas, global databases and the data API of databases.
    "rds:AddRoleToDBCluster", "rds:AddRoleToDBInstance", "rds:CreateDBInstanceReadReplica",
    "rds:CreateDBSnapshot", "rds:DisableHttpEndpoint", "rds:EnableHttpEndpoint",
    "rds:PromoteReadReplica", "rds:RemoveFromGlobalCluster", "rds:RemoveRoleFromDBCluster",
    "rds:RemoveRoleFromDBInstance", "rds:RestoreDBClusterFromSnapshot",
    "rds:RestoreDBClusterToPointInTime", "rds:RestoreDBInstanceFromDBSnapshot",
    "rds:RestoreDBInstanceToPointInTime", "rds:StartDBInstanceAutomatedBackupsReplication",
    "rds:StopDBInstanceAutomatedBackupsReplication",
    # Of buckets: metadata, analytics, CORS, web sites, replication, notifications, locks, ACLs.
    "s3:CreateBucketMetadataTableConfiguration", "s3:DeleteBucketAnalyticsConfiguration",
    "s3:DeleteBucketCors", "s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle",
    "s3:DeleteBucketMetadataTableConfiguration", "s3:DeleteBucketMetricsConfiguration",
    "s3:DeleteBucketReplication", "s3:DeleteBucketTagging", "s3:DeleteBucketWebsite",
    "s3:DeleteObject", "s3:PutAccelerateConfiguration", "s3:PutAnalyticsConfiguration",
    "s3:PutBucketAbac", "s3:PutBucketAcl", "s3:PutBucketCORS", "s3:PutBucketLogging",
    "s3:PutBucketNotification", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketReplication",
    "s3:PutBucketWebsite", "s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration",
    "s3:PutMetricsConfiguration", "s3:PutObjectAcl", "s3:PutObjectLockConfiguration",
    "s3:PutReplicationConfiguration", "s3:UpdateBucketMetadataAnnotationTableConfiguration",
    "s3:UpdateBucketMetadataInventoryTableConfiguration",
    "s3:UpdateBucketMetadataJournalTableConfiguration",
    # Secrets in several regions, messages that are inspected, rule groups that are shared.
    "secretsmanager:RemoveRegionsFromReplication", "secretsmanager:ReplicateSecretToRegions",
    "sns:PutDataProtectionPolicy", "wafv2:GetPermissionPolicy",
    "wafv2:PutPermissionPolicy",
}  # fmt: skip


def never_called(action: str) -> bool:
    service, _ = action.split(":")
    return action in NEVER_CALLED or f"{service}:*" in NEVER_CALLED


def needed(kind: str) -> Iterator[str]:
    for action in sorted(permissions(kind, "create", "read", "update", "delete")):
        if not never_called(action):
            yield action


@pytest.mark.parametrize(
    "kind", [t for t in TYPES if t != "AWS::CloudFormation::WaitConditionHandle"]
)
def test_role_may_create_read_update_and_delete(kind: str) -> None:
    wanted = list(needed(kind))
    assert wanted
    refused = [r for a in wanted for r in on(a) if not permits(r, SERVICE_ROLE)]
    assert refused == []


@pytest.mark.parametrize("action", sorted(a for a in NEVER_CALLED if not a.endswith(":*")))
def test_what_is_never_called_is_not_given(action: str) -> None:
    if resource_types_or_none(action) is None:
        return
    assert not any(permits(request, SERVICE_ROLE) for request in on(action))


def resource_types_or_none(action: str) -> list[str] | None:
    """The types of an action; nothing where a schema names an action that IAM does not have."""
    return resource_types(action) if matching(action) else None


# What a deployment needs besides what the schemas of the types say.
BESIDES = [
    # Custom resources are made by their function, {{resolve:...}} by these two.
    "lambda:InvokeFunction",
    "ssm:GetParameters",
    "secretsmanager:GetSecretValue",
    # Packaged templates and code.
    "s3:GetObject",
    # Change sets of nested stacks.
    "cloudformation:CreateChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:DeleteChangeSet",
    "iam:CreateServiceLinkedRole",
]


# Other actions that a create takes, which AWS tells elsewhere than in the schema of the type.
DEPENDENT = ("route53:AssociateVPCWithHostedZone", "route53:DisassociateVPCFromHostedZone")


@pytest.mark.parametrize("action", DEPENDENT)
def test_role_may_give_endpoints_their_private_names(action: str) -> None:
    assert permits(Request(action, "*"), SERVICE_ROLE)


@pytest.mark.parametrize("action", BESIDES)
def test_role_may_besides(action: str) -> None:
    assert all(permits(request, SERVICE_ROLE) for request in on(action))


GIVEN = sorted({a for pattern in actions(SERVICE_ROLE) for a in matching(pattern)})
# Reads of the region that IAM does not tell apart, and writes for which it knows no resource.
WITHOUT_RESOURCE = {
    "backup-storage:mountcapsule",
    "ecs:deregistertaskdefinition",
    "elasticloadbalancing:createwebaclassociation",
    "elasticloadbalancing:deletewebaclassociation",
    "elasticloadbalancing:setwebacl",
    "kms:createkey",
    "logs:createlogdelivery",
    "logs:deletelogdelivery",
    "logs:putresourcepolicy",
    "route53:associatevpcwithhostedzone",
    "route53:disassociatevpcfromhostedzone",
    "sns:setsubscriptionattributes",
    "sns:unsubscribe",
}
READS = ("describe", "get", "list")


def writes() -> list[str]:
    return [
        a
        for a in GIVEN
        if not a.split(":")[1].startswith(READS)
        and a not in WITHOUT_RESOURCE
        and a not in ("iam:createservicelinkedrole",)
    ]


@pytest.mark.parametrize("action", writes())
def test_what_is_another_application_s_is_out_of_reach(action: str) -> None:
    foreign = on(action, things("ledger"), tags("ledger"))
    assert foreign
    assert [r for r in foreign if permits(r, SERVICE_ROLE)] == []


@pytest.mark.parametrize("action", writes())
def test_another_region_is_out_of_reach(action: str) -> None:
    for request in on(action, things("payments", "us-east-1")):
        if request.resource.startswith(("arn:aws:iam:", "arn:aws:s3:", "arn:aws:cloudwatch::")):
            continue
        elsewhere = request.resource.replace(REGION, "us-east-1")
        assert not permits(Request(action, elsewhere, request.keys, "us-east-1"), SERVICE_ROLE)


# A rule of AWS Config has an id of Config's and no tags of CloudFormation's.
UNTOLD = {"config:deleteconfigrule"}


@pytest.mark.parametrize(
    "action",
    [
        a
        for a in writes()
        if a.split(":")[1].startswith(("delete", "release", "detach", "disassociateroutetable",
                                       "deregister", "schedulekeydeletion"))
        and a not in UNTOLD
    ],
)  # fmt: skip
def test_nothing_is_removed_that_neither_name_nor_tag_tells(action: str) -> None:
    # Where an action knows several resources, IAM has to let all of them through.
    assert not all(permits(r, SERVICE_ROLE) for r in on(action, things("ledger"), {}))


def test_tags_are_asked_for_only_where_iam_knows_them() -> None:
    for policy in SERVICE_ROLE:
        for statement in policy["Statement"]:
            if "aws:ResourceTag/Application" not in str(statement.get("Condition", {})):
                continue
            for action in {a for p in as_list(statement["Action"]) for a in matching(p)}:
                service = action.split(":", maxsplit=1)[0]
                kinds = [k for k in resource_types(action) if (service, k) in OURS]
                strict = "StringEquals" in statement["Condition"] and "ResourceTag" in str(
                    statement["Condition"]["StringEquals"]
                )
                assert not strict or all(has_tags(service, k) for k in kinds), action
