"""The stack tree of the platform as CloudFormation tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from verification.cloud import Cloud, Record

NESTED = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Resource:
    """One resource of a stack."""

    stack: str
    logical_id: str
    type: str
    physical_id: str
    status: str

    def __str__(self) -> str:
        """Return where the resource is, for messages."""
        return f"{self.stack or 'root'}/{self.logical_id} ({self.type})"


@dataclass(frozen=True)
class Stack:
    """One stack of the tree; `path` is '' for the root, else the logical ids that lead to it."""

    path: str
    name: str
    stack_id: str
    status: str
    parent_id: str
    root_id: str
    termination_protection: bool
    parameters: dict[str, str]
    outputs: dict[str, str]
    exports: dict[str, str]
    tags: dict[str, str]
    resources: tuple[Resource, ...]


def tag_map(tags: list[Record]) -> dict[str, str]:
    """Return `[{Key, Value}]` as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def read_tree(cloud: Cloud, name: str, path: str = "") -> Iterator[Stack]:
    """Yield the stack and everything nested in it, parents first.

    Raises:
        CloudError: the stack does not exist or AWS could not be read.
    """
    stack = _read_stack(cloud, name, path)
    yield stack
    for resource in stack.resources:
        if resource.type == NESTED and resource.physical_id:
            child = f"{path}/{resource.logical_id}".strip("/")
            yield from read_tree(cloud, resource.physical_id, child)


def _read_stack(cloud: Cloud, name: str, path: str) -> Stack:
    found = cloud.get("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
    listed = cloud.every(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=name
    )
    outputs = found.get("Outputs", [])
    return Stack(
        path=path,
        name=found["StackName"],
        stack_id=found["StackId"],
        status=found["StackStatus"],
        parent_id=found.get("ParentId", ""),
        root_id=found.get("RootId", ""),
        termination_protection=found.get("EnableTerminationProtection", False),
        parameters={
            item["ParameterKey"]: item.get("ParameterValue", "")
            for item in found.get("Parameters", [])
        },
        outputs={item["OutputKey"]: item["OutputValue"] for item in outputs},
        exports={
            item["OutputKey"]: item["ExportName"] for item in outputs if item.get("ExportName")
        },
        tags=tag_map(found.get("Tags", [])),
        resources=tuple(
            Resource(
                stack=path,
                logical_id=item["LogicalResourceId"],
                type=item["ResourceType"],
                physical_id=item.get("PhysicalResourceId", ""),
                status=item["ResourceStatus"],
            )
            for item in listed
        ),
    )
