"""The service: container, roles, deployment and scaling in each environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.templates.loader import BOUNDARY, Template, references
from tests.templates.policies import allowed, arn

ROLES = ("PaymentExecutionRole", "PaymentTaskRole")
# CPU units and the memory that Fargate offers with them, in MiB.
FARGATE_SIZES = {
    "256": {512, 1024, 2048},
    "512": set(range(1024, 4096 + 1, 1024)),
    "1024": set(range(2048, 8192 + 1, 1024)),
    "2048": set(range(4096, 16384 + 1, 1024)),
    "4096": set(range(8192, 30720 + 1, 1024)),
}
# Actions that IAM cannot narrow to a resource.
UNSCOPED = {
    "ecr:GetAuthorizationToken",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}

Resources = dict[str, dict[str, Any]]


@pytest.fixture
def resources(deployed: Callable[..., Template]) -> Resources:
    """The resources that exist in the environment of the test."""
    return dict(deployed("service.yml")["Resources"])


def properties(resources: Resources, logical_id: str) -> dict[str, Any]:
    return dict(resources[logical_id]["Properties"])


@pytest.fixture
def task(resources: Resources) -> dict[str, Any]:
    return properties(resources, "PaymentTaskDefinition")


@pytest.fixture
def container(task: dict[str, Any]) -> dict[str, Any]:
    (only,) = task["ContainerDefinitions"]
    return dict(only)


@pytest.fixture
def service(resources: Resources) -> dict[str, Any]:
    return properties(resources, "PaymentService")


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every statement of every inline policy of a role."""
    for policy in role["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def statement_of(role: dict[str, Any], action: str) -> dict[str, Any]:
    """The one statement that allows an action."""
    (found,) = [item for item in statements(role) if action in actions(item)]
    return found


# --- container


@pytest.mark.parametrize(
    ("environment", "cpu", "memory"),
    [("dev", "256", "512"), ("staging", "512", "1024"), ("prod", "1024", "2048")],
    indirect=["environment"],
)
def test_size_of_the_task(task: dict[str, Any], cpu: str, memory: str) -> None:
    assert (task["Cpu"], task["Memory"]) == (cpu, memory)
    assert int(memory) in FARGATE_SIZES[cpu], "Fargate has no such size"


def test_task_is_for_fargate(task: dict[str, Any]) -> None:
    assert task["RequiresCompatibilities"] == ["FARGATE"]
    assert task["NetworkMode"] == "awsvpc"
    assert task["RuntimePlatform"] == {
        "OperatingSystemFamily": "LINUX",
        "CpuArchitecture": "X86_64",
    }


def test_task_is_one_essential_container_of_the_application(
    task: dict[str, Any], container: dict[str, Any], environment: str
) -> None:
    assert task["Family"] == f"payments-{environment}"
    assert container["Name"] == "payments"
    assert container["Essential"] is True
    assert not {"Volumes", "PidMode", "IpcMode"} & set(task)


def test_first_process_hands_signals_on_and_ends_orphans(container: dict[str, Any]) -> None:
    assert container["LinuxParameters"]["InitProcessEnabled"] is True


def test_root_file_system_is_read_only(container: dict[str, Any]) -> None:
    assert container["ReadonlyRootFilesystem"] is True


def test_container_does_not_run_as_root(container: dict[str, Any]) -> None:
    assert container["User"] == "10001:10001"


def test_container_has_no_capability(container: dict[str, Any]) -> None:
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert not container.get("Privileged")


def test_what_is_writable_is_in_memory_and_runs_nothing(container: dict[str, Any]) -> None:
    mounts = container["LinuxParameters"]["Tmpfs"]
    assert mounts[0]["ContainerPath"] == "/tmp"
    for mount in mounts:
        assert set(mount["MountOptions"]) == {"noexec", "nosuid", "nodev"}


def test_memory_file_systems_leave_most_of_the_memory(
    task: dict[str, Any], container: dict[str, Any], environment: str
) -> None:
    sizes = {
        mount["ContainerPath"]: mount["Size"] for mount in container["LinuxParameters"]["Tmpfs"]
    }
    assert sizes.pop("/tmp") == {"dev": 64, "staging": 64, "prod": 128}[environment]
    assert set(sizes.values()) <= {16}
    assert sum(sizes.values()) + 128 < int(task["Memory"]) / 2


def test_image_and_port_are_those_asked_for(deployed: Callable[..., Template]) -> None:
    template = deployed("service.yml", ContainerImage="ghcr.io/x/y:1", ContainerPort="9898")
    (container,) = template["Resources"]["PaymentTaskDefinition"]["Properties"][
        "ContainerDefinitions"
    ]
    assert container["Image"] == "ghcr.io/x/y:1"
    (port,) = container["PortMappings"]
    assert port == {
        "Name": "http",
        "ContainerPort": "9898",
        "Protocol": "tcp",
        "AppProtocol": "http",
    }
    (balancer,) = template["Resources"]["PaymentService"]["Properties"]["LoadBalancers"]
    assert balancer["ContainerPort"] == "9898"
    assert balancer["ContainerName"] == container["Name"]
    assert balancer["TargetGroupArn"] == {"Ref": "TargetGroupArn"}
    assert {"Name": "PORT", "Value": "9898"} in container["Environment"]


@pytest.mark.parametrize("field", ["username", "password"])
def test_secret_is_injected_from_secrets_manager(container: dict[str, Any], field: str) -> None:
    secrets = {item["Name"]: item["ValueFrom"] for item in container["Secrets"]}
    assert secrets[f"DATABASE_{field.upper()}"] == {"Fn::Sub": f"${{DatabaseSecretArn}}:{field}::"}


def test_no_secret_is_in_the_environment(container: dict[str, Any]) -> None:
    names = {item["Name"] for item in container["Environment"]}
    assert not [name for name in names if re.search("PASSWORD|TOKEN|_KEY$", name)]
    assert not names & {item["Name"] for item in container["Secrets"]}


def test_environment_leads_to_the_database_over_tls(
    container: dict[str, Any], environment: str
) -> None:
    variables = {item["Name"]: item["Value"] for item in container["Environment"]}
    assert variables["APPLICATION_NAME"] == "payments"
    assert variables["ENVIRONMENT"] == environment
    assert variables["DATABASE_SECRET_ARN"] == {"Ref": "DatabaseSecretArn"}
    assert variables["DATABASE_HOST"] == {"Ref": "DatabaseClusterEndpoint"}
    assert variables["DATABASE_READER_HOST"] == {"Ref": "DatabaseReaderEndpoint"}
    assert variables["DATABASE_PORT"] == {"Ref": "DatabasePort"}
    assert variables["DATABASE_NAME"] == {"Ref": "DatabaseName"}
    assert variables["DATABASE_SSL_MODE"] == "verify-full"


def test_user_for_iam_authentication_is_the_one_the_role_may_be(
    resources: Resources, container: dict[str, Any]
) -> None:
    variables = {item["Name"]: item["Value"] for item in container["Environment"]}
    role = properties(resources, "PaymentTaskRole")
    resource = statement_of(role, "rds-db:connect")["Resource"]["Fn::Sub"]
    assert resource.endswith(f":dbuser:${{DatabaseResourceId}}/{variables['DATABASE_IAM_USER']}")


def test_log_goes_to_the_group_and_holds_nothing_up(container: dict[str, Any]) -> None:
    log = container["LogConfiguration"]
    assert log["LogDriver"] == "awslogs"
    assert log["Options"] == {
        "awslogs-group": {"Ref": "PaymentServiceLogGroup"},
        "awslogs-region": {"Ref": "AWS::Region"},
        "awslogs-stream-prefix": "service",
        "mode": "non-blocking",
        "max-buffer-size": "25m",
    }


@pytest.mark.parametrize(
    ("environment", "days"), [("dev", 30), ("staging", 90), ("prod", 400)], indirect=["environment"]
)
def test_log_is_encrypted_and_kept(resources: Resources, environment: str, days: int) -> None:
    group = properties(resources, "PaymentServiceLogGroup")
    assert group["LogGroupName"] == f"/aws/ecs/payments-{environment}/service"
    assert group["KmsKeyId"] == {"Ref": "LogsKeyArn"}
    assert group["RetentionInDays"] == days


# --- roles


@pytest.mark.parametrize("name", ROLES)
def test_only_tasks_of_this_account_and_region_take_the_role(
    resources: Resources, name: str
) -> None:
    (trust,) = properties(resources, name)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust["Action"] == "sts:AssumeRole"
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {
            "aws:SourceArn": {
                "Fn::Sub": "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:*"
            }
        },
    }


