"""A deployment that fails is rolled back, and the release before it is whole again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Target


@pytest.fixture
def target(cloud: dict[str, str], tmp_path: Path) -> Target:
    return Target({**cloud, "AWS_ACCESS_KEY_ID": "360000000001"}, "dev", "eu-west-1", tmp_path)


def test_release_before_a_failed_one_still_verifies(target: Target) -> None:
    target.play("deploy.yml").succeeded()
    # Subnets in use keep their addresses, so that the network cannot be given others.
    failed = target.play("deploy.yml", payments_vpc_cidr="10.99.0.0/16")
    assert failed.code != 0
    assert "UPDATE_ROLLBACK_COMPLETE because " in failed.output
    again = target.play("deploy.yml").succeeded()
    assert again.recap["changed"] == 0
    assert " checks of dev-eu-west-1 passed" in again.output
