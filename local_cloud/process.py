"""Starting, finding and stopping the server process.

A state directory is one cloud. In it, ``server.lock`` is held by the server as long as it lives,
``state.json`` says where it answers, and ``up.lock`` lets one caller at a time start or stop it.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from local_cloud.errors import LocalCloudError, StartError, StopError
from local_cloud.ports import LOOPBACK
from local_cloud.server import HEALTH_PATH, Endpoints, Server, Settings

PROJECT = Path(__file__).resolve().parent.parent
_POLL_SECONDS = 0.05
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class State:
    """A running server, as ``state.json`` has it.

    ``started`` is the process's start time in the kernel's own unit: with it a recycled process
    id is told from the server.
    """

    pid: int
    started: str
    token: str
    port: int
    endpoint: str
    environment: dict[str, str]
    log: str
    note: str = ""
    latency: float = 0.0


@dataclass(frozen=True)
class Report:
    """What a command did, for its JSON output."""

    changed: bool
    state: str
    server: State | None = None

    def as_dict(self) -> dict[str, object]:
        """The JSON object of the command line."""
        result: dict[str, object] = {"changed": self.changed, "state": self.state}
        if self.server is not None:
            result |= {
                key: value
                for key, value in asdict(self.server).items()
                if key not in ("started", "token") and (key != "note" or value)
            }
        return result


class StateDirectory:
    """The files of one cloud."""

    def __init__(self, path: Path) -> None:
        """Make the directory where it is missing."""
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self.state_file = self.path / "state.json"
        self.log = self.path / "server.log"

    def read(self) -> State | None:
        """The recorded server; None where there is none or the file is damaged."""
        try:
            return State(**json.loads(self.state_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, state: State) -> None:
        """Record the server; a reader sees the old file or the new one, never half of it."""
        draft = self.state_file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(self.state_file)

    def forget(self, pid: int) -> None:
        """Remove the record of the server with that process id."""
        state = self.read()
        if state is None or state.pid == pid:
            self.state_file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float) -> Iterator[None]:
        """Hold the lock file ``name``.

        Raises:
            TimeoutError: another process holds it longer than ``timeout`` seconds.
        """
        with (self.path / name).open("a", encoding="ascii") as handle:
            _wait_until(lambda: _try_lock(handle.fileno()), timeout)
            yield

    def server_lives(self) -> bool:
        """Whether some process holds the server's lock."""
        with (self.path / "server.lock").open("a", encoding="ascii") as handle:
            return not _try_lock(handle.fileno())


def up(
    directory: StateDirectory, *, port: int, strict_port: bool, latency: float, timeout: float
) -> Report:
    """Make sure that a healthy server runs.

    Raises:
        LocalCloudError: it did not come up.
    """
    with _one_at_a_time(directory, timeout):
        running = _running(directory, timeout)
        if running is not None:
            if running.latency != latency:
                note = f"It runs with latency {running.latency:g}: stop it first to change that."
                running = replace(running, note=note)
            return Report(changed=False, state="present", server=running)
        return _start(directory, Settings(port, strict_port, latency), timeout)


def down(directory: StateDirectory, timeout: float) -> Report:
    """Make sure that no server runs.

    Raises:
        StopError: it did not end, even when killed.
    """
    with _one_at_a_time(directory, timeout):
        lived = directory.server_lives()
        _end(directory)
        return Report(changed=lived, state="absent")


def status(directory: StateDirectory) -> Report:
    """Whether a healthy server runs; changes nothing."""
    state = directory.read()
    if state is not None and is_healthy(state):
        return Report(changed=False, state="present", server=state)
    return Report(changed=False, state="absent")


def serve(directory: StateDirectory, settings: Settings, ready: int | None = None) -> None:
    """Serve in this process until SIGTERM or SIGINT.

    Args:
        directory: the cloud's files.
        settings: how to run.
        ready: a pipe to write to once the server answers; closed in any case.

    Raises:
        LocalCloudError: another server has the state directory, or the port is held.
    """
    with contextlib.ExitStack() as stack:
        if ready is not None:
            stack.callback(os.close, ready)
        try:
            stack.enter_context(directory.lock("server.lock", timeout=0))
        except TimeoutError:
            raise StartError(
                f"A local cloud already runs from {directory.path}: "
                "use it, stop it with 'down', or give another --state-dir."
            ) from None
        settings = replace(settings, token=settings.token or secrets.token_hex(16))
        server = Server(settings)
        stack.callback(directory.forget, os.getpid())
        stack.enter_context(_own_temporary_directory(directory.path / "tmp"))

        def announce() -> None:
            # From here on the server ends by itself when the file goes: a state directory that
            # is deleted leaves no process behind that nobody can find.
            directory.write(_state(directory, settings, server.endpoints))
            if ready is not None:
                os.write(ready, b"ready")
            else:
                print(server.endpoints.note or f"Ready at {server.endpoints.endpoint}", flush=True)

        server.run(announce, wanted=directory.state_file.exists)


