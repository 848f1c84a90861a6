# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import manifest, package
from ansible_collections.payments.cfn.plugins.module_utils.code import deterministic_zip
from ansible_collections.payments.cfn.plugins.module_utils.errors import (
    CfnError,
    FindingsError,
    ManifestError,
    PackageError,
)
from ansible_collections.payments.cfn.plugins.module_utils.package import Destination, Package
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

from .conftest import Write

HERE = Destination("bucket-a", "eu-west-1", "some/where")
LITERALS = ("Stage",)


def build(root: Path, stage: str = "dev", target: Destination = HERE) -> Package:
    return package.build(load_tree(root), {"Stage": stage, "Cidr": "ignored"}, LITERALS, target)


def bodies(packaged: Package) -> dict[str, Any]:
    """The packaged templates by source."""
    return {
        artifact.source: json.loads(packaged.contents[artifact.key])
        for artifact in packaged.release.templates
    }


def sentences(root: Path, literals: tuple[str, ...] = LITERALS, **parameters: Any) -> list[str]:
    with pytest.raises(CfnError) as caught:
        package.build(load_tree(root), {"Stage": "dev"} | parameters, literals, HERE)
    return list(caught.value.findings)


def test_everything_is_named_by_its_digest(root: Path) -> None:
    packaged = build(root)
    release = packaged.release
    assert [(artifact.kind, artifact.source) for artifact in release.artifacts] == [
        ("code", "functions/closer"),
        ("template", "network.yml"),
        ("template", "data/data.yml"),
        ("template", "root.yml"),
    ]
    for artifact in release.artifacts:
        content = packaged.contents[artifact.key]
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
        assert len(content) == artifact.size
        suffix = ".zip" if artifact.kind == "code" else ".template.json"
        assert artifact.path == artifact.sha256 + suffix
        assert artifact.key == f"some/where/{artifact.path}"
        assert artifact.url == f"https://s3.eu-west-1.amazonaws.com/bucket-a/{artifact.key}"
    assert release.template_url == release.root.url


def test_nested_templates_and_code_point_to_the_bucket(root: Path) -> None:
    packaged = build(root)
    by_source = {artifact.source: artifact for artifact in packaged.release.artifacts}
    found = bodies(packaged)
    for name, source in (("Network", "network.yml"), ("Data", "data/data.yml")):
        properties = found["root.yml"]["Resources"][name]["Properties"]
        assert properties["TemplateURL"] == by_source[source].url
    assert found["network.yml"]["Resources"]["Closer"]["Properties"]["Code"] == {
        "S3Bucket": "bucket-a",
        "S3Key": by_source["functions/closer"].key,
    }


