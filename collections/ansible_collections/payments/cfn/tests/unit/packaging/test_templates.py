# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import templates
from ansible_collections.payments.cfn.plugins.module_utils.errors import (
    FindingsError,
    TemplateError,
)

from .conftest import ReadTemplate, Write

NESTED = """
    Resources:
      Inner:
        Type: AWS::CloudFormation::Stack
        Properties: {{TemplateURL: {}}}
    """
TOPIC = "Resources: {Topic: {Type: AWS::SNS::Topic}}\n"


def test_every_short_form_is_written_out(template: ReadTemplate) -> None:
    read = template("""
        Conditions:
          Both: !And [!Condition A, !Not [!Equals [!Ref X, 1]]]
        Resources:
          Topic:
            Type: AWS::SNS::Topic
            Properties:
              A: !GetAtt Nested.Outputs.Id
              B: !GetAtt [Nested, Arn]
              C: !Sub ["${a}", {a: !Ref X}]
              D: !GetAZs ""
        """)
    assert read.body["Conditions"]["Both"] == {
        "Fn::And": [{"Condition": "A"}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "X"}, 1]}]}]
    }
    assert read.resources["Topic"]["Properties"] == {
        "A": {"Fn::GetAtt": ["Nested", "Outputs.Id"]},
        "B": {"Fn::GetAtt": ["Nested", "Arn"]},
        "C": {"Fn::Sub": ["${a}", {"a": {"Ref": "X"}}]},
        "D": {"Fn::GetAZs": ""},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2010-09-09", "2010-09-09"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("22:22", "22:22"),
        ("1.10", "1.10"),
        ("1_000", "1_000"),
        ("16.8", 16.8),
        ("-5", -5),
        ("true", True),
        ("'80'", "80"),
    ],
)
def test_scalars_are_not_changed_by_reading_them(
    template: ReadTemplate, text: str, value: object
) -> None:
    read = template(f"Metadata:\n  Value: {text}\n")
    assert read.body["Metadata"]["Value"] == value
    assert type(read.body["Metadata"]["Value"]) is type(value)


def test_keys_stay_text(template: ReadTemplate) -> None:
    read = template("Mappings: {Ports: {80: {yes: 1, 012345: 2}}}")
    assert read.body["Mappings"] == {"Ports": {"80": {"yes": 1, "012345": 2}}}


def test_merge_keys_and_anchors(template: ReadTemplate) -> None:
    read = template("""
        Mappings:
          A: {x: &base {Size: 1, Name: a}}
          B: {x: {<<: *base, Name: b}}
          C: {x: {Name: c, <<: [{Size: 2}, *base]}}
        """)
    assert read.body["Mappings"]["B"] == {"x": {"Size": 1, "Name": "b"}}
    assert read.body["Mappings"]["C"] == {"x": {"Size": 2, "Name": "c"}}


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("Resources:\n  A:\n    Type: x\n   B: 1\n", 4, 4, "not valid YAML"),
        ("Resources:\n\tA: 1\n", 2, 1, "not valid YAML"),
        (
            "Resources:\n  A: {Type: x}\n  A: {Type: y}\n",
            3,
            3,
            "duplicate key A, first used in line 2",
        ),
        ("Resources:\n  A:\n    Type: !Reff x\n", 3, 11, "unknown tag !Reff"),
        ("Resources:\n  A:\n    Type:\n", 3, 5, "Type has no value"),
        ("Resources: [1, ~]\n", 1, 16, "an empty list item"),
        ("Resources:\n  {[a]: 1}\n", 2, 4, "a key must be plain text"),
        ("- 1\n", 1, None, "must be a mapping"),
    ],
)
def test_a_syntax_error_names_file_line_and_column(
    write: Write, text: str, line: int, column: int | None, says: str
) -> None:
    path = write("broken.yml", "")
    path.write_text(text)
    with pytest.raises(TemplateError) as caught:
        templates.load_template(path)
    assert (caught.value.line, caught.value.column) == (line, column)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}, line {line}")
    assert says in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("~", "is empty"),
        ("Resources: &a {A: *a}\n", "an anchor contains itself"),
        ("Resources: {<<: [1]}\n", "<< can only merge mappings"),
        ("Resources: !!binary aGk=\n", "unknown tag"),
        ("Resources: {}\n", "no Resources"),
        ("Resources: [1]\n", "Resources must be a mapping"),
        ("Resources: {A: {Properties: {}}}\n", "resource A has no Type"),
        (TOPIC + "Parameters: {P: {Default: x}}\n", "parameter P has no Type"),
        (
            "Resources: {" + ", ".join(f"T{n}: {{Type: T}}" for n in range(501)) + "}\n",
            "Resources has 501 entries, and CloudFormation takes at most 500",
        ),
        (
            TOPIC + "Parameters: {" + ", ".join(f"P{n}: {{Type: T}}" for n in range(201)) + "}\n",
            "Parameters has 201 entries, and CloudFormation takes at most 200",
        ),
        (TOPIC + "Description: " + "x" * 1_100_000, "takes at most 1,048,576"),
    ],
)
def test_what_cloudformation_would_refuse(write: Write, text: str, says: str) -> None:
    path = write("template.yml", text)
    with pytest.raises(TemplateError, match=says) as caught:
        templates.load_template(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_bad_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        TemplateError, match=rf"^gone\.yml: .* does not exist in {tmp_path}; create"
    ):
        templates.load_template("gone.yml")
    with pytest.raises(TemplateError, match=r"absent\.yml: the template does not exist"):
        templates.load_template(tmp_path / "absent.yml")
    with pytest.raises(TemplateError, match="cannot be read"):
        templates.load_template(tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"Description: caf\xe9\n")
    with pytest.raises(TemplateError, match="byte 16 is not UTF-8"):
        templates.load_template(tmp_path / "latin.yml")


