"""Holding the templates against the rules finds what is spoiled, and stale excuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

from scripts import guard, packaged
from scripts.guard import Finding, Suppression

LOG_GROUP = Finding("dev", "PaymentVPCStack", "retention", "LogGroup")


def test_what_is_explained_is_no_complaint() -> None:
    suppression = Suppression("retention", ["LogGroup"], "short on purpose", ["dev"])
    assert list(guard.unexplained([LOG_GROUP], [suppression])) == []
    assert list(guard.needless([LOG_GROUP], [suppression])) == []


@pytest.mark.parametrize(
    "suppression",
    [
        Suppression("retention", ["LogGroup"], "of another environment", ["staging"]),
        Suppression("retention", ["Other"], "of another resource"),
        Suppression("encryption", ["LogGroup"], "of another rule"),
    ],
)
def test_explanation_of_something_else_explains_nothing(suppression: Suppression) -> None:
    [complaint] = guard.unexplained([LOG_GROUP], [suppression])
    assert "PaymentVPCStack in dev: LogGroup breaks retention of Control Tower" in complaint
    [stale] = guard.needless([LOG_GROUP], [suppression])
    assert "take it out" in stale


def test_nothing_explains_what_breaks_a_rule_of_our_own() -> None:
    finding = Finding("dev", "PaymentVPCStack", "retention", "LogGroup", own=True)
    suppression = Suppression("retention", ["LogGroup"], "short on purpose")
    [complaint] = guard.unexplained([finding], [suppression])
    assert "breaks retention of compliance/rules; mend the template" in complaint
    assert list(guard.needless([finding], [suppression])) != []


# Of each set some properties, spoiled, with the resource and the rule that it then breaks.
SPOILED = [
    ("database.yml", "StorageEncrypted: true", "StorageEncrypted: false",
     "PaymentDBCluster", "rds_cluster_storage_encrypted_check"),
    ("vpc.yml", "EnableKeyRotation: true", "EnableKeyRotation: false",
     "PaymentNetworkLogsKey", "kms_key_rotation_enabled_check"),
    ("bootstrap.yml", "BlockPublicAcls: true", "BlockPublicAcls: false",
     "PaymentArtifactsBucket", "s3_bucket_level_public_access_prohibited_check"),
    ("service.yml", "ReadonlyRootFilesystem: true", "ReadonlyRootFilesystem: false",
     "PaymentTaskDefinition", "ecs_containers_readonly_access_check"),
    ("database.yml", "ssl_min_protocol_version: TLSv1.2", "ssl_min_protocol_version: TLSv1",
     "PaymentDBClusterParameterGroup", "database_refuses_old_tls"),
    ("vpc.yml", "TrafficType: ALL", "TrafficType: REJECT",
     "PaymentFlowLog", "network_records_its_traffic"),
    ("bootstrap.yml", "Environment, Value: shared", "Environment, Value: prod",
     "PaymentArtifactsBucket", "shared_resource_says_that_it_is_shared"),
    ("service.yml", "Action: kms:Decrypt", "Action: kms:*",
     "PaymentTaskRole", "statement_names_its_actions"),
    ("security.yml", "Action: sns:Publish", "Action: sns:Subscribe",
     "PaymentAlarmTopicPolicy", "topic_refuses_plain_text"),
]  # fmt: skip


def broken(folder: Path, templates: Path) -> set[tuple[str, str]]:
    """The resources of prod, and of what is shared, that break a rule, with the rule."""
    list(packaged.write_templates(folder, templates, ["prod"]))
    return {(finding.resource, finding.rule) for finding in guard.findings(folder)}


def test_spoiled_property_is_found(tmp_path: Path) -> None:
    templates = tmp_path / "cloudformation"
    shutil.copytree(packaged.TEMPLATES, templates)
    before = broken(tmp_path / "before", templates)
    for file, good, bad, *_ in SPOILED:
        text = (templates / file).read_text()
        assert good in text
        (templates / file).write_text(text.replace(good, bad))
    found = broken(tmp_path / "after", templates) - before
    assert {(resource, rule) for *_, resource, rule in SPOILED} - found == set()


def test_every_stack_is_written_as_it_reads_in_its_environment(tmp_path: Path) -> None:
    written = list(packaged.write_templates(tmp_path, environments=["dev", "prod"]))
    stacks = set(load_tree(packaged.TEMPLATES / "master.yml").children) | {"master"}
    in_prod = {path.stem: path for path in written if path.parent.name == "prod"}
    assert set(in_prod) == stacks
    assert {path.stem for path in written} == stacks | {"bootstrap", "recorder"}
    for path in in_prod.values():
        template = json.loads(path.read_text(encoding="utf-8"))
        assert template["Parameters"]["EnvironmentType"]["AllowedValues"] == ["prod"]
        assert template["Resources"]


def test_rule_on_a_whole_template_is_found_too(tmp_path: Path) -> None:
    """A network without a flow log names no resource that is wrong."""
    template = tmp_path / "templates" / "prod" / "network.json"
    template.parent.mkdir(parents=True)
    network = {"Type": "AWS::EC2::VPC", "Properties": {"Tags": []}}
    template.write_text(json.dumps({"Resources": {"VPC": network}}), encoding="utf-8")
    missing = Finding("prod", "network", "network_records_its_traffic", "the template", own=True)
    assert missing in list(guard.findings(tmp_path))
