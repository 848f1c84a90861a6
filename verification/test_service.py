"""Cluster and service: what runs, as whom, with which secrets, and how it scales."""

from __future__ import annotations

import pytest

from verification.cloud import CloudError, Record
from verification.logs import log_group_problem
from verification.platform import MissingError, Platform
from verification.settings import Settings

# Metrics that scale the service, and the range in which a target makes sense.
SCALED_ON = {
    "ALBRequestCountPerTarget": (100, 1000),
    "ECSServiceAverageCPUUtilization": (40, 70),
    "ECSServiceAverageMemoryUtilization": (40, 75),
}
ROLLBACK_ALARMS = {"deployment-errors", "deployment-health"}
# As what the image has to run (README.md).
USER = "10001:10001"
SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "apikey", "api_key")


# --- Cluster and service ------------------------------------------------------------------------


def test_cluster_has_container_insights(platform: Platform) -> None:
    found = {item["name"]: item["value"] for item in platform.ecs_cluster.get("settings", [])}
    assert found.get("containerInsights") in {"enabled", "enhanced"}, (
        f"Container Insights is {found.get('containerInsights')} for the cluster."
    )


def test_cluster_is_active(platform: Platform, settings: Settings) -> None:
    cluster = platform.ecs_cluster
    assert cluster["status"] == "ACTIVE", f"Cluster {cluster['clusterName']}: {cluster['status']}."
    assert cluster["clusterName"].startswith(settings.prefix), (
        f"Cluster {cluster['clusterName']} is not named {settings.prefix}."
    )


def test_service_is_active_and_complete(platform: Platform) -> None:
    service = platform.service
    assert service["status"] == "ACTIVE", f"The service is {service['status']}."
    assert service["runningCount"] == service["desiredCount"], (
        f"{service['runningCount']} of {service['desiredCount']} tasks are running."
    )
    assert service["runningCount"] > 0, "No task of the service is running."


def test_service_wants_what_was_asked(platform: Platform, settings: Settings) -> None:
    wanted, actual = settings.service_desired_count, platform.service["desiredCount"]
    assert actual == wanted or _was_scaled(platform), (
        f"The service wants {actual} tasks, {wanted} were asked for and no autoscaling moved it."
    )


def _was_scaled(platform: Platform) -> bool:
    try:
        activities = platform.cloud.every(
            "application-autoscaling",
            "describe_scaling_activities",
            "ScalingActivities",
            ServiceNamespace="ecs",
            ResourceId=_scaling_target(platform)["ResourceId"],
        )
    except CloudError:
        # What cannot be read excuses nothing.
        return False
    return bool(activities)


def test_service_runs_this_release(platform: Platform) -> None:
    actual, wanted = platform.service["taskDefinition"], platform.output("TaskDefinitionArn")
    assert actual == wanted, f"The service runs {actual}, this release is {wanted}."


def test_service_has_finished_its_deployment(platform: Platform) -> None:
    deployments = platform.service["deployments"]
    states = [f"{item['status']} {item.get('rolloutState', '')}" for item in deployments]
    assert states == ["PRIMARY COMPLETED"], f"Deployments of the service: {', '.join(states)}."


def test_service_runs_in_private_subnets(platform: Platform) -> None:
    network = platform.service["networkConfiguration"]["awsvpcConfiguration"]
    private = {item["SubnetId"] for item in platform.tier("Private")}
    assert set(network["subnets"]) == private, (
        f"The service runs in {', '.join(sorted(network['subnets']))}, not in the private subnets."
    )
    assert network["assignPublicIp"] == "DISABLED", "Tasks of the service get public addresses."
    wanted = [platform.output("ServiceSecurityGroupId")]
    assert network["securityGroups"] == wanted, (
        f"The service's security groups are {network['securityGroups']}, not {wanted}."
    )


def test_service_runs_on_fargate(platform: Platform) -> None:
    service = platform.service
    providers = {item["capacityProvider"] for item in service.get("capacityProviderStrategy", [])}
    fargate = service.get("launchType") == "FARGATE" or (
        providers and providers <= {"FARGATE", "FARGATE_SPOT"}
    )
    assert fargate, f"The service runs on {service.get('launchType') or sorted(providers)}."


