"""Loopback ports: taking one, and naming the program that holds one."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from local_cloud.errors import PortInUseError

LOOPBACK = "127.0.0.1"
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_BACKLOG = 1024


@dataclass(frozen=True)
class Binding:
    """A listening socket and what is to be said about its port."""

    socket: socket.socket
    port: int
    note: str = ""


def bind(port: int, *, strict: bool = False) -> Binding:
    """Bind a loopback socket to ``port``, or to a free port where a program holds it.

    Raises:
        PortInUseError: ``strict`` is set and the port is held.
    """
    try:
        return _bind_exactly(port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = _why(port, error)
    if strict:
        raise PortInUseError(
            f"Port {port} on {LOOPBACK} {why}: stop that program or choose another port."
        )
    free = _bind_exactly(0)
    return Binding(free.socket, free.port, f"Port {port} {why}, so port {free.port} was taken.")


def _bind_exactly(port: int) -> Binding:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Without it a port that was closed a moment ago cannot be bound for a minute; a port
        # on which a program listens stays refused all the same.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, port))
        # At once: until one of them listens, two programs can bind the same port. What arrives
        # before it is served waits in the queue.
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return Binding(bound, int(bound.getsockname()[1]))


def _why(port: int, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "may only be bound by a privileged user"
    holder = describe_holder(port)
    return f"is held by {holder}" if holder else "is held by another program"


def describe_holder(port: int) -> str:
    """The program listening on ``port``, as ``name (pid N)``; empty where it cannot be told.

    Linux tells it through ``/proc``; only the programs of the same user can be seen.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, inodes):
            return f"{_program_name(process)} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> frozenset[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                inodes.add(inode)
    return frozenset(inodes)


def _holds(process: Path, inodes: frozenset[str]) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            return True
    return False


def _program_name(process: Path) -> str:
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        command = []
    words = [word.decode(errors="replace") for word in command if word][:3]
    return " ".join(words) or "a program"
