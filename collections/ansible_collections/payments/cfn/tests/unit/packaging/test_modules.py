# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules, run by Ansible against a real local cloud."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import manifest

from .conftest import REGION, RunModule, RunPlaybook, Write

VALUES = {"Stage": "dev", "Cidr": "10.0.0.0/16"}


def keys(s3: Any, bucket: str) -> set[str]:
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


@pytest.fixture
def options(root: Path, bucket: str, tmp_path: Path) -> dict[str, Any]:
    return {
        "template": str(root),
        "parameters": VALUES,
        "literals": ["Stage"],
        "bucket": bucket,
        "prefix": "pre/fix",
        "output_dir": str(tmp_path / "out"),
    }


def test_package_in_four_steps(
    run_module: RunModule, options: dict[str, Any], s3: Any, bucket: str
) -> None:
    foreseen = run_module("package", options, check=True)
    assert foreseen["changed"]
    assert len(foreseen["missing"]) == 4
    assert foreseen["uploaded"] == []
    assert keys(s3, bucket) == set()
    # a plan can be computed from what check mode leaves on disk
    assert manifest.read(foreseen["manifest"]).release_id == foreseen["release_id"]

    done = run_module("package", options)
    assert done["changed"]
    assert set(done["uploaded"]) == set(foreseen["missing"]) == keys(s3, bucket)
    assert done["release_id"] == foreseen["release_id"]
    assert done["artifacts"] == foreseen["artifacts"]
    assert "WARNING" not in done["shown"]

    for check in (True, False):
        again = run_module("package", options, check=check)
        assert not again["changed"]
        assert again["missing"] == again["uploaded"] == []
        assert again["template_url"] == done["template_url"]


def test_a_missing_bucket(run_module: RunModule, options: dict[str, Any]) -> None:
    absent = options | {"bucket": "there-is-no-such-bucket"}
    failed = run_module("package", absent)
    assert failed["failed"]
    sentence = (
        "bucket there-is-no-such-bucket does not exist; create it or correct the option bucket."
    )
    assert failed["msg"] == sentence
    assert not Path(options["output_dir"]).exists()
    # in check mode the task before, which creates the bucket, has not done so
    foreseen = run_module("package", absent, check=True)
    assert not foreseen["failed"]
    assert len(foreseen["missing"]) == 4
    assert sentence in " ".join(foreseen["shown"].split())


