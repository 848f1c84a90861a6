"""Sabotage of the service, its tasks and its scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, again, sabotage

noticed_by = partial(sabotage, on="dev")

Container = dict[str, Any]


@contextmanager
def service(victim: Victim, before: dict[str, Any], **change: Any) -> Iterator[None]:
    """Change the service for a while, from what it is before."""
    place = {"cluster": victim.outputs["ClusterName"], "service": victim.outputs["ServiceName"]}
    victim.client("ecs").update_service(**place, **change)
    yield
    victim.client("ecs").update_service(**place, **before)


def described(victim: Victim) -> dict[str, Any]:
    """The service as ECS describes it."""
    found = victim.client("ecs").describe_services(
        cluster=victim.outputs["ClusterName"], services=[victim.outputs["ServiceName"]]
    )
    return dict(found["services"][0])


@contextmanager
def task(victim: Victim, change: Callable[[Container], None]) -> Iterator[str]:
    """Run tasks of another definition for a while; gives the name of the container."""
    ecs, right = victim.client("ecs"), victim.outputs["TaskDefinitionArn"]
    found = ecs.describe_task_definition(taskDefinition=right)["taskDefinition"]
    [container] = found["containerDefinitions"]
    change(container)
    made = again(ecs, "register_task_definition", found, containerDefinitions=[container])
    wrong = made["taskDefinition"]["taskDefinitionArn"]
    with service(victim, {"taskDefinition": right}, taskDefinition=wrong):
        yield container["name"]
    ecs.deregister_task_definition(taskDefinition=wrong)


# --- Service ------------------------------------------------------------------------------------


@noticed_by("service::test_service_is_active_and_complete")
def service_runs_nothing(victim: Victim) -> Iterator[str]:
    with service(victim, {"desiredCount": described(victim)["desiredCount"]}, desiredCount=0):
        yield "No task"


@noticed_by("service::test_service_wants_what_was_asked")
def service_runs_too_much(victim: Victim) -> Iterator[str]:
    with service(victim, {"desiredCount": described(victim)["desiredCount"]}, desiredCount=9):
        yield "wants 9 tasks"


@noticed_by("service::test_service_rolls_back_a_bad_deployment")
def service_keeps_a_bad_deployment(victim: Victim) -> Iterator[str]:
    before = described(victim)["deploymentConfiguration"]
    off = {**before, "deploymentCircuitBreaker": {"enable": False, "rollback": False}}
    with service(victim, {"deploymentConfiguration": before}, deploymentConfiguration=off):
        yield "circuit breaker"


@noticed_by("service::test_service_rolls_back_a_bad_deployment")
def service_is_deployed_without_alarms(victim: Victim) -> Iterator[str]:
    before = described(victim)["deploymentConfiguration"]
    less = {**before["alarms"], "alarmNames": before["alarms"]["alarmNames"][:1]}
    with service(
        victim,
        {"deploymentConfiguration": before},
        deploymentConfiguration={**before, "alarms": less},
    ):
        yield before["alarms"]["alarmNames"][1]


@noticed_by("service::test_service_stays_up_during_a_deployment")
def service_goes_down_for_a_deployment(victim: Victim) -> Iterator[str]:
    before = described(victim)["deploymentConfiguration"]
    low = {**before, "minimumHealthyPercent": 0}
    with service(victim, {"deploymentConfiguration": before}, deploymentConfiguration=low):
        yield "0 %"


@noticed_by("service::test_service_runs_in_private_subnets")
def tasks_get_public_addresses(victim: Victim) -> Iterator[str]:
    before = described(victim)["networkConfiguration"]
    public = {"awsvpcConfiguration": {**before["awsvpcConfiguration"], "assignPublicIp": "ENABLED"}}
    with service(victim, {"networkConfiguration": before}, networkConfiguration=public):
        yield "public addresses"


@noticed_by("service::test_commands_inside_tasks_only_where_planned", on="prod")
def commands_run_inside_tasks(victim: Victim) -> Iterator[str]:
    with service(victim, {"enableExecuteCommand": False}, enableExecuteCommand=True):
        yield "inside tasks is True"


@noticed_by("service::test_cluster_has_container_insights")
def cluster_is_not_measured(victim: Victim) -> Iterator[str]:
    for value in ("disabled", "enhanced"):
        victim.client("ecs").update_cluster_settings(
            cluster=victim.outputs["ClusterName"],
            settings=[{"name": "containerInsights", "value": value}],
        )
        if value == "disabled":
            yield "disabled"


@noticed_by("service::test_service_is_spread_over_zones_and_tagged")
def tasks_stay_where_they_are(victim: Victim) -> Iterator[str]:
    before = {"availabilityZoneRebalancing": "ENABLED"}
    with service(victim, before, availabilityZoneRebalancing="DISABLED"):
        yield "DISABLED"


@noticed_by("service::test_commands_inside_tasks_are_recorded")
def commands_are_not_recorded(victim: Victim) -> Iterator[str]:
    ecs, name = victim.client("ecs"), victim.outputs["ClusterName"]
    [found] = ecs.describe_clusters(clusters=[name], include=["CONFIGURATIONS"])["clusters"]
    silent = {"executeCommandConfiguration": {"logging": "NONE"}}
    for configuration in (silent, found["configuration"]):
        ecs.update_cluster(cluster=name, configuration=configuration)
        if configuration is silent:
            yield "NONE"


# --- Task ---------------------------------------------------------------------------------------


@noticed_by(
    "service::test_containers_cannot_change_their_root", "service::test_service_runs_this_release"
)
def tasks_may_write_their_root(victim: Victim) -> Iterator[str]:
    with task(victim, lambda container: container.update(readonlyRootFilesystem=False)) as name:
        yield name


@noticed_by("service::test_containers_do_not_run_as_root")
def tasks_run_as_root(victim: Victim) -> Iterator[str]:
    with task(victim, lambda container: container.update(user="0")) as name:
        yield f"{name} as 0"


@noticed_by("service::test_containers_have_no_privilege")
def tasks_keep_capabilities(victim: Victim) -> Iterator[str]:
    def keep(container: Container) -> None:
        del container["linuxParameters"]["capabilities"]

    with task(victim, keep) as name:
        yield name


@noticed_by("service::test_containers_write_only_to_memory")
def tasks_run_what_they_download(victim: Victim) -> Iterator[str]:
    def loosen(container: Container) -> None:
        container["linuxParameters"]["tmpfs"][0]["mountOptions"] = ["nosuid"]

    with task(victim, loosen) as name:
        yield name


@noticed_by("service::test_containers_are_ended_cleanly")
def tasks_are_killed_at_once(victim: Victim) -> Iterator[str]:
    with task(victim, lambda container: container.update(stopTimeout=2)) as name:
        yield name


@noticed_by("service::test_task_runs_the_image_of_the_inventory")
def tasks_run_another_image(victim: Victim) -> Iterator[str]:
    image = "docker.io/somebody/miner:1"
    with task(victim, lambda container: container.update(image=image)):
        yield image


@noticed_by("service::test_secrets_are_given_by_reference_only")
def tasks_are_told_a_password(victim: Victim) -> Iterator[str]:
    def tell(container: Container) -> None:
        container["environment"].append({"name": "ADMIN_PASSWORD", "value": "hunter2"})

    with task(victim, tell):
        yield "ADMIN_PASSWORD"


@noticed_by("service::test_secrets_are_given_by_reference_only")
def tasks_are_given_the_master_secret(victim: Victim) -> Iterator[str]:
    def give(container: Container) -> None:
        master = victim.outputs["DatabaseMasterSecretArn"]
        container["secrets"].append({"name": "MASTER", "valueFrom": master})

    with task(victim, give):
        yield "MASTER"


@noticed_by("service::test_task_checks_the_certificate_of_the_database")
def tasks_trust_any_database(victim: Victim) -> Iterator[str]:
    def trust(container: Container) -> None:
        for item in container["environment"]:
            if item["name"] == "DATABASE_SSL_MODE":
                item["value"] = "require"

    with task(victim, trust):
        yield "require"


@noticed_by("service::test_task_finds_the_database")
def tasks_ask_another_database(victim: Victim) -> Iterator[str]:
    def move(container: Container) -> None:
        for item in container["environment"]:
            if item["name"] == "DATABASE_HOST":
                item["value"] = "db.example.com"

    with task(victim, move):
        yield "db.example.com"


# --- Scaling ------------------------------------------------------------------------------------


def scaling(victim: Victim) -> dict[str, str]:
    """What names the scalable target."""
    return {
        "ServiceNamespace": "ecs",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ResourceId": f"service/{victim.outputs['ClusterName']}/{victim.outputs['ServiceName']}",
    }


@noticed_by("service::test_service_scales_between_the_planned_numbers")
def service_scales_without_bounds(victim: Victim) -> Iterator[str]:
    client, place = victim.client("application-autoscaling"), scaling(victim)
    found = client.describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[place["ResourceId"]]
    )["ScalableTargets"][0]
    for most in (1000, found["MaxCapacity"]):
        client.register_scalable_target(**place, MinCapacity=found["MinCapacity"], MaxCapacity=most)
        if most == 1000:
            yield "1000"


@contextmanager
def scaling_policy(victim: Victim, name: str) -> Iterator[dict[str, Any]]:
    """Give a scaling policy to change, and put it back afterwards."""
    client, place = victim.client("application-autoscaling"), scaling(victim)
    policies = client.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    [found] = [item for item in policies if item["PolicyName"] == f"{victim.prefix}-{name}"]
    yield found
    again(client, "put_scaling_policy", found, **place)


@noticed_by("service::test_service_scales_on_load")
def service_does_not_scale_on_memory(victim: Victim) -> Iterator[str]:
    with scaling_policy(victim, "memory") as policy:
        victim.client("application-autoscaling").delete_scaling_policy(
            PolicyName=policy["PolicyName"], **scaling(victim)
        )
        yield "ECSServiceAverageMemoryUtilization"


@noticed_by(
    "service::test_scaling_aims_at_a_sensible_load",
    "declared::test_values_are_those_that_were_deployed",
)
def service_scales_too_late(victim: Victim) -> Iterator[str]:
    with scaling_policy(victim, "cpu") as policy:
        late = {**policy["TargetTrackingScalingPolicyConfiguration"], "TargetValue": 95.0}
        again(
            victim.client("application-autoscaling"),
            "put_scaling_policy",
            policy,
            TargetTrackingScalingPolicyConfiguration=late,
        )
        yield "95"


@noticed_by("service::test_scaling_counts_the_requests_of_this_service")
def service_scales_on_the_requests_of_another(victim: Victim) -> Iterator[str]:
    with scaling_policy(victim, "requests") as policy:
        before = policy["TargetTrackingScalingPolicyConfiguration"]
        label = before["PredefinedMetricSpecification"]["ResourceLabel"][:-4] + "0000"
        metric = {**before["PredefinedMetricSpecification"], "ResourceLabel": label}
        again(
            victim.client("application-autoscaling"),
            "put_scaling_policy",
            policy,
            TargetTrackingScalingPolicyConfiguration={
                **before,
                "PredefinedMetricSpecification": metric,
            },
        )
        yield label


@noticed_by("service::test_scaling_is_not_suspended")
def scaling_is_suspended(victim: Victim) -> Iterator[str]:
    client, place = victim.client("application-autoscaling"), scaling(victim)
    for off in (True, False):
        client.register_scalable_target(**place, SuspendedState={"DynamicScalingOutSuspended": off})
        if off:
            yield "DynamicScalingOutSuspended"
