"""CloudWatch: metric math, what suppresses a composite alarm, and tags of dashboards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch as _cloudwatch

_MATH = ("Metrics", "ThresholdMetricId")
_SUPPRESSION = (
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
)
# An alarm on metric math has none of these; MiniStack gives them defaults.
_SINGLE_METRIC = ("ExtendedStatistic", "MetricName", "Namespace", "Period", "Statistic")


def keep_settings() -> None:
    """Make CloudWatch keep the settings that it takes and drops.

    This wraps its functions rather than its requests, which come in three protocols.
    """
    _cloudwatch._put_metric_alarm = _keeping(
        _cloudwatch._put_metric_alarm,
        "_alarms",
        (*_MATH, "EvaluateLowSampleCountPercentile"),
    )
    _cloudwatch._put_composite_alarm = _keeping(
        _cloudwatch._put_composite_alarm, "_composite_alarms", _SUPPRESSION
    )
    _cloudwatch._validate_alarm_tag_arn = _knowing_dashboards(_cloudwatch._validate_alarm_tag_arn)


def _knowing_dashboards(validate: Callable[..., Any]) -> Callable[..., Any]:
    """Dashboards have tags too, while MiniStack takes no ARN but an alarm's."""

    def validate_either(arn: str, **protocol: Any) -> Any:
        name = arn.partition(":dashboard/")[2]
        return None if name in _cloudwatch._dashboards else validate(arn, **protocol)

    return validate_either


def _keeping(put: Callable[..., Any], store: str, settings: tuple[str, ...]) -> Callable[..., Any]:
    def put_and_keep(params: Any, members: Any, *protocol: Any) -> Any:
        response = put(params, members, *protocol)
        if response[0] < 300 and members:
            alarm = getattr(_cloudwatch, store)[members["AlarmName"]]
            alarm.update({name: members[name] for name in settings if name in members})
            if "Metrics" in members:
                for name in _SINGLE_METRIC:
                    alarm.pop(name, None)
                alarm.pop("Dimensions", None)
        return response

    return put_and_keep
