"""Runs the checks for one target, whose inventory comes by standard input.

One process writes the inventory that the checks read and runs them, since a role that did it in
several tasks would take longer over the files than over the checks.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

# Python itself ends with 1 when it breaks, and that must not pass for a finding.
FINDINGS = 10


def main() -> int:
    """Write the inventory from standard input and run the checks.

    Returns:
        0 where all passed, 10 where some did not, and pytest's exit status where they did not run.
    """
    parser = argparse.ArgumentParser(prog="verification", description=__doc__)
    parser.add_argument("--host", required=True, help="the inventory host to check")
    parser.add_argument(
        "--output-dir",
        type=Path,
        required=True,
        help="where inventory.yml and the report verification.xml are written",
    )
    options = parser.parse_args()
    directory: Path = options.output_dir.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    inventory, report = directory / "inventory.yml", directory / "verification.xml"
    # An earlier report must not be read as this run's.
    report.unlink(missing_ok=True)
    _write_private(inventory, sys.stdin.read())
    # The checks ask ansible-inventory, which stands beside this interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # An access key in the environment comes before a profile, which need not even exist.
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            os.environ.pop(name, None)
    # Of all the plugins that happen to be installed, they need only the one that is named.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(directory)
    status = pytest.main(
        [
            str(Path(__file__).parent),
            "-p",
            "testinfra.plugin",
            f"--ansible-inventory={inventory}",
            f"--hosts=ansible://{options.host}",
            f"--junit-xml={report}",
            "--tb=short",
            "--quiet",
        ]
    )
    return FINDINGS if status == pytest.ExitCode.TESTS_FAILED else int(status)


def _write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner reads, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
