"""How long AWS takes to create resources, so that a deployment can be watched at a chosen pace."""

from __future__ import annotations

from dataclasses import dataclass

# Seconds, as commonly seen; what is not listed takes DEFAULT_SECONDS.
TYPICAL_SECONDS: dict[str, float] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": 3,
    "AWS::ApplicationAutoScaling::ScalingPolicy": 3,
    "AWS::CertificateManager::Certificate": 60,
    "AWS::CloudFormation::Stack": 0,  # it takes as long as its resources
    "AWS::CloudWatch::Alarm": 3,
    "AWS::CloudWatch::CompositeAlarm": 3,
    "AWS::CloudWatch::Dashboard": 3,
    "AWS::Config::ConfigurationRecorder": 60,
    "AWS::EC2::EIP": 20,
    "AWS::EC2::InternetGateway": 17,
    "AWS::EC2::NatGateway": 100,
    "AWS::EC2::VPC": 13,
    "AWS::EC2::VPCEndpoint": 70,
    "AWS::ECS::Cluster": 8,
    "AWS::ECS::Service": 120,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": 150,
    "AWS::ElasticLoadBalancingV2::TargetGroup": 17,
    "AWS::IAM::InstanceProfile": 120,
    "AWS::IAM::ManagedPolicy": 18,
    "AWS::IAM::Policy": 16,
    "AWS::IAM::Role": 18,
    "AWS::KMS::Key": 120,
    "AWS::Lambda::Function": 8,
    "AWS::RDS::DBCluster": 60,
    "AWS::RDS::DBClusterParameterGroup": 5,
    "AWS::RDS::DBInstance": 600,
    "AWS::RDS::DBParameterGroup": 5,
    "AWS::RDS::GlobalCluster": 60,
    "AWS::Route53::HealthCheck": 15,
    "AWS::S3::Bucket": 22,
    "AWS::SecretsManager::Secret": 8,
    "AWS::SNS::Topic": 11,
    "AWS::WAFv2::WebACL": 10,
}
DEFAULT_SECONDS = 5.0


@dataclass(frozen=True)
class Latency:
    """A factor on AWS's times: 0 is none, 0.01 a hundredth, 1 the real thing."""

    factor: float = 0.0

    def seconds(self, resource_type: str) -> float:
        """How long a resource of that type is to stay in progress."""
        return self.factor * TYPICAL_SECONDS.get(resource_type, DEFAULT_SECONDS)
