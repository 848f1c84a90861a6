#!/usr/bin/env python3
"""Time a deployment of the platform by this project and by other tools.

Every contender creates the same tree (the templates in ``cloudformation/``, with the values of an
inventory) in an account of its own on one local cloud, and then deploys it again with nothing to
change. The contenders take turns, and what each one made is compared with what the others made, so
that a deployment that failed or did less cannot pass for a fast one.

    python benchmarks/deploy.py
    python benchmarks/deploy.py --runs 1 --only engine,steps

The table goes to standard output, progress to standard error, all figures to a JSON file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Before the import that needs it: the engine is given templates that the collection packaged.
sys.path[:0] = [str(ROOT), str(ROOT / "collections")]

from ansible_collections.payments.cfn.plugins.module_utils import (  # noqa: E402
    package,
    templates,
    upload,
)
from ansible_collections.payments.cfn.plugins.module_utils.errors import CfnError  # noqa: E402

TEMPLATE = ROOT / "cloudformation" / "master.yml"
TEMPLATES = ROOT / "cloudformation"
WORK = ROOT / "artifacts" / "benchmarks"
AWSCLI_VENV = WORK / "awscli-venv"
AWSCLI_REQUIREMENTS = HERE / "awscli-requirements.txt"
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
STACK_TYPE = "AWS::CloudFormation::Stack"
FIRST_ACCOUNT = 200_000_000_001
COMMAND_TIMEOUT_SECONDS = 900
# Short against what is measured, and long enough to leave the processor to the local cloud.
POLL_SECONDS = 0.05


class BenchmarkError(Exception):
    """The benchmark cannot go on; the text says why, in one sentence."""


def say(text: str) -> None:
    """Tell the progress."""
    print(text, file=sys.stderr, flush=True)


# --- What is deployed, and where -------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """The stack that every contender deploys."""

    inventory: str
    stack_name: str
    region: str
    literals: Sequence[str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Account:
    """An account on the local cloud that holds nothing yet, for one contender's one run.

    ``environment`` leads every tool to it; ``directory`` is for what the contender writes.
    """

    number: str
    environment: Mapping[str, str]
    region: str
    directory: Path

    @property
    def bucket(self) -> str:
        """A bucket for artifacts, for the contenders that want one to be there."""
        return f"benchmark-{self.number}-{self.region}"

    def client(self, service: str) -> Any:
        """A boto3 client in this account."""
        # Any: which service it is, is only known when it runs.
        make: Any = boto3.client
        return make(
            service,
            region_name=self.region,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def prepare(self, subject: Subject) -> None:
        """Prepare the account: the bucket, what the templates look up, and the recorder."""
        values = {
            "ApplicationName": subject.parameters["ApplicationName"],
            "CostCenter": subject.parameters["CostCenter"],
            "Owner": subject.parameters["Owner"],
            "DataClassification": "internal",
        }
        self._prepare("bootstrap", values | {"BucketName": self.bucket})
        self._prepare("recorder", values)

    def _prepare(self, what: str, values: Mapping[str, str]) -> None:
        client = self.client("cloudformation")
        name = f"{values['ApplicationName']}-{what}"
        client.create_stack(
            StackName=name,
            TemplateBody=(TEMPLATES / f"{what}.yml").read_text(encoding="utf-8"),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
            Capabilities=list(CAPABILITIES),
        )
        await_stack(client, name)
        status = describe(client, name)["StackStatus"]
        if status != "CREATE_COMPLETE":
            raise BenchmarkError(f"Stack {name} is {status}: {first_failure(client, name)}.")


def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a command from the project's root; its output goes to ``log``.

    Raises:
        BenchmarkError: it failed, or took too long.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_TIMEOUT_SECONDS,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            lines = log.read_text(errors="replace").splitlines()[-15:]
            tail = "\n".join(line[:300] for line in lines)
            raise BenchmarkError(
                f"{Path(command[0]).name} ended with status {error.returncode}; "
                f"its output is in {log} and ends so:\n{tail}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise BenchmarkError(
                f"{Path(command[0]).name} took more than {COMMAND_TIMEOUT_SECONDS} s; "
                f"its output is in {log}."
            ) from error


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that could lead to an account on AWS."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    # The tools of this interpreter's virtual environment come first.
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept


@contextmanager
def local_cloud() -> Iterator[Mapping[str, str]]:
    """A local cloud of the benchmark's own; gives the environment that leads to it."""
    command = [sys.executable, "-m", "local_cloud"]
    # Not a lasting place: a cloud left there by a run that was killed would be taken for this one.
    with tempfile.TemporaryDirectory(prefix="benchmark-cloud-") as state:
        try:
            up = subprocess.run(
                [*command, "up", "--state-dir", state, "--port", str(free_port())],
                cwd=ROOT,
                env=clean_environment(),
                text=True,
                stdout=subprocess.PIPE,
                check=True,
            )
            yield json.loads(up.stdout)["environment"]
        except subprocess.CalledProcessError as error:
            raise BenchmarkError("The local cloud did not start; see above.") from error
        finally:
            subprocess.run(
                [*command, "down", "--state-dir", state],
                cwd=ROOT,
                env=clean_environment(),
                stdout=subprocess.DEVNULL,
                check=False,
            )


