"""Holds the packaged templates of every environment against the rules of AWS Control Tower.

cfn-guard, the program, and the rules come from the package that compliance/package.json pins. What
it must not complain about stands in compliance/suppressions.yml, each with its reason; one that
suppresses nothing is a mistake too.

    python scripts/guard.py
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.payments.cfn.plugins.module_utils import package  # noqa: E402 - needs the path above
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import (  # noqa: E402
    NO_VALUE,
    Scope,
    Unknown,
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
SUPPRESSIONS = ROOT / "compliance" / "suppressions.yml"
GUARD = ROOT / "compliance" / "node_modules" / "@cdklabs" / "cdk-validator-cfnguard"
ENVIRONMENTS = ("dev", "staging", "prod")

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
_FORMS = {
    "CertificateArn": _ARN.format(service="acm", resource=f"certificate/{_ID}"),
    "KeyArn": _ARN.format(service="kms", resource=f"key/{_ID}"),
    "TopicArn": _ARN.format(service="sns", resource="topic"),
}
_PARAMETERS = {
    "ContainerImage": "registry.example.com/payments:1.0.0",
    "CostCenter": "cost-center",
    "Owner": "owner",
    "DataClassification": "restricted",
    "BucketName": "bucket",
}


@dataclass(frozen=True)
class Finding:
    """A rule that a resource breaks in an environment."""

    environment: str
    stack: str
    rule: str
    resource: str


@dataclass(frozen=True)
class Suppression:
    """Resources that may break a rule, and why; in all environments unless some are named."""

    rule: str
    resources: list[str]
    reason: str
    environments: list[str] | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is explained by this."""
        return (
            finding.rule == self.rule
            and finding.resource in self.resources
            and (self.environments is None or finding.environment in self.environments)
        )


def main() -> int:
    """Check every environment and return how the program is to exit."""
    if not GUARD.is_dir():
        print("cfn-guard is not installed; run scripts/setup dev.", file=sys.stderr)
        return 1
    suppressions = [
        Suppression(**entry) for entry in yaml.safe_load(SUPPRESSIONS.read_text(encoding="utf-8"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        checked = list(write_templates(Path(folder)))
        found = list(findings(Path(folder)))
    complaints = [*unexplained(found, suppressions), *needless(found, suppressions)]
    for complaint in complaints:
        print(complaint)
    print(
        f"cfn-guard: {len(checked)} stacks, {len(found)} findings of Control Tower's rules, "
        f"{len(complaints)} complaints."
    )
    return 1 if complaints else 0


def unexplained(found: Sequence[Finding], suppressions: Sequence[Suppression]) -> Iterator[str]:
    """What breaks a rule without a reason, one sentence each."""
    for finding in found:
        if not any(suppression.covers(finding) for suppression in suppressions):
            yield (
                f"{finding.stack} in {finding.environment}: {finding.resource} breaks "
                f"{finding.rule}; mend it, or say in compliance/suppressions.yml why it may."
            )


def needless(found: Sequence[Finding], suppressions: Sequence[Suppression]) -> Iterator[str]:
    """What is suppressed although nothing breaks the rule, one sentence each."""
    for suppression in suppressions:
        broken = {finding.resource for finding in found if suppression.covers(finding)}
        for resource in suppression.resources:
            if resource not in broken:
                yield (
                    f"compliance/suppressions.yml: {resource} does not break {suppression.rule}; "
                    "take it out."
                )


def write_templates(
    folder: Path, templates: Path = TEMPLATES, environments: Sequence[str] = ENVIRONMENTS
) -> Iterator[Path]:
    """Write the packaged templates as they read in each environment, one file a stack."""
    for environment in environments:
        values = {**_PARAMETERS, "EnvironmentType": environment}
        values["CertificateArn"] = _FORMS["CertificateArn"]
        tree = _packaged(templates / "master.yml", values, ["EnvironmentType"], folder)
        for path, (_, scope) in tree_scopes(tree, _scope(tree, values)).items():
            if path:  # the root has only stacks in it
                yield _write(folder, environment, path[-1], scope)
    tree = load_tree(templates / "artifacts.yml")
    yield _write(folder, "every environment", "artifacts", _scope(tree, _PARAMETERS))


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
    path.write_text(json.dumps({"Resources": resources}, indent=1), encoding="utf-8")
    return path


def _known(node: Any, scope: Scope) -> Any:
    """What is known of a value; a function whose value is not stays as it is written."""
    if isinstance(node, list):
        items = [_known(item, scope) for item in node]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and (next(iter(node)).startswith("Fn::") or "Ref" in node):
        value = evaluate(node, scope)
        return _of_the_form(node, scope) if isinstance(value, Unknown) else value
    found = {key: _known(value, scope) for key, value in node.items()}
    return {key: value for key, value in found.items() if value is not NO_VALUE}


def _of_the_form(node: dict[str, Any], scope: Scope) -> Any:
    """Something of the form that the value of a function will have, where a rule looks at it."""
    [(function, argument)] = node.items()
    if function == "Ref" and argument in scope.parameters:
        return next((form for end, form in _FORMS.items() if argument.endswith(end)), node)
    if function == "Fn::GetAtt" and _is_bucket_arn(argument, scope):
        return f"arn:aws:s3:::{argument[0].lower()}"
    if function == "Fn::Sub" and isinstance(argument, str):
        return re.sub(
            r"\$\{(\w+)\.Arn\}",
            lambda found: (
                str(_of_the_form({"Fn::GetAtt": [found[1], "Arn"]}, scope))
                if _is_bucket_arn([found[1], "Arn"], scope)
                else found[0]
            ),
            argument,
        )
    return node


def _is_bucket_arn(attribute: list[str], scope: Scope) -> bool:
    resource = scope.template.resources.get(attribute[0], {})
    return attribute[1] == "Arn" and resource.get("Type") == "AWS::S3::Bucket"


def findings(folder: Path) -> Iterator[Finding]:
    """Run cfn-guard over the written templates and read what it says."""
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    system = "macos" if platform.system() == "Darwin" else "ubuntu"
    rules = GUARD / "rules" / "control-tower" / "cfn-guard"
    command = [str(GUARD / "bin" / system / machine / "cfn-guard"), "validate"]
    command += ["--rules", str(rules), "--structured", "--output-format", "json"]
    command += ["--show-summary", "none", "--data"]
    for environment in sorted(path for path in (folder / "templates").iterdir()):
        done = subprocess.run(
            [*command, str(environment)], capture_output=True, text=True, check=False
        )
        # 0: everything complies, 19: something does not.
        if done.returncode not in (0, 19):
            raise SystemExit(f"cfn-guard ended with {done.returncode}: {done.stderr.strip()}")
        for report in json.loads(done.stdout):
            stack = Path(report["name"]).stem
            for broken in report["not_compliant"]:
                rule = broken["Rule"]
                resources = set(re.findall(r"/Resources/(\w+)", json.dumps(rule)))
                for resource in sorted(resources):
                    yield Finding(environment.name, stack, rule["name"], resource)


if __name__ == "__main__":
    sys.exit(main())