@pytest.mark.parametrize(("stage", "policy"), [("dev", "Delete"), ("prod", "Retain")])
def test_policies_become_literals_and_the_stage_is_pinned(
    root: Path, stage: str, policy: str
) -> None:
    found = bodies(build(root, stage))
    table = found["data/data.yml"]["Resources"]["Table"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == (policy, policy)
    assert all("Transform" not in body for body in found.values())
    for body in found.values():
        assert body["Parameters"]["Stage"]["AllowedValues"] == [stage]
        # a Default that is not allowed would be refused
        assert body["Parameters"]["Stage"].get("Default", stage) == stage
    assert "Default" not in found["network.yml"]["Parameters"]["Stage"]
    assert found["root.yml"]["Parameters"]["Cidr"] == {
        "Type": "String",
        "AllowedPattern": "[0-9./]+",
        "ConstraintDescription": "must be a CIDR block, for example 10.0.0.0/16.",
    }


def test_the_release_id_depends_on_content_only(root: Path, tmp_path: Path) -> None:
    release = build(root).release
    assert release.release_id == build(root).release.release_id
    assert len(release.release_id) == 16
    int(release.release_id, 16)
    elsewhere = shutil.copytree(root.parent, tmp_path.parent / f"{tmp_path.name}-copy")
    copied = build(elsewhere / "root.yml", target=Destination("bucket-b", "cn-north-1"))
    assert copied.release.release_id == release.release_id
    assert copied.release.template_url != release.template_url
    same = build(elsewhere / "root.yml")
    assert same.release == release
    assert same.contents == build(root).contents


@pytest.mark.parametrize("name", ["root.yml", "network.yml", "data/data.yml"])
def test_the_release_id_changes_with_every_template(root: Path, name: str) -> None:
    before = build(root).release.release_id
    path = root.parent / name
    path.write_text(path.read_text() + "Description: changed\n")
    assert build(root).release.release_id != before


def test_the_release_id_changes_with_code_and_pinned_values(root: Path) -> None:
    before = build(root).release.release_id
    assert build(root, "prod").release.release_id != before
    code = root.parent / "functions/closer/index.py"
    original = code.read_text()
    code.write_text(original + "# changed\n")
    assert build(root).release.release_id != before
    code.write_text(original)
    assert build(root).release.release_id == before
    code.chmod(0o755)
    assert build(root).release.release_id != before


def test_what_is_not_code_leaves_the_release_alone(root: Path, write: Write) -> None:
    before = build(root)
    write("functions/closer/__pycache__/index.cpython-313.pyc", "x")
    write("functions/closer/old.pyc", "x")
    for path in (root.parent / "functions").rglob("*.py"):
        path.chmod(0o600)
    assert build(root).release == before.release


def test_the_zip_holds_the_directory(root: Path, write: Write) -> None:
    write("functions/closer/lib/helper.py", "")
    packaged = build(root)
    (code,) = (item for item in packaged.release.artifacts if item.kind == "code")
    with zipfile.ZipFile(io.BytesIO(packaged.contents[code.key])) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["index.py", "lib/helper.py"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}


def test_a_zip_does_not_depend_on_order_or_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    files = {"a": tmp_path / "a", "b": tmp_path / "b"}
    first = deterministic_zip(files)
    (tmp_path / "a").touch()
    assert deterministic_zip(dict(reversed(files.items()))) == first


CODE = """
    Resources:
      Function:
        Type: AWS::Lambda::Function
        Properties: {{Code: {}}}
    """


@pytest.mark.parametrize(
    "code",
    [
        "{S3Bucket: b, S3Key: k}",
        "{ZipFile: 'def handler(): pass'}",
        "{ImageUri: x}",
        "!Ref Code",
        "s3://bucket/key.zip",
        "https://host/key.zip",
    ],
)
def test_what_is_remote_is_not_rewritten(write: Write, code: str) -> None:
    path = write("t.yml", CODE.format(code))
    packaged = package.build(load_tree(path), {}, (), HERE)
    assert bodies(packaged)["t.yml"] == load_tree(path).template.body
    assert len(packaged.release.artifacts) == 1


def test_remote_nested_templates_are_not_rewritten(write: Write) -> None:
    path = write(
        "t.yml",
        """
        Resources:
          A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: "https://h/t.yml"}}
          B: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: !Sub "${X}/t.yml"}}
        """,
    )
    packaged = package.build(load_tree(path), {}, (), HERE)
    assert bodies(packaged)["t.yml"] == load_tree(path).template.body


def test_a_single_file_is_zipped_and_a_zip_is_taken_as_it_is(write: Write) -> None:
    path = write("t.yml", CODE.format("src/app.py"))
    write("src/app.py", "pass\n")
    packaged = package.build(load_tree(path), {}, (), HERE)
    content = packaged.contents[packaged.release.artifacts[0].key]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["app.py"]
    ready = deterministic_zip({"ready.py": path.parent / "src/app.py"})
    (path.parent / "src/app.zip").write_bytes(ready)
    write("t.yml", CODE.format("src/app.zip"))
    packaged = package.build(load_tree(path), {}, (), HERE)
    assert packaged.contents[packaged.release.artifacts[0].key] == ready


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("{Type: AWS::Lambda::LayerVersion, Properties: {Content: f.txt}}", "S3Key"),
        ("{Type: AWS::Glue::Job, Properties: {Command: {ScriptLocation: f.txt}}}", "s3://"),
        ("{Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionS3Location: f.txt}}",
         '"Key"'),
        ("{Type: AWS::AppSync::GraphQLSchema, Properties: {DefinitionS3Location: f.txt}}", "s3://"),
        ("{Type: T, Properties: {List: [{'Fn::Transform': {Name: 'AWS::Include', "
         "Parameters: {Location: f.txt}}}]}}", "s3://"),
    ],
)  # fmt: skip
def test_other_properties_that_hold_files(write: Write, resource: str, expected: str) -> None:
    write("f.txt", "content\n")
    path = write("t.yml", f"Resources: {{R: {resource}}}\n")
    packaged = package.build(load_tree(path), {}, (), HERE)
    code = packaged.release.artifacts[0]
    written = json.dumps(bodies(packaged)["t.yml"])
    assert code.kind == "code"
    assert code.key in written
    assert expected in written
    assert "f.txt" not in written


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("absent", "Code points to {}/absent, which does not exist; create it or correct the path"),
        ("empty", "Code points to {}/empty, which holds no files"),
        ("bad.zip", "Code points to {}/bad.zip, which is not a zip"),
        ("loop", "leads back into itself"),
        ("dangling", "which does not exist"),
    ],
)
def test_code_that_cannot_be_read(write: Write, location: str, says: str) -> None:
    path = write("t.yml", CODE.format(location))
    (path.parent / "empty").mkdir()
    (path.parent / "loop").mkdir()
    (path.parent / "loop/again").symlink_to(path.parent / "loop")
    (path.parent / "dangling").mkdir()
    (path.parent / "dangling/gone.py").symlink_to(path.parent / "nothing.py")
    write("bad.zip", "x")
    (sentence,) = sentences(path, ())
    assert sentence.startswith(f"{path}, line 2: Function: ")
    assert says.format(path.parent) in sentence