@pytest.mark.parametrize("name", ROLES)
def test_role_is_bounded_and_unnamed(resources: Resources, name: str) -> None:
    role = properties(resources, name)
    assert role["PermissionsBoundary"] == BOUNDARY
    assert "RoleName" not in role
    assert "ManagedPolicyArns" not in role, "a managed policy allows more than is needed"


@pytest.mark.parametrize("name", ROLES)
def test_every_statement_holds_for_the_environment_only(
    resources: Resources, environment: str, name: str
) -> None:
    """A role whose tag is taken off or changed can do nothing."""
    for statement in statements(properties(resources, name)):
        condition = statement["Condition"]["StringEquals"]
        assert condition["aws:PrincipalTag/Environment"] == environment


@pytest.mark.parametrize("name", ROLES)
def test_no_statement_is_wider_than_iam_makes_it(resources: Resources, name: str) -> None:
    for statement in statements(properties(resources, name)):
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions(statement) if "*" in action]
        if statement["Resource"] == "*":
            assert set(actions(statement)) <= UNSCOPED


@pytest.mark.parametrize("name", ROLES)
def test_role_reads_exactly_its_secret(resources: Resources, name: str) -> None:
    statement = statement_of(properties(resources, name), "secretsmanager:GetSecretValue")
    assert statement["Resource"] == {"Ref": "DatabaseSecretArn"}


