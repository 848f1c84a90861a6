"""Holding the templates against Control Tower's rules finds what is spoiled, and stale excuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import guard
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
    assert "PaymentVPCStack in dev: LogGroup breaks retention" in complaint
    [stale] = guard.needless([LOG_GROUP], [suppression])
    assert "take it out" in stale


SPOILED = [
    ("database.yml", "StorageEncrypted: true", "StorageEncrypted: false", "PaymentDBCluster"),
    ("vpc.yml", "EnableKeyRotation: true", "EnableKeyRotation: false", "PaymentNetworkLogsKey"),
    ("artifacts.yml", "BlockPublicAcls: true", "BlockPublicAcls: false", "PaymentArtifactsBucket"),
    ("service.yml", "ReadonlyRootFilesystem: true", "ReadonlyRootFilesystem: false",
     "PaymentTaskDefinition"),
]  # fmt: skip


def broken(folder: Path, templates: Path) -> set[tuple[str, str]]:
    """The rules and the resources that break them, of prod and the bucket of releases."""
    written = list(guard.write_templates(folder, templates, ["prod"]))
    assert len(written) == 7
    return {(finding.rule, finding.resource) for finding in guard.findings(folder)}


def test_spoiled_property_is_found(tmp_path: Path) -> None:
    templates = tmp_path / "cloudformation"
    shutil.copytree(guard.TEMPLATES, templates)
    before = broken(tmp_path / "before", templates)
    for file, good, bad, _ in SPOILED:
        text = (templates / file).read_text()
        assert good in text
        (templates / file).write_text(text.replace(good, bad))
    found = broken(tmp_path / "after", templates) - before
    assert {resource for _, _, _, resource in SPOILED} <= {resource for _, resource in found}
