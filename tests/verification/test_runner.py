"""Running the checks as the role does: the report is of this run, and a breakdown is no finding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from verification.__main__ import FINDINGS

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "http://127.0.0.1:1"
INVENTORY = yaml.safe_dump(
    {"all": {"hosts": {"target": {"ansible_connection": "local", "payments_environment": "dev"}}}}
)


def run(directory: Path, host: str = "target", **environment: str) -> int:
    command = [sys.executable, "-m", "verification", f"--host={host}", f"--output-dir={directory}"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": NOBODY, **environment},
        input=INVENTORY,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode


def test_findings_have_a_status_of_their_own(tmp_path: Path) -> None:
    assert run(tmp_path / "new") == FINDINGS
    assert "The inventory lacks payments_" in (tmp_path / "new" / "verification.xml").read_text()


def test_inventory_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    run(tmp_path)
    inventory = tmp_path / "inventory.yml"
    assert inventory.read_text() == INVENTORY
    assert inventory.stat().st_mode & 0o777 == 0o600


def test_breakdown_is_neither_success_nor_finding_and_leaves_no_old_report(tmp_path: Path) -> None:
    report = tmp_path / "verification.xml"
    report.write_text("<testsuites/>")
    # pytest refuses options that it does not know before it looks at a check.
    assert run(tmp_path, PYTEST_ADDOPTS="--no-such-option") not in (0, FINDINGS)
    assert not report.exists()