def test_a_policy_that_cannot_be_resolved_names_the_literal_to_add(root: Path) -> None:
    data = root.parent / "data/data.yml"
    assert sentences(root, ()) == [
        f"{data}, line 10: {attribute} of Table depends on the parameter Stage, so it cannot be "
        "resolved when packaging; list Stage in literals."
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy")
    ]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("!Ref Later", "DeletionPolicy of Table depends on Fn::GetAtt of Other.Name, so it"),
        ("Retian", "DeletionPolicy of Table is Retian; choose one of Delete, Retain,"),
        ("Snapshot", "is Snapshot, which AWS::DynamoDB::Table cannot do"),
        ("!FindInMap [Not, Map, Here]", "depends on Not.Map.Here, which is not in Mappings"),
    ],
)
def test_policies_that_are_wrong(write: Write, policy: str, says: str) -> None:
    table = f"{{Type: AWS::DynamoDB::Table, DeletionPolicy: {policy}}}"
    write("child.yml", f"""
        Parameters: {{Later: {{Type: String}}}}
        Resources: {{Table: {table}}}
        """)  # fmt: skip
    path = write(
        "root.yml",
        """
        Resources:
          Child:
            Type: AWS::CloudFormation::Stack
            Properties: {TemplateURL: child.yml, Parameters: {Later: !GetAtt Other.Name}}
        """,
    )
    (sentence,) = sentences(path, ())
    assert says in sentence
    assert str(path.parent / "child.yml") in sentence


def test_a_policy_of_no_value_is_left_out(write: Write) -> None:
    path = write(
        "t.yml",
        """
        Parameters: {Keep: {Type: String, Default: "no"}}
        Conditions: {Keep: !Equals [!Ref Keep, "yes"]}
        Resources:
          Db:
            Type: AWS::RDS::DBCluster
            DeletionPolicy: !If [Keep, Snapshot, !Ref "AWS::NoValue"]
        """,
    )
    for keep, policy in (("no", None), ("yes", "Snapshot")):
        packaged = package.build(load_tree(path), {"Keep": keep}, ("Keep",), HERE)
        assert bodies(packaged)["t.yml"]["Resources"]["Db"].get("DeletionPolicy") == policy


@pytest.mark.parametrize(
    ("literals", "parameters", "says"),
    [
        (("Stagee",), {}, "Stagee is not a parameter of {}; remove it or correct its name "
         "(did you mean Stage?)"),
        (("Cidr",), {}, "literals: Cidr has no value; give it one in parameters"),
        (("Stage",), {"Stage": "qa"}, "parameter Stage is 'qa', which is not allowed; choose one "
         "of dev, prod"),
    ],
)  # fmt: skip
def test_wrong_literals(
    root: Path, literals: tuple[str, ...], parameters: dict[str, Any], says: str
) -> None:
    (sentence,) = sentences(root, literals, **parameters)
    assert says.format(root) in sentence


def test_a_secret_is_never_written_into_a_template(write: Write) -> None:
    path = write("t.yml", """
        Parameters: {Password: {Type: String, NoEcho: true}}
        Resources: {Topic: {Type: AWS::SNS::Topic}}
        """)  # fmt: skip
    (sentence,) = sentences(path, ("Password",), Password="S3CRET")
    assert "Password is NoEcho" in sentence
    assert "S3CRET" not in sentence


def test_the_transform_stays_where_it_is_needed(write: Write) -> None:
    path = write("t.yml", """
        Transform: [AWS::LanguageExtensions, "AWS::Serverless-2016-10-31"]
        Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {X: %s}}}
        """)  # fmt: skip
    text = path.read_text()
    path.write_text(text % "!FindInMap [A, !Ref B, C]")
    packaged = package.build(load_tree(path), {}, (), HERE)
    assert bodies(packaged)["t.yml"]["Transform"] == ["AWS::Serverless-2016-10-31"]
    assert packaged.warnings == ()
    for value in ("!ToJsonString {a: b}", "!FindInMap [A, !Join [x, [B]], C]"):
        path.write_text(text % value)
        packaged = package.build(load_tree(path), {}, (), HERE)
        assert "AWS::LanguageExtensions" in bodies(packaged)["t.yml"]["Transform"]
        assert len(packaged.warnings) == 1