def test_commands_inside_tasks_only_where_planned(platform: Platform, settings: Settings) -> None:
    actual = platform.service.get("enableExecuteCommand", False)
    wanted = settings.expectations.service_execute_command
    assert actual == wanted, (
        f"Running commands inside tasks is {actual}, for {settings.environment} it is {wanted}."
    )


def test_commands_inside_tasks_are_recorded(platform: Platform) -> None:
    configuration = platform.ecs_cluster.get("configuration", {})
    execute = configuration.get("executeCommandConfiguration", {})
    assert execute.get("logging") == "OVERRIDE", (
        f"Sessions inside tasks are logged {execute.get('logging', 'nowhere')}, not to a group."
    )
    logs = execute["logConfiguration"]
    assert logs.get("cloudWatchEncryptionEnabled") is True, "Session logs need no encrypted group."
    problem = log_group_problem(platform, logs["cloudWatchLogGroupName"])
    assert not problem, problem


def test_service_rolls_back_a_bad_deployment(platform: Platform, settings: Settings) -> None:
    configuration = platform.service["deploymentConfiguration"]
    breaker = configuration.get("deploymentCircuitBreaker", {})
    alarms = configuration.get("alarms", {})
    assert breaker.get("enable") is True, "The service has no deployment circuit breaker."
    assert breaker.get("rollback") is True, "The circuit breaker does not roll back."
    assert alarms.get("enable") is True, "No alarm watches deployments."
    assert alarms.get("rollback") is True, "Alarms do not roll a deployment back."
    missing = sorted(set(alarms["alarmNames"]) - set(platform.alarms))
    assert not missing, f"Alarms that watch deployments do not exist: {', '.join(missing)}."
    wanted = {f"{settings.prefix}-{name}" for name in ROLLBACK_ALARMS}
    unwatched = sorted(wanted - set(alarms["alarmNames"]))
    assert not unwatched, f"Deployments are not rolled back by {', '.join(unwatched)}."


def test_service_stays_up_during_a_deployment(platform: Platform) -> None:
    low = platform.service["deploymentConfiguration"]["minimumHealthyPercent"]
    assert low >= 100, f"A deployment may take the service down to {low} % of its tasks."


def test_service_is_spread_over_zones_and_tagged(platform: Platform) -> None:
    service = platform.service
    actual = (
        service.get("availabilityZoneRebalancing"),
        service.get("enableECSManagedTags"),
        service.get("propagateTags"),
    )
    wanted = ("ENABLED", True, "SERVICE")
    assert actual == wanted, (
        f"Rebalancing, managed tags and propagation of tags of the service are {actual}, "
        f"not {wanted}."
    )


def test_service_is_behind_the_target_group(platform: Platform, settings: Settings) -> None:
    behind = [
        (item.get("targetGroupArn"), item["containerPort"])
        for item in platform.service["loadBalancers"]
    ]
    wanted = [(platform.output("TargetGroupArn"), settings.container_port)]
    assert behind == wanted, f"The service is behind {behind}, not {wanted}."


# --- Task ---------------------------------------------------------------------------------------


def _containers(platform: Platform) -> list[Record]:
    containers: list[Record] = platform.task_definition["containerDefinitions"]
    if not containers:
        raise MissingError("The task definition has no container.")
    return containers


def test_task_runs_the_image_of_the_inventory(platform: Platform, settings: Settings) -> None:
    images = [item["image"] for item in _containers(platform)]
    assert settings.container_image in images, (
        f"The task runs {', '.join(images)}, the inventory says {settings.container_image}."
    )


def test_task_listens_on_the_port_of_the_inventory(platform: Platform, settings: Settings) -> None:
    ports = [
        port["containerPort"] for item in _containers(platform) for port in item["portMappings"]
    ]
    assert settings.container_port in ports, (
        f"The task listens on {ports}, the inventory says {settings.container_port}."
    )


def test_task_is_fargate_with_its_own_network(platform: Platform) -> None:
    task = platform.task_definition
    assert "FARGATE" in task["requiresCompatibilities"], "The task is not made for Fargate."
    assert task["networkMode"] == "awsvpc", f"The task's network mode is {task['networkMode']}."


