# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import root_scope
from ansible_collections.payments.cfn.plugins.module_utils.parameters import (
    check_parameters,
    check_value,
    java_pattern,
    secrets,
)
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree
from ansible_collections.payments.cfn.plugins.module_utils.wiring import check_wiring

from .conftest import ReadTemplate, Write

CIDR = {
    "Type": "String",
    "AllowedPattern": r"\d+\.\d+\.\d+\.\d+/\d+",
    "ConstraintDescription": "must be a CIDR block.",
}


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({"Type": "String"}, ""),
        ({"Type": "String"}, "two\nlines"),
        ({"Type": "String", "AllowedValues": [1, True]}, "true"),
        ({"Type": "String", "AllowedValues": ["", "a"]}, ""),
        (CIDR, "10.0.0.0/16"),
        ({"Type": "String", "MinLength": "2", "MaxLength": 3}, "abc"),
        ({"Type": "Number", "MinValue": 1, "MaxValue": "65535"}, 8080),
        ({"Type": "Number"}, "-1.5e3"),
        ({"Type": "List<Number>", "MaxValue": 9}, "1, 2,9"),
        ({"Type": "List<Number>"}, [1, 2]),
        ({"Type": "List<String>"}, "a,b"),
        ({"Type": "CommaDelimitedList", "AllowedPattern": "[a-z]"}, "a,b"),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, ["a", "b"]),
        ({"Type": "AWS::EC2::VPC::Id"}, "vpc-0123456789abcdef0"),
        ({"Type": "List<AWS::EC2::Subnet::Id>"}, "subnet-01234567,subnet-89abcdef"),
        ({"Type": "AWS::EC2::AvailabilityZone::Name"}, "us-west-2-lax-1a"),
        ({"Type": "AWS::SSM::Parameter::Name"}, "/app/key"),
        ({"Type": "AWS::SSM::Parameter::Value<List<String>>"}, "/app/key:3"),
    ],
)
def test_good_values(declared: dict[str, Any], value: object) -> None:
    assert check_value(declared, value) == ()


@pytest.mark.parametrize(
    ("declared", "value", "problem"),
    [
        (CIDR, "10.0.0.0", "is '10.0.0.0', which does not match " + CIDR["AllowedPattern"]),
        (CIDR, "10.0.0.0/16\n", "does not match"),
        (CIDR, "", "is empty, which does not match"),
        (CIDR, "x", ": must be a CIDR block"),
        ({"Type": "String", "AllowedValues": ["dev", "prod"]}, "qa", "choose one of dev, prod"),
        ({"Type": "String", "MinLength": 2}, "a", "less than the minimum of 2 characters"),
        ({"Type": "String", "MaxLength": 2}, "abc", "more than the maximum of 2 characters"),
        ({"Type": "String"}, "x" * 4097, "longer than the 4096 bytes"),
        ({"Type": "String"}, {"a": 1}, "is a mapping"),
        ({"Type": "Number"}, "ten", "is 'ten', which is not a valid Number"),
        ({"Type": "Number"}, "", "is empty, which is not a valid Number"),
        ({"Type": "Number", "MinValue": 1}, 0, "is '0', which is less than the minimum of 1"),
        ({"Type": "Number", "MaxValue": 1}, "1.5", "more than the maximum of 1"),
        ({"Type": "List<Number>"}, "1,b", "is 'b', which is not a valid Number"),
        ({"Type": "List<Number>", "MaxValue": 5}, "1,9", "is '9'"),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a"]}, "a,z", "is 'z'"),
        ({"Type": "AWS::EC2::VPC::Id"}, "vpc-XYZ", "is not a valid AWS::EC2::VPC::Id"),
        ({"Type": "List<AWS::EC2::Subnet::Id>"}, "sg-01234567", "not a valid AWS::EC2::Subnet::Id"),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, "a b", "the name of an SSM parameter"),
        ({"Type": "Strng"}, "a", "has the type Strng, which CloudFormation does not know"),
        ({"Type": "List<AWS::SSM::Parameter::Value<String>>"}, "a", "does not know"),
    ],
)
def test_bad_values(declared: dict[str, Any], value: object, problem: str) -> None:
    (sentence,) = check_value(declared, value)
    assert problem in sentence
    assert "\n" not in sentence


def test_a_secret_is_in_no_sentence() -> None:
    for limits in ({"AllowedPattern": "[a-z]"}, {"MaxLength": 3}, {"AllowedValues": ["x"]}):
        (sentence,) = check_value({"Type": "String", "NoEcho": True, **limits}, "s3cret!")
        assert "s3cret" not in sentence
        assert sentence.startswith("has a value that")


