"""Load balancer, cluster and service: what answers, what runs, and how it scales."""

from __future__ import annotations

import pytest

from verification.cloud import CloudError, Record
from verification.logs import log_group
from verification.platform import MissingError, Platform
from verification.settings import Settings

# TLS 1.2 and later only, with forward secrecy.
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-"
ATTRIBUTES = {
    "access_logs.s3.enabled": "true",
    "routing.http.drop_invalid_header_fields.enabled": "true",
}
DESYNC_MODES = {"defensive", "strictest"}
SCALED_ON = {
    "ALBRequestCountPerTarget",
    "ECSServiceAverageCPUUtilization",
    "ECSServiceAverageMemoryUtilization",
}
ROOT_USERS = {"", "0", "root", "0:0", "root:root"}
SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "apikey", "api_key")


# --- Load balancer ------------------------------------------------------------------------------


def test_load_balancer_faces_the_internet_from_public_subnets(platform: Platform) -> None:
    balancer = platform.load_balancer
    zones = {item["SubnetId"] for item in balancer["AvailabilityZones"]}
    public = {item["SubnetId"] for item in platform.tier("Public")}
    assert balancer["Type"] == "application", f"The load balancer is of type {balancer['Type']}."
    assert balancer["State"]["Code"] == "active", f"It is {balancer['State']['Code']}, not active."
    assert balancer["Scheme"] == "internet-facing", f"The load balancer is {balancer['Scheme']}."
    assert zones == public, (
        f"The load balancer is in {', '.join(sorted(zones))}, not in the public subnets."
    )


def test_load_balancer_has_only_its_security_group(platform: Platform) -> None:
    actual = platform.load_balancer["SecurityGroups"]
    wanted = platform.output("LoadBalancerSecurityGroupId")
    assert actual == [wanted], f"The load balancer's security groups are {actual}, not {wanted}."


@pytest.mark.parametrize(("name", "wanted"), ATTRIBUTES.items())
def test_load_balancer_attribute(platform: Platform, name: str, wanted: str) -> None:
    actual = platform.load_balancer_attributes.get(name)
    assert actual == wanted, f"{name} of the load balancer is {actual}, not {wanted}."


def test_load_balancer_resists_desync(platform: Platform) -> None:
    mode = platform.load_balancer_attributes.get("routing.http.desync_mitigation_mode")
    assert mode in DESYNC_MODES, f"The load balancer's desync mitigation mode is {mode}."


def test_load_balancer_deletion_protection(platform: Platform, settings: Settings) -> None:
    actual = platform.load_balancer_attributes.get("deletion_protection.enabled")
    # Lifting the protection of the stack, to remove the platform, lifts this one too.
    protected = settings.expectations.deletion_protection and settings.termination_protection
    wanted = str(protected).lower()
    assert actual == wanted, (
        f"Deletion protection of the load balancer is {actual}, "
        f"for {settings.environment} it is {wanted}."
    )


def test_outputs_name_the_load_balancer(platform: Platform) -> None:
    balancer = platform.load_balancer
    told = (platform.output("LoadBalancerDnsName"), platform.output("LoadBalancerHostedZoneId"))
    actual = (balancer["DNSName"], balancer["CanonicalHostedZoneId"])
    assert told == actual, f"The outputs say {told}, the load balancer has {actual}."


# --- Listeners ----------------------------------------------------------------------------------


def test_load_balancer_listens_on_http_and_https_only(platform: Platform) -> None:
    listeners = {port: item["Protocol"] for port, item in platform.listeners.items()}
    assert listeners == {80: "HTTP", 443: "HTTPS"}, f"The load balancer listens on {listeners}."


def test_https_listener_takes_only_tls_1_2_and_later(platform: Platform) -> None:
    policy = platform.listener(443).get("SslPolicy", "none")
    assert policy.startswith(TLS_POLICY), (
        f"The HTTPS listener has policy {policy}, not one of {TLS_POLICY}*."
    )


def test_https_listener_shows_the_certificate(platform: Platform, settings: Settings) -> None:
    found = [item["CertificateArn"] for item in platform.listener(443).get("Certificates", [])]
    assert settings.certificate_arn in found, (
        f"The HTTPS listener shows {found}, the inventory says {settings.certificate_arn}."
    )


