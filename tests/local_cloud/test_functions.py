"""Lambda functions of custom resources: boto3 in them reaches the local cloud."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.local_cloud.support import Client, Stacks

SOURCE = Path(__file__).parents[2] / "cloudformation/functions/default_security_group/index.py"
ACCOUNT = "222222222222"
REGION = "eu-central-1"
TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": "sts:AssumeRole",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                        }
                    ],
                }
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Handler": "index.handler",
                "Runtime": "python3.13",
                "Architectures": ["arm64"],
                "Timeout": 60,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"S3Bucket": "functions", "S3Key": "function.zip"},
            },
        },
        "Closed": {
            "Type": "Custom::DefaultSecurityGroup",
            "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
                "SecurityGroupId": {"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]},
            },
        },
    },
    "Outputs": {"Group": {"Value": {"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]}}},
}


@pytest.fixture
def elsewhere(client: Client) -> Stacks:
    """CloudFormation in an account and a region that are nobody's default."""
    s3 = client("s3", region=REGION, account=ACCOUNT)
    s3.create_bucket(Bucket="functions", CreateBucketConfiguration={"LocationConstraint": REGION})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.write(SOURCE, "index.py")
    s3.put_object(Bucket="functions", Key="function.zip", Body=archive.getvalue())
    return Stacks(client("cloudformation", region=REGION, account=ACCOUNT), s3)


def test_a_custom_resource_closes_the_default_security_group(
    elsewhere: Stacks, client: Client
) -> None:
    stack = elsewhere.create("custom", TEMPLATE, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", elsewhere.events("custom")

    ec2 = client("ec2", region=REGION, account=ACCOUNT)
    group_id = elsewhere.outputs("custom")["Group"]
    group = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    assert group["IpPermissions"] == []
    assert group["IpPermissionsEgress"] == []

    assert elsewhere.delete("custom")["StackStatus"] == "DELETE_COMPLETE"
