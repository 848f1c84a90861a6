"""A mistake is told in one sentence, before anything exists."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Run, Target


@pytest.fixture(scope="module")
def target(cloud: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Target:
    environment = {**cloud, "AWS_ACCESS_KEY_ID": "390000000001"}
    return Target(environment, "dev", "eu-west-1", tmp_path_factory.mktemp("bad_input"))


def refused(run: Run, *words: str) -> None:
    """Check that a run failed with one message that has these words, and no traceback."""
    assert run.code != 0
    assert "Traceback" not in run.output
    [failure] = re.findall(r"\[ERROR\]: Task failed: (.*?)\n(?:Origin|\n)", run.output, re.DOTALL)
    for word in words:
        assert word in failure, run.output


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the templates that a test may spoil."""
    return Path(shutil.copytree(ROOT / "cloudformation", tmp_path / "cloudformation"))


VALUES = [
    ({"payments_region": "eu-wst-1"}, ["eu-wst-1", "eu-west-1"]),
    ({"payments_container_image": ""}, ["ContainerImage"]),
    ({"payments_container_image": "shop/app:latest"}, ["ContainerImage", "shop/app:latest"]),
    ({"payments_environment": "qa"}, ["EnvironmentType", "qa", "dev", "staging", "prod"]),
    ({"payments_vpc_cidr": "10.0.0.0/8"}, ["VpcCidr", "10.0.0.0/8"]),
    ({"payments_certificate_arn": "none"}, ["CertificateArn", "none"]),
    ({"payments_container_port": 70000}, ["ContainerPort", "70000"]),
    ({"payments_database_name": "1st"}, ["DatabaseName", "1st"]),
    ({"payments_health_check_path": "healthz"}, ["HealthCheckPath", "healthz"]),
    ({"payments_service_desired_count": "many"}, ["ServiceDesiredCount", "many"]),
]


@pytest.mark.parametrize(("variables", "words"), VALUES, ids=lambda value: str(value)[:60])
def test_value(target: Target, variables: dict[str, Any], words: list[str]) -> None:
    before = target.holdings()
    refused(target.play("deploy.yml", **variables), *words)
    assert target.holdings() == before


def spoil_missing(folder: Path) -> None:
    (folder / "database.yml").unlink()


def spoil_syntax(folder: Path) -> None:
    text = (folder / "compute.yml").read_text()
    (folder / "compute.yml").write_text(text.replace("\nResources:", "\nResources: [", 1))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_missing, ["database.yml", "PaymentDatabaseStack", "master.yml"]),
        (spoil_syntax, ["compute.yml", "line"]),
    ],
)
def test_template(
    target: Target, templates: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    spoil(templates)
    before = target.holdings()
    run = target.play("deploy.yml", payments_template=str(templates / "master.yml"))
    refused(run, *words)
    assert target.holdings() == before


def test_no_template_at_all(target: Target, tmp_path: Path) -> None:
    missing = str(tmp_path / "master.yml")
    refused(target.play("deploy.yml", payments_template=missing), missing)


def test_unreachable_endpoint(target: Target) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        lost = Target(
            {**target.environment, "AWS_ENDPOINT_URL": endpoint},
            target.inventory,
            target.region,
            target.artifacts,
        )
        refused(lost.play("deploy.yml"), endpoint)


def test_profile_of_the_shell_is_no_obstacle_beside_an_access_key(target: Target) -> None:
    shell = {
        **target.environment,
        "AWS_ACCESS_KEY_ID": "390000000002",
        "AWS_PROFILE": "of-another-account",
        "AWS_DEFAULT_REGION": "ap-south-1",
    }
    Target(shell, target.inventory, target.region, target.artifacts).play("deploy.yml").succeeded()