def test_https_listener_forwards_to_the_service(platform: Platform) -> None:
    listener = platform.listener(443)
    assert listener["ListenerArn"] == platform.output("HttpsListenerArn"), (
        f"Output HttpsListenerArn names another listener than {listener['ListenerArn']}."
    )
    targets = {target for action in listener["DefaultActions"] for target in _targets(action)}
    wanted = platform.output("TargetGroupArn")
    assert targets == {wanted}, f"HTTPS is forwarded to {sorted(targets)}, not to {wanted}."


def _targets(action: Record) -> list[str]:
    if action["Type"] != "forward":
        return [action["Type"]]
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    return [item["TargetGroupArn"] for item in groups] or [action["TargetGroupArn"]]


def test_http_is_redirected_to_https(platform: Platform) -> None:
    actions = platform.listener(80)["DefaultActions"]
    kinds = [item["Type"] for item in actions]
    assert kinds == ["redirect"], f"The HTTP listener does {kinds}, it should only redirect."
    redirect = actions[0]["RedirectConfig"]
    where = (redirect["Protocol"], redirect["Port"], redirect["StatusCode"])
    assert where == ("HTTPS", "443", "HTTP_301"), f"The HTTP listener redirects to {where}."


def test_browsers_are_told_to_stay_on_https(platform: Platform) -> None:
    found = platform.cloud.get(
        "elbv2", "describe_listener_attributes", ListenerArn=platform.listener(443)["ListenerArn"]
    )["Attributes"]
    attributes = {item["Key"]: item["Value"] for item in found}
    actual = attributes.get("routing.http.response.strict_transport_security.header_value", "")
    assert "max-age=" in actual, "The HTTPS listener sends no Strict-Transport-Security header."


# --- Target group -------------------------------------------------------------------------------


def test_target_group_asks_the_health_check_path(platform: Platform, settings: Settings) -> None:
    group = platform.target_group
    assert group["HealthCheckPath"] == settings.health_check_path, (
        f"Health checks ask {group['HealthCheckPath']}, "
        f"the inventory says {settings.health_check_path}."
    )
    assert group["HealthCheckEnabled"] is True, "The target group has no health check."


def test_target_group_leads_to_the_container(platform: Platform, settings: Settings) -> None:
    group = platform.target_group
    actual = (group["TargetType"], group["Port"], group["VpcId"])
    wanted = ("ip", settings.container_port, platform.output("VpcId"))
    assert actual == wanted, f"The target group is {actual}, not {wanted}."


# --- Web application firewall -------------------------------------------------------------------


def _web_acl(platform: Platform) -> Record:
    found = platform.cloud.get(
        "wafv2", "get_web_acl_for_resource", ResourceArn=platform.output("LoadBalancerArn")
    )
    if not found.get("WebACL"):
        raise MissingError("No web ACL guards the load balancer.")
    acl: Record = found["WebACL"]
    return acl


def test_firewall_guards_the_load_balancer(platform: Platform) -> None:
    actual, wanted = _web_acl(platform)["ARN"], platform.output("WebAclArn")
    assert actual == wanted, f"The load balancer is guarded by {actual}, not by {wanted}."


def test_firewall_has_managed_rules_and_a_rate_limit(platform: Platform) -> None:
    rules = _web_acl(platform)["Rules"]
    managed = [item["Name"] for item in rules if "ManagedRuleGroupStatement" in item["Statement"]]
    limits = [item for item in rules if "RateBasedStatement" in item["Statement"]]
    assert managed, "The web ACL has no managed rule group."
    assert limits, "The web ACL has no rate limit."
    # A managed group that is only counted, and a limit that blocks nobody, would protect nothing.
    counted = [
        item["Name"]
        for item in rules
        if "Count" in item.get("OverrideAction", {}) or "Count" in item.get("Action", {})
    ]
    assert not counted, f"Rules of the web ACL only count: {', '.join(counted)}."