def free_port() -> int:
    """A loopback port that nobody holds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_subject(inventory: str) -> Subject:
    """What an inventory deploys."""
    target = WORK / "subject.json"
    run(
        playbook(inventory, "benchmarks/subject.yml", benchmark_subject=str(target)),
        clean_environment(),
        WORK / "logs" / "subject.log",
    )
    found = json.loads(target.read_text(encoding="utf-8"))
    # Ansible keeps a number a number; CloudFormation takes text.
    found["parameters"] = {name: str(value) for name, value in found["parameters"].items()}
    return Subject(inventory, **found)


def playbook(inventory: str, path: str, **variables: str) -> list[str]:
    """The command that runs a playbook."""
    tool = str(Path(sys.executable).parent / "ansible-playbook")
    return [tool, "-i", f"inventories/{inventory}", path, "-e", json.dumps(variables)]


# --- Contenders ------------------------------------------------------------------------------


class Contender:
    """A way to deploy the subject. ``create`` and ``repeat`` are timed, ``prepare`` is not."""

    name: str
    title: str
    what: str

    def __init__(self, subject: Subject) -> None:
        """Keep what is to be deployed."""
        self.subject = subject

    def set_up(self) -> None:
        """Install what the contender needs, once."""

    def prepare(self, account: Account) -> None:
        """Make in the account what the contender expects to find there."""

    def create(self, account: Account) -> None:
        """Deploy the tree for the first time."""
        raise NotImplementedError

    def repeat(self, account: Account) -> None:
        """Deploy it again, with nothing to change."""
        self.create(account)

    def log(self, account: Account, step: str) -> Path:
        """A new file for a command's output."""
        number = len(list((WORK / "logs").glob(f"{self.name}-{account.number}-*")))
        return WORK / "logs" / f"{self.name}-{account.number}-{number}-{step}.log"


class Engine(Contender):
    """What no tool can beat: the time that CloudFormation itself takes."""

    name = "engine"
    title = "engine alone"
    what = (
        "boto3: CreateStack, then UpdateStack, with templates that are packaged and uploaded "
        f"already; state asked for every {POLL_SECONDS * 1000:.0f} ms"
    )

    def prepare(self, account: Account) -> None:
        """Package the tree and upload it."""
        account.prepare(self.subject)
        target = package.Destination(account.bucket, account.region)
        tree = templates.load_tree(TEMPLATE)
        made = package.build(tree, self.subject.parameters, self.subject.literals, target)
        client = account.client("s3")
        upload.upload(client, account.bucket, made.release.artifacts, made.contents)
        self._url = made.release.template_url

    def _request(self) -> dict[str, Any]:
        pairs = self.subject.parameters.items()
        return {
            "StackName": self.subject.stack_name,
            "TemplateURL": self._url,
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in pairs],
            "Tags": [{"Key": k, "Value": v} for k, v in self.subject.tags.items()],
            "Capabilities": list(CAPABILITIES),
        }

    def create(self, account: Account) -> None:
        """Create the stack and wait for it."""
        client = account.client("cloudformation")
        client.create_stack(**self._request())
        await_stack(client, self.subject.stack_name)

    def repeat(self, account: Account) -> None:
        """Ask for an update; CloudFormation answers that there is nothing to do."""
        client = account.client("cloudformation")
        try:
            client.update_stack(**self._request())
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            return
        raise BenchmarkError("UpdateStack found something to update where nothing had changed.")


