"""Sabotage of alarms and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.e2e.sabotages.victim import Victim, again, sabotage

noticed_by = partial(sabotage, on="prod")


@contextmanager
def alarm(victim: Victim, name: str, **changes: Any) -> Iterator[str]:
    """Change a metric alarm for a while; gives its name."""
    [found] = victim.cloudwatch.describe_alarms(AlarmNames=[f"{victim.prefix}-{name}"])[
        "MetricAlarms"
    ]
    # The local cloud tells a statistic beside the percentile; AWS takes only one of them.
    found = {key: value for key, value in found.items() if value not in (None, [], "")}
    again(victim.cloudwatch, "put_metric_alarm", found, **changes)
    yield found["AlarmName"]
    again(victim.cloudwatch, "put_metric_alarm", found)


# --- Alarms -------------------------------------------------------------------------------------


@noticed_by(
    "monitoring::test_environment_has_the_planned_alarms",
    "monitoring::test_alarms_of_the_stack_exist",
)
def alarm_is_deleted(victim: Victim) -> Iterator[str]:
    with alarm(victim, "service-cpu") as name:
        tags = victim.cloudwatch.list_tags_for_resource(
            ResourceARN=f"arn:aws:cloudwatch:{victim.target.region}:"
            f"{victim.target.environment['AWS_ACCESS_KEY_ID']}:alarm:{name}"
        )["Tags"]
        victim.cloudwatch.delete_alarms(AlarmNames=[name])
        yield "service-cpu"
    arn = victim.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
    victim.cloudwatch.tag_resource(ResourceARN=arn, Tags=tags)


@noticed_by("monitoring::test_every_alarm_tells_the_topic")
def alarm_tells_nobody(victim: Victim) -> Iterator[str]:
    with alarm(victim, "database-cpu", AlarmActions=[]) as name:
        yield name


@noticed_by("monitoring::test_every_alarm_tells_the_topic", "monitoring::test_metric_is_watched")
def alarm_is_silenced(victim: Victim) -> Iterator[str]:
    name = f"{victim.prefix}-running-tasks"
    victim.cloudwatch.disable_alarm_actions(AlarmNames=[name])
    yield name
    victim.cloudwatch.enable_alarm_actions(AlarmNames=[name])


@noticed_by("monitoring::test_alarms_tell_nobody_else")
def alarm_tells_somebody_else(victim: Victim) -> Iterator[str]:
    other = f"arn:aws:sns:{victim.target.region}:999999999999:elsewhere"
    topic = victim.outputs["AlarmTopicArn"]
    with alarm(victim, "service-cpu", AlarmActions=[topic, other]):
        yield other


@noticed_by("monitoring::test_alarms_say_when_it_is_over")
def alarm_does_not_say_when_it_is_over(victim: Victim) -> Iterator[str]:
    with alarm(victim, "service-memory", OKActions=[]) as name:
        yield name


@noticed_by("monitoring::test_thresholds_are_the_environments")
def threshold_is_raised(victim: Victim) -> Iterator[str]:
    with alarm(victim, "database-connections", Threshold=5000.0) as name:
        yield f"{name} starts at 5000"


@noticed_by("monitoring::test_alarm_starts_on_the_bad_side")
def alarm_starts_when_all_is_well(victim: Victim) -> Iterator[str]:
    with alarm(victim, "database-memory", ComparisonOperator="GreaterThanThreshold") as name:
        yield name


@noticed_by("monitoring::test_alarm_looks_at_the_right_statistic")
def alarm_looks_at_the_average(victim: Victim) -> Iterator[str]:
    with alarm(victim, "database-cpu", Statistic="Average") as name:
        yield name


@noticed_by("monitoring::test_latency_is_watched_at_the_99th_percentile")
def latency_is_watched_at_the_median(victim: Victim) -> Iterator[str]:
    with alarm(victim, "latency", ExtendedStatistic="p50"):
        yield "p50"


@noticed_by("monitoring::test_every_nat_gateway_is_watched")
def nat_gateway_is_not_watched(victim: Victim) -> Iterator[str]:
    nat = victim.outputs["NatGatewayIds"].split(",")[0]
    other = [{"Name": "NatGatewayId", "Value": victim.outputs["NatGatewayIds"].split(",")[1]}]
    with alarm(victim, "nat-1-ports", Dimensions=other):
        yield nat


@noticed_by("monitoring::test_replica_lag_is_watched_where_there_are_readers")
def replica_lag_is_not_watched(victim: Victim) -> Iterator[str]:
    with alarm(victim, "replica-lag", MetricName="AuroraReplicaLag"):
        yield "replica lag"


@noticed_by("monitoring::test_every_alarm_explains_itself")
def alarm_explains_nothing(victim: Victim) -> Iterator[str]:
    with alarm(victim, "unhealthy-hosts", AlarmDescription="") as name:
        yield name


@noticed_by("monitoring::test_payments_are_not_degraded")
def payments_are_degraded(victim: Victim) -> Iterator[str]:
    name = f"{victim.prefix}-latency"
    for state in ("ALARM", "OK"):
        victim.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="sabotage")
        if state == "ALARM":
            yield "Payments are degraded"


@noticed_by("monitoring::test_alarms_judge_a_missing_value")
def missing_tasks_are_no_alarm(victim: Victim) -> Iterator[str]:
    with alarm(victim, "running-tasks", TreatMissingData="notBreaching") as name:
        yield name


@noticed_by("monitoring::test_alarms_speak_in_time")
def alarm_speaks_too_late(victim: Victim) -> Iterator[str]:
    with alarm(victim, "database-deadlocks", EvaluationPeriods=120) as name:
        yield name


@noticed_by("declared::test_values_are_those_that_were_deployed")
def alarm_waits_longer(victim: Victim) -> Iterator[str]:
    with alarm(victim, "latency", EvaluationPeriods=9):
        yield "EvaluationPeriods 9"


@noticed_by(
    "monitoring::test_alarms_watch_metrics_that_exist", "monitoring::test_metric_is_watched"
)
def alarm_watches_a_misspelt_metric(victim: Victim) -> Iterator[str]:
    with alarm(victim, "service-cpu", MetricName="CpuUtilization"):
        yield "AWS/ECS"


@noticed_by("monitoring::test_alarms_watch_metrics_that_exist")
def alarm_watches_another_cluster(victim: Victim) -> Iterator[str]:
    other = [{"Name": "DBClusterIdentifier", "Value": "somebody-elses"}]
    with alarm(victim, "database-cpu", Dimensions=other):
        yield "somebody-elses"


@noticed_by("monitoring::test_alarms_watch_metrics_that_exist")
def alarm_watches_by_dimensions_that_have_no_values(victim: Victim) -> Iterator[str]:
    group = [{"Name": "TargetGroup", "Value": victim.outputs["TargetGroupFullName"]}]
    with alarm(victim, "load-balancer-errors", Dimensions=group):
        yield "HTTPCode_ELB_5XX_Count"


@contextmanager
def degraded(victim: Victim, **changes: Any) -> Iterator[str]:
    """Change the composite alarm for a while; gives its name."""
    name = victim.outputs["DegradedAlarmName"]
    [found] = victim.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    again(victim.cloudwatch, "put_composite_alarm", found, **changes)
    yield name
    again(victim.cloudwatch, "put_composite_alarm", found)


def rule(victim: Victim) -> str:
    """The rule of the composite alarm."""
    [found] = victim.cloudwatch.describe_alarms(
        AlarmNames=[victim.outputs["DegradedAlarmName"]], AlarmTypes=["CompositeAlarm"]
    )["CompositeAlarms"]
    return str(found["AlarmRule"])


@noticed_by("monitoring::test_composite_alarm_is_any_of_what_customers_feel")
def degraded_leaves_out_latency(victim: Victim) -> Iterator[str]:
    less = rule(victim).replace(f'ALARM("{victim.prefix}-latency") OR ', "")
    with degraded(victim, AlarmRule=less):
        yield "does not look at latency"


@noticed_by("monitoring::test_composite_alarm_is_any_of_what_customers_feel")
def degraded_waits_for_everything(victim: Victim) -> Iterator[str]:
    with degraded(victim, AlarmRule=rule(victim).replace(" OR ", " AND ")):
        yield "AND"


@noticed_by("monitoring::test_composite_alarm_is_the_exported_one", lasting=True)
def exported_alarm_is_deleted(victim: Victim) -> Iterator[str]:
    name = victim.outputs["DegradedAlarmName"]
    victim.cloudwatch.delete_alarms(AlarmNames=[name])
    yield name


@noticed_by("monitoring::test_topic_reaches_the_address_of_the_inventory")
def a_stranger_is_told_of_alarms(victim: Victim) -> Iterator[str]:
    sns = victim.client("sns")
    made = sns.subscribe(
        TopicArn=victim.outputs["AlarmTopicArn"],
        Protocol="email",
        Endpoint="stranger@example.com",
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    yield "stranger@example.com"
    sns.unsubscribe(SubscriptionArn=made)


# --- Dashboard ----------------------------------------------------------------------------------


@contextmanager
def dashboard(victim: Victim, old: str, new: str) -> Iterator[None]:
    """Replace words in the dashboard for a while."""
    name = victim.outputs["DashboardName"]
    before = victim.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
    assert old in before
    victim.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=before.replace(old, new))
    yield
    victim.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=before)


@noticed_by("dashboard::test_dashboard_shows_metrics_that_exist")
def dashboard_shows_a_misspelt_metric(victim: Victim) -> Iterator[str]:
    with dashboard(victim, "CommitLatency", "CommitLatancy"):
        yield "CommitLatancy"


@noticed_by("dashboard::test_dashboard_shows_metrics_that_exist")
def dashboard_shows_another_service(victim: Victim) -> Iterator[str]:
    with dashboard(victim, victim.outputs["ServiceName"], "somebody-elses"):
        yield "somebody-elses"


@noticed_by("dashboard::test_dashboard_draws_the_thresholds")
def dashboard_draws_another_threshold(victim: Victim) -> Iterator[str]:
    cpu = victim.cloudwatch.describe_alarms(AlarmNames=[f"{victim.prefix}-service-cpu"])
    threshold = int(cpu["MetricAlarms"][0]["Threshold"])
    with dashboard(victim, f'"value": {threshold}}}', '"value": 99}'):
        yield "CPU of the tasks"


@noticed_by("dashboard::test_dashboard_shows_what_the_alarms_watch")
def dashboard_loses_a_widget(victim: Victim) -> Iterator[str]:
    name = victim.outputs["DashboardName"]
    before = victim.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
    body = json.loads(before)
    body["widgets"] = [
        item for item in body["widgets"] if item["properties"].get("title") != "Latency (s)"
    ]
    victim.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))
    yield "TargetResponseTime"
    victim.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=before)


@noticed_by("dashboard::test_dashboard_widgets_look_at_this_region")
def dashboard_looks_at_another_region(victim: Victim) -> Iterator[str]:
    with dashboard(victim, f'"region": "{victim.target.region}"', '"region": "sa-east-1"'):
        yield "sa-east-1"


@noticed_by("dashboard::test_dashboard_shows_the_state_of_alarms")
def dashboard_shows_alarms_of_another(victim: Victim) -> Iterator[str]:
    with dashboard(victim, f"alarm:{victim.prefix}-latency", "alarm:somebody-elses"):
        yield "somebody-elses"


@noticed_by("dashboard::test_dashboard_shows_every_nat_gateway")
def dashboard_forgets_a_nat_gateway(victim: Victim) -> Iterator[str]:
    nat = victim.outputs["NatGatewayIds"].split(",")[0]
    with dashboard(victim, nat, "nat-0"):
        yield nat


@noticed_by("dashboard::test_dashboard_is_named_after_its_environment", lasting=True)
def dashboard_is_deleted(victim: Victim) -> Iterator[str]:
    name = victim.outputs["DashboardName"]
    victim.cloudwatch.delete_dashboards(DashboardNames=[name])
    yield name
