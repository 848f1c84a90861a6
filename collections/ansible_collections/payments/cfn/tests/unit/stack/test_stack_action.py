# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action as a playbook sees it: options, what is shown, and the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.payments.cfn.plugins.action.stack import ActionModule
from ansible_collections.payments.cfn.plugins.module_utils import manifest
from ansible_collections.payments.cfn.plugins.modules import stack as documented

SUMMARY = "Plan: 10 to add, 0 to change, 0 to replace, 0 to remove"
COLLECTIONS = Path(__file__).resolve().parents[6]


@dataclass(frozen=True)
class Run:
    """What a run showed, and the task's result."""

    shown: str
    result: Mapping[str, Any]


RunStack = Callable[..., Run]


@pytest.fixture
def run_stack(tmp_path: Path, account: Mapping[str, str]) -> RunStack:
    """Run the action in a playbook, with the way to the cloud in the task's environment only."""

    def run(
        options: Mapping[str, Any],
        *flags: str,
        hosts: Sequence[str] = ("target",),
        task: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        saved = tmp_path / "result.json"
        save = {"content": "{{ result | to_json }}", "dest": str(saved)}
        play = {
            "hosts": "all",
            "gather_facts": False,
            "module_defaults": {"group/payments.cfn.aws": {"region": "eu-west-1"}},
            "environment": dict(account),
            "tasks": [
                {
                    "block": [
                        {"payments.cfn.stack": dict(options), "register": "result", **(task or {})}
                    ],
                    "always": [
                        {
                            "ansible.builtin.copy": save,
                            "check_mode": False,
                            "diff": False,
                            "delegate_to": "localhost",
                            "run_once": True,
                        }
                    ],
                }
            ],
        }
        (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
        # Nothing can be reached at these hosts, and nothing needs to be.
        inventory = {host: {"ansible_host": "192.0.2.1"} for host in hosts}
        (tmp_path / "hosts.yml").write_text(
            json.dumps({"all": {"hosts": inventory}}), encoding="utf-8"
        )
        (tmp_path / "ansible.cfg").touch()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "play.yml", *flags],
            cwd=tmp_path,
            env=clean
            | {
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
            }
            | dict(environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert saved.is_file(), done.stdout + done.stderr
        return Run(done.stdout + done.stderr, json.loads(saved.read_text(encoding="utf-8")))

    return run


@pytest.fixture
def options(deployer: Any, tmp_path: Path) -> dict[str, Any]:
    """The options that deploy the tree."""
    packaged = deployer.package()
    return {
        "name": "tree",
        "manifest": str(packaged.directory / manifest.FILE_NAME),
        "output_dir": str(tmp_path / "out"),
    }


def test_plan_is_shown_once_and_nothing_changes(
    run_stack: RunStack, options: dict[str, Any], deployer: Any, tmp_path: Path
) -> None:
    before = deployer.world()
    for flags in ([], ["--diff"]):
        checked = run_stack(options, "--check", *flags)
        assert checked.shown.count(SUMMARY) == 1, checked.shown
        assert checked.result["changed"]
        assert checked.result["status"] == "ABSENT"
        assert SUMMARY in checked.result["diff"]["prepared"]
    planned = run_stack(options | {"plan_only": True})
    assert planned.shown.count(SUMMARY) == 1
    assert planned.result["plan"] == checked.result["plan"]
    saved = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))
    assert saved == planned.result["plan"]
    assert deployer.world() == before


def test_deployment_streams_and_returns_and_can_be_repeated(
    run_stack: RunStack, options: dict[str, Any], tmp_path: Path
) -> None:
    first = run_stack(options, "--diff")
    assert first.shown.count(SUMMARY) == 1, first.shown
    assert "Service/Store/Table  AWS::DynamoDB::Table  CREATE_COMPLETE" in first.shown
    assert "[10/10]  the stack  AWS::CloudFormation::Stack  CREATE_COMPLETE" in first.shown
    assert first.shown.index(SUMMARY) < first.shown.index("CREATE_COMPLETE")
    assert "\x1b[" not in first.shown
    result = first.result
    assert result["changed"]
    assert result["status"] == "CREATE_COMPLETE"
    assert result["stack_id"].startswith("arn:aws:cloudformation:eu-west-1:")
    assert set(result["outputs"]) == {"Queue", "Topic"}
    out = tmp_path / "out"
    assert json.loads((out / "outputs.json").read_text(encoding="utf-8")) == result["outputs"]
    events = json.loads((out / "events.json").read_text(encoding="utf-8"))
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    assert events[-1]["status"] == "CREATE_COMPLETE"

    second = run_stack(options)
    assert not second.result["changed"]
    assert "tree: nothing to change" in second.shown
    assert second.result["outputs"] == result["outputs"]

    deleted = run_stack({"name": "tree", "state": "absent"})
    assert deleted.result["changed"]
    assert "  retained: Service/Store/Bucket  AWS::S3::Bucket  " in deleted.shown
    assert [item["path"] for item in deleted.result["kept"]] == [
        "Service/Store/Bucket",
        "Service/Store/Cluster",
    ]
    assert not run_stack({"name": "tree", "state": "absent"}).result["changed"]