def test_json(write: Write) -> None:
    path = write("t.json", '{"Resources": {"A": {\n\t"Type": "T", "V": 1.10, "W": 2.5}}}')
    assert templates.load_template(path).resources == {"A": {"Type": "T", "V": "1.10", "W": 2.5}}


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ('{"Resources": {\n  "A": 1,}}', "line 2, column 10", "not valid JSON"),
        ('{"A": 1,\n "B": {"A": 1, "C": 2,\n "C": 3}}', "line 3, column 2", "duplicate key C"),
        ('{"Resources": null}', "", "Resources is null"),
    ],
)
def test_json_errors(write: Write, text: str, place: str, says: str) -> None:
    path = write("t.json", text)
    with pytest.raises(TemplateError, match=says) as caught:
        templates.load_template(path)
    assert place in str(caught.value)


def test_a_tree_is_walked_in_the_order_of_the_files(root: Path) -> None:
    tree = templates.load_tree(root)
    assert [(path, node.template.source) for path, node in tree.walk()] == [
        ((), "root.yml"),
        (("Network",), "network.yml"),
        (("Data",), "data/data.yml"),
    ]
    assert [found.source for found in tree.templates()] == [
        "network.yml",
        "data/data.yml",
        "root.yml",
    ]
    assert tree.template.lines["Resources", "Data"] == 14


def test_nested_paths_are_relative_to_the_template_that_names_them(write: Write) -> None:
    write("leaf.yml", TOPIC)
    write("deep/middle.yml", NESTED.format("../leaf.yml"))
    tree = templates.load_tree(write("root.yml", NESTED.format("./deep/middle.yml")))
    assert [found.source for found in tree.templates()] == [
        "leaf.yml",
        "deep/middle.yml",
        "root.yml",
    ]


def test_a_template_used_twice_is_read_once(write: Write) -> None:
    write("leaf.yml", TOPIC)
    stack = "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: leaf.yml}}"
    tree = templates.load_tree(write("root.yml", f"Resources: {{A: {stack}, B: {stack}}}\n"))
    assert tree.children["A"].tree is tree.children["B"].tree
    assert len(tree.templates()) == 2


def test_every_problem_of_a_tree_is_found_at_once(root: Path, write: Write) -> None:
    (root.parent / "network.yml").unlink()
    write("data/data.yml", "Resources: [\n")
    tree, errors = templates.scan_tree(root)
    assert tree is not None
    assert [child.tree for child in tree.nested] == [None, None]
    missing, broken = (str(error) for error in errors)
    assert missing == (
        f"{root}, line 9: resource Network points to the template {root.parent / 'network.yml'}, "
        "which does not exist; create it or correct TemplateURL."
    )
    assert broken.startswith(f"{root.parent / 'data/data.yml'}, line 2, column 1: not valid YAML")
    with pytest.raises(FindingsError) as caught:
        templates.load_tree(root)
    assert caught.value.findings == (missing, broken)


def test_circular_nesting(write: Write) -> None:
    write("b.yml", NESTED.format("a.yml"))
    path = write("a.yml", NESTED.format("b.yml"))
    with pytest.raises(TemplateError, match="break the circle") as caught:
        templates.load_tree(path)
    assert "b.yml, line 2: resource Inner nests" in str(caught.value)
    assert "(a.yml → b.yml → a.yml)" in str(caught.value)


def test_remote_and_computed_templates_are_left_alone(write: Write) -> None:
    path = write(
        "root.yml",
        """
        Resources:
          A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: "https://h/t.yml"}}
          B: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: !Sub "${X}/t.yml"}}
        """,
    )
    tree = templates.load_tree(path)
    assert [child.tree for child in tree.nested] == [None, None]
    leaf = write("leaf.yml", TOPIC)
    located = templates.load_tree(path, {"https://h/t.yml": leaf})
    assert located.children["A"].tree is not None