def test_output_that_cannot_be_written(
    run_module: RunModule, options: dict[str, Any], s3: Any, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    failed = run_module("package", options | {"output_dir": str(tmp_path / "file" / "out")})
    assert failed["failed"]
    assert "cannot be written (Not a directory); make " in failed["msg"]
    assert "or choose another with the option output_dir." in failed["msg"]
    assert "\n" not in failed["msg"]
    assert keys(s3, bucket) == set()


def test_package_reports_everything_at_once(
    run_module: RunModule, options: dict[str, Any], root: Path
) -> None:
    shutil.rmtree(root.parent / "functions")
    failed = run_module("package", options | {"literals": []})
    assert failed["failed"]
    assert len(failed["findings"]) == 3
    assert failed["msg"].split("\n") == failed["findings"]
    assert "list Stage in literals" in failed["msg"]


def test_validate_accepts_what_is_right(
    run_module: RunModule, root: Path, cloud: dict[str, str]
) -> None:
    for check in (True, False):
        done = run_module(
            "validate",
            {"template": str(root), "parameters": VALUES, "literals": ["Stage"]},
            check=check,
        )
        assert not done["failed"], done["msg"]
        assert not done["changed"]
        assert done["account_id"] == cloud["AWS_ACCESS_KEY_ID"]
        assert done["arn"].startswith("arn:aws:")
        assert (done["region"], done["partition"]) == (REGION, "aws")
        assert [Path(name).name for name in done["templates"]] == [
            "network.yml",
            "data.yml",
            "root.yml",
        ]


def test_validate_finds_everything_at_once(run_module: RunModule, root: Path, write: Write) -> None:
    write("data/data.yml", "Resources:\n  A: [\n")
    failed = run_module(
        "validate",
        {
            "template": str(root),
            "parameters": {"Stage": "qa", "Cidr": "ten"},
            "literals": ["Stage"],
            "region": "eu-wst-1",
        },
    )
    assert failed["failed"]
    syntax, stage, cidr, region = failed["findings"]
    assert failed["msg"].split("\n") == failed["findings"]
    assert syntax.startswith(f"{root.parent}/data/data.yml, line 3, column 1: not valid YAML")
    assert stage == "parameter Stage is 'qa', which is not allowed; choose one of dev, prod."
    assert cidr == (
        "parameter Cidr is 'ten', which does not match [0-9./]+: must be a CIDR block, for example "
        "10.0.0.0/16."
    )
    assert region == (
        "region eu-wst-1 is not a region of CloudFormation (did you mean eu-west-1?); correct it, "
        "or update botocore if the region is new."
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": None}, "there are no complete AWS credentials; set AWS_ACCESS_KEY"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "there are no complete AWS credentials; set AWS_ACCESS_KEY",
        ),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_PROFILE": "nobody"},
            "profile nobody is not in the AWS configuration (there: none); correct the option",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "the AWS endpoint http://127.0.0.1:1 cannot be reached (connection refused or unknown",
        ),
    ],
)
def test_validate_says_how_to_reach_aws(
    run_module: RunModule,
    root: Path,
    cloud: dict[str, str],
    changes: dict[str, str | None],
    says: str,
) -> None:
    environment = {**cloud, "HOME": str(root.parent), **changes}
    failed = run_module(
        "validate",
        {"template": str(root), "parameters": VALUES, "literals": ["Stage"]},
        environment={name: value for name, value in environment.items() if value is not None},
    )
    assert failed["failed"]
    (sentence,) = failed["findings"]
    assert sentence.startswith(says)


def test_no_secret_is_shown(run_module: RunModule, write: Write) -> None:
    write("child.yml", """
        Parameters: {Word: {Type: String, MaxLength: 3}}
        Resources: {Topic: {Type: AWS::SNS::Topic}}
        """)  # fmt: skip
    root = write("root.yml", """
        Parameters: {Password: {Type: String, NoEcho: true, AllowedPattern: "[a-z]+"}}
        Resources:
          Child:
            Type: AWS::CloudFormation::Stack
            Properties: {TemplateURL: child.yml, Parameters: {Word: !Ref Password}}
        """)  # fmt: skip
    failed = run_module(
        "validate", {"template": str(root), "parameters": {"Password": "Very-S3CRET"}}
    )
    assert len(failed["findings"]) == 2
    # the arguments of an ad-hoc command are shown by Ansible itself, before the module runs
    shown = "\n".join(line for line in failed["shown"].splitlines() if "'args':" not in line)
    assert "S3CRET" not in shown


def test_module_defaults_reach_both_collections(
    root: Path, cloud: dict[str, str], bucket: str, run_playbook: RunPlaybook
) -> None:
    endpoint = cloud["AWS_ENDPOINT_URL"]
    without = {name: value for name, value in cloud.items() if not name.startswith("AWS_")}
    shown = run_playbook(
        [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "module_defaults": {
                    "group/payments.cfn.aws": {
                        "region": REGION,
                        "endpoint_url": endpoint,
                        "access_key": cloud["AWS_ACCESS_KEY_ID"],
                        "secret_key": cloud["AWS_SECRET_ACCESS_KEY"],
                    }
                },
                "tasks": [
                    {"amazon.aws.s3_bucket_info": {"name": bucket}, "register": "theirs"},
                    {
                        "payments.cfn.validate": {
                            "template": str(root),
                            "parameters": VALUES,
                            "literals": ["Stage"],
                        },
                        "register": "ours",
                    },
                    {
                        "ansible.builtin.assert": {
                            "that": [
                                f"theirs.buckets[0].name == '{bucket}'",
                                f"ours.region == '{REGION}'",
                            ]
                        }
                    },
                ],
            }
        ],
        without,
    )
    assert "All assertions passed" in shown
