"""When AWS Backup and the database are at work, from how each of them writes it."""

from __future__ import annotations

from typing import Any

import pytest

from verification.backups import minutes_of_job, minutes_of_window


def rule(schedule: str) -> dict[str, Any]:
    return {
        "RuleName": "daily",
        "ScheduleExpression": schedule,
        "StartWindowMinutes": 60,
        "CompletionWindowMinutes": 120,
    }


def test_a_job_takes_its_start_and_its_completion() -> None:
    minutes = minutes_of_job(rule("cron(30 2 * * ? *)"))
    assert (min(minutes), max(minutes)) == (150, 329)
    assert len(minutes) == 180


def test_a_job_may_run_past_midnight() -> None:
    minutes = minutes_of_job(rule("cron(0 22 1 * ? *)"))
    assert {1320, 1439, 0, 59} <= minutes
    assert 60 not in minutes


@pytest.mark.parametrize("schedule", ["cron(0/5 2 * * ? *)", "rate(1 day)", ""])
def test_a_schedule_without_hour_and_minute_is_told(schedule: str) -> None:
    with pytest.raises(ValueError, match="daily has no schedule"):
        minutes_of_job(rule(schedule))


@pytest.mark.parametrize(
    ("window", "first", "last", "length"),
    [
        ("02:00-03:00", 120, 179, 60),
        ("sun:03:30-sun:04:30", 210, 269, 60),
        ("sat:23:45-sun:00:15", 0, 1439, 30),
    ],
)
def test_window(window: str, first: int, last: int, length: int) -> None:
    minutes = minutes_of_window(window)
    assert (min(minutes), max(minutes), len(minutes)) == (first, last, length)
