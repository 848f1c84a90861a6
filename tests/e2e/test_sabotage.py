"""What is broken in a deployed platform is noticed by the checks that are there for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Target
from tests.e2e.sabotages import (  # noqa: F401  # each lists its sabotages
    compute,
    database,
    functions,
    governance,
    groups,
    keys,
    monitoring,
    network,
    roles,
    secrets,
    service,
    stack,
    storage,
)
from tests.e2e.sabotages.victim import SABOTAGES, Sabotage, Victim


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each environment the sabotages that are some there."""
    if "sabotage" in metafunc.fixturenames:
        lasting = "lasting" in metafunc.function.__name__
        found = [
            item
            for item in SABOTAGES
            if item.lasting == lasting and metafunc.cls.inventory == item.environment
        ]
        metafunc.parametrize("sabotage", found, ids=str)


@pytest.fixture(scope="class")
def victim(request: pytest.FixtureRequest, target_for: Callable[[str], Target]) -> Iterator[Victim]:
    """A platform that was deployed for this class, and whose checks all passed."""
    inventory = request.cls.inventory
    target = target_for(inventory)
    target.play("deploy.yml").succeeded()
    with pytest.MonkeyPatch.context() as patch:
        # The checks find AWS by the environment, as when the playbook runs them.
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in target.environment.items():
            patch.setenv(name, value)
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield Victim(target, f"{inventory}-{target.region}")


def check_noticed(sabotage: Sabotage, victim: Victim) -> None:
    """Break the platform, run the checks, mend it, and see what they said."""
    with sabotage.act(victim) as culprit:
        failures = victim.failures(*sabotage.checks, anew=sabotage.stacks)
    for check in sabotage.checks:
        said = failures.of(check)
        assert said, f"{check} did not notice."
        assert any(culprit in text.splitlines()[0] for text in said), (
            f"{check} does not name {culprit}: {said}"
        )


class Broken:
    """Break one thing after the other, and mend each."""

    inventory: str

    def test_is_noticed(self, victim: Victim, sabotage: Sabotage) -> None:
        check_noticed(sabotage, victim)

    def test_mended_platform_passes_every_check(self, victim: Victim) -> None:
        failures = victim.failures(anew=True)
        assert failures.messages == {}
        assert failures.count > 300


class TestDev(Broken):
    inventory = "dev"


class TestProd(Broken):
    inventory = "prod"

    # Last, since nothing is whole after it.
    def test_lasting_is_noticed(self, victim: Victim, sabotage: Sabotage) -> None:
        check_noticed(sabotage, victim)