@pytest.mark.parametrize("name", ROLES)
def test_role_decrypts_only_its_secret_and_only_through_secrets_manager(
    resources: Resources, environment: str, name: str
) -> None:
    statement = statement_of(properties(resources, name), "kms:Decrypt")
    assert actions(statement) == ["kms:Decrypt"]
    assert statement["Resource"] == {"Ref": "DataKeyArn"}
    condition = statement["Condition"]["StringEquals"]
    assert condition["kms:ViaService"] == {
        "Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"
    }
    assert condition["kms:EncryptionContext:SecretARN"] == {"Ref": "DatabaseSecretArn"}
    assert condition["aws:ResourceTag/Environment"] == environment


def test_ecs_may_pull_log_and_read_the_secret(resources: Resources) -> None:
    log = {"Fn::GetAtt": ["PaymentServiceLogGroup", "Arn"]}
    images = arn("ecr", "repository/*")
    assert allowed(properties(resources, "PaymentExecutionRole")) == {
        "ecr:GetAuthorizationToken": "*",
        "ecr:BatchCheckLayerAvailability": images,
        "ecr:BatchGetImage": images,
        "ecr:GetDownloadUrlForLayer": images,
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "secretsmanager:GetSecretValue": {"Ref": "DatabaseSecretArn"},
        "kms:Decrypt": {"Ref": "DataKeyArn"},
    }


@pytest.mark.parametrize("environment", ["prod"], indirect=True)
def test_tasks_may_read_the_secret_and_connect(resources: Resources) -> None:
    secret = {"Ref": "DatabaseSecretArn"}
    assert allowed(properties(resources, "PaymentTaskRole")) == {
        "secretsmanager:DescribeSecret": secret,
        "secretsmanager:GetSecretValue": secret,
        "kms:Decrypt": {"Ref": "DataKeyArn"},
        "rds-db:connect": arn("rds-db", "dbuser:${DatabaseResourceId}/payment_iam"),
    }


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_agent_of_sessions_may_open_and_log_them(resources: Resources, environment: str) -> None:
    granted = allowed(properties(resources, "PaymentTaskRole"))
    log = arn("logs", f"log-group:/aws/ecs/payments-{environment}/exec:*")
    sessions = {
        action: resource
        for action, resource in granted.items()
        if action.startswith(("ssmmessages:", "logs:"))
    }
    assert sessions == {
        "ssmmessages:CreateControlChannel": "*",
        "ssmmessages:CreateDataChannel": "*",
        "ssmmessages:OpenControlChannel": "*",
        "ssmmessages:OpenDataChannel": "*",
        "logs:DescribeLogGroups": arn("logs", "log-group:*"),
        "logs:CreateLogStream": log,
        "logs:DescribeLogStreams": log,
        "logs:PutLogEvents": log,
    }
    assert len(granted) == len(sessions) + 4


