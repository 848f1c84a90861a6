"""Load balancing, containers, functions and their scaling."""

from __future__ import annotations

from typing import Any

from ..mends import scaling
from ..model import EVERY, Api, Call, Document, Properties, Read, ResourceType, Step, Tags


def _of_its_target(properties: Properties) -> Properties:
    """A scaling policy may name its target as a whole instead of in three properties."""
    target = str(properties.get("ScalingTargetId", "")).split("|")
    if len(target) != 3:
        return properties
    resource, dimension, namespace = target
    return {
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "ServiceNamespace": namespace,
        **properties,
    }


def _register_target(api: Api, document: Document) -> Any:
    scaling.know_local_services()
    names = (*_TARGET, *_TARGET_SETTINGS)
    properties = document["properties"]
    parameters = {name: properties[name] for name in names if name in properties}
    return api("application-autoscaling", "register_scalable_target", **parameters)


def _is_cluster(api: Api, document: Document) -> bool:
    found = api("ecs", "describe_clusters", clusters=[document["name"]])["clusters"]
    return any(cluster["status"] == "ACTIVE" for cluster in found)


def _reserve(api: Api, document: Document) -> None:
    """Set the concurrency reserved for a function, or give it up."""
    reserved = document["properties"].get("ReservedConcurrentExecutions")
    if reserved is None:
        api("lambda", "delete_function_concurrency", FunctionName=document["id"])
    else:
        api(
            "lambda",
            "put_function_concurrency",
            FunctionName=document["id"],
            ReservedConcurrentExecutions=reserved,
        )


_TARGET = {
    "ResourceId": "properties.ResourceId",
    "ScalableDimension": "properties.ScalableDimension",
    "ServiceNamespace": "properties.ServiceNamespace",
}
_POLICY = (
    "PolicyType",
    "PredictiveScalingPolicyConfiguration",
    "StepScalingPolicyConfiguration",
    "TargetTrackingScalingPolicyConfiguration",
)
_TARGET_SETTINGS = ("MaxCapacity", "MinCapacity", "RoleARN", "SuspendedState")


def _target_group_full_name(document: Document) -> str:
    """The last part of the ARN, prefix included, as AWS/ApplicationELB metrics want it."""
    return str(document["record"]["TargetGroupArn"]).rpartition(":")[2]


def _load_balancer_full_name(document: Document) -> str:
    """The last part of the ARN, here without its prefix."""
    return str(document["id"]).partition(":loadbalancer/")[2]


_CLUSTER_SETTINGS = {
    "settings": "properties.ClusterSettings",
    "configuration": "properties.Configuration",
    "serviceConnectDefaults": "properties.ServiceConnectDefaults",
}
_PROVIDERS = ("CapacityProviders", "DefaultCapacityProviderStrategy")
_SERVICE_CHANGES = (
    "AvailabilityZoneRebalancing",
    "CapacityProviderStrategy",
    "DeploymentConfiguration",
    "DesiredCount",
    "EnableECSManagedTags",
    "EnableExecuteCommand",
    "HealthCheckGracePeriodSeconds",
    "LoadBalancers",
    "NetworkConfiguration",
    "PlatformVersion",
    "PropagateTags",
    "ServiceConnectConfiguration",
    "ServiceRegistries",
    "TaskDefinition",
    "VolumeConfigurations",
)
_TASK_DEFINITION_CREATE_ONLY = (
    "ContainerDefinitions",
    "Cpu",
    "EnableFaultInjection",
    "EphemeralStorage",
    "ExecutionRoleArn",
    "InferenceAccelerators",
    "IpcMode",
    "Memory",
    "NetworkMode",
    "PidMode",
    "PlacementConstraints",
    "ProxyConfiguration",
    "RequiresCompatibilities",
    "RuntimePlatform",
    "TaskRoleArn",
    "Volumes",
)
# MiniStack's own handler for functions takes these in its API only.
_FUNCTION_SETTINGS = ("DeadLetterConfig", "KmsKeyArn", "LoggingConfig", "VpcConfig")


