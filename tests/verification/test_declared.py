"""Working out what a deployed template asks for."""

from __future__ import annotations

from typing import Any

import pytest

from verification.declared import resolve

TEMPLATE = {
    "Mappings": {"Environment": {"dev": {"Days": 30}, "prod": {"Days": 400}}},
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "EnvironmentType"}, "prod"]},
        "IsNotProd": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsNotProd"}]},
        "Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsNotProd"}]},
    },
}
PARAMETERS = {"ApplicationName": "payments", "EnvironmentType": "dev"}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"Ref": "ApplicationName"}, "payments"),
        ({"Ref": "SomeResource"}, {"Ref": "SomeResource"}),
        ({"Fn::Sub": "${ApplicationName}-${EnvironmentType}-x"}, "payments-dev-x"),
        ({"Fn::FindInMap": ["Environment", {"Ref": "EnvironmentType"}, "Days"]}, 30),
        ({"Fn::Join": [",", ["a", {"Fn::Sub": "${EnvironmentType}"}]]}, "a,dev"),
        ({"Fn::If": ["IsProd", "yes", "no"]}, "no"),
        ({"Fn::If": ["Both", "yes", "no"]}, "no"),
        ({"Fn::If": ["Either", "yes", "no"]}, "yes"),
        ({"Scope": {"TagValue": [{"Ref": "EnvironmentType"}]}}, {"Scope": {"TagValue": ["dev"]}}),
        ({"Fn::GetAtt": ["Key", "Arn"]}, {"Fn::GetAtt": ["Key", "Arn"]}),
    ],
)
def test_value(node: Any, expected: Any) -> None:
    assert resolve(node, TEMPLATE, PARAMETERS) == expected
