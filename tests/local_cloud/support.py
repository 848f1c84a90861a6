"""Short words for working with stacks in the tests of the local cloud."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "111111111111"
REGION = "eu-west-1"
DEADLINE_SECONDS = 30.0

Template = dict[str, Any]
Client = Callable[..., Any]


def child_of(url: str, parameters: dict[str, Any] | None = None, **attributes: Any) -> Template:
    """A nested stack in a template."""
    properties: dict[str, Any] = {"TemplateURL": url}
    if parameters:
        properties["Parameters"] = parameters
    return {"Type": "AWS::CloudFormation::Stack", "Properties": properties, **attributes}


@dataclass
class Stacks:
    """CloudFormation in one account and region, with a bucket for nested templates."""

    cloudformation: Any
    s3: Any
    bucket: str = "templates"

    def upload(self, template: Template) -> str:
        """Store a template under its content and return its URL."""
        body = json.dumps(template, sort_keys=True)
        key = f"{hashlib.sha256(body.encode()).hexdigest()}.template.json"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode())
        return f"https://s3.{REGION}.amazonaws.com/{self.bucket}/{key}"

    def create(self, name: str, template: Template, **request: Any) -> dict[str, Any]:
        self.cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps(template), **request
        )
        return self.settled(name)

    def update(self, name: str, template: Template, **request: Any) -> dict[str, Any]:
        self.cloudformation.update_stack(
            StackName=name, TemplateBody=json.dumps(template), **request
        )
        return self.settled(name)

    def delete(self, name: str) -> dict[str, Any]:
        stack_id = self.describe(name)["StackId"]
        self.cloudformation.delete_stack(StackName=stack_id)
        return self.settled(stack_id)

    def plan(self, name: str, template: Template, **request: Any) -> dict[str, Any]:
        """Make a change set of the whole tree and describe it."""
        exists = self.find(name) not in (None, "REVIEW_IN_PROGRESS")
        request = {
            "ChangeSetType": "UPDATE" if exists else "CREATE",
            "ChangeSetName": f"plan-{next(_numbers)}",
            "IncludeNestedStacks": True,
            **request,
        }
        made = self.cloudformation.create_change_set(
            StackName=name, TemplateBody=json.dumps(template), **request
        )
        described: dict[str, Any] = self.cloudformation.describe_change_set(
            ChangeSetName=made["Id"]
        )
        return described

    def apply(self, name: str, template: Template, **request: Any) -> dict[str, Any]:
        """Make a change set of the whole tree, execute it and wait."""
        change_set = self.plan(name, template, **request)
        assert change_set["Status"] == "CREATE_COMPLETE", change_set.get("StatusReason")
        self.cloudformation.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
        return self.settled(name)

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def find(self, name: str) -> str | None:
        """The status of a stack; None where there is none."""
        try:
            return str(self.describe(name)["StackStatus"])
        except ClientError:
            return None

    def settled(self, name: str) -> dict[str, Any]:
        """Wait until no operation runs on the stack."""
        return eventually(
            lambda: self.describe(name),
            lambda stack: not stack["StackStatus"].endswith("IN_PROGRESS"),
        )

    def child(self, name: str, logical_id: str) -> dict[str, Any]:
        """The nested stack of that logical id."""
        return self.describe(self.resource(name, logical_id)["PhysicalResourceId"])

    def resource(self, name: str, logical_id: str) -> dict[str, Any]:
        detail: dict[str, Any] = self.cloudformation.describe_stack_resource(
            StackName=name, LogicalResourceId=logical_id
        )["StackResourceDetail"]
        return detail

    def outputs(self, name: str) -> dict[str, str]:
        return {o["OutputKey"]: o["OutputValue"] for o in self.describe(name).get("Outputs", [])}

    def events(self, name: str) -> list[tuple[str, str]]:
        """Logical id and status of every event, the oldest first."""
        return [
            (event["LogicalResourceId"], event["ResourceStatus"]) for event in self.raw_events(name)
        ]

    def raw_events(self, name: str) -> list[dict[str, Any]]:
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
        return list(reversed([event for page in pages for event in page["StackEvents"]]))

    def reason(self, name: str, logical_id: str, status: str) -> str:
        """The reason of the first such event."""
        return next(
            event.get("ResourceStatusReason", "")
            for event in self.raw_events(name)
            if (event["LogicalResourceId"], event["ResourceStatus"]) == (logical_id, status)
        )

    def exports(self) -> dict[str, str]:
        pages = self.cloudformation.get_paginator("list_exports").paginate()
        return {e["Name"]: e["Value"] for page in pages for e in page["Exports"]}


_numbers = itertools.count(1)


def eventually(read: Callable[[], Any], accepts: Callable[[Any], bool]) -> Any:
    """Read until the value is accepted."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        value = read()
        if accepts(value):
            return value
        assert time.monotonic() < deadline, f"still {value}"
        time.sleep(0.02)