def test_containers_cannot_change_their_root(platform: Platform) -> None:
    writable = [
        item["name"] for item in _containers(platform) if not item.get("readonlyRootFilesystem")
    ]
    assert not writable, f"Containers with a writable root file system: {', '.join(writable)}."


def test_containers_do_not_run_as_root(platform: Platform) -> None:
    others = [
        f"{item['name']} as {item.get('user') or 'root'}"
        for item in _containers(platform)
        if item.get("user") != USER
    ]
    assert not others, f"Containers that do not run as {USER}: {', '.join(others)}."


def test_containers_write_only_to_memory(platform: Platform) -> None:
    task = platform.task_definition
    volumes = [item["name"] for item in task.get("volumes", [])]
    assert not volumes, f"The task has volumes: {', '.join(volumes)}."
    for item in _containers(platform):
        places = item.get("linuxParameters", {}).get("tmpfs", [])
        assert "/tmp" in [place["containerPath"] for place in places], (
            f"Container {item['name']} has no /tmp to write to."
        )
        for place in places:
            lacking = sorted({"noexec", "nosuid", "nodev"} - set(place.get("mountOptions", [])))
            assert not lacking, (
                f"{place['containerPath']} of container {item['name']} is not mounted "
                f"{', '.join(lacking)}."
            )


def test_task_shares_nothing_with_its_host(platform: Platform) -> None:
    task = platform.task_definition
    shared = [key for key in ("pidMode", "ipcMode") if task.get(key) == "host"]
    assert not shared, f"The task shares {', '.join(shared)} with its host."


def test_containers_are_ended_cleanly(platform: Platform) -> None:
    for item in _containers(platform):
        # Without an init process nobody reaps children or hands signals on.
        assert item.get("linuxParameters", {}).get("initProcessEnabled") is True, (
            f"Container {item['name']} has no init process."
        )
        assert item.get("stopTimeout", 30) >= 60, (
            f"Container {item['name']} is killed after {item.get('stopTimeout', 30)} s."
        )


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("DATABASE_HOST", "DatabaseClusterEndpoint"),
        ("DATABASE_READER_HOST", "DatabaseReaderEndpoint"),
        ("DATABASE_PORT", "DatabasePort"),
        ("DATABASE_NAME", "DatabaseName"),
        ("DATABASE_SECRET_ARN", "DatabaseSecretArn"),
    ],
)
def test_task_finds_the_database(platform: Platform, name: str, output: str) -> None:
    given = [item["value"] for item in _environment(platform) if item["name"] == name]
    wanted = platform.output(output)
    assert given == [wanted], f"The task is given {name} {given}, not {wanted}."


def test_task_checks_the_certificate_of_the_database(platform: Platform) -> None:
    modes = [
        item["value"] for item in _environment(platform) if item["name"] == "DATABASE_SSL_MODE"
    ]
    assert modes == ["verify-full"], f"The task connects to the database with {modes}."


def _environment(platform: Platform) -> list[Record]:
    return [entry for item in _containers(platform) for entry in item.get("environment", [])]


def test_containers_have_no_privilege(platform: Platform) -> None:
    for item in _containers(platform):
        capabilities = item.get("linuxParameters", {}).get("capabilities", {})
        assert not item.get("privileged"), f"Container {item['name']} is privileged."
        assert not capabilities.get("add"), (
            f"Container {item['name']} has capabilities: {', '.join(capabilities['add'])}."
        )
        assert "ALL" in capabilities.get("drop", []), (
            f"Container {item['name']} keeps capabilities that Docker gives by default."
        )


def test_secrets_are_given_by_reference_only(platform: Platform) -> None:
    secret = platform.output("DatabaseSecretArn")
    given = [entry for item in _containers(platform) for entry in item.get("secrets", [])]
    foreign = [
        entry.get("name", "unnamed")
        for entry in given
        if not entry.get("valueFrom", "").startswith(secret)
    ]
    assert given, "No container is given the database secret."
    assert not foreign, f"Secrets from elsewhere than the database secret: {', '.join(foreign)}."
    plain = [
        entry["name"]
        for entry in _environment(platform)
        if any(word in entry["name"].lower() for word in SECRET_WORDS)
        # The name of a secret tells nothing.
        and not entry["value"].startswith("arn:")
    ]
    assert not plain, f"Plain environment variables that look like secrets: {', '.join(plain)}."