def test_failure_is_one_sentence_and_is_shown_at_once(
    run_stack: RunStack, options: dict[str, Any], tmp_path: Path
) -> None:
    run = run_stack(options | {"parameters": {"Broken": True, "Patience": 1}})
    assert run.result["failed"]
    assert "Broken" in run.result["msg"]
    run = run_stack(options | {"parameters": {"Broken": "yes"}})
    assert run.result["failed"]
    assert "\n" not in run.result["msg"]
    assert "because Service/Obstacle (AWS::CloudFormation::WaitCondition)" in run.result["msg"]
    assert run.result["status"] == "ROLLBACK_COMPLETE"
    assert run.result["cause"]["path"] == "Service/Obstacle"
    assert "Service/Obstacle  AWS::CloudFormation::WaitCondition  CREATE_FAILED  " in run.shown
    events = json.loads((tmp_path / "out" / "events.json").read_text(encoding="utf-8"))
    assert events[-1]["status"] == "ROLLBACK_COMPLETE"


def test_nothing_is_shown_with_no_log(run_stack: RunStack, options: dict[str, Any]) -> None:
    run = run_stack(options | {"parameters": {"Message": "not for the log"}}, "--check", "--diff",
                    task={"no_log": True})  # fmt: skip
    assert "Plan:" not in run.shown
    assert "not for the log" not in run.shown


def test_colours_are_there_where_they_are_wanted(
    run_stack: RunStack, options: dict[str, Any]
) -> None:
    forced = {"ANSIBLE_FORCE_COLOR": "1", "ANSIBLE_NOCOLOR": "0"}
    run = run_stack(options, "--check", environment=forced)
    assert "\x1b[0;32m    + Topic  AWS::SNS::Topic\x1b[0m" in run.shown


