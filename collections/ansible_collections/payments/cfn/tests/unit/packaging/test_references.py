# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names inside one template, and resources that wait for each other."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.cycles import check_cycles
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import root_scope
from ansible_collections.payments.cfn.plugins.module_utils.references import check_references
from ansible_collections.payments.cfn.plugins.module_utils.templates import Template
from ansible_collections.payments.cfn.plugins.module_utils.validation import check_files

from .conftest import ReadTemplate, Write

DECLARED = """
    Parameters:
      Stage: {Type: String, Default: dev}
    Mappings:
      Sizes: {dev: {Small: 1, Large: 2}, prod: {Small: 3}}
    Conditions:
      IsProd: !Equals [!Ref Stage, prod]
    """
TOPIC = (
    DECLARED
    + """
    Resources:
      Other: {Type: AWS::SNS::Topic}
      Topic:
        Type: AWS::SNS::Topic
        %s
    """
)


def found(template: Template) -> list[str]:
    """What is wrong, without the file."""
    return [
        str(error).removeprefix(str(template.path)).lstrip(":, ")
        for error in check_references(template)
    ]


def cycles(template: Template, **parameters: Any) -> list[str]:
    """The circles, without file and line."""
    scope = root_scope(template, parameters)
    return [str(error).split(": ", 1)[1] for error in check_cycles(scope)]


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        (
            "Properties: {Tags: [{Key: a, Value: !Ref Stag}]}",
            "Ref in Properties.Tags.0.Value names Stag, which is neither a parameter nor a "
            "resource of this template; declare it or correct the name (did you mean Stage?)",
        ),
        (
            "Properties: {A: !GetAtt Othr.TopicArn}",
            "Fn::GetAtt in Properties.A names Othr, which is not a resource of this template; "
            "declare it or correct the name (did you mean Other?)",
        ),
        ("Properties: {A: !GetAtt [Stage, Arn]}", "Fn::GetAtt in Properties.A names Stage, which"),
        ("Properties: {A: {'Fn::GetAtt': Othr.Arn}}", "Fn::GetAtt in Properties.A names Othr,"),
        (
            "Properties: {A: !Sub '${Stage}-${Stagge}'}",
            "Fn::Sub in Properties.A names Stagge, which is neither a parameter nor a resource of "
            "this template; declare it or correct the name (did you mean Stage?)",
        ),
        (
            "Properties: {A: !Sub 'echo ${HOME}'}",
            "names HOME, which is neither a parameter nor a resource of this template; declare it "
            "or correct the name, or write ${!HOME} for text that stays",
        ),
        ("Properties: {A: !Sub '${Othr.Arn}'}", "Fn::Sub in Properties.A names Othr, which is not"),
        ("Properties: {A: !Sub ['${Own}', {Own: !Ref Nope}]}", "Ref in Properties.A.Fn::Sub.1.Own"),
        (
            "Properties: {A: !Ref 'AWS::Regoin'}",
            "names AWS::Regoin, which is neither a parameter nor a resource of this template; "
            "declare it or correct the name (did you mean AWS::Region?)",
        ),
        (
            "Properties: {A: !If [IsPrd, 1, 2]}",
            "Fn::If in Properties.A names IsPrd, which is not a condition of this template; "
            "declare it or correct the name (did you mean IsProd?)",
        ),
        ("Properties: {A: !If [IsProd, 1, !Ref Nope]}", "Ref in Properties.A.Fn::If.2 names Nope"),
        ("Condition: IsPrd", "Condition names IsPrd, which is not a condition of this template"),
        ("DependsOn: Othr", "DependsOn names Othr, which is not a resource of this template;"),
        ("DependsOn: [Other, Stage]", "DependsOn names Stage, which is not a resource of this"),
        ("Metadata: {A: !Ref Nope}", "Ref in Metadata.A names Nope, which"),
        (
            "Properties: {A: !FindInMap [Size, !Ref Stage, Small]}",
            "Fn::FindInMap in Properties.A names Size, which is not a mapping of this template; "
            "declare it or correct the name (did you mean Sizes?)",
        ),
        (
            "Properties: {A: !FindInMap [Sizes, de, Small]}",
            "Fn::FindInMap in Properties.A looks for de in the mapping Sizes, which has no such "
            "key; add it or correct it (did you mean dev?)",
        ),
        (
            "Properties: {A: !FindInMap [Sizes, !Ref Stage, Smal]}",
            "looks for Smal in the mapping Sizes, which has no such key; add it or correct it "
            "(did you mean Small?)",
        ),
        ("Properties: {A: !FindInMap [Sizes, prod, Large]}", "Large in the mapping Sizes.prod,"),
    ],
)
def test_a_name_that_is_not_declared(template: ReadTemplate, attribute: str, says: str) -> None:
    (sentence,) = found(template(TOPIC % attribute))
    assert sentence.startswith("line 10: resource Topic: ")
    assert says in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "attribute",
    [
        "Properties: {A: !Sub ['${Own}${Stage}${AWS::Region}${!Stays}', {Own: 1}]}",
        "Properties: {A: !Sub ['${Own.Part}', {Own.Part: 1}], B: !Sub '${Other.TopicArn}'}",
        "Properties: {A: !FindInMap [Sizes, !Ref Stage, Large]}",
        "Properties: {A: !FindInMap [!Ref Stage, dev, Small], B: !FindInMap [Sizes, dev, !Ref X]}"
        .replace("!Ref X", "!Ref Stage"),
        "Properties: {A: !FindInMap [Sizes, test, Small, {DefaultValue: 1}]}",
        "Properties: {Policy: {Condition: {StringEquals: {a: !Ref Stage}}}}",
        "Properties: {Rule: {Condition: anything}}",
        "Properties: {A: [!Ref Other, !Ref 'AWS::NoValue', !GetAtt Other.TopicArn]}",
        "DependsOn: [Other]",
        "Condition: IsProd",
    ],
)  # fmt: skip
def test_what_is_declared_is_found(template: ReadTemplate, attribute: str) -> None:
    assert found(template(TOPIC % attribute)) == []