def test_roles_are_two(resources: Resources, task: dict[str, Any]) -> None:
    """The application must not be able to pull images, nor ECS to act for the application."""
    assert task["ExecutionRoleArn"] == {"Fn::GetAtt": ["PaymentExecutionRole", "Arn"]}
    assert task["TaskRoleArn"] == {"Fn::GetAtt": ["PaymentTaskRole", "Arn"]}
    of_task = {
        a for item in statements(properties(resources, "PaymentTaskRole")) for a in actions(item)
    }
    assert not [action for action in of_task if action.startswith("ecr:")]


# --- sessions


@pytest.mark.parametrize(
    ("environment", "allowed"),
    [("dev", "true"), ("staging", "true"), ("prod", "false")],
    indirect=["environment"],
)
def test_nobody_opens_a_session_in_prod(service: dict[str, Any], allowed: str) -> None:
    assert service["EnableExecuteCommand"] == allowed


@pytest.mark.parametrize(
    ("environment", "paths"),
    [
        ("dev", ["/tmp", "/var/lib/amazon", "/var/log/amazon"]),
        ("staging", ["/tmp", "/var/lib/amazon", "/var/log/amazon"]),
        ("prod", ["/tmp"]),
    ],
    indirect=["environment"],
)
def test_agent_of_sessions_gets_its_room_where_it_runs(
    container: dict[str, Any], paths: list[str]
) -> None:
    mounts = [item["ContainerPath"] for item in container["LinuxParameters"]["Tmpfs"]]
    assert mounts == paths


@pytest.mark.parametrize(
    ("environment", "policies"),
    [
        ("dev", ["use-database", "open-sessions"]),
        ("staging", ["use-database", "open-sessions"]),
        ("prod", ["use-database"]),
    ],
    indirect=["environment"],
)
def test_role_may_open_sessions_where_they_are_allowed(
    resources: Resources, policies: list[str]
) -> None:
    role = properties(resources, "PaymentTaskRole")
    assert [policy["PolicyName"] for policy in role["Policies"]] == policies


@pytest.mark.parametrize("environment", ["dev", "staging"], indirect=True)
def test_sessions_are_logged_where_the_cluster_says(
    resources: Resources, deployed: Callable[..., Template]
) -> None:
    group = deployed("compute.yml")["Resources"]["PaymentExecLogGroup"]["Properties"]
    role = properties(resources, "PaymentTaskRole")
    (statement,) = [item for item in statements(role) if item.get("Sid") == "LogSessions"]
    assert statement["Resource"]["Fn::Sub"].endswith(f":log-group:{group['LogGroupName']}:*")


# --- service


@pytest.mark.parametrize(
    ("environment", "count"), [("dev", 1), ("staging", 2), ("prod", 5)], indirect=["environment"]
)
def test_number_of_tasks_is_that_of_the_environment(service: dict[str, Any], count: int) -> None:
    assert service["DesiredCount"] == count
    assert service["LaunchType"] == "FARGATE"
    assert service["Cluster"] == {"Ref": "ClusterName"}
    assert service["TaskDefinition"] == {"Ref": "PaymentTaskDefinition"}


def test_number_of_tasks_can_be_given(deployed: Callable[..., Template]) -> None:
    template = deployed("service.yml", ServiceDesiredCount="4")
    assert template["Resources"]["PaymentService"]["Properties"]["DesiredCount"] == "4"


@pytest.mark.parametrize("count", ["", "1", "20", "999"])
def test_number_of_tasks_is_accepted(templates: dict[str, Template], count: str) -> None:
    pattern = templates["service.yml"]["Parameters"]["ServiceDesiredCount"]["AllowedPattern"]
    assert re.search(pattern, count)


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "1000", "two", " 1"])
def test_number_of_tasks_is_refused(templates: dict[str, Template], count: str) -> None:
    pattern = templates["service.yml"]["Parameters"]["ServiceDesiredCount"]["AllowedPattern"]
    assert not re.search(pattern, count)


def test_tasks_are_private(service: dict[str, Any]) -> None:
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network == {
        "AssignPublicIp": "DISABLED",
        "Subnets": {"Ref": "PrivateSubnetIds"},
        "SecurityGroups": [{"Ref": "ServiceSecurityGroupId"}],
    }