@contextlib.contextmanager
def _own_temporary_directory(path: Path) -> Iterator[None]:
    """Keep what the server unpacks, such as Lambda functions, in a place that goes with it."""
    shutil.rmtree(path, ignore_errors=True)  # of a server that was killed
    path.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(path)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


def is_healthy(state: State) -> bool:
    """Whether the recorded server answers, and is the recorded one."""
    connection = http.client.HTTPConnection(LOOPBACK, state.port, timeout=5)
    try:
        connection.request("GET", HEALTH_PATH)
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("token") == state.token


def _state(directory: StateDirectory, settings: Settings, endpoints: Endpoints) -> State:
    return State(
        pid=os.getpid(),
        started=process_start(os.getpid()),
        token=settings.token,
        port=endpoints.port,
        endpoint=endpoints.endpoint,
        environment=endpoints.environment,
        log=str(directory.log),
        note=endpoints.note,
        latency=settings.latency,
    )


@contextlib.contextmanager
def _one_at_a_time(directory: StateDirectory, timeout: float) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(directory.lock("up.lock", timeout))
        except TimeoutError:
            raise LocalCloudError(
                f"Another command has been starting or stopping the local cloud in "
                f"{directory.path} for more than {timeout:g} s: wait for it and try again."
            ) from None
        yield


def _running(directory: StateDirectory, timeout: float) -> State | None:
    """The healthy server, if there is one; a server that hangs is stopped."""
    if directory.server_lives() and not directory.state_file.exists():
        # It was started a moment ago by a caller that has been killed since.
        with contextlib.suppress(TimeoutError):
            _wait_until(
                lambda: directory.state_file.exists() or not directory.server_lives(), timeout
            )
    state = _healthy_state(directory)
    if state is None:
        _end(directory)
    return state


def _end(directory: StateDirectory) -> None:
    """Stop the server, if one lives, and remove its record."""
    state = directory.read()
    if state is not None and _is_alive(state):
        _stop(state)
    directory.state_file.unlink(missing_ok=True)
    # A server without a record notices and ends.
    try:
        _wait_until(lambda: not directory.server_lives(), _STOP_SECONDS)
    except TimeoutError:
        raise StopError(
            f"A process that is not known holds {directory.path / 'server.lock'}: stop it by hand "
            "or give another --state-dir."
        ) from None


def _healthy_state(directory: StateDirectory) -> State | None:
    state = directory.read()
    return state if state is not None and is_healthy(state) else None


def _start(directory: StateDirectory, settings: Settings, timeout: float) -> Report:
    reading, writing = os.pipe()
    command = [
        sys.executable, "-m", "local_cloud", "serve",
        "--port", str(settings.port),
        "--latency", str(settings.latency),
        "--state-dir", str(directory.path),
        "--ready-fd", str(writing),
        *(["--strict-port"] if settings.strict_port else []),
    ]  # fmt: skip
    with directory.log.open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": _python_path(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[writing],
        )
    os.close(writing)
    try:
        readable, _, _ = select.select([reading], [], [], timeout)
        is_ready = bool(readable) and os.read(reading, 16) == b"ready"
    finally:
        os.close(reading)
    state = directory.read()
    if not is_ready or state is None or not is_healthy(state):
        raise _start_failure(directory, server, timed_out=not readable)
    return Report(changed=True, state="present", server=state)


def _python_path() -> str:
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(PROJECT), *([inherited] if inherited else [])])


def _start_failure(
    directory: StateDirectory, server: subprocess.Popen[bytes], *, timed_out: bool
) -> LocalCloudError:
    if timed_out:
        why = "was not ready in time"
    else:
        # The pipe closes before the last words are written.
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_SECONDS)
        lines = directory.log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        why = f"ended: {last.rstrip('.')}" if last else "ended without a word"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    directory.state_file.unlink(missing_ok=True)
    return StartError(f"The local cloud {why} (log: {directory.log}).")


def _stop(state: State) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, number)
        with contextlib.suppress(TimeoutError):
            _wait_until(lambda: not _is_alive(state), _STOP_SECONDS)
            break
    else:
        raise StopError(
            f"The local cloud with process id {state.pid} does not end: stop it by hand "
            f"(log: {state.log})."
        )
    # What the server started itself, such as Lambda workers, is of its process group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(state.pid, signal.SIGKILL)


def _is_alive(state: State) -> bool:
    """Whether the recorded process itself is there, not another one under its id."""
    return process_start(state.pid) == state.started != ""


def process_start(pid: int) -> str:
    """When a process started, as text to compare; empty where it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
        return _process_start_by_ps(pid)
    except OSError:
        return ""
    # The name, in parentheses, may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    ended = fields[0] in ("Z", "X")
    return "" if ended else fields[19]


def _process_start_by_ps(pid: int) -> str:
    result = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return result.stdout.strip()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_until(condition: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            raise TimeoutError
        time.sleep(_POLL_SECONDS)
