"""Starting, finding and stopping the local cloud, through its command line."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from local_cloud import patches, ports, process
from local_cloud.errors import IncompatibleMinistackError
from tests.local_cloud.support import eventually

PROJECT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(state_dir: Path, name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "local_cloud", name, "--state-dir", str(state_dir), *options]


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose server is stopped in the end, whatever happens."""
    directory = tmp_path / "cloud"
    yield directory
    process.down(process.StateDirectory(directory), timeout=60)


@pytest.fixture
def run(state_dir: Path) -> Run:
    def run(name: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(state_dir, name, *options),
            cwd=PROJECT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def up(run: Run, *options: str) -> dict[str, Any]:
    result = run("up", "--port", "0", *options)
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def is_alive(pid: int) -> bool:
    return process.process_start(pid) != ""


def is_open(url: str) -> bool:
    port = int(url.rpartition(":")[2])
    with socket.socket() as probe:
        return probe.connect_ex((ports.LOOPBACK, port)) == 0


def test_up_is_idempotent_and_down_stops_everything(run: Run, state_dir: Path) -> None:
    first = up(run)
    assert (first["changed"], first["state"]) == (True, "present")
    assert first["environment"]["AWS_ENDPOINT_URL"] == first["endpoint"]
    endpoints = [v for k, v in first["environment"].items() if k.startswith("AWS_ENDPOINT_URL")]
    assert len(set(endpoints)) == 2
    assert all(is_open(url) for url in endpoints)
    second = up(run)
    assert (second["changed"], second["pid"]) == (False, first["pid"])
    assert json.loads(run("status").stdout)["environment"] == first["environment"]
    assert "latency 0" in up(run, "--latency", "0.5")["note"]

    assert json.loads(run("down").stdout) == {"changed": True, "state": "absent"}
    assert not is_alive(first["pid"])
    assert not any(is_open(url) for url in endpoints)
    assert json.loads(run("down").stdout) == {"changed": False, "state": "absent"}
    assert json.loads(run("status").stdout) == {"changed": False, "state": "absent"}
    assert sorted(path.name for path in state_dir.iterdir()) == [
        "server.lock",
        "server.log",
        "up.lock",
    ]


def test_up_can_print_the_environment_for_a_shell(run: Run, state_dir: Path) -> None:
    wanted = up(run)["environment"]
    script = f'eval "$({" ".join(command(state_dir, "up", "--export"))})" && env -0'
    shell = ["env", "-i", "bash", "-c", script]
    printed = subprocess.run(shell, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    seen = dict(line.partition("=")[::2] for line in printed.split("\0"))
    assert wanted.items() <= seen.items()


def test_a_proxy_is_passed_by(run: Run) -> None:
    nobody = "http://127.0.0.1:9"
    started = run("up", "--port", "0", HTTP_PROXY=nobody, NO_PROXY="example.com")
    environment = json.loads(started.stdout)["environment"]
    assert environment["NO_PROXY"] == environment["no_proxy"] == "example.com,127.0.0.1"
    # A stack whose resources are made by calls to the server itself.
    script = (
        "import boto3, json; c = boto3.client('cloudformation', region_name='eu-west-1');"
        "c.create_stack(StackName='proxied', TemplateBody=json.dumps({'Resources':"
        " {'Address': {'Type': 'AWS::EC2::EIP'}}}));"
        "c.get_waiter('stack_create_complete').wait(StackName='proxied',"
        " WaiterConfig={'Delay': 1, 'MaxAttempts': 20})"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HTTP_PROXY": nobody, **environment},
        check=True,
    )


def test_a_terminated_server_ends_whole(run: Run, state_dir: Path) -> None:
    server = up(run)
    os.kill(server["pid"], signal.SIGTERM)
    eventually(lambda: is_alive(server["pid"]), lambda alive: not alive)
    assert not any(is_open(v) for k, v in server["environment"].items() if "ENDPOINT" in k)
    assert not (state_dir / "state.json").exists()


def test_functions_do_not_outlive_the_server(run: Run, state_dir: Path) -> None:
    server = up(run)
    _invoke_function(server["environment"])
    workers = _children(server["pid"])
    assert workers
    os.kill(server["pid"], signal.SIGTERM)
    eventually(lambda: [pid for pid in workers if is_alive(pid)], lambda alive: not alive)
    assert not (state_dir / "tmp").exists()


def _invoke_function(environment: dict[str, str]) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("index.py", "def handler(event, context): return 'done'")
    client = boto3.client(
        "lambda",
        region_name="eu-west-1",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_function(
        FunctionName="worker",
        Runtime="python3.11",
        Role="arn:aws:iam::000000000000:role/worker",
        Handler="index.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    assert client.invoke(FunctionName="worker")["Payload"].read() == b'"done"'


def _children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text(encoding="ascii").split()]


def test_a_killed_server_is_noticed(run: Run) -> None:
    first = up(run)
    os.kill(first["pid"], signal.SIGKILL)
    eventually(lambda: is_alive(first["pid"]), lambda alive: not alive)
    assert json.loads(run("status").stdout)["state"] == "absent"
    second = up(run)
    assert second["changed"] is True
    assert second["pid"] != first["pid"]


def test_a_hanging_server_is_replaced(run: Run) -> None:
    first = up(run)
    os.kill(first["pid"], signal.SIGSTOP)
    second = up(run)
    assert second["changed"] is True
    assert not is_alive(first["pid"])


def test_a_recycled_process_id_is_left_alone(run: Run, state_dir: Path) -> None:
    server = up(run)
    os.kill(server["pid"], signal.SIGKILL)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        state = process.StateDirectory(state_dir).read()
        assert state is not None
        recycled = {**vars(state), "pid": bystander.pid}
        (state_dir / "state.json").write_text(json.dumps(recycled), encoding="utf-8")
        assert json.loads(run("down").stdout)["changed"] is False
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_a_damaged_record_is_no_obstacle(run: Run, state_dir: Path) -> None:
    first = up(run)
    (state_dir / "state.json").write_text("{", encoding="utf-8")
    second = up(run)
    assert second["changed"] is True
    eventually(lambda: is_alive(first["pid"]), lambda alive: not alive)


def test_a_deleted_state_directory_ends_the_server(run: Run, state_dir: Path) -> None:
    server = up(run)
    shutil.rmtree(state_dir)
    eventually(lambda: is_alive(server["pid"]), lambda alive: not alive)


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind((ports.LOOPBACK, 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_held_port_is_left_to_its_holder_and_named(run: Run) -> None:
    with held_port() as port:
        result = run("up", "--port", str(port))
        answer = json.loads(result.stdout)
        assert answer["port"] != port
        assert f"Port {port} is held by" in answer["note"]
        assert f"(pid {os.getpid()})" in answer["note"]


def test_two_clouds_can_ask_for_one_port_at_once(tmp_path: Path) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as free:
        port = str(free.getsockname()[1])
    directories = [tmp_path / "one", tmp_path / "other"]
    starting = [
        subprocess.Popen(
            command(directory, "up", "--port", port),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for directory in directories
    ]
    try:
        outcomes = [start.communicate(timeout=60) for start in starting]
        assert [error for _, error in outcomes] == ["", ""]
        found = {json.loads(output)["port"] for output, _ in outcomes}
        assert len(found) == 2
        assert int(port) in found
    finally:
        for directory in directories:
            process.down(process.StateDirectory(directory), timeout=60)


def test_a_strict_port_fails_in_one_sentence(run: Run) -> None:
    with held_port() as port:
        result = run("up", "--port", str(port), "--strict-port")
        assert result.returncode == 1
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert f"Port {port} on 127.0.0.1 is held by" in result.stderr
        assert f"(pid {os.getpid()})" in result.stderr
    assert json.loads(run("status").stdout)["state"] == "absent"


def test_the_asked_port_is_taken_when_it_is_free(run: Run) -> None:
    with held_port() as port:
        pass
    answer = json.loads(run("up", "--port", str(port), "--strict-port").stdout)
    assert answer["port"] == port
    assert "note" not in answer


def test_two_at_once_start_one(state_dir: Path) -> None:
    started = [
        subprocess.Popen(
            command(state_dir, "up", "--port", "0"),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [json.loads(caller.communicate()[0]) for caller in started]
    assert len({answer["pid"] for answer in answers}) == 1
    assert sorted(answer["changed"] for answer in answers) == [False, False, True]


def test_a_failed_start_says_why_and_leaves_nothing(
    run: Run, state_dir: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken" / "ministack"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('broken on purpose')", encoding="utf-8")
    result = run("up", "--port", "0", PYTHONPATH=str(broken.parent))
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "broken on purpose" in result.stderr
    assert str(state_dir / "server.log") in result.stderr
    assert not process.StateDirectory(state_dir).server_lives()


def test_serve_runs_in_the_foreground_and_only_once(run: Run, state_dir: Path) -> None:
    server = subprocess.Popen(
        command(state_dir, "serve", "--port", "0"),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: json.loads(run("status").stdout)["state"], lambda s: s == "present")
        again = run("serve", "--port", "0")
        assert again.returncode == 1
        assert f"already runs from {state_dir}" in again.stderr
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    finally:
        server.kill()
        server.communicate()


def test_only_loopback_is_served(run: Run) -> None:
    server = up(run)
    inodes = {
        os.readlink(path)[8:-1]
        for path in Path(f"/proc/{server['pid']}/fd").iterdir()
        if os.readlink(path).startswith("socket:")
    }
    listening = [
        fields[1].partition(":")[0]
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        if (fields := row.split())[3] == "0A" and fields[9] in inodes
    ]
    assert listening == ["0100007F"] * 2


def test_the_health_endpoint_names_the_server(run: Run) -> None:
    server = up(run)
    connection = http.client.HTTPConnection(ports.LOOPBACK, server["port"])
    connection.request("GET", "/_local_cloud/health")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert (answer["status"], answer["pid"]) == ("ok", server["pid"])


@pytest.mark.parametrize("service", ["sqs", "application-autoscaling"])
def test_a_twelve_digit_key_is_the_account(client: Callable[..., Any], service: str) -> None:
    def names(account: str) -> list[str]:
        api = client(service, account=account)
        if service == "sqs":
            return list(api.list_queues().get("QueueUrls", []))
        targets = api.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
        return [target["ResourceId"] for target in targets]

    mine = client(service, account="333333333333")
    if service == "sqs":
        mine.create_queue(QueueName="mine")
    else:
        mine.register_scalable_target(
            ServiceNamespace="dynamodb",
            ResourceId="table/mine",
            ScalableDimension="dynamodb:table:ReadCapacityUnits",
            MinCapacity=1,
            MaxCapacity=2,
        )
    assert len(names("333333333333")) == 1
    assert names("444444444444") == []


def test_a_ministack_without_a_patched_name_is_refused() -> None:
    with pytest.raises(IncompatibleMinistackError, match=r"no other_module\.vanished"):
        patches.replace("vanished", None, ModuleType("other_module"))
