"""Exports of stacks: unique in account and region, and kept while another stack imports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import cloudformation as store
from ministack.services.cloudformation import handlers as actions

from local_cloud.operations import Stack


def of_outputs(stack: Stack) -> dict[str, Any]:
    """The exports that the stack's outputs declare, by name, as MiniStack stores them."""
    return {
        output["ExportName"]: {
            "StackId": stack["StackId"],
            "Name": output["ExportName"],
            "Value": output["OutputValue"],
        }
        for output in stack.get("Outputs", [])
        if output.get("ExportName")
    }


def publish(stack: Stack, exports: Mapping[str, Any]) -> None:
    """Make ``exports`` the exports of the stack."""
    for name, export in store._exports.items():
        if export["StackId"] == stack["StackId"] and name not in exports:
            store._exports.pop(name)
    for name, export in exports.items():
        store._exports[name] = export


def check(stack: Stack, exports: Mapping[str, Any]) -> None:
    """Refuse an export name that is taken, and the loss or change of one that is imported.

    Raises:
        ValueError: in AWS's words.
    """
    for name in exports:
        owner = store._exports.get(name)
        if owner is not None and owner["StackId"] != stack["StackId"]:
            raise ValueError(
                f"Export with name {name} is already exported by stack "
                f"{owner['StackId'].split('/')[1]}."
            )
    for name, export in of_outputs(stack).items():
        if name in exports and exports[name]["Value"] == export["Value"]:
            continue
        importer = _importer(name, stack)
        if importer:
            verb = "update" if name in exports else "delete"
            raise ValueError(f"Cannot {verb} export {name} as it is in use by {importer}")


def _importer(export: str, exporter: Stack) -> str:
    for name, stack in store._stacks.items():
        status = stack["StackStatus"]
        if stack is exporter or "DELETE" in status or status == "REVIEW_IN_PROGRESS":
            continue
        if export in actions._imported_export_names(stack, name):
            return str(name)
    return ""
