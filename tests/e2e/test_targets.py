"""Several targets in one run: two environments that share an account and a region."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import ROOT, Target

REGION = "eu-west-1"
ENVIRONMENTS = ("dev", "staging")


@pytest.fixture
def target(cloud: dict[str, str], tmp_path: Path) -> Target:
    """An inventory of our own, with the variables of the shipped ones as those of two groups."""
    inventory = tmp_path / "inventory"
    groups = {}
    for name in ENVIRONMENTS:
        groups[name] = {"hosts": {f"{name}-{REGION}": {"payments_region": REGION}}}
        shutil.copytree(
            ROOT / "inventories" / name / "group_vars" / "all", inventory / "group_vars" / name
        )
    hosts = {
        "all": {
            "children": {"payments": {"children": groups}, "local_cloud": {}},
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            },
        }
    }
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    environment = {**cloud, "AWS_ACCESS_KEY_ID": "370000000001"}
    return Target(environment, str(inventory), REGION, tmp_path)


def test_environments_share_a_bucket_and_leave_each_other_alone(target: Target) -> None:
    folder = {"payments_artifacts_dir": str(target.artifacts / "{{ inventory_hostname }}")}
    first = target.play("deploy.yml", **folder).succeeded()
    assert len(first.recaps) == len(ENVIRONMENTS)
    for name in ENVIRONMENTS:
        assert f"[{name}-{REGION}] " in first.output, "events say whose they are"
    assert len([b for b in target.holdings()["buckets"] if "-artifacts-" in b]) == 1
    again = target.play("deploy.yml", **folder).succeeded()
    assert [counts["changed"] for counts in again.recaps] == [0, 0], again.output
