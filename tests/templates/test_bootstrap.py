"""What an account is prepared with: there to stay, found by name, and small enough to be sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.bootstrap import RESOURCES, TEMPLATE, inline_policies, managed_policies, names
from tests.templates.iam import size
from tests.templates.loader import BOOTSTRAP, DIRECTORY, load_all, references

BUCKET: dict[str, Any] = RESOURCES["PaymentArtifactsBucket"]["Properties"]
PARAMETERS = {
    name: resource
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::SSM::Parameter"
}
# The boundary, since the roles that prod keeps carry it; the provider, since others may trust it.
KEPT = {
    "PaymentArtifactsKey",
    "PaymentArtifactsKeyAlias",
    "PaymentArtifactsBucket",
    "PaymentArtifactsBucketPolicy",
    "PaymentPermissionsBoundary",
    "PaymentOidcProvider",
}
# IAM gives policies no tags through CloudFormation, and these have none.
UNTAGGED = {"AWS::IAM::ManagedPolicy", "AWS::KMS::Alias", "AWS::S3::BucketPolicy"}
# The longest names there can be: what is longest after it was put in has to fit.
LONGEST = names("a" * 21, **{"AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-99"})


@pytest.mark.parametrize("name", RESOURCES)
def test_what_others_depend_on_is_retained(name: str) -> None:
    """Roles of deployments go with the stack: nobody would look after them."""
    policies = {RESOURCES[name].get(key) for key in ("DeletionPolicy", "UpdateReplacePolicy")}
    assert policies == ({"Retain"} if name in KEPT else {None})


@pytest.mark.parametrize("name", [n for n in RESOURCES if RESOURCES[n]["Type"] not in UNTAGGED])
def test_tags(name: str) -> None:
    tags = RESOURCES[name]["Properties"]["Tags"]
    if isinstance(tags, list):
        tags = {tag["Key"]: tag["Value"] for tag in tags}
    assert tags == {
        "Name": tags["Name"],
        "Application": {"Ref": "ApplicationName"},
        "Environment": "shared",
        "CostCenter": {"Ref": "CostCenter"},
        "Owner": {"Ref": "Owner"},
        "DataClassification": {"Ref": "DataClassification"},
        "ManagedBy": "CloudFormation",
    }


@pytest.mark.parametrize("name", ["ApplicationName", "CostCenter", "Owner", "DataClassification"])
def test_parameters_are_those_of_the_platform(name: str) -> None:
    assert TEMPLATE["Parameters"][name] == load_all()["master.yml"]["Parameters"][name]


def test_every_parameter_is_used_and_has_its_place_in_the_form() -> None:
    used = {r.name for r in references([TEMPLATE["Conditions"], RESOURCES]) if r.kind == "Ref"}
    assert set(TEMPLATE["Parameters"]) <= used
    form = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    shown = [name for group in form["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(shown) == sorted(form["ParameterLabels"]) == sorted(TEMPLATE["Parameters"])


def test_template_goes_with_the_request() -> None:
    """There is no bucket yet from which CloudFormation could read it."""
    assert len((DIRECTORY / BOOTSTRAP).read_bytes()) <= 51_200


def test_nothing_of_iam_has_a_name_that_a_second_region_would_want() -> None:
    named = ("RoleName", "ManagedPolicyName", "Path")
    for name, resource in RESOURCES.items():
        if resource["Type"].startswith("AWS::IAM::"):
            assert not set(named) & set(resource["Properties"]), name


@pytest.mark.parametrize("policy", managed_policies())
def test_managed_policy_is_within_iam_s_limit(policy: str) -> None:
    assert size(managed_policies(LONGEST)[policy]) <= 6_144


def test_inline_policies_are_within_iam_s_limit() -> None:
    policies = inline_policies("PaymentDeployRole", LONGEST)
    assert len(policies) == 2
    assert sum(map(size, policies)) <= 10_240


def test_role_has_no_more_managed_policies_than_iam_lets_it() -> None:
    attached = RESOURCES["PaymentServiceRole"]["Properties"]["ManagedPolicyArns"]
    own = {policy["Ref"] for policy in attached}
    assert own == set(managed_policies()) - {"PaymentPermissionsBoundary"}
    assert len(attached) <= 10


def test_names_of_generated_resources_are_not_shortened() -> None:
    """The service role knows itself, and what it may not touch, by how names begin."""
    stack = LONGEST["AWS::StackName"]
    for name in ("PaymentServiceRole", "PaymentDeployRole"):
        assert len(f"{stack}-{name}-0123456789ABC") <= 64


def test_description_of_the_boundary_never_changes() -> None:
    """IAM cannot change it: CloudFormation would replace the policy that every role carries."""
    properties = RESOURCES["PaymentPermissionsBoundary"]["Properties"]
    assert properties["Description"] == {"Fn::Sub": "Boundary of the roles of ${ApplicationName}"}


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("Boundary", "permissions-boundary-arn", {"Ref": "PaymentPermissionsBoundary"}),
        ("ServiceRole", "service-role-arn", {"Fn::GetAtt": ["PaymentServiceRole", "Arn"]}),
        ("Bucket", "artifact-bucket-name", {"Ref": "PaymentArtifactsBucket"}),
        ("Key", "artifact-key-arn", {"Fn::GetAtt": ["PaymentArtifactsKey", "Arn"]}),
        ("DeployRole", "deploy-role-arn", {"Fn::GetAtt": ["PaymentDeployRole", "Arn"]}),
    ],
)
def test_what_others_need_is_found_by_name(name: str, path: str, value: dict[str, Any]) -> None:
    properties = PARAMETERS[f"Payment{name}Parameter"]["Properties"]
    assert properties["Name"] == {"Fn::Sub": f"/${{ApplicationName}}/bootstrap/{path}"}
    assert (properties["Type"], properties["Value"]) == ("String", value)
    # Roles find each other by the output of the same value.
    assert value in [output["Value"] for output in TEMPLATE["Outputs"].values()]


def test_every_parameter_is_tested() -> None:
    assert len(PARAMETERS) == 5


def test_outputs_are_not_exported() -> None:
    """An export could not change while a platform uses it."""
    assert not [name for name, output in TEMPLATE["Outputs"].items() if "Export" in output]


@pytest.mark.parametrize("section", ["Resources", "Outputs"])
def test_role_of_continuous_integration_is_made_where_somebody_may_take_it(section: str) -> None:
    found = {
        name: item["Condition"] for name, item in TEMPLATE[section].items() if "Condition" in item
    }
    assert (
        found
        == {
            "Resources": {
                "PaymentOidcProvider": "CreatesOidcProvider",
                "PaymentDeployRole": "HasDeployRole",
                "PaymentDeployRoleParameter": "HasDeployRole",
            },
            "Outputs": {"DeployRoleArn": "HasDeployRole"},
        }[section]
    )


# --- The bucket of releases ----------------------------------------------------------------------


def test_bucket_is_private() -> None:
    assert set(BUCKET["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(BUCKET["PublicAccessBlockConfiguration"]) == 4
    assert BUCKET["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_bucket_is_versioned_and_tidied() -> None:
    assert BUCKET["VersioningConfiguration"] == {"Status": "Enabled"}
    rule, plans = BUCKET["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == plans["Status"] == "Enabled"
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "NoncurrentDays"}}
    # A current version may be what a recorded release needs: only replaced ones expire, and what a
    # plan that was killed has left.
    assert "ExpirationInDays" not in rule
    assert (plans["Prefix"], plans["ExpirationInDays"]) == ("releases/plans/", 1)


def test_bucket_is_encrypted_with_its_own_key() -> None:
    [rule] = BUCKET["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["PaymentArtifactsKey", "Arn"]},
    }
    assert RESOURCES["PaymentArtifactsKey"]["Properties"]["EnableKeyRotation"] is True


def test_key_is_used_through_s3_only() -> None:
    statements = RESOURCES["PaymentArtifactsKey"]["Properties"]["KeyPolicy"]["Statement"]
    administering, using, refusing = statements
    assert not {"kms:Decrypt", "kms:Encrypt", "kms:*"} & set(administering["Action"])
    assert set(using["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}
    assert "kms:ViaService" in using["Condition"]["StringEquals"]
    assert (refusing["Effect"], refusing["Action"]) == ("Deny", "kms:CreateGrant")


def test_plain_text_is_refused() -> None:
    policy = RESOURCES["PaymentArtifactsBucketPolicy"]["Properties"]["PolicyDocument"]
    [statement] = policy["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Action"] == "s3:*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2