def test_loops_over_what_must_be_rewritten_are_refused(write: Write) -> None:
    text = """
        Transform: AWS::LanguageExtensions
        Resources:
          "Fn::ForEach::Topics": [Name, [A, B], {{"Topic${{Name}}": {}}}]
          Other: {{Type: AWS::SNS::Topic}}
        """
    path = write("t.yml", text.format("{Type: AWS::SNS::Topic}"))
    assert len(package.build(load_tree(path), {}, (), HERE).warnings) == 1
    for resource in (
        "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: a.yml}}",
        "{Type: AWS::Lambda::Function, Properties: {Code: src}}",
        "{Type: AWS::SNS::Topic, DeletionPolicy: !Ref Name}",
    ):
        path = write("t.yml", text.format(resource))
        (sentence,) = sentences(path, ())
        assert "line 3: Fn::ForEach::Topics makes" in sentence


def test_one_template_pinned_twice_becomes_two(write: Write) -> None:
    write("child.yml", """
        Parameters: {Stage: {Type: String}}
        Resources: {Topic: {Type: AWS::SNS::Topic, DeletionPolicy: !Ref Stage}}
        """)  # fmt: skip
    stack = "{{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: child.yml, {}}}}}"
    one, two = (stack.format(f"Parameters: {{Stage: {value}}}") for value in ("Retain", "Delete"))
    path = write("root.yml", f"Resources: {{A: {one}, B: {two}, C: {one}}}\n")
    packaged = package.build(load_tree(path), {}, (), HERE)
    sources = [artifact.source for artifact in packaged.release.artifacts]
    assert sources == ["child.yml", "child.yml", "root.yml"]


def test_everything_wrong_is_said_at_once(root: Path) -> None:
    shutil.rmtree(root.parent / "functions")
    with pytest.raises(FindingsError) as caught:
        package.build(load_tree(root), {"Stage": "dev"}, (), HERE)
    assert len(caught.value.findings) == 3


def test_check_says_what_build_would_and_no_wrong_values_twice(root: Path) -> None:
    tree = load_tree(root)
    assert package.check(tree, {"Stage": "dev"}, LITERALS) == ()
    assert package.check(tree, {"Stage": "qa"}, LITERALS) == ()
    shutil.rmtree(root.parent / "functions")
    for stage in ("dev", "qa"):
        (error,) = package.check(tree, {"Stage": stage}, LITERALS)
        assert "functions/closer, which does not exist" in str(error)


def test_packaging_leaves_the_tree_as_it_was(root: Path) -> None:
    tree = load_tree(root)
    before = json.dumps([template.body for template in tree.templates()])
    package.build(tree, {"Stage": "prod"}, LITERALS, HERE)
    assert json.dumps([template.body for template in tree.templates()]) == before


@pytest.mark.parametrize(
    ("bucket", "prefix", "says"),
    [
        ("", "", "bucket '' is not the name of a bucket"),
        ("Upper", "", "bucket 'Upper' is not"),
        ("bucket", "a b", "prefix 'a b' has characters"),
    ],
)
def test_destinations_that_make_no_url(bucket: str, prefix: str, says: str) -> None:
    with pytest.raises(PackageError, match=says):
        package.destination(bucket, "eu-west-1", prefix, "amazonaws.com")


def test_a_prefix_is_put_in_order() -> None:
    target = package.destination("bucket", "cn-north-1", "/a//b/", "amazonaws.com.cn")
    assert target.key("x") == "a/b/x"
    assert target.url("a/b/x") == "https://s3.cn-north-1.amazonaws.com.cn/bucket/a/b/x"
    assert package.destination("bucket", "eu-west-1", "", "amazonaws.com").key("x") == "x"


def test_a_release_is_saved_and_read_back(root: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    packaged = build(root)
    path = package.save(packaged, directory)
    assert manifest.read(path) == packaged.release
    for artifact in packaged.release.artifacts:
        assert (directory / artifact.path).read_bytes() == packaged.contents[artifact.key]
    (directory / "plan.json").write_text("{}")
    newer = build(root, "prod")
    package.save(newer, directory)
    names = {artifact.path for artifact in newer.release.artifacts}
    assert {entry.name for entry in directory.iterdir()} == names | {"release.json", "plan.json"}


def test_a_saved_release_is_a_tree_again(root: Path, tmp_path: Path) -> None:
    release = build(root).release
    path = package.save(build(root), tmp_path / "out")
    located = release.template_paths(path.parent)
    tree = load_tree(path.parent / release.root.path, located)
    assert [found for found, _ in tree.walk()] == [(), ("Network",), ("Data",)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("{", "is not valid JSON"),
        ("[]", "is malformed"),
        ('{"artifacts": [{}]}', "is malformed"),
        ('{"release_id": "", "bucket": "", "prefix": "", "region": "", "template_url": "", '
         '"literals": {}, "artifacts": []}', "does not end with the root template"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_broken(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "release.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ManifestError, match=says) as caught:
        manifest.read(path)
    assert str(path) in str(caught.value)
