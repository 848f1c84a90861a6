"""Fixtures for the functions that templates deploy: a cloud, a database, a URL to answer to."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import boto3
import pytest

from tests.functions.postgres import PostgresServer, running_server
from tests.functions.rotation import MASTER, OWNER, Secret, login

PROJECT = Path(__file__).parents[2]
FUNCTIONS = PROJECT / "cloudformation" / "functions"


class Answers:
    """Takes what a custom resource puts to its ResponseURL."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.content_types: list[str | None] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                length = int(self.headers["Content-Length"])
                answers.content_types.append(self.headers["Content-Type"])
                answers.bodies.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the output of the tests clean."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to answer."""
        return f"http://127.0.0.1:{self._server.server_port}/answer"

    @property
    def only(self) -> dict[str, Any]:
        """The one answer that was given."""
        (body,) = self.bodies
        return body

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def answers() -> Iterator[Answers]:
    """A fresh place for answers."""
    taker = Answers()
    yield taker
    taker.close()


@pytest.fixture
def request_of(answers: Answers) -> Callable[..., dict[str, Any]]:
    """Builds what CloudFormation sends to a function."""

    def build(request_type: str, properties: dict[str, str], **more: str) -> dict[str, Any]:
        return {
            "RequestType": request_type,
            "ResponseURL": answers.url,
            "StackId": "arn:aws:cloudformation:eu-west-1:000000000000:stack/payments-dev/1",
            "RequestId": "request-1",
            "LogicalResourceId": "PaymentResource",
            "ResourceType": "Custom::Resource",
            "ResourceProperties": {"ServiceToken": "arn", **properties},
            **more,
        }

    return build


@pytest.fixture(scope="session")
def function() -> Callable[[str], ModuleType]:
    """Imports the code of a function by the name of its directory."""

    def load(name: str) -> ModuleType:
        path = FUNCTIONS / name / "index.py"
        spec = importlib.util.spec_from_file_location(f"functions.{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # A dataclass looks its module up by name while it is defined.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def cloud_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A local cloud of these tests alone; the variables that lead boto3 to it."""
    state = tmp_path_factory.mktemp("cloud")
    command = [sys.executable, "-m", "local_cloud"]
    started = subprocess.run(
        [*command, "up", "--state-dir", str(state)],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield {**json.loads(started.stdout)["environment"], "AWS_DEFAULT_REGION": "eu-west-1"}
    subprocess.run(
        [*command, "down", "--state-dir", str(state)],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture
def cloud(cloud_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Leads every client of the test to the local cloud; returns what makes a client."""
    for name, value in cloud_environment.items():
        monkeypatch.setenv(name, value)
    return boto3.client


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of these tests alone."""
    with running_server() as server:
        yield server


@pytest.fixture
def rotate_secret(
    function: Callable[[str], ModuleType],
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    """The function that rotates secrets; it trusts the server of these tests."""
    monkeypatch.setenv("DATABASE_CA_FILE", str(postgres.authority))
    return function("rotate_secret")


@pytest.fixture
def master(cloud: Any, rotate_secret: ModuleType, postgres: PostgresServer) -> Secret:
    """The secret of the user that a new database belongs to."""
    password = "It's the \"master's\" \\ $1 :password"
    postgres.reset(MASTER, password)
    return Secret.create(cloud("secretsmanager"), rotate_secret, login(postgres, MASTER, password))


@pytest.fixture
def service(
    cloud: Any, rotate_secret: ModuleType, postgres: PostgresServer, master: Secret
) -> Secret:
    """The secret of a service, whose users do not exist before the first rotation."""
    password = "It's the \"service's\" \\ $1 :password"
    value = login(postgres, OWNER, password, masterarn=master.arn)
    return Secret.create(cloud("secretsmanager"), rotate_secret, value)
