"""The services that MiniStack lacks, served by moto beside it in the same process.

A thread rather than a process: it cannot outlive the server, so nothing is left behind.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from local_cloud.ports import LOOPBACK

# boto3's service ids; a further service that moto has joins by its id alone.
SERVICES: tuple[str, ...] = ("Application Auto Scaling",)

_CREDENTIAL = re.compile(r"Credential=(\d{12})/")
_Environ = dict[str, Any]
_Application = Callable[[_Environ, Callable[..., Any]], Iterable[bytes]]


def environment(port: int) -> dict[str, str]:
    """The variables by which boto3 finds the services of the sidecar on ``port``."""
    endpoint = f"http://{LOOPBACK}:{port}"
    return {
        f"AWS_ENDPOINT_URL_{service.upper().replace(' ', '_')}": endpoint for service in SERVICES
    }


def account_from_access_key(application: _Application) -> _Application:
    """WSGI middleware: a 12-digit access key id is the account, as in MiniStack."""

    def middleware(environ: _Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if match:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = match.group(1)
        return application(environ, start_response)

    return middleware


class Sidecar:
    """The moto server on a bound socket.

    ``on_failure`` is called, from the sidecar's thread, with the exception that ended it.
    """

    def __init__(self, bound: socket.socket, on_failure: Callable[[BaseException], None]) -> None:
        """Take ownership of ``bound``; nothing is served before :meth:`start`."""
        self._socket = bound
        self._on_failure = on_failure
        self._server: Any = None
        self._stopping = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="moto", daemon=True)
        self.ready = threading.Event()

    def start(self) -> None:
        """Load moto and serve, in a thread; :attr:`ready` is set once it answers."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the socket; harmless when it never started."""
        with self._lock:
            self._stopping = True
            server = self._server
        if server is not None:
            server.shutdown()
        self._socket.close()
        self.ready.set()

    def _run(self) -> None:
        try:
            server = self._load()
            with self._lock:
                if self._stopping:
                    return
                self._server = server
            self.ready.set()
            server.serve_forever()
        except BaseException as error:
            self._on_failure(error)
            raise

    def _load(self) -> Any:
        # A second of imports, so they are done in this thread.
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        application = account_from_access_key(DomainDispatcherApplication(create_backend_app))
        host, port = self._socket.getsockname()[:2]
        return make_server(
            host,
            port,
            application,
            threaded=True,
            request_handler=MotoRequestHandler,
            fd=self._socket.fileno(),
        )