def test_targets_are_told_apart(run_stack: RunStack, options: dict[str, Any]) -> None:
    each = options | {"name": "tree-{{ inventory_hostname }}", "output_dir": ""}
    del each["output_dir"]
    run = run_stack(each, "--check", hosts=("one", "two"))
    assert f"[one] {SUMMARY}" in run.shown
    assert f"[two] {SUMMARY}" in run.shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "tree"}, "any of the following are missing: manifest, template, template_url"),
        ({"name": "tree", "manifest": "/nowhere/release.json"}, "/nowhere/release.json"),
        (
            {"name": "tree", "manifest": "a", "template_url": "b"},
            "mutually exclusive: manifest|template|template_url",
        ),
        ({"name": "tree", "state": "absent", "nmae": "x"}, "nmae"),
        (
            {"name": "tree", "template_url": "https://s3/b/k", "parameters": {"A": {"b": 1}}},
            "parameter A is a mapping",
        ),
        (
            {"name": "tree", "template_url": "https://s3/b/k", "plan_only": True},
            "give the option manifest",
        ),
        (
            {"name": "tree", "template_url": "https://s3.eu-west-1.amazonaws.com/none/such.json"},
            "tree: AWS answers ",
        ),
        (
            {"name": "tree", "state": "absent", "profile": "p", "access_key": "a",
             "secret_key": "0123456789"},
            "exclude each other",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_answered_in_one_sentence(
    run_stack: RunStack, given: dict[str, Any], message: str
) -> None:
    run = run_stack(given)
    assert run.result["failed"]
    assert message in run.result["msg"]
    assert "\n" not in run.result["msg"]
    assert "Traceback" not in run.shown


@pytest.mark.parametrize("state", ["present", "absent"])
def test_output_that_cannot_be_written_stops_before_anything_changes(
    run_stack: RunStack, options: dict[str, Any], deployer: Any, tmp_path: Path, state: str
) -> None:
    if state == "absent":
        run_stack(options)
    (tmp_path / "file").touch()
    before = deployer.world()
    run = run_stack(options | {"state": state, "output_dir": str(tmp_path / "file" / "out")})
    assert run.result["failed"]
    assert not run.result["changed"]
    assert run.result["msg"] == (
        f"{tmp_path}/file/out/plan.json cannot be written (Not a directory); make "
        f"{tmp_path}/file/out a directory that this user can write to, or choose another with the "
        "option output_dir."
    )
    assert "WARNING" not in run.shown
    assert deployer.world() == before


def test_failure_is_told_although_its_events_cannot_be_written(
    run_stack: RunStack, options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "out" / "events.json").mkdir(parents=True)
    run = run_stack(options | {"parameters": {"Broken": "yes"}})
    assert "because Service/Obstacle" in run.result["msg"]
    assert run.result["changed"]
    shown = " ".join(run.shown.split())
    assert "events.json cannot be written (Is a directory)" in shown


@pytest.mark.parametrize("state", ["present", "absent"])
def test_unknown_profile_is_answered_in_one_sentence(
    run_stack: RunStack, options: dict[str, Any], tmp_path: Path, state: str
) -> None:
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    nobody = {**dict.fromkeys(keys, ""), "AWS_PROFILE": "nobody", "HOME": str(tmp_path)}
    run = run_stack(options | {"state": state}, task={"environment": nobody})
    assert run.result["failed"]
    assert run.result["msg"].startswith("profile nobody is not in the AWS configuration (there: ")
    assert "\n" not in run.result["msg"]
    assert "Traceback" not in run.shown


def test_documentation_and_options_agree() -> None:
    described = yaml.safe_load(documented.DOCUMENTATION)["options"]
    accepted = ActionModule.argument_spec()
    own = {name: spec for name, spec in accepted.items() if name in described}
    assert set(described) == set(own)
    for name, spec in own.items():
        words = described[name]
        for key in ("type", "required", "default", "choices", "elements", "aliases"):
            assert words.get(key) == spec.get(key), (name, key)
    # everything else comes with the documentation fragments of amazon.aws
    assert {"region", "profile", "endpoint_url", "access_key", "secret_key"} <= set(accepted)


def test_ansible_doc_shows_the_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "doc", "--json", "payments.cfn.stack"],
        cwd=tmp_path,
        env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(done.stdout)["payments.cfn.stack"]
    assert set(ActionModule.argument_spec()) <= set(shown["doc"]["options"])
    assert shown["doc"]["has_action"]
    assert shown["examples"]
    assert "plan" in shown["return"]


TOPIC = """\
Parameters:
  Label: {Type: String}
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Label}}
"""


def test_single_template_goes_with_the_request(
    run_stack: RunStack, deployer: Any, tmp_path: Path
) -> None:
    template = tmp_path / "topic.yml"
    template.write_text(TOPIC, encoding="utf-8")
    # A relative path begins where the playbook is.
    given = {"name": "tree", "template": "topic.yml", "parameters": {"Label": "one"}}
    before = deployer.world()
    assert "Plan: 1 to add" in run_stack(given, "--check").shown
    assert deployer.world() == before
    assert run_stack(given).result["status"] == "CREATE_COMPLETE"
    assert not run_stack(given).result["changed"]
    changed = run_stack({**given, "parameters": {"Label": "two"}})
    assert "1 to change" in changed.shown
    assert changed.result["status"] == "UPDATE_COMPLETE"


NESTING = """\
Resources:
  Child: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: topic.yml}}
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NESTING, "root.yml names other files; package it with payments.cfn.package"),
        (TOPIC + "#" * 51_200, "root.yml has more than 51200 bytes"),
    ],
    ids=["nesting", "too large"],
)
def test_template_that_needs_packaging_is_refused(
    run_stack: RunStack, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "topic.yml").write_text(TOPIC, encoding="utf-8")
    (tmp_path / "root.yml").write_text(text, encoding="utf-8")
    refused = run_stack({"name": "tree", "template": "root.yml"}).result
    assert refused["failed"]
    assert words in refused["msg"]