def test_failed_deployment_is_rolled_back(service: dict[str, Any]) -> None:
    deployment = service["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert deployment["Alarms"] == {
        "AlarmNames": [
            {"Ref": "PaymentDeploymentErrorAlarm"},
            {"Ref": "PaymentDeploymentHealthAlarm"},
        ],
        "Enable": True,
        "Rollback": True,
    }


def test_deployment_never_takes_capacity_away(service: dict[str, Any]) -> None:
    deployment = service["DeploymentConfiguration"]
    assert deployment["MinimumHealthyPercent"] == 100
    assert deployment["MaximumPercent"] == 200, "a task of each version beside the other"
    assert service["AvailabilityZoneRebalancing"] == "ENABLED"


def test_service_and_tasks_carry_the_tags(service: dict[str, Any]) -> None:
    assert service["PropagateTags"] == "SERVICE"
    assert service["EnableECSManagedTags"] is True


def test_container_has_time_to_finish(container: dict[str, Any]) -> None:
    """ECS waits for the target to drain before it stops the container; Fargate takes 120 s."""
    assert container["StopTimeout"] == 60


def test_service_has_time_to_start(service: dict[str, Any]) -> None:
    """Until then a failing health check ends no task."""
    assert service["HealthCheckGracePeriodSeconds"] == 60


def test_service_can_be_replaced(service: dict[str, Any]) -> None:
    assert "ServiceName" not in service


# --- alarms of a deployment


@pytest.mark.parametrize("name", ["PaymentDeploymentErrorAlarm", "PaymentDeploymentHealthAlarm"])
def test_alarm_watches_this_service_and_tells(
    resources: Resources, environment: str, name: str
) -> None:
    alarm = properties(resources, name)
    assert alarm["AlarmName"].startswith(f"payments-{environment}-"), "the topic asks for it"
    assert alarm["Dimensions"] == [
        {"Name": "LoadBalancer", "Value": {"Ref": "LoadBalancerFullName"}},
        {"Name": "TargetGroup", "Value": {"Ref": "TargetGroupFullName"}},
    ]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}]
    assert alarm["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize(
    ("name", "metric", "statistic"),
    [
        ("PaymentDeploymentErrorAlarm", "HTTPCode_Target_5XX_Count", "Sum"),
        ("PaymentDeploymentHealthAlarm", "UnHealthyHostCount", "Maximum"),
    ],
)
def test_metric_of_the_alarm(resources: Resources, name: str, metric: str, statistic: str) -> None:
    alarm = properties(resources, name)
    assert alarm["Namespace"] == "AWS/ApplicationELB"
    assert (alarm["MetricName"], alarm["Statistic"]) == (metric, statistic)
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60, 3)
    assert alarm["AlarmDescription"].endswith("During a deployment, ECS rolls it back.")
    assert {"Key": "Name", "Value": alarm["AlarmName"]} in alarm["Tags"]


@pytest.mark.parametrize(
    ("environment", "errors"), [("dev", 10), ("staging", 5), ("prod", 5)], indirect=["environment"]
)
def test_deployment_is_rolled_back_above(resources: Resources, errors: int) -> None:
    assert properties(resources, "PaymentDeploymentErrorAlarm")["Threshold"] == errors
    assert properties(resources, "PaymentDeploymentHealthAlarm")["Threshold"] == 0


# --- scaling


@pytest.mark.parametrize(
    ("environment", "least", "most"),
    [("dev", 1, 2), ("staging", 2, 6), ("prod", 3, 20)],
    indirect=["environment"],
)
def test_limits_of_scaling(
    resources: Resources, service: dict[str, Any], least: int, most: int
) -> None:
    target = properties(resources, "PaymentScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (least, most)
    assert least <= service["DesiredCount"] <= most


def test_scaling_is_of_this_service(resources: Resources) -> None:
    target = properties(resources, "PaymentScalableTarget")
    assert target["ServiceNamespace"] == "ecs"
    assert target["ScalableDimension"] == "ecs:service:DesiredCount"
    assert target["ResourceId"] == {"Fn::Sub": "service/${ClusterName}/${PaymentService.Name}"}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("PaymentCpuScalingPolicy", "ECSServiceAverageCPUUtilization"),
        ("PaymentMemoryScalingPolicy", "ECSServiceAverageMemoryUtilization"),
        ("PaymentRequestScalingPolicy", "ALBRequestCountPerTarget"),
    ],
)
def test_scaling_tracks_a_target(resources: Resources, name: str, metric: str) -> None:
    policy = properties(resources, name)
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert policy["PolicyType"] == "TargetTrackingScaling"
    assert policy["ScalingTargetId"] == {"Ref": "PaymentScalableTarget"}
    assert tracking["PredefinedMetricSpecification"]["PredefinedMetricType"] == metric
    # Scaling in too soon ends tasks that the next burst needs.
    assert (tracking["ScaleOutCooldown"], tracking["ScaleInCooldown"]) == (60, 300)
    assert not tracking.get("DisableScaleIn")