def test_every_section_is_looked_at_and_everything_is_said_at_once(template: ReadTemplate) -> None:
    read = template(
        DECLARED
        + """
      Both: !And [!Condition IsProd, !Condition IsPord]
      Made: !Equals [!Ref Topic, a]
    Rules:
      Fits:
        RuleCondition: !Equals [!Ref Stge, prod]
        Assertions:
          - Assert: !Contains [!RefAll "AWS::EC2::VPC::Id", !ValueOf [Anything, Tags.Name]]
    Resources:
      Topic: {Type: AWS::SNS::Topic, Condition: Both}
    Outputs:
      Id: {Condition: Bth, Value: !Ref Topik, Export: {Name: !Sub '${AWS::StackNam}-Id'}}
    """
    )
    assert [sentence.split(";")[0] for sentence in found(read)] == [
        "line 11: rule Fits: Ref in RuleCondition.Fn::Equals.0 names Stge, which is not a "
        "parameter of this template",
        "line 8: condition Both: Condition in Fn::And.1 names IsPord, which is not a condition of "
        "this template",
        "line 9: condition Made: Ref in Fn::Equals.0 names the resource Topic, but Conditions can "
        "read parameters only",
        "line 18: output Id: Condition names Bth, which is not a condition of this template",
        "line 18: output Id: Ref in Value names Topik, which is neither a parameter nor a resource "
        "of this template",
        "line 18: output Id: Fn::Sub in Export.Name names AWS::StackNam, which is neither a "
        "parameter nor a resource of this template",
    ]


LOOPS = (
    DECLARED
    + """
    Transform: AWS::LanguageExtensions
    Resources:
      'Fn::ForEach::Topics':
        - Name
        - [A, B]
        - 'Topic${Name}':
            Type: AWS::SNS::Topic
            Condition: IsProd
            Properties:
              DisplayName: !Sub '${Name}-${Stage}'
              Tags: {'Fn::ForEach::Tags': [Key, [x], {'${Key}': !Ref Key}]}
              Inner: %s
      Last: {Type: AWS::SNS::Topic, DependsOn: TopicA, Properties: {A: !Ref %s}}
    """
)


def test_loops_declare_names(template: ReadTemplate) -> None:
    assert found(template(LOOPS % ("!GetAtt ['Topic${Name}', TopicArn]", "TopicB"))) == []
    (inner,) = found(template(LOOPS % ("!Ref Nmae", "TopicB")))
    assert "resource Fn::ForEach::Topics: Ref in Fn::ForEach::Topics.2.Topic${Name}" in inner
    assert "names Nmae" in inner
    (outer,) = found(template(LOOPS % ("!Ref Name", "Name")))
    assert "resource Last: Ref in Properties.A names Name" in outer