def test_containers_log_to_an_encrypted_group(platform: Platform) -> None:
    for item in _containers(platform):
        logging = item.get("logConfiguration", {})
        assert logging.get("logDriver") == "awslogs", (
            f"Container {item['name']} logs by {logging.get('logDriver')}, not awslogs."
        )
        problem = log_group_problem(platform, logging["options"]["awslogs-group"])
        assert not problem, problem


# --- Scaling ------------------------------------------------------------------------------------


def _scaling_target(platform: Platform) -> Record:
    resource = f"service/{platform.output('ClusterName')}/{platform.output('ServiceName')}"
    found = platform.cloud.every(
        "application-autoscaling",
        "describe_scalable_targets",
        "ScalableTargets",
        ServiceNamespace="ecs",
        ResourceIds=[resource],
    )
    if not found:
        raise MissingError(f"Nothing scales {resource}.")
    return found[0]


def test_service_scales_between_the_planned_numbers(platform: Platform, settings: Settings) -> None:
    target = _scaling_target(platform)
    sizes = settings.expectations
    actual = (target["MinCapacity"], target["MaxCapacity"])
    wanted = (sizes.service_min_count, sizes.service_max_count)
    assert target["ScalableDimension"] == "ecs:service:DesiredCount", (
        f"What scales is {target['ScalableDimension']}."
    )
    assert actual == wanted, f"The service scales between {actual}, not {wanted}."


def _scaling_policies(platform: Platform) -> list[Record]:
    return platform.cloud.every(
        "application-autoscaling",
        "describe_scaling_policies",
        "ScalingPolicies",
        ServiceNamespace="ecs",
        ResourceId=_scaling_target(platform)["ResourceId"],
    )


def test_service_scales_on_load(platform: Platform) -> None:
    policies = _scaling_policies(platform)
    kinds = {item["PolicyType"] for item in policies}
    tracked = set(_tracking(policies))
    assert kinds == {"TargetTrackingScaling"}, f"The scaling policies are of kinds {sorted(kinds)}."
    missing = sorted(set(SCALED_ON) - tracked)
    assert not missing, f"The service is not scaled on {', '.join(missing)}."


def _tracking(policies: list[Record]) -> dict[str, Record]:
    """Return what policies say of the metrics that they keep on target, by metric."""
    configurations = [
        item["TargetTrackingScalingPolicyConfiguration"]
        for item in policies
        if item["PolicyType"] == "TargetTrackingScaling"
    ]
    return {
        item.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "other"): item
        for item in configurations
    }


@pytest.mark.parametrize("metric", SCALED_ON)
def test_scaling_aims_at_a_sensible_load(platform: Platform, metric: str) -> None:
    policy = _tracking(_scaling_policies(platform)).get(metric)
    if policy is None:
        raise MissingError(f"The service is not scaled on {metric}.")
    low, high = SCALED_ON[metric]
    target, out, in_ = (
        policy.get(key, 0) for key in ("TargetValue", "ScaleOutCooldown", "ScaleInCooldown")
    )
    assert low <= target <= high, f"Scaling keeps {metric} at {target:g}, not in {low}-{high}."
    assert not policy.get("DisableScaleIn"), f"Scaling on {metric} never takes tasks away."
    # Scaling in too soon ends tasks that the next burst needs.
    assert 0 < out < in_, f"Scaling on {metric} waits {out} s to grow and {in_} s to shrink."


def test_scaling_counts_the_requests_of_this_service(platform: Platform) -> None:
    metric = "ALBRequestCountPerTarget"
    policy = _tracking(_scaling_policies(platform)).get(metric, {})
    actual = policy.get("PredefinedMetricSpecification", {}).get("ResourceLabel")
    wanted = f"{platform.output('LoadBalancerFullName')}/{platform.output('TargetGroupFullName')}"
    assert actual == wanted, f"Scaling counts the requests of {actual}, not of {wanted}."


def test_scaling_is_not_suspended(platform: Platform) -> None:
    state = _scaling_target(platform).get("SuspendedState", {})
    off = sorted(key for key, value in state.items() if value)
    assert not off, f"Scaling of the service is suspended: {', '.join(off)}."
