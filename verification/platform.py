"""The deployed platform: what was asked for (settings) and what is there (read from AWS)."""

from __future__ import annotations

import json
from functools import cached_property

from verification.cloud import Cloud, CloudError, Record
from verification.settings import Settings
from verification.stacks import Resource, Stack, read_tree

# A stack that was rolled back is whole again and stays in that state until something changes.
# Whether it is what the inventory asks for, the checks of its resources tell.
COMPLETE = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
)


class MissingError(Exception):
    """Something that every check of its kind needs is not there."""


class Platform:
    """One deployment target. Everything is read on first use and then kept."""

    def __init__(self, settings: Settings, cloud: Cloud | None = None) -> None:
        """Prepare to read what the settings describe; nothing is asked yet."""
        self.settings = settings
        self.cloud = cloud or Cloud(settings.region)

    def again(self) -> Platform:
        """Return the same platform, of which only the stack tree has been read already."""
        other = Platform(self.settings, self.cloud.again())
        other.stacks = self.stacks
        return other

    # --- CloudFormation -------------------------------------------------------------------------

    @cached_property
    def stacks(self) -> dict[str, Stack]:
        """The stack tree by path; the root has the path ''."""
        name = self.settings.stack_name
        try:
            return {stack.path: stack for stack in read_tree(self.cloud, name)}
        except CloudError as error:
            if "does not exist" in str(error):
                raise MissingError(
                    f"Stack {name} does not exist in {self.settings.region}: deploy it first."
                ) from None
            raise

    @property
    def root(self) -> Stack:
        """The root stack."""
        return self.stacks[""]

    def nested(self, path: str) -> Stack:
        """Return one nested stack by its logical id, for example PaymentVPCStack."""
        try:
            return self.stacks[path]
        except KeyError:
            raise MissingError(f"Stack {self.root.name} has no nested stack {path}.") from None

    def output(self, name: str) -> str:
        """Return the value of an output of the root stack."""
        if name in self.root.outputs:
            return self.root.outputs[name]
        if self.root.status not in COMPLETE:
            # One sentence for all outputs: they are missing for one reason.
            raise MissingError(
                f"Stack {self.root.name} is {self.root.status}, so it has no outputs."
            )
        raise MissingError(f"Stack {self.root.name} has no output {name}.")

    def outputs(self, name: str) -> list[str]:
        """Return the items of an output that is a comma-joined list."""
        return self.output(name).split(",")

    def resources(self, *types: str) -> list[Resource]:
        """Return the resources of the whole tree that have one of the types."""
        return [
            resource
            for stack in self.stacks.values()
            for resource in stack.resources
            if resource.type in types
        ]

    def template(self, path: str) -> Record:
        """Return the deployed template of a nested stack."""
        body = self.cloud.get(
            "cloudformation", "get_template", StackName=self.nested(path).stack_id
        )["TemplateBody"]
        # Packaged templates are JSON; boto3 parses those by itself.
        parsed: Record = json.loads(body) if isinstance(body, str) else body
        return parsed

    @property
    def partition(self) -> str:
        """The partition of AWS that the platform is in."""
        return self.root.stack_id.split(":")[1]

    @property
    def account(self) -> str:
        """The account that the platform is in."""
        return self.root.stack_id.split(":")[4]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something in the platform's account and region."""
        _, partition, _, region, account, _ = self.root.stack_id.split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    @cached_property
    def boundary(self) -> str:
        """The ARN of the permissions boundary, which the account was prepared with."""
        name = f"/{self.settings.application}/bootstrap/permissions-boundary-arn"
        try:
            value: str = self.cloud.get("ssm", "get_parameter", Name=name)["Parameter"]["Value"]
        except CloudError as error:
            if error.code == "ParameterNotFound":
                raise MissingError(
                    f"Parameter {name} does not exist: prepare the account."
                ) from None
            raise
        return value

    @property
    def keys(self) -> set[str]:
        """The ARNs of the KMS keys of the stack tree."""
        return {
            self.arn("kms", f"key/{item.physical_id}") for item in self.resources("AWS::KMS::Key")
        }

    # --- Network --------------------------------------------------------------------------------

    def in_vpc(self, operation: str, key: str, filter_name: str = "vpc-id") -> list[Record]:
        """Return what EC2 lists for the platform's VPC."""
        filters = [{"Name": filter_name, "Values": [self.output("VpcId")]}]
        return self.cloud.every("ec2", operation, key, Filters=filters)

    @cached_property
    def vpc(self) -> Record:
        """The VPC."""
        vpc_id = self.output("VpcId")
        found = self.cloud.every("ec2", "describe_vpcs", "Vpcs", VpcIds=[vpc_id])
        if not found:
            raise MissingError(f"VPC {vpc_id} does not exist.")
        return found[0]

    @cached_property
    def subnets(self) -> dict[str, Record]:
        """Every subnet of the VPC by id, whoever made it."""
        return {item["SubnetId"]: item for item in self.in_vpc("describe_subnets", "Subnets")}

    def tier(self, name: str) -> list[Record]:
        """Return the subnets of a tier: Public, Private or Database."""
        missing = [item for item in self.outputs(f"{name}SubnetIds") if item not in self.subnets]
        if missing:
            raise MissingError(f"{name} subnets are not in the VPC: {', '.join(missing)}.")
        return [self.subnets[item] for item in self.outputs(f"{name}SubnetIds")]

    @cached_property
    def security_groups(self) -> dict[str, Record]:
        """Every security group of the VPC by id, whoever made it."""
        found = self.in_vpc("describe_security_groups", "SecurityGroups")
        return {item["GroupId"]: item for item in found}

    def security_group(self, output: str) -> Record:
        """Return the security group that an output names."""
        group_id = self.output(output)
        if group_id not in self.security_groups:
            raise MissingError(f"{output} {group_id} is not in VPC {self.output('VpcId')}.")
        return self.security_groups[group_id]

    @cached_property
    def nat_gateways(self) -> list[Record]:
        """The NAT gateways of the VPC that are not deleted."""
        found = self.cloud.every(
            "ec2",
            "describe_nat_gateways",
            "NatGateways",
            Filter=[{"Name": "vpc-id", "Values": [self.output("VpcId")]}],
        )
        return [item for item in found if item["State"] != "deleted"]

    # --- Database -------------------------------------------------------------------------------

    @cached_property
    def cluster(self) -> Record:
        """The Aurora cluster."""
        name = self.output("DatabaseClusterIdentifier")
        return self.cloud.every(
            "rds", "describe_db_clusters", "DBClusters", DBClusterIdentifier=name
        )[0]

    @cached_property
    def database_instances(self) -> list[Record]:
        """The members of the Aurora cluster."""
        name = self.output("DatabaseClusterIdentifier")
        return self.cloud.every(
            "rds",
            "describe_db_instances",
            "DBInstances",
            Filters=[{"Name": "db-cluster-id", "Values": [name]}],
        )

    def secret(self, output: str) -> Record:
        """Return the description of the secret that an output names, without its value."""
        return self.cloud.get("secretsmanager", "describe_secret", SecretId=self.output(output))

    # --- Compute and service --------------------------------------------------------------------

    @cached_property
    def ecs_cluster(self) -> Record:
        """The ECS cluster with its settings and configuration."""
        name = self.output("ClusterName")
        found: list[Record] = self.cloud.get(
            "ecs",
            "describe_clusters",
            clusters=[name],
            include=["SETTINGS", "CONFIGURATIONS", "TAGS"],
        )["clusters"]
        if not found:
            raise MissingError(f"ECS cluster {name} does not exist.")
        return found[0]

    @cached_property
    def service(self) -> Record:
        """The ECS service."""
        name = self.output("ServiceName")
        found: list[Record] = self.cloud.get(
            "ecs",
            "describe_services",
            cluster=self.output("ClusterName"),
            services=[name],
            include=["TAGS"],
        )["services"]
        if not found:
            raise MissingError(f"ECS service {name} does not exist.")
        return found[0]

    @cached_property
    def task_definition(self) -> Record:
        """The task definition that the service runs now."""
        found: Record = self.cloud.get(
            "ecs", "describe_task_definition", taskDefinition=self.service["taskDefinition"]
        )["taskDefinition"]
        return found

    @cached_property
    def load_balancer(self) -> Record:
        """The application load balancer."""
        return self.cloud.every(
            "elbv2",
            "describe_load_balancers",
            "LoadBalancers",
            LoadBalancerArns=[self.output("LoadBalancerArn")],
        )[0]

    @cached_property
    def load_balancer_attributes(self) -> dict[str, str]:
        """The attributes of the load balancer."""
        return self._attributes(
            "describe_load_balancer_attributes", LoadBalancerArn=self.output("LoadBalancerArn")
        )

    @cached_property
    def listeners(self) -> dict[int, Record]:
        """The listeners of the load balancer by port."""
        found = self.cloud.every(
            "elbv2",
            "describe_listeners",
            "Listeners",
            LoadBalancerArn=self.output("LoadBalancerArn"),
        )
        return {item["Port"]: item for item in found}

    def listener(self, port: int) -> Record:
        """Return the listener on a port."""
        if port not in self.listeners:
            raise MissingError(f"The load balancer has no listener on port {port}.")
        return self.listeners[port]

    @cached_property
    def target_group(self) -> Record:
        """The target group of the service."""
        return self.cloud.every(
            "elbv2",
            "describe_target_groups",
            "TargetGroups",
            TargetGroupArns=[self.output("TargetGroupArn")],
        )[0]

    @cached_property
    def target_group_attributes(self) -> dict[str, str]:
        """The attributes of the target group."""
        return self._attributes(
            "describe_target_group_attributes", TargetGroupArn=self.output("TargetGroupArn")
        )

    def _attributes(self, operation: str, **arguments: str) -> dict[str, str]:
        found = self.cloud.get("elbv2", operation, **arguments)["Attributes"]
        return {item["Key"]: item["Value"] for item in found}

    # --- Monitoring -----------------------------------------------------------------------------

    @cached_property
    def alarms(self) -> dict[str, Record]:
        """The metric alarms of the environment by name."""
        return self._alarms("MetricAlarms", "MetricAlarm")

    @cached_property
    def composite_alarms(self) -> dict[str, Record]:
        """The composite alarms of the environment by name."""
        return self._alarms("CompositeAlarms", "CompositeAlarm")

    @cached_property
    def dimension_values(self) -> dict[str, set[str]]:
        """What the platform has of each thing that metrics are published by."""
        functions = {item.physical_id for item in self.resources("AWS::Lambda::Function")}
        vaults = {item.physical_id for item in self.resources("AWS::Backup::BackupVault")}
        return {
            "ClusterName": {self.output("ClusterName")},
            "ServiceName": {self.output("ServiceName")},
            "LoadBalancer": {self.output("LoadBalancerFullName")},
            "TargetGroup": {self.output("TargetGroupFullName")},
            "DBClusterIdentifier": {self.output("DatabaseClusterIdentifier")},
            "Role": {"WRITER", "READER"},
            "NatGatewayId": {item["NatGatewayId"] for item in self.nat_gateways},
            "FunctionName": functions,
            "BackupVaultName": vaults,
            "RuleName": {item.physical_id for item in self.resources("AWS::Events::Rule")},
        }

    def _alarms(self, key: str, kind: str) -> dict[str, Record]:
        found = self.cloud.every(
            "cloudwatch",
            "describe_alarms",
            key,
            AlarmNamePrefix=f"{self.settings.prefix}-",
            AlarmTypes=[kind],
        )
        return {item["AlarmName"]: item for item in found}