COMPUTE: tuple[ResourceType, ...] = (
    ResourceType(
        name="AWS::ApplicationAutoScaling::ScalableTarget",
        service="application-autoscaling",
        create=Step(_register_target, on=_TARGET_SETTINGS),
        reference="join('|', [properties.ResourceId, properties.ScalableDimension,"
        " properties.ServiceNamespace])",
        read=Read(
            "describe_scalable_targets",
            {
                "ServiceNamespace": "properties.ServiceNamespace",
                "ResourceIds": "[properties.ResourceId]",
                "ScalableDimension": "properties.ScalableDimension",
            },
            "ScalableTargets[0]",
        ),
        tags=Tags("ResourceARN map", "record.ScalableTargetARN", at_create=False, reserved=False),
        attributes={"Id": "id"},
        updates=(Step(_register_target, on=_TARGET_SETTINGS),),
        delete=Call("deregister_scalable_target", _TARGET),
        create_only=tuple(_TARGET),
    ),
    ResourceType(
        name="AWS::ApplicationAutoScaling::ScalingPolicy",
        service="application-autoscaling",
        prepare=_of_its_target,
        create=Call("put_scaling_policy", {**_TARGET, "PolicyName": "name"}, _POLICY),
        reference="response.PolicyARN",
        read=Read(
            "describe_scaling_policies",
            {**_TARGET, "PolicyNames": "[name]"},
            "ScalingPolicies[0]",
        ),
        attributes={"Arn": "id"},
        updates=(Call("put_scaling_policy", {**_TARGET, "PolicyName": "name"}, _POLICY),),
        delete=Call("delete_scaling_policy", {**_TARGET, "PolicyName": "record.PolicyName"}),
        create_only=(*_TARGET, "ScalingTargetId"),
        named="PolicyName",
        name_limit=255,
    ),
    ResourceType(
        name="AWS::ElasticLoadBalancingV2::LoadBalancer",
        service="elbv2",
        create=Call("create_load_balancer", {"Name": "name"}, EVERY),
        reference="response.LoadBalancers[0].LoadBalancerArn",
        read=Read("describe_load_balancers", {"LoadBalancerArns": "[id]"}, "LoadBalancers[0]"),
        ready="record.State.Code == 'active'",
        settings=(
            Call(
                "modify_load_balancer_attributes",
                {"LoadBalancerArn": "id", "Attributes": "properties.LoadBalancerAttributes"},
            ),
        ),
        updates=(
            Call("set_security_groups", {"LoadBalancerArn": "id"}, ("SecurityGroups",)),
            Call("set_subnets", {"LoadBalancerArn": "id"}, ("Subnets", "SubnetMappings")),
            Call("set_ip_address_type", {"LoadBalancerArn": "id"}, ("IpAddressType",)),
        ),
        delete=Call("delete_load_balancer", {"LoadBalancerArn": "id"}),
        attributes={
            "CanonicalHostedZoneID": "record.CanonicalHostedZoneId",
            "DNSName": "record.DNSName",
            "LoadBalancerArn": "id",
            "LoadBalancerFullName": _load_balancer_full_name,
            "LoadBalancerName": "record.LoadBalancerName",
            "SecurityGroups": "record.SecurityGroups",
        },
        create_only=("Scheme", "Type"),
        named="Name",
        name_limit=32,
        tags=Tags("elbv2"),
    ),
    ResourceType(
        name="AWS::ElasticLoadBalancingV2::TargetGroup",
        service="elbv2",
        mends_builtin=True,
        read=Read("describe_target_groups", {"TargetGroupArns": "[id]"}, "TargetGroups[0]"),
        attributes={"TargetGroupFullName": _target_group_full_name},
        create_only=(
            "IpAddressType",
            "Port",
            "Protocol",
            "ProtocolVersion",
            "TargetType",
            "VpcId",
        ),
        named="Name",
    ),
    ResourceType(
        name="AWS::ElasticLoadBalancingV2::Listener",
        service="elbv2",
        mends_builtin=True,
        settings=(
            Call(
                "modify_listener_attributes",
                {"ListenerArn": "id", "Attributes": "properties.ListenerAttributes"},
            ),
        ),
        create_only=("LoadBalancerArn",),
    ),
    ResourceType(
        name="AWS::ECS::Cluster",
        service="ecs",
        taken=_is_cluster,
        create=Call("create_cluster", {"clusterName": "name", **_CLUSTER_SETTINGS}, _PROVIDERS),
        reference="response.cluster.clusterName",
        read=Read(
            "describe_clusters",
            {"clusters": "[id]"},
            "clusters[?status=='ACTIVE'] | [0]",
        ),
        attributes={"Arn": "record.clusterArn"},
        updates=(
            Call("update_cluster", {"cluster": "id", **_CLUSTER_SETTINGS}),
            Call("put_cluster_capacity_providers", {"cluster": "id"}, _PROVIDERS),
        ),
        delete=Call("delete_cluster", {"cluster": "id"}),
        defaults={"CapacityProviders": [], "DefaultCapacityProviderStrategy": []},
        named="ClusterName",
        name_limit=255,
        tags=Tags("ecs", "record.clusterArn"),
    ),
    ResourceType(
        name="AWS::ECS::ClusterCapacityProviderAssociations",
        service="ecs",
        create=Call(
            "put_cluster_capacity_providers", {"cluster": "properties.Cluster"}, _PROVIDERS
        ),
        reference="properties.Cluster",
        updates=(Call("put_cluster_capacity_providers", {"cluster": "id"}, _PROVIDERS),),
        delete=Call(
            "put_cluster_capacity_providers",
            {
                "cluster": "id",
                "capacityProviders": "`[]`",
                "defaultCapacityProviderStrategy": "`[]`",
            },
        ),
        create_only=("Cluster",),
    ),
    ResourceType(
        name="AWS::ECS::TaskDefinition",
        service="ecs",
        create=Call("register_task_definition", {"family": "name"}, EVERY),
        reference="response.taskDefinition.taskDefinitionArn",
        attributes={"TaskDefinitionArn": "id"},
        delete=Call("deregister_task_definition", {"taskDefinition": "id"}),
        create_only=_TASK_DEFINITION_CREATE_ONLY,
        named="Family",
        name_shared=True,
        name_limit=255,
        tags=Tags("ecs"),
    ),
    ResourceType(
        name="AWS::ECS::Service",
        service="ecs",
        create=Call("create_service", {"serviceName": "name"}, EVERY),
        reference="response.service.serviceArn",
        read=Read(
            "describe_services",
            {"cluster": "properties.Cluster", "services": "[id]"},
            "services[?status=='ACTIVE'] | [0]",
        ),
        ready="record.runningCount == record.desiredCount && length(record.deployments) == `1`",
        attributes={"Name": "record.serviceName", "ServiceArn": "id"},
        updates=(
            Call(
                "update_service",
                {
                    "cluster": "properties.Cluster",
                    "service": "id",
                    "forceNewDeployment": "properties.ForceNewDeployment.EnableForceNewDeployment",
                },
                _SERVICE_CHANGES,
            ),
        ),
        delete=Call(
            "delete_service", {"cluster": "properties.Cluster", "service": "id", "force": "`true`"}
        ),
        create_only=("Cluster", "Role", "SchedulingStrategy"),
        conditional=("LaunchType",),
        ignored=("DeploymentController", "ForceNewDeployment", "PlacementStrategies"),
        named="ServiceName",
        name_limit=255,
        tags=Tags("ecs"),
    ),
    ResourceType(
        name="AWS::Lambda::Function",
        service="lambda",
        mends_builtin=True,
        settings=(
            Call("update_function_configuration", {"FunctionName": "id"}, _FUNCTION_SETTINGS),
            Step(_reserve, on=("ReservedConcurrentExecutions",)),
        ),
        create_only=("PackageType", "TenancyConfig"),
        conditional=("DurableConfig",),
        named="FunctionName",
        name_limit=64,
    ),
)
