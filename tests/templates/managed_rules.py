"""The managed rules of AWS Config that the platform uses, as AWS documents them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.templates.loader import ENVIRONMENTS

CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
SNAPSHOTS = ("AWS::RDS::DBClusterSnapshot", "AWS::RDS::DBSnapshot")
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
GROUP, SUBNET = "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet"
TASK, CERTIFICATE = "AWS::ECS::TaskDefinition", "AWS::ACM::Certificate"
SECRET, BUCKET = "AWS::SecretsManager::Secret", "AWS::S3::Bucket"
TAGGED = (
    BUCKET, "AWS::CloudFormation::Stack", "AWS::EC2::InternetGateway", "AWS::EC2::NetworkAcl",
    "AWS::EC2::RouteTable", GROUP, SUBNET, "AWS::EC2::VPC", BALANCER, INSTANCE,
    "AWS::RDS::DBSubnetGroup",
)  # fmt: skip


@dataclass(frozen=True)
class Managed:
    """A managed rule as AWS documents it, and what the platform asks of it.

    `judges` are the resource types whose changes trigger the rule; with `periodic` it also, or
    only, runs at intervals. `scope` replaces the environment's tag.
    """

    identifier: str
    name: str
    judges: tuple[str, ...] = ()
    periodic: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    scope: dict[str, Any] | None = None
    environments: tuple[str, ...] = ENVIRONMENTS


RULES = {
    "RequiredTags": Managed("REQUIRED_TAGS", "required-tags", TAGGED, parameters={
        "tag1Key": "Environment", "tag2Key": "CostCenter", "tag3Key": "Application",
        "tag4Key": "ManagedBy", "tag5Key": "Owner", "tag6Key": "DataClassification"}),
    "ClusterEncrypted": Managed(
        "RDS_CLUSTER_ENCRYPTED_AT_REST", "rds-cluster-encrypted-at-rest", (CLUSTER,)),
    "InstanceEncrypted": Managed("RDS_STORAGE_ENCRYPTED", "rds-storage-encrypted", (INSTANCE,)),
    "SnapshotEncrypted": Managed("RDS_SNAPSHOT_ENCRYPTED", "rds-snapshot-encrypted", SNAPSHOTS),
    "SnapshotPrivate": Managed(
        "RDS_SNAPSHOTS_PUBLIC_PROHIBITED", "rds-snapshots-public-prohibited", SNAPSHOTS),
    "InstancePrivate": Managed(
        "RDS_INSTANCE_PUBLIC_ACCESS_CHECK", "rds-instance-public-access-check", (INSTANCE,)),
    "ClusterAdministrator": Managed(
        "RDS_CLUSTER_DEFAULT_ADMIN_CHECK", "rds-cluster-default-admin-check", (CLUSTER,)),
    "ClusterLogs": Managed(
        "RDS_AURORA_POSTGRESQL_LOGS_TO_CLOUDWATCH", "rds-aurora-postgresql-logs-to-cloudwatch",
        (CLUSTER,)),
    "ClusterProtected": Managed(
        "RDS_CLUSTER_DELETION_PROTECTION_ENABLED", "rds-cluster-deletion-protection-enabled",
        (CLUSTER,), environments=("prod",)),
    "ClusterBackup": Managed(
        "AURORA_RESOURCES_PROTECTED_BY_BACKUP_PLAN", "aurora-resources-protected-by-backup-plan",
        periodic=True, parameters={"resourceTags": '{"Environment": "%s"}'},
        environments=("staging", "prod")),
    "SecretRotation": Managed(
        "SECRETSMANAGER_ROTATION_ENABLED_CHECK", "secretsmanager-rotation-enabled-check",
        (SECRET,), parameters={"maximumAllowedRotationFrequency": 90}),
    "SecretRotationSuccess": Managed(
        "SECRETSMANAGER_SCHEDULED_ROTATION_SUCCESS_CHECK",
        "secretsmanager-scheduled-rotation-success-check", (SECRET,)),
    "SecretKey": Managed("SECRETSMANAGER_USING_CMK", "secretsmanager-using-cmk", (SECRET,)),
    "KeyRotation": Managed(
        "CMK_BACKING_KEY_ROTATION_ENABLED", "cmk-backing-key-rotation-enabled", periodic=True),
    "KeyDeletion": Managed(
        "KMS_CMK_NOT_SCHEDULED_FOR_DELETION", "kms-cmk-not-scheduled-for-deletion",
        periodic=True),
    "HttpsRedirect": Managed(
        "ALB_HTTP_TO_HTTPS_REDIRECTION_CHECK", "alb-http-to-https-redirection-check",
        periodic=True),
    "TlsPolicy": Managed(
        "ELBV2_PREDEFINED_SECURITY_POLICY_SSL_CHECK", "elbv2-predefined-security-policy-ssl-check",
        (LISTENER,), parameters={"sslPolicies": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"}),
    "Certificate": Managed(
        "ACM_CERTIFICATE_EXPIRATION_CHECK", "acm-certificate-expiration-check", (CERTIFICATE,),
        periodic=True, parameters={"daysToExpiration": 30},
        scope={"ComplianceResourceTypes": [CERTIFICATE]}),
    "LoadBalancerWebAcl": Managed("ALB_WAF_ENABLED", "alb-waf-enabled", (BALANCER,)),
    "WebAclLogs": Managed("WAFV2_LOGGING_ENABLED", "wafv2-logging-enabled", periodic=True),
    "LoadBalancerHeaders": Managed(
        "ALB_HTTP_DROP_INVALID_HEADER_ENABLED", "alb-http-drop-invalid-header-enabled",
        (BALANCER,)),
    "LoadBalancerDesync": Managed(
        "ALB_DESYNC_MODE_CHECK", "alb-desync-mode-check", (BALANCER,),
        parameters={"desyncMode": "defensive,strictest"}),
    "LoadBalancerLogs": Managed("ELB_LOGGING_ENABLED", "elb-logging-enabled", (BALANCER,)),
    "LoadBalancerProtected": Managed(
        "ELB_DELETION_PROTECTION_ENABLED", "elb-deletion-protection-enabled", (BALANCER,),
        environments=("prod",)),
    "Ssh": Managed("INCOMING_SSH_DISABLED", "restricted-ssh", (GROUP,), periodic=True),
    "OpenPorts": Managed(
        "VPC_SG_OPEN_ONLY_TO_AUTHORIZED_PORTS", "vpc-sg-open-only-to-authorized-ports", (GROUP,),
        periodic=True, parameters={"authorizedTcpPorts": "80,443"}),
    "DefaultSecurityGroup": Managed(
        "VPC_DEFAULT_SECURITY_GROUP_CLOSED", "vpc-default-security-group-closed", (GROUP,),
        scope={"ComplianceResourceTypes": [GROUP],
               "ComplianceResourceId": {"Ref": "DefaultSecurityGroupId"}}),
    "SubnetAddresses": Managed(
        "SUBNET_AUTO_ASSIGN_PUBLIC_IP_DISABLED", "subnet-auto-assign-public-ip-disabled",
        (SUBNET,)),
    "FlowLogs": Managed(
        "VPC_FLOW_LOGS_ENABLED", "vpc-flow-logs-enabled", periodic=True,
        parameters={"trafficType": "ALL"}),
    "ContainerReadOnly": Managed(
        "ECS_CONTAINERS_READONLY_ACCESS", "ecs-containers-readonly-access", (TASK,)),
    "ContainerPrivileges": Managed(
        "ECS_CONTAINERS_NONPRIVILEGED", "ecs-containers-nonprivileged", (TASK,)),
    "ContainerUser": Managed(
        "ECS_TASK_DEFINITION_LINUX_USER_NON_ROOT", "ecs-task-definition-linux-user-non-root",
        (TASK,)),
    "ContainerSecrets": Managed(
        "ECS_NO_ENVIRONMENT_SECRETS", "ecs-no-environment-secrets", (TASK,),
        parameters={"secretKeys": "AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY,DATABASE_PASSWORD,"
                                  "ECS_ENGINE_AUTH_DATA"}),
    "ContainerLogs": Managed(
        "ECS_TASK_DEFINITION_LOG_CONFIGURATION", "ecs-task-definition-log-configuration",
        (TASK,)),
    "FargateVersion": Managed(
        "ECS_FARGATE_LATEST_PLATFORM_VERSION", "ecs-fargate-latest-platform-version",
        ("AWS::ECS::Service",), parameters={"latestLinuxVersion": "1.4.0"}),
    "BucketPrivate": Managed(
        "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "s3-bucket-level-public-access-prohibited",
        (BUCKET,)),
    "BucketTls": Managed(
        "S3_BUCKET_SSL_REQUESTS_ONLY", "s3-bucket-ssl-requests-only", (BUCKET,)),
    "BucketVersions": Managed(
        "S3_BUCKET_VERSIONING_ENABLED", "s3-bucket-versioning-enabled", (BUCKET,)),
    "TopicEncrypted": Managed("SNS_ENCRYPTED_KMS", "sns-encrypted-kms", ("AWS::SNS::Topic",)),
    "FunctionPrivate": Managed(
        "LAMBDA_FUNCTION_PUBLIC_ACCESS_PROHIBITED", "lambda-function-public-access-prohibited",
        ("AWS::Lambda::Function",)),
    "LogGroupEncrypted": Managed(
        "CLOUDWATCH_LOG_GROUP_ENCRYPTED", "cloudwatch-log-group-encrypted", periodic=True),
    "LogGroupRetention": Managed(
        "CW_LOGGROUP_RETENTION_PERIOD_CHECK", "cw-loggroup-retention-period-check",
        periodic=True, parameters={"LogGroupNames": ..., "MinRetentionTime": ...}),
    "Administrators": Managed(
        "IAM_POLICY_NO_STATEMENTS_WITH_ADMIN_ACCESS", "iam-policy-no-statements-with-admin-access",
        ("AWS::IAM::Policy",), scope={"ComplianceResourceTypes": ["AWS::IAM::Policy"]}),
    "RootMfa": Managed("ROOT_ACCOUNT_MFA_ENABLED", "root-account-mfa-enabled", periodic=True),
    "RootKey": Managed("IAM_ROOT_ACCESS_KEY_CHECK", "iam-root-access-key-check", periodic=True),
    "Trail": Managed(
        "CLOUDTRAIL_SECURITY_TRAIL_ENABLED", "cloudtrail-security-trail-enabled", periodic=True),
    "TrailValidation": Managed(
        "CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED", "cloud-trail-log-file-validation-enabled",
        periodic=True),
}  # fmt: skip
