# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``{{resolve:…}}`` stays as it is until AWS resolves it, and no secret is ever shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import render
from ansible_collections.payments.cfn.plugins.module_utils.engine import Outcome
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import (
    planned,
    root_scope,
    tree_scopes,
)
from ansible_collections.payments.cfn.plugins.module_utils.validation import check_files

SECRET = "a-password-that-nobody-may-see"
BY_SECRET = "{{resolve:secretsmanager:team/login:SecretString:password}}"
ROOT = """
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: child.yml
      Parameters: {Stage: !Ref Stage}
"""
CHILD = """
Parameters:
  Stage: {Type: String, AllowedPattern: '[a-z]+'}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Sub '{{resolve:ssm:/team/${Stage}/label}}'}
  Optional:
    Type: AWS::SNS::Topic
    Condition: IsProd
  Copy:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Name: /copies/password
      Value: 'user:{{resolve:secretsmanager:team/login:SecretString:password}}'
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree of templates that read a parameter and a secret."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "root.yml").write_text(ROOT, encoding="utf-8")
    (directory / "child.yml").write_text(CHILD, encoding="utf-8")
    return directory


@pytest.fixture
def values(deployer: Any) -> None:
    """What the templates read."""
    clients = deployer.clients
    clients.client("ssm").put_parameter(Name="/team/dev/label", Value="plain", Type="String")
    clients.client("secretsmanager").create_secret(
        Name="team/login", SecretString=json.dumps({"password": SECRET})
    )


def shown(deployer: Any, outcome: Outcome) -> str:
    """Everything that an operation tells, as text and as data."""
    assert outcome.plan is not None
    text = render.to_text(render.plan_lines(outcome.plan))
    text += json.dumps(outcome.plan.to_dict()) + repr(outcome)
    return text + json.dumps([event.to_dict() for event in deployer.witness.events])


def test_templates_pass_through_untouched(deployer: Any, source: Path) -> None:
    packaged = deployer.package(source)
    (child,) = [item for item in packaged.release.artifacts if item.source == "child.yml"]
    text = (packaged.directory / child.path).read_text(encoding="utf-8")
    assert '{"Fn::Sub": "{{resolve:ssm:/team/${Stage}/label}}"}' in text
    assert f'"user:{BY_SECRET}"' in text


def foresee(source: Path, passed: str) -> tuple[list[str], dict[str, bool]]:
    """What preflight finds, and which of the child's resources are certain to be made."""
    root = source / "root.yml"
    root.write_text(ROOT.replace("!Ref Stage", passed), encoding="utf-8")
    tree, errors = check_files(root, {}, [])
    assert tree is not None
    _, scope = tree_scopes(tree, root_scope(tree.template, {}))["Child",]
    return [str(error) for error in errors], {
        item.logical_id: item.certain for item in planned(scope)
    }


@pytest.mark.parametrize("passed", ["!Sub '{{resolve:ssm:/${Stage}}}'", f"'{BY_SECRET}'"])
def test_value_that_only_aws_knows_is_not_checked_and_settles_no_condition(
    source: Path, passed: str
) -> None:
    resources = {"Topic": True, "Copy": True}
    assert foresee(source, "dev") == ([], resources)
    assert foresee(source, passed) == ([], resources | {"Optional": False})
    ((sentence,), _) = foresee(source, "Team-1")
    assert "a parameter Stage that is 'Team-1', which does not match [a-z]+" in sentence


@pytest.mark.usefixtures("values")
def test_plan_and_deployment_show_no_secret(deployer: Any, source: Path) -> None:
    packaged = deployer.package(source)
    foreseen = deployer.deploy(packaged, dry_run=True)
    assert SECRET not in shown(deployer, foreseen)

    done = deployer.deploy(packaged)
    assert SECRET not in shown(deployer, done)
    copy = deployer.clients.client("ssm").get_parameter(Name="/copies/password")["Parameter"]
    assert copy["Value"] == f"user:{SECRET}"
    assert not deployer.deploy(packaged).changed

    (source / "child.yml").write_text(CHILD.replace("'user:", "'name:"), encoding="utf-8")
    update = deployer.deploy(deployer.package(source, upload_it=False), dry_run=True)
    ((_, change),) = update.plan.changes()
    assert change.logical_id == "Copy"
    assert SECRET not in shown(deployer, update)

    assert SECRET not in shown(deployer, deployer.delete())