@pytest.mark.parametrize(
    ("environment", "cpu", "memory", "requests"),
    [("dev", 60, 70, 500), ("staging", 60, 65, 800), ("prod", 50, 60, 1000)],
    indirect=["environment"],
)
def test_targets_of_scaling(resources: Resources, cpu: int, memory: int, requests: int) -> None:
    targets = [
        properties(resources, f"Payment{kind}ScalingPolicy")[
            "TargetTrackingScalingPolicyConfiguration"
        ]["TargetValue"]
        for kind in ("Cpu", "Memory", "Request")
    ]
    assert targets == [cpu, memory, requests]


def test_requests_are_counted_at_the_load_balancer(resources: Resources) -> None:
    policy = properties(resources, "PaymentRequestScalingPolicy")
    specification = policy["TargetTrackingScalingPolicyConfiguration"][
        "PredefinedMetricSpecification"
    ]
    assert specification["ResourceLabel"] == {
        "Fn::Sub": "${LoadBalancerFullName}/${TargetGroupFullName}"
    }


@pytest.mark.parametrize(
    ("policy", "threshold"),
    [
        ("PaymentCpuScalingPolicy", "CpuPercent"),
        ("PaymentMemoryScalingPolicy", "MemoryPercent"),
    ],
)
def test_scaling_acts_before_the_alarm(
    resources: Resources,
    templates: dict[str, Template],
    environment: str,
    policy: str,
    threshold: str,
) -> None:
    tracking = properties(resources, policy)["TargetTrackingScalingPolicyConfiguration"]
    alarm = templates["monitoring.yml"]["Mappings"]["Environment"][environment][threshold]
    assert tracking["TargetValue"] < alarm


# --- seams


IMAGES = (
    "ghcr.io/stefanprodan/podinfo:6.7.1",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/payments/api:1.2.3",
    "ghcr.io/stefanprodan/podinfo@sha256:" + "0" * 64,
)


@pytest.mark.parametrize("image", IMAGES)
def test_image_is_accepted(templates: dict[str, Template], image: str) -> None:
    pattern = templates["service.yml"]["Parameters"]["ContainerImage"]["AllowedPattern"]
    assert re.search(pattern, image)


@pytest.mark.parametrize(
    "image", ["", "ghcr.io/stefanprodan/podinfo", "ghcr.io/stefanprodan/podinfo:latest", "a b:1"]
)
def test_image_is_refused(templates: dict[str, Template], image: str) -> None:
    """Without a fixed version a restart would change what runs."""
    pattern = templates["service.yml"]["Parameters"]["ContainerImage"]["AllowedPattern"]
    assert not re.search(pattern, image)


def test_no_parameter_takes_a_secret(templates: dict[str, Template]) -> None:
    template = templates["service.yml"]
    assert not [name for name, item in template["Parameters"].items() if "NoEcho" in item]
    assert not [item for item in references(template) if "Password" in item.name]


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("ServiceName", {"Fn::GetAtt": ["PaymentService", "Name"]}),
        ("ServiceArn", {"Ref": "PaymentService"}),
        ("TaskDefinitionArn", {"Ref": "PaymentTaskDefinition"}),
        ("TaskRoleArn", {"Fn::GetAtt": ["PaymentTaskRole", "Arn"]}),
        ("ServiceLogGroupName", {"Ref": "PaymentServiceLogGroup"}),
    ],
)
def test_output(templates: dict[str, Template], output: str, value: dict[str, Any]) -> None:
    assert templates["service.yml"]["Outputs"][output]["Value"] == value