def test_the_parameters_of_a_template(template: ReadTemplate) -> None:
    read = template("""
        Parameters:
          Image:
            Type: String
            MinLength: 1
            Description: The image to run, with its tag.
          Stage: {Type: String, AllowedValues: [dev, prod], Default: dev}
          Password: {Type: String, NoEcho: true, Default: ""}
          Broken: {Type: Number, Default: x}
        """)
    given = {"Image": None, "Stagee": "dev", "Password": "s3cret"}
    assert [str(error) for error in check_parameters(read, given)] == [
        f"parameter Stagee is not declared in {read.path}; remove it or correct its name "
        "(did you mean Stage?).",
        "parameter Image is required: The image to run, with its tag.",
        "the default of parameter Broken is 'x', which is not a valid Number; give it a valid "
        "value.",
    ]
    empty = check_parameters(read, {"Image": "", "Broken": 1})
    assert [str(error) for error in empty] == [
        "parameter Image is empty, which is less than the minimum of 1 character: "
        "The image to run, with its tag."
    ]
    assert secrets(read, given) == ("s3cret",)
    assert secrets(read, {"Password": ""}) == ()


@pytest.mark.parametrize(
    ("java", "good", "bad"),
    [
        (r"(?<year>\d{4})", "2026", "٢٠٢٦"),
        (r"\p{Alpha}[\p{Digit}_]*", "a1_", "1a"),
        (r"a\z", "a", "a\n"),
        (r"[a-z]++", "abc", "ab1"),
        (r"^$|^a$", "", "b"),
        (r"[\[\]]", "[", "a"),
    ],
)
def test_java_patterns_that_python_can_match(java: str, good: str, bad: str) -> None:
    pattern = java_pattern(java)
    assert pattern is not None
    assert pattern.fullmatch(good)
    assert not pattern.fullmatch(bad)


@pytest.mark.parametrize("java", [r"\p{L}+", "[a-z&&[^b]]", "[a[b]]", r"\Qa.b\E", "(", "*"])
def test_java_patterns_that_are_left_to_aws(java: str) -> None:
    assert java_pattern(java) is None
    assert check_value({"Type": "String", "AllowedPattern": java}, "anything") == ()


def test_wiring(write: Write) -> None:
    write(
        "child.yml",
        """
        Parameters:
          Needed: {Type: String}
          Port: {Type: Number, MaxValue: 65535}
          Name: {Type: String, AllowedPattern: "[a-z]+"}
          Later: {Type: Number}
        Resources: {Topic: {Type: AWS::SNS::Topic}}
        Outputs: {TopicArn: {Value: !Ref Topic}}
        """,
    )
    root = write(
        "root.yml",
        """
        Parameters:
          Port: {Type: Number, Default: 70000}
          Secret: {Type: String, NoEcho: true}
        Resources:
          Child:
            Type: AWS::CloudFormation::Stack
            Properties:
              TemplateURL: child.yml
              Parameters: {Port: !Ref Port, Name: !Ref Secret, Later: !GetAtt X.Y, Naem: b}
          Reader:
            Type: AWS::SNS::Topic
            Properties:
              A: !GetAtt Child.Outputs.TopicArm
              B: !Sub "${Child.Outputs.TopicArn}/${Child.Outputs.Gone}"
        Outputs:
          Wrong: {Value: !GetAtt Child.TopicArn}
        """,
    )
    tree = load_tree(root)
    child = root.parent / "child.yml"
    scope = root_scope(tree.template, {"Secret": "S3CRET"})
    sentences = [str(error) for error in check_wiring(tree, scope)]
    assert sentences == [
        f"{root}, line 10: Reader reads Child.Outputs.TopicArm, but {child} has no such output; "
        "add it or correct the name (did you mean TopicArn?).",
        f"{root}, line 10: Reader reads Child.Outputs.Gone, but {child} has no such output; "
        "add it or correct the name.",
        f"{root}, line 16: Wrong reads Child.TopicArn, but {child} has no such output; "
        "add it or correct the name (did you mean TopicArn?).",
        f"{root}, line 5: resource Child does not pass the parameter Needed, which {child} "
        "requires; pass it or give it a Default there.",
        f"{root}, line 5: resource Child passes the parameter Naem, which {child} does not "
        "declare; remove it or correct its name (did you mean Name?).",
        f"{root}, line 5: resource Child passes to {child} a parameter Port that is '70000', "
        "which is more than the maximum of 65535; give it a valid value.",
        f"{root}, line 5: resource Child passes to {child} a parameter Name that has a value that "
        "does not match [a-z]+; give it a valid value.",
    ]


def test_a_tree_may_not_have_more_than_2500_resources(write: Write) -> None:
    many = ", ".join(f"T{number}: {{Type: T}}" for number in range(500))
    write("child.yml", f"Resources: {{{many}}}\n")
    stack = "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: child.yml}}"
    stacks = ", ".join(f"S{number}: {stack}" for number in range(5))
    tree = load_tree(write("root.yml", f"Resources: {{{stacks}}}\n"))
    (error,) = check_wiring(tree, root_scope(tree.template, {}))
    assert "the tree has 2505 resources" in str(error)