class AwsCli(Contender):
    """The tool that AWS gives for the same task."""

    name = "awscli"
    title = "`aws cloudformation package` + `deploy`"
    what = "the AWS CLI's two commands, one after the other, into a bucket that is there already"

    def set_up(self) -> None:
        """Install the pinned AWS CLI, which pins its own botocore, in a place of its own."""
        stamp = AWSCLI_VENV / ".requirements"
        wanted = sha256(AWSCLI_REQUIREMENTS.read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
            return
        say(f"Installing the AWS CLI in {AWSCLI_VENV.relative_to(ROOT)} ...")
        venv.create(AWSCLI_VENV, clear=True, with_pip=True)
        pip = [str(AWSCLI_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run(
            [*pip, "--require-hashes", "--requirement", str(AWSCLI_REQUIREMENTS)],
            clean_environment(),
            WORK / "logs" / "awscli-install.log",
        )
        stamp.write_text(wanted, encoding="utf-8")

    def prepare(self, account: Account) -> None:
        """Make what the templates look up, and the bucket."""
        account.prepare(self.subject)

    def create(self, account: Account) -> None:
        """Package, then deploy."""
        packaged = str(account.directory / "packaged.yml")
        place = ["--region", account.region, "--s3-bucket", account.bucket]
        package_it = [
            "package",
            "--template-file",
            str(TEMPLATE),
            "--output-template-file",
            packaged,
        ]
        deploy_it = ["deploy", "--template-file", packaged, "--stack-name", self.subject.stack_name]
        deploy_it += ["--no-fail-on-empty-changeset", "--capabilities", *CAPABILITIES]
        deploy_it += ["--parameter-overrides", *pairs(self.subject.parameters)]
        deploy_it += ["--tags", *pairs(self.subject.tags)]
        self._run(account, [*package_it, *place])
        self._run(account, [*deploy_it, *place])

    def _run(self, account: Account, arguments: Sequence[str]) -> None:
        command = [str(AWSCLI_VENV / "bin" / "aws"), "cloudformation", *arguments]
        run(command, account.environment, self.log(account, arguments[0]))


class Steps(Contender):
    """The part of ``deploy.yml`` that does what the AWS CLI's two commands do."""

    name = "steps"
    title = "`deploy.yml`, package and stack only"
    what = "benchmarks/steps.yml: payments.cfn.package and payments.cfn.stack, the bucket is there"

    def prepare(self, account: Account) -> None:
        """Make what the templates look up, and the bucket."""
        account.prepare(self.subject)

    def create(self, account: Account) -> None:
        """Run the playbook."""
        self._play(account, "benchmarks/steps.yml", artifacts_bucket=account.bucket)

    def _play(self, account: Account, path: str, **variables: str) -> None:
        directory = str(account.directory)
        command = playbook(
            self.subject.inventory, path, payments_artifacts_dir=directory, **variables
        )
        run(command, account.environment, self.log(account, "play"))


class Deploy(Steps):
    """What a user runs."""

    name = "deploy"
    title = "`deploy.yml`, whole"
    what = "preflight, bootstrap, package, stack and verification, as a user runs it"

    def prepare(self, account: Account) -> None:
        """Nothing: the playbook prepares the account."""

    def create(self, account: Account) -> None:
        """Run the playbook."""
        self._play(account, "deploy.yml")


CONTENDERS: tuple[type[Contender], ...] = (Engine, AwsCli, Steps, Deploy)


def pairs(values: Mapping[str, str]) -> list[str]:
    """``Key=value`` for each."""
    return [f"{key}={value}" for key, value in values.items()]


# --- Checks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Census:
    """What there is of a stack and everything nested in it.

    ``resources`` counts them by type; ``identities`` are the physical ids and the times of the
    last change, which stay as they are when nothing was done.
    """

    resources: Mapping[str, int]
    identities: frozenset[tuple[str, str, str]]

    @property
    def total(self) -> int:
        """How many resources there are, nested stacks included."""
        return sum(self.resources.values())


def describe(client: Any, name: str) -> Mapping[str, Any]:
    """A stack's description."""
    found: Mapping[str, Any] = client.describe_stacks(StackName=name)["Stacks"][0]
    return found


def await_stack(client: Any, name: str) -> None:
    """Wait until CloudFormation is done with a stack."""
    while describe(client, name)["StackStatus"].endswith("_IN_PROGRESS"):
        time.sleep(POLL_SECONDS)


def take_census(client: Any, name: str) -> Census:
    """Count a stack's resources, those of nested stacks included."""
    types: Counter[str] = Counter()
    identities = set()
    unfinished = []
    pending = [name]
    while pending:
        stack = pending.pop()
        pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in (entry for page in pages for entry in page["StackResourceSummaries"]):
            kind, physical = resource["ResourceType"], resource.get("PhysicalResourceId", "")
            types[kind] += 1
            identities.add((stack, physical, str(resource.get("LastUpdatedTimestamp", ""))))
            if resource["ResourceStatus"] != "CREATE_COMPLETE":
                unfinished.append(f"{resource['LogicalResourceId']} {resource['ResourceStatus']}")
            if kind == STACK_TYPE:
                pending.append(physical)
    if unfinished:
        raise BenchmarkError(f"Not every resource is complete: {', '.join(unfinished[:5])}.")
    return Census(types, frozenset(identities))


def first_failure(client: Any, name: str) -> str:
    """What failed first in a stack and those nested in it, in words; empty if nothing did."""
    pending, failed = [name], []
    while pending:
        stack = pending.pop()
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
        for event in (entry for page in pages for entry in page["StackEvents"]):
            nested = event["ResourceType"] == STACK_TYPE and event.get("PhysicalResourceId")
            if nested and event["PhysicalResourceId"] not in (event["StackId"], *pending):
                pending.append(event["PhysicalResourceId"])
            if event["ResourceStatus"].endswith("_FAILED"):
                failed.append(event)
    if not failed:
        return ""
    # A nested stack fails because of something in it.
    event = min(failed, key=lambda e: (e["ResourceType"] == STACK_TYPE, e["Timestamp"]))
    return f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"


def check(client: Any, subject: Subject) -> Census:
    """The census of a stack that was created whole.

    Raises:
        BenchmarkError: it was not.
    """
    status = describe(client, subject.stack_name)["StackStatus"]
    if status != "CREATE_COMPLETE":
        reason = first_failure(client, subject.stack_name)
        raise BenchmarkError(f"The stack is {status}, not CREATE_COMPLETE. {reason}")
    return take_census(client, subject.stack_name)


def compare(census: Census, reference: Census | None) -> None:
    """Refuse a deployment that made another tree than the first contender's.

    Raises:
        BenchmarkError: it did.
    """
    if reference is not None and census.resources != reference.resources:
        more = Counter(census.resources)
        more.subtract(reference.resources)
        differences = ", ".join(f"{kind} {n:+d}" for kind, n in sorted(more.items()) if n)
        raise BenchmarkError(f"The tree is not the one that others made: {differences}.")


# --- Measuring -------------------------------------------------------------------------------


@dataclass
class Times:
    """Seconds that a contender took, one figure for each run."""

    create: list[float]
    no_op: list[float]


@dataclass(frozen=True)
class Outcome:
    """What was measured."""

    times: Mapping[str, Times]
    resources: int


def timed(action: Callable[[Account], None], account: Account) -> float:
    """The seconds that an action takes."""
    start = time.perf_counter()
    action(account)
    return time.perf_counter() - start


def measure(
    contenders: Sequence[Contender], runs: int, cloud: Mapping[str, str], subject: Subject
) -> Outcome:
    """Let the contenders take turns. Each run begins with another one, so that none is always
    the one that finds the caches cold.
    """
    times = {contender.name: Times([], []) for contender in contenders}
    reference: Census | None = None
    number = FIRST_ACCOUNT
    for turn in range(runs):
        shift = turn % len(contenders)
        for contender in [*contenders[shift:], *contenders[:shift]]:
            account = open_account(f"{number:012d}", cloud, subject)
            number += 1
            try:
                created, repeated, census = deploy_twice(contender, account)
                compare(census, reference)
            except (BenchmarkError, ClientError) as error:
                raise BenchmarkError(f"{contender.title}: {error}") from error
            reference = reference or census
            times[contender.name].create.append(created)
            times[contender.name].no_op.append(repeated)
            say(
                f"[{turn + 1}/{runs}] {contender.title}: create {created:.2f} s, "
                f"no-op {repeated:.2f} s, {census.total} resources"
            )
    # Both are at least one, so something was deployed.
    assert reference is not None
    return Outcome(times, reference.total)


def warm_up(cloud: Mapping[str, str], subject: Subject) -> None:
    """Deploy once before anything is timed: the local cloud loads what it needs on first use."""
    account = open_account(f"{FIRST_ACCOUNT - 1:012d}", cloud, subject)
    deploy_twice(Engine(subject), account)


def deploy_twice(contender: Contender, account: Account) -> tuple[float, float, Census]:
    """Seconds to create, seconds to find that there is nothing to do, and what there is then."""
    contender.prepare(account)
    client = account.client("cloudformation")
    created = timed(contender.create, account)
    before = check(client, contender.subject)
    repeated = timed(contender.repeat, account)
    if check(client, contender.subject) != before:
        raise BenchmarkError("The second deployment changed something.")
    return created, repeated, before


def open_account(number: str, cloud: Mapping[str, str], subject: Subject) -> Account:
    """An account that nobody has used on this cloud, with an empty directory."""
    directory = WORK / "accounts" / number
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    environment = {**clean_environment(), **cloud, "AWS_ACCESS_KEY_ID": number}
    return Account(number, environment, subject.region, directory)


# --- Report ----------------------------------------------------------------------------------


def machine(load_before: float) -> dict[str, Any]:
    """The machine, as far as it can tell, with how busy it was (the average of one minute)."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(terse=True),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """The versions of what took part."""
    found = {"python": platform.python_version()}
    for name in ("ansible-core", "boto3", "ministack"):
        found[name] = importlib.metadata.version(name)
    pins = AWSCLI_REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    found["awscli"] = next(
        pin.split("==")[1].rstrip(" \\") for pin in pins if pin.startswith("awscli==")
    )
    return found


STEPS = ("create", "no_op")
REFERENCES = ("engine", "awscli")


def report(
    contenders: Sequence[Contender], outcome: Outcome, subject: Subject, load_before: float
) -> dict[str, Any]:
    """Everything that was measured, as JSON."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(load_before),
        "versions": versions(),
        "inventory": subject.inventory,
        "stack": subject.stack_name,
        "region": subject.region,
        "resources": outcome.resources,
        "contenders": [
            {
                "name": contender.name,
                "title": contender.title,
                "what": contender.what,
                **{step: figures(outcome.times, contender.name, step) for step in STEPS},
            }
            for contender in contenders
        ],
    }


def figures(times: Mapping[str, Times], name: str, step: str) -> dict[str, Any]:
    """A contender's seconds for a step, their median, and how often that of the references."""
    measured = {other: getattr(of_other, step) for other, of_other in times.items()}
    median = statistics.median(measured[name])
    ratios = {
        f"times_{other}": round(median / statistics.median(measured[other]), 3)
        for other in REFERENCES
        if other in measured
    }
    return {"seconds": [round(s, 3) for s in measured[name]], "median": round(median, 3), **ratios}


def table(result: Mapping[str, Any]) -> str:
    """The report for people, in Markdown."""
    rows = [
        ["", "create", "x engine", "x awscli", "no-op", "x engine", "x awscli"],
        ["---"] + ["---:"] * 6,
    ]
    for contender in result["contenders"]:
        row = [contender["title"]]
        for step in STEPS:
            row.append(seconds(contender[step]))
            row += [ratio(contender[step].get(f"times_{other}")) for other in REFERENCES]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([*header(result), "", *lines, "", *explanations(result)])


def seconds(measured: Mapping[str, Any]) -> str:
    """A median, with the range where there was more than one run."""
    low, high = min(measured["seconds"]), max(measured["seconds"])
    spread = f" ({low:.2f} to {high:.2f})" if len(measured["seconds"]) > 1 else ""
    return f"{measured['median']:.2f} s{spread}"


def ratio(value: float | None) -> str:
    """A ratio to three figures, or nothing."""
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def header(result: Mapping[str, Any]) -> list[str]:
    """What was run, and on what."""
    runs = len(result["contenders"][0]["create"]["seconds"])
    host = result["machine"]
    tools = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [
        f"Stack {result['stack']} ({result['resources']} resources, inventory "
        f"{result['inventory']}), {runs} run{'s' if runs > 1 else ''}, median, {result['date']}.",
        f"Machine: {host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB, "
        f"{host['system']}; load average {host['load_before']} before, "
        f"{host['load_after']} after.",
        f"Versions: {tools}.",
    ]


def explanations(result: Mapping[str, Any]) -> list[str]:
    """What each contender did."""
    return [f"- {contender['title']}: {contender['what']}." for contender in result["contenders"]]


# --- Command line ----------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    options = parse(arguments)
    # Ends like an interrupt, so that the local cloud is stopped then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        result = benchmark(options)
    except (BenchmarkError, CfnError, ClientError, BotoCoreError) as error:
        say(f"benchmark: {error}")
        return 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))
    say(f"All figures are in {options.json}.")
    return 0


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, and make the report."""
    load_before = os.getloadavg()[0]
    shutil.rmtree(WORK / "logs", ignore_errors=True)
    subject = read_subject(options.inventory)
    contenders = [kind(subject) for kind in CONTENDERS if kind.name in options.only]
    for contender in contenders:
        contender.set_up()
    with local_cloud() as cloud:
        say("Warming up the local cloud ...")
        warm_up(cloud, subject)
        outcome = measure(contenders, options.runs, cloud, subject)
    return report(contenders, outcome, subject, load_before)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Time a deployment of the platform by this project and by other tools."
    )
    names = [kind.name for kind in CONTENDERS]
    parser.add_argument("--runs", type=positive, default=3, help="repetitions (default: 3)")
    parser.add_argument(
        "--only",
        type=lambda text: chosen(text, names),
        default=names,
        metavar="NAMES",
        help=f"contenders, separated by commas (default: {','.join(names)})",
    )
    parser.add_argument(
        "--inventory",
        choices=("dev", "staging", "prod"),
        default="dev",
        help="what is deployed (default: dev)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=WORK / "deploy.json",
        metavar="PATH",
        help="where the figures go (default: artifacts/benchmarks/deploy.json)",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A number of runs."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1")
    return int(text)


def chosen(text: str, names: Sequence[str]) -> list[str]:
    """The contenders that were asked for."""
    asked = text.split(",")
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"there is no contender {', '.join(unknown)}; choose from {', '.join(names)}"
        )
    return asked


if __name__ == "__main__":
    sys.exit(main())
