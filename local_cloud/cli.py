"""The command line: ``python -m local_cloud up|down|status|serve``.

``up``, ``down`` and ``status`` print one JSON object, or a shell's words with ``up --export``; an
error is one sentence on standard error and exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from local_cloud import process
from local_cloud.errors import LocalCloudError
from local_cloud.server import Settings, print_error

DEFAULT_PORT = 4566
DEFAULT_TIMEOUT_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        directory = process.StateDirectory(options.state_dir)
        if options.command == "serve":
            settings = Settings(options.port, options.strict_port, options.latency)
            process.serve(directory, settings, options.ready_fd)
            # Threads that are still busy with a request, a Lambda function say, must not hold
            # up the end.
            sys.stdout.flush()
            os._exit(0)
        report = _report(options, directory)
        print(_exports(report) if options.export else json.dumps(report.as_dict()))
    except LocalCloudError as error:
        print_error(str(error))
        return 1
    return 0


def _report(options: argparse.Namespace, directory: process.StateDirectory) -> process.Report:
    if options.command == "down":
        return process.down(directory, options.timeout)
    if options.command == "status":
        return process.status(directory)
    return process.up(
        directory,
        port=options.port,
        strict_port=options.strict_port,
        latency=options.latency,
        timeout=options.timeout,
    )


def _exports(report: process.Report) -> str:
    """The variables that lead to the running server, as commands of a shell."""
    variables = report.server.environment if report.server else {}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_cloud",
        description="Run AWS on this machine: MiniStack, completed for nested stacks.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    parser.set_defaults(export=False)
    up = _add(commands, "up", "start it in the background, unless it runs", waits=True, runs=True)
    up.add_argument(
        "--export", action="store_true", help="print the variables that lead there for a shell"
    )
    _add(commands, "down", "stop it, if it runs", waits=True)
    _add(commands, "status", "say whether it runs")
    serve = _add(commands, "serve", "run it in the foreground", runs=True)
    serve.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    *,
    waits: bool = False,
    runs: bool = False,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
    command.add_argument(
        "--state-dir",
        type=Path,
        default=process.PROJECT / ".local_cloud",
        help="the cloud's files; another directory is another cloud (default: %(default)s)",
    )
    if waits:
        command.add_argument(
            "--timeout",
            type=float,
            default=DEFAULT_TIMEOUT_SECONDS,
            help="seconds to wait at most (default: %(default)s)",
        )
    if runs:
        command.add_argument(
            "--port", type=int, default=DEFAULT_PORT, help="(default: %(default)s)"
        )
        command.add_argument(
            "--strict-port",
            action="store_true",
            help="fail when another program holds the port, instead of taking a free one",
        )
        command.add_argument(
            "--latency",
            type=float,
            default=0.0,
            help="factor on the time that AWS takes to create a resource (default: none)",
        )
    return command


if __name__ == "__main__":
    sys.exit(main())
