"""The packaged templates as they read in an environment, written as files for tools to look at.

Packaging fixes what depends on the environment; parameters, mappings and conditions are then worked
out as CloudFormation would, and what only a deployment knows keeps its function, or becomes a value
of the right form.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.payments.cfn.plugins.module_utils import package  # noqa: E402 - needs the path above
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import (  # noqa: E402
    NO_VALUE,
    Scope,
    Unknown,
    condition,
    evaluate,
    planned,
    root_scope,
    tree_scopes,
)
from ansible_collections.payments.cfn.plugins.module_utils.templates import (  # noqa: E402
    TemplateTree,
    load_tree,
)

TEMPLATES = ROOT / "cloudformation"
ENVIRONMENTS = ("dev", "staging", "prod")
# Stacks beside the platform, which serve every environment.
BESIDE = ("bootstrap", "recorder")

_PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::URLSuffix": "amazonaws.com",
}
_ARN = "arn:aws:{service}:eu-west-1:111122223333:{resource}"
_ID = "00000000-0000-4000-8000-000000000000"
# Values of the right form for what only a deployment knows, by the end of the parameter's name:
# the rules look at the form.
_FORMS: dict[str, Any] = {
    "CertificateArn": _ARN.format(service="acm", resource=f"certificate/{_ID}"),
    "KeyArn": _ARN.format(service="kms", resource=f"key/{_ID}"),
    "SecurityGroupId": "sg-00000000000000001",
    "SubnetIds": ["subnet-00000000000000001", "subnet-00000000000000002"],
    "TopicArn": _ARN.format(service="sns", resource="topic"),
}
_PARAMETERS = {
    "AlarmEmail": "alarms@example.com",
    "ContainerImage": "registry.example.com/payments:1.0.0",
    "CostCenter": "cost-center",
    "Owner": "owner",
    "DataClassification": "restricted",
    "BucketName": "bucket",
    "OidcSubjects": "repo:example/payments:environment:prod",
}


def write_templates(
    folder: Path, templates: Path = TEMPLATES, environments: Sequence[str] = ENVIRONMENTS
) -> Iterator[Path]:
    """Write the packaged templates as they read in each environment, one file a stack."""
    for environment in environments:
        values = {**_PARAMETERS, "EnvironmentType": environment}
        values["CertificateArn"] = _FORMS["CertificateArn"]
        tree = _packaged(templates / "master.yml", values, ["EnvironmentType"], folder)
        for path, (_, scope) in tree_scopes(tree, _scope(tree, values)).items():
            yield _write(folder, environment, path[-1] if path else "master", scope)
    for name in BESIDE:
        tree = load_tree(templates / f"{name}.yml")
        yield _write(folder, "every environment", name, _scope(tree, _PARAMETERS))


def sources(templates: Path = TEMPLATES) -> dict[str, str]:
    """The template, by file name, that each stack of those written is made from."""
    children = load_tree(templates / "master.yml").children
    found = {name: child.tree.template.source for name, child in children.items() if child.tree}
    return {"master": "master.yml", **{name: f"{name}.yml" for name in BESIDE}, **found}


def _packaged(
    root: Path, values: Mapping[str, str], literals: list[str], folder: Path
) -> TemplateTree:
    destination = package.destination("bucket", _PSEUDO["AWS::Region"], "", "amazonaws.com")
    made = package.build(load_tree(root), values, literals, destination)
    directory = folder / "packaged" / values["EnvironmentType"]
    package.save(made, directory)
    located = made.release.template_paths(directory)
    return load_tree(located[made.release.root.url], located)


def _scope(tree: TemplateTree, values: Mapping[str, str]) -> Scope:
    return root_scope(tree.template, values, _PSEUDO)


def _write(folder: Path, environment: str, stack: str, scope: Scope) -> Path:
    resources = {}
    for item in planned(scope):
        resource = scope.template.resources[item.logical_id]
        resources[item.logical_id] = {
            **{key: value for key, value in resource.items() if key != "Condition"},
            "Properties": _known(resource.get("Properties", {}), scope),
        }
    path = folder / "templates" / environment / f"{stack}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"Parameters": scope.template.parameters, "Resources": resources}, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def _known(node: Any, scope: Scope) -> Any:
    """What is known of a value; a function whose value is not stays as it is written."""
    if isinstance(node, list):
        items = [_known(item, scope) for item in node]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and (next(iter(node)).startswith("Fn::") or "Ref" in node):
        if "Fn::If" in node:
            return _chosen(node, scope)
        value = evaluate(node, scope)
        return _of_the_form(node, scope) if isinstance(value, Unknown) else value
    found = {key: _known(value, scope) for key, value in node.items()}
    document = found.get("AssumeRolePolicyDocument")
    if isinstance(document, str):  # written as text where its keys are computed
        found["AssumeRolePolicyDocument"] = json.loads(document)
    return {key: value for key, value in found.items() if value is not NO_VALUE}


def _chosen(node: dict[str, Any], scope: Scope) -> Any:
    """What is known of what a condition chooses."""
    name, then, otherwise = node["Fn::If"]
    holds = condition(name, scope)
    return node if isinstance(holds, Unknown) else _known(then if holds else otherwise, scope)


def _of_the_form(node: dict[str, Any], scope: Scope) -> Any:
    """Something of the form that the value of a function will have, where a rule looks at it."""
    [(function, argument)] = node.items()
    if function == "Ref" and argument in scope.parameters:
        return next((form for end, form in _FORMS.items() if argument.endswith(end)), node)
    if function == "Fn::GetAtt" and _is_bucket_arn(argument, scope):
        return f"arn:aws:s3:::{argument[0].lower()}"
    if function == "Fn::Sub":
        return _substituted(argument, scope)
    return node


def _substituted(argument: Any, scope: Scope) -> str:
    """The text of Fn::Sub with what is known in its place."""
    text, variables = argument if isinstance(argument, list) else (argument, {})

    def value(found: re.Match[str]) -> str:
        name, _, attribute = found[1].partition(".")
        reference = {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}
        known = _known(variables.get(found[1], reference), scope)
        return found[0] if isinstance(known, dict | list) else str(known)

    return re.sub(r"\$\{([^!}]+)\}", value, text)


def _is_bucket_arn(attribute: list[str], scope: Scope) -> bool:
    resource = scope.template.resources.get(attribute[0], {})
    return attribute[1] == "Arn" and resource.get("Type") == "AWS::S3::Bucket"