def test_firewall_keeps_its_logs(platform: Platform, settings: Settings) -> None:
    arn = platform.output("WebAclArn")
    try:
        found = platform.cloud.get("wafv2", "get_logging_configuration", ResourceArn=arn)
    except CloudError as error:
        if error.code != "WAFNonexistentItemException":
            raise
        found = {}
    targets = found.get("LoggingConfiguration", {}).get("LogDestinationConfigs", [])
    assert targets, "The web ACL does not log."
    name = targets[0].split(":log-group:")[-1].removesuffix(":*")
    # AWS delivers only to log groups with this beginning.
    assert name.startswith("aws-waf-logs-"), f"The web ACL logs to {targets[0]}."
    group = log_group(platform, name)
    assert group.get("kmsKeyId"), f"Log group {name} is not encrypted with a customer key."
    wanted = settings.expectations.log_retention_days
    assert group.get("retentionInDays") == wanted, (
        f"Log group {name} keeps {group.get('retentionInDays')} days, not {wanted}."
    )


def test_firewall_redacts_credentials_in_its_logs(platform: Platform) -> None:
    found = platform.cloud.get(
        "wafv2", "get_logging_configuration", ResourceArn=platform.output("WebAclArn")
    )["LoggingConfiguration"]
    hidden = {
        item["SingleHeader"]["Name"].lower()
        for item in found.get("RedactedFields", [])
        if "SingleHeader" in item
    }
    assert {"authorization", "cookie"} <= hidden, (
        f"Web ACL logs hide only {sorted(hidden)}, not the authorization and cookie headers."
    )


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
    group = log_group(platform, logs["cloudWatchLogGroupName"])
    assert group.get("kmsKeyId"), f"{group['logGroupName']} has no customer key."


def test_service_rolls_back_a_bad_deployment(platform: Platform) -> None:
    configuration = platform.service["deploymentConfiguration"]
    breaker = configuration.get("deploymentCircuitBreaker", {})
    alarms = configuration.get("alarms", {})
    assert breaker.get("enable") is True, "The service has no deployment circuit breaker."
    assert breaker.get("rollback") is True, "The circuit breaker does not roll back."
    assert alarms.get("enable") is True, "No alarm watches deployments."
    assert alarms.get("rollback") is True, "Alarms do not roll a deployment back."
    missing = sorted(set(alarms["alarmNames"]) - set(platform.alarms))
    assert alarms["alarmNames"], "Deployments are watched by alarms, but none is named."
    assert not missing, f"Alarms that watch deployments do not exist: {', '.join(missing)}."


def test_service_stays_up_during_a_deployment(platform: Platform) -> None:
    low = platform.service["deploymentConfiguration"]["minimumHealthyPercent"]
    assert low >= 100, f"A deployment may take the service down to {low} % of its tasks."


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
    root = [item["name"] for item in _containers(platform) if item.get("user", "") in ROOT_USERS]
    assert not root, f"Containers that run as root: {', '.join(root)}."


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
        for item in _containers(platform)
        for entry in item.get("environment", [])
        if any(word in entry["name"].lower() for word in SECRET_WORDS)
        # The name of a secret tells nothing.
        and not entry["value"].startswith("arn:")
    ]
    assert not plain, f"Plain environment variables that look like secrets: {', '.join(plain)}."


def test_containers_log_to_an_encrypted_group(platform: Platform, settings: Settings) -> None:
    for item in _containers(platform):
        logging = item.get("logConfiguration", {})
        assert logging.get("logDriver") == "awslogs", (
            f"Container {item['name']} logs by {logging.get('logDriver')}, not awslogs."
        )
        group = log_group(platform, logging["options"]["awslogs-group"])
        wanted = settings.expectations.log_retention_days
        assert group.get("kmsKeyId"), f"{group['logGroupName']} has no customer key."
        assert group.get("retentionInDays") == wanted, (
            f"{group['logGroupName']} keeps {group.get('retentionInDays')} days, not {wanted}."
        )


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


def test_service_scales_on_load(platform: Platform) -> None:
    policies = platform.cloud.every(
        "application-autoscaling",
        "describe_scaling_policies",
        "ScalingPolicies",
        ServiceNamespace="ecs",
        ResourceId=_scaling_target(platform)["ResourceId"],
    )
    kinds = {item["PolicyType"] for item in policies}
    tracked = {
        item["TargetTrackingScalingPolicyConfiguration"]
        .get("PredefinedMetricSpecification", {})
        .get("PredefinedMetricType")
        for item in policies
        if item["PolicyType"] == "TargetTrackingScaling"
    }
    assert kinds == {"TargetTrackingScaling"}, f"The scaling policies are of kinds {sorted(kinds)}."
    missing = sorted(SCALED_ON - tracked)
    assert not missing, f"The service is not scaled on {', '.join(missing)}."
