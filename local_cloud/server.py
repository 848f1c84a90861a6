"""The server process: MiniStack with our additions, and its moto sidecar, on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from local_cloud import ports, sidecar
from local_cloud.ports import LOOPBACK

HEALTH_PATH = "/_local_cloud/health"
_WATCH_SECONDS = 2.0
# The account that a client gets which takes the environment as it is; every other 12-digit
# access key id is an account of its own.
DEFAULT_ACCOUNT = "000000000000"
# Long on purpose: Ansible masks a secret wherever its text occurs in output.
SECRET_ACCESS_KEY = "local-cloud-secret-access-key-that-protects-nothing"

# ASGI's own shapes; the standard library has no types for them.
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Application = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


@dataclass(frozen=True)
class Settings:
    """How the server is to run; ``latency`` is a factor on AWS's own creation times."""

    port: int
    strict_port: bool = False
    latency: float = 0.0
    token: str = ""


@dataclass(frozen=True)
class Endpoints:
    """Where the running server answers, and the variables that lead boto3 there."""

    port: int
    endpoint: str
    environment: dict[str, str]
    note: str


class Server:
    """Both servers in this process; their sockets are bound from the start."""

    def __init__(self, settings: Settings) -> None:
        """Bind the sockets.

        Raises:
            PortInUseError: ``settings.strict_port`` is set and the port is held.
        """
        self._settings = settings
        self._gateway = ports.bind(settings.port, strict=settings.strict_port)
        self._moto = ports.bind(0)
        self.endpoints = _endpoints(self._gateway, self._moto)

    def run(self, on_ready: Callable[[], None], wanted: Callable[[], bool]) -> None:
        """Serve until SIGTERM or SIGINT, or until the server is not wanted any more.

        Args:
            on_ready: called once both servers answer.
            wanted: asked every other second from then on.
        """
        # MiniStack reads these when it is imported.
        os.environ.update(
            self.endpoints.environment,
            GATEWAY_PORT=str(self.endpoints.port),
            BIND_HOST=LOOPBACK,
            MINISTACK_HOST=LOOPBACK,
            # Further listeners of MiniStack's; nothing here speaks SFTP or MQTT.
            SFTP_ENABLED="0",
            IOT_MTLS_ENABLED="0",
        )
        # The profile, region or session of the caller has no meaning in here.
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
        # Not asyncio.run: it would wait for the threads of requests that are still at work.
        loop = asyncio.new_event_loop()
        loop.run_until_complete(self._serve(on_ready, wanted))

    async def _serve(self, on_ready: Callable[[], None], wanted: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        ending: asyncio.Future[None] = loop.create_future()

        def end(error: BaseException | None = None) -> None:
            if ending.done():
                return
            if error is None:
                ending.set_result(None)
            else:
                ending.set_exception(error)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        moto = sidecar.Sidecar(self._moto.socket, lambda error: _soon(loop, lambda: end(error)))
        moto.start()

        async def watch() -> None:
            try:
                await loop.run_in_executor(None, moto.ready.wait)
                if ending.done():
                    return
                on_ready()
                while wanted():
                    await asyncio.sleep(_WATCH_SECONDS)
            except Exception as error:
                end(error)
            else:
                end()

        try:
            application = _load_ministack(self._settings)
            watching = asyncio.create_task(watch())
            await _serve_gateway(
                _with_health(application, self._settings.token), self._gateway.socket, ending
            )
            watching.cancel()
        finally:
            # It lets go of a watcher that still waits for it.
            moto.stop()
        if ending.done() and (error := ending.exception()) is not None:
            raise error


def _soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)


def _endpoints(gateway: ports.Binding, moto: ports.Binding) -> Endpoints:
    endpoint = f"http://{LOOPBACK}:{gateway.port}"
    return Endpoints(
        port=gateway.port,
        endpoint=endpoint,
        environment={
            "AWS_ENDPOINT_URL": endpoint,
            **sidecar.environment(moto.port),
            "AWS_ACCESS_KEY_ID": DEFAULT_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            **_past_proxies(),
        },
        note=gateway.note,
    )


def _past_proxies() -> dict[str, str]:
    """The variables that keep a proxy of the caller's network out of the way to this machine.

    Both spellings, since tools read either and some prefer the lower one.
    """
    names = ("no_proxy", "NO_PROXY")
    past = [host for name in names for host in os.environ.get(name, "").split(",") if host]
    value = ",".join(dict.fromkeys([*past, LOOPBACK]))
    return dict.fromkeys(names, value)


def _load_ministack(settings: Settings) -> _Application:
    from local_cloud import patches

    patches.apply(latency=settings.latency)
    from ministack.app import app

    application: _Application = app
    return application


def _with_health(application: _Application, token: str) -> _Application:
    """Add the health endpoint, by whose token ``up`` knows its own server again."""
    body = json.dumps({"status": "ok", "token": token, "pid": os.getpid()}).encode()

    async def wrapped(scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http" or scope["path"] != HEALTH_PATH:
            await application(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return wrapped


async def _serve_gateway(
    application: _Application, bound: socket.socket, ending: asyncio.Future[None]
) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    async def until_ended() -> None:
        await asyncio.wait([ending])

    config = Config()
    # Handing over the bound socket leaves no moment in which another program takes the port.
    config.bind = [f"fd://{os.dup(bound.fileno())}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    bound.close()
    await serve(application, config, shutdown_trigger=until_ended)  # type: ignore[arg-type]  # hypercorn types ASGI messages as a closed union of TypedDicts


def print_error(sentence: str) -> None:
    """Write a sentence for the user to standard error."""
    print(sentence, file=sys.stderr, flush=True)
