"""What a recorder of AWS Config records."""

from __future__ import annotations

from typing import Any

import pytest

from verification.recording import records

CLUSTER, POLICY = "AWS::RDS::DBCluster", "AWS::IAM::Policy"
EVERYTHING = {"allSupported": True, "includeGlobalResourceTypes": False}
CHOSEN = {
    "allSupported": False,
    "resourceTypes": [CLUSTER],
    "recordingStrategy": {"useOnly": "INCLUSION_BY_RESOURCE_TYPES"},
}
EXCEPT = {
    "allSupported": False,
    "exclusionByResourceTypes": {"resourceTypes": [POLICY]},
    "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
}


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [
        (EVERYTHING, CLUSTER, True),
        (EVERYTHING, POLICY, False),
        (EVERYTHING | {"includeGlobalResourceTypes": True}, POLICY, True),
        (CHOSEN, CLUSTER, True),
        (CHOSEN, POLICY, False),
        (EXCEPT, CLUSTER, True),
        (EXCEPT, POLICY, False),
        ({}, CLUSTER, False),
    ],
)
def test_records(group: dict[str, Any], kind: str, expected: bool) -> None:
    assert records({"name": "default", "recordingGroup": group}, kind) is expected