@pytest.mark.parametrize(
    "text",
    [
        "Transform: AWS::Serverless-2016-10-31",
        "Transform: [AWS::LanguageExtensions, Macro]",
        "Transform: {Name: AWS::Include, Parameters: {Location: s3://bucket/more.yml}}",
        "Mappings: {'Fn::Transform': {Name: Macro}}",
    ],
)
def test_names_that_macros_declare_are_not_missed(template: ReadTemplate, text: str) -> None:
    resources = """
    Resources:
      Topic: {Type: AWS::SNS::Topic, Properties: {A: !Ref Made, B: !Ref Topic}}
    """
    read = template("    " + text + resources)
    assert found(read) == []
    assert cycles(read) == []
    assert len(found(template(resources))) == 1


def test_names_that_modules_declare_are_not_missed(template: ReadTemplate) -> None:
    read = template("""
        Resources:
          Net: {Type: Some::Network::Vpc::MODULE}
          Topic: {Type: AWS::SNS::Topic, Properties: {A: !Ref NetVpc}}
        """)
    assert found(read) == []


def resources(**bodies: str) -> str:
    lines = [f"  {name}: {{Type: AWS::SNS::Topic, {body}}}" for name, body in bodies.items()]
    return "Resources:\n" + "\n".join(lines) + "\n"


def test_a_circle_is_named(template: ReadTemplate) -> None:
    read = template(resources(
        Free="DependsOn: A",
        A="Properties: {X: !Sub '${B.Arn}'}",
        B="DependsOn: [C]",
        C="Metadata: {X: [!GetAtt A.Arn]}",
        D="Properties: {X: !Ref D}",
        E="DependsOn: A, Properties: {X: !Ref F}",
        F="Properties: {X: !Ref E}",
    ))  # fmt: skip
    assert cycles(read) == [
        "the resources A → B → C → A depend on each other in a circle; break it.",
        "resource D depends on itself; remove what it reads of itself.",
        "the resources E → F → E depend on each other in a circle; break it.",
    ]
    (first, *_) = check_cycles(root_scope(read, {}))
    assert str(first).startswith(f"{read.path}, line 3: ")


def test_many_ways_to_one_resource_are_no_circle(template: ReadTemplate) -> None:
    read = template(resources(
        A="DependsOn: [B, C], Properties: {X: !Ref D, Y: !Sub ['${D}', {D: !Ref C}]}",
        B="DependsOn: D",
        C="DependsOn: [B, D]",
        D="Properties: {}",
    ))  # fmt: skip
    assert cycles(read) == []


def test_a_chain_may_be_long(template: ReadTemplate) -> None:
    chain = {f"T{n}": f"DependsOn: T{n + 1}" for n in range(499)}
    assert cycles(template(resources(**chain, T499="Properties: {}"))) == []
    (sentence,) = cycles(template(resources(**chain, T499="DependsOn: T0")))
    assert "T498 → T499 → T0 depend" in sentence


def test_conditions_break_and_close_circles(template: ReadTemplate) -> None:
    read = template(
        "Parameters: {Stage: {Type: String}}\n"
        "Conditions: {IsProd: !Equals [!Ref Stage, prod]}\n"
        + resources(
            A="Properties: {X: !If [IsProd, !Ref B, none]}",
            B="Properties: {X: !If [IsProd, none, !Ref A]}",
            C="Properties: {X: !If [IsProd, !Ref D, none]}",
            D="Condition: IsProd, DependsOn: C",
            E="DependsOn: F",
            F="Condition: IsProd, DependsOn: E",
        )
    )
    assert cycles(read, Stage="dev") == []
    first, second = cycles(read, Stage="prod")
    assert first.startswith("the resources C → D → C ")
    assert second.startswith("the resources E → F → E ")
    # not known before the deployment, so nothing is claimed
    assert cycles(read) == []


def test_preflight_looks_into_every_template(write: Write) -> None:
    write("child.yml", resources(A="DependsOn: B", B="DependsOn: A", C="DependsOn: X"))
    stack = "{{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {}}}}}"
    root = write("root.yml", f"""
        Conditions: {{Never: !Equals [a, b]}}
        Resources:
          One: {stack.format("child.yml")}
          Two: {stack.format("child.yml").replace("Stack,", "Stack, Condition: Nevr,")}
        """)  # fmt: skip
    _, errors = check_files(root, {}, [])
    assert [str(error).split(": ", 1)[1].split(",")[0] for error in errors] == [
        "resource C: DependsOn names X",
        "resource Two: Condition names Nevr",
        "the resources A → B → A depend on each other in a circle; break it.",
        "the resources A → B → A depend on each other in a circle; break it.",
    ]
