"""The platform that is broken, how its checks are run, and the list of ways to break it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
import pytest
import yaml

from tests.e2e.conftest import ROOT, Target
from verification.conftest import KNOWN
from verification.platform import Platform
from verification.settings import read_settings

SUITE = ROOT / "verification"


class Victim:
    """A deployed platform, with AWS's API to break it by."""

    def __init__(self, target: Target, host: str) -> None:
        self.target = target
        self.host = host
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service, made once."""
        if service not in self._clients:
            # The environment leads to the local cloud, as it leads the checks.
            self._clients[service] = boto3.client(service, region_name=self.target.region)
        return self._clients[service]

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    @property
    def rds(self) -> Any:
        return self.client("rds")

    @property
    def elb(self) -> Any:
        return self.client("elbv2")

    @property
    def iam(self) -> Any:
        return self.client("iam")

    @property
    def cloudwatch(self) -> Any:
        return self.client("cloudwatch")

    @property
    def prefix(self) -> str:
        """The beginning of every name, which is the name of the stack too."""
        return f"payments-{self.target.inventory}"

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the root stack."""
        outputs = json.loads((self.target.artifacts / "outputs.json").read_text())
        return dict(outputs)

    def subnets(self, tier: str) -> list[str]:
        """The ids of the subnets of a tier, by zone."""
        return self.outputs[f"{tier}SubnetIds"].split(",")

    def in_vpc(self, operation: str, key: str) -> list[dict[str, Any]]:
        """What EC2 lists for the VPC."""
        filters = [{"Name": "vpc-id", "Values": [self.outputs["VpcId"]]}]
        found: list[dict[str, Any]] = getattr(self.ec2, operation)(Filters=filters)[key]
        return found

    def resource(self, stack: str, logical_id: str) -> str:
        """The physical id of a resource of a nested stack."""
        cloudformation = self.client("cloudformation")
        nested = cloudformation.describe_stack_resource(
            StackName=self.prefix, LogicalResourceId=stack
        )["StackResourceDetail"]["PhysicalResourceId"]
        found: str = cloudformation.describe_stack_resource(
            StackName=nested, LogicalResourceId=logical_id
        )["StackResourceDetail"]["PhysicalResourceId"]
        return found

    @cached_property
    def platform(self) -> Platform:
        """The platform as the checks read it."""
        inventory = yaml.safe_load((self.target.artifacts / "inventory.yml").read_text())
        return Platform(read_settings(inventory["all"]["hosts"][self.host]))

    def failures(self, *checks: str, anew: bool = False) -> Failures:
        """Run checks of the suite, or all of them, in this process and return what failed.

        Args:
            checks: names like `test_network.py::test_x`.
            anew: whether the stacks are read again too, most of what there is to read.
        """
        failures = Failures({} if anew else {self.host: self.platform.again()})
        status = pytest.main(
            [
                *(str(SUITE / check) for check in checks or ("",)),
                f"--config-file={SUITE / 'pytest.ini'}",
                f"--ansible-inventory={self.target.artifacts / 'inventory.yml'}",
                f"--hosts=ansible://{self.host}",
                *("-p", "testinfra.plugin", "-p", "no:terminal"),
                # It collects garbage after each run, which takes as long as the run.
                *("-p", "no:unraisableexception"),
            ],
            plugins=[failures],
        )
        # Anything else is no verdict: a check of that name does not exist, say.
        assert status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), (checks, status)
        return failures


@dataclass
class Failures:
    """What a run of checks found; a plug-in of pytest's."""

    known: dict[str, Platform]
    count: int = 0
    messages: dict[str, str] = field(default_factory=dict)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand over the platform, of which much is known already."""
        config.stash[KNOWN] = dict(self.known)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a check, and keep its message if it failed."""
        self.count += report.when == "call"
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.messages[report.nodeid] = crash.message if crash else str(report.longrepr)

    def of(self, check: str) -> list[str]:
        """The messages of one check, which may have run with several parameters."""
        return [text for name, text in self.messages.items() if name.split("[")[0] == check]


Act = Callable[[Victim], Iterator[str]]


@dataclass(frozen=True)
class Sabotage:
    """One way to break a platform.

    `act` breaks it when it is entered, gives the words by which a message names the culprit, and
    mends it when it is left.
    """

    name: str
    act: Callable[[Victim], AbstractContextManager[str]]
    checks: tuple[str, ...]
    environment: str
    lasting: bool
    stacks: bool

    def __str__(self) -> str:
        return self.name


def _mended(act: Act) -> Callable[[Victim], AbstractContextManager[str]]:
    """Make a context manager of a sabotage that mends whatever happens in between."""

    @contextmanager
    def manage(victim: Victim) -> Iterator[str]:
        steps = act(victim)
        try:
            yield next(steps)
        finally:
            # It goes on where it stopped, rather than being told of an error.
            assert next(steps, None) is None, f"{act.__name__} breaks more than one thing"

    return manage


SABOTAGES: list[Sabotage] = []


def sabotage(
    *checks: str, on: str, lasting: bool = False, stacks: bool = False
) -> Callable[[Act], Act]:
    """List a function as a sabotage.

    Args:
        checks: the checks that must fail, as `network::test_x` of `test_network.py`.
        on: the environment that is broken.
        lasting: it cannot be mended, since what was deleted would come back as another.
        stacks: it changes a stack, so that the stacks have to be read again.
    """

    def add(act: Act) -> Act:
        names = tuple("test_{}.py::{}".format(*check.split("::")) for check in checks)
        SABOTAGES.append(Sabotage(act.__name__, _mended(act), names, on, lasting, stacks))
        return act

    return add


def again(client: Any, operation: str, record: dict[str, Any], **changes: Any) -> Any:
    """Write what was read: call an operation with those of a record's fields that it takes."""
    name = client.meta.method_to_api_mapping[operation]
    known = client.meta.service_model.operation_model(name).input_shape.members
    fields = {key: value for key, value in record.items() if key in known}
    return getattr(client, operation)(**{**fields, **changes})
