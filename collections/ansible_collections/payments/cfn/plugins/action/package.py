# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``payments.cfn.package``; the packaging itself is in module_utils."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ansible_collections.amazon.aws.plugins.module_utils.botocore import botocore_at_least

from ..module_utils import package, upload
from ..module_utils.account import DNS_SUFFIXES
from ..module_utils.errors import CfnError
from ..module_utils.manifest import Artifact, Release
from ..module_utils.templates import load_tree
from ..plugin_utils.action import CfnAction

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The first that puts an object only if it is missing.
_BOTOCORE = "1.35.2"


class ActionModule(CfnAction):
    """Packages a template tree and brings to the bucket what it lacks."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "template": {"type": "path", "required": True},
        "parameters": {"type": "dict", "default": {}},
        "literals": {"type": "list", "elements": "str", "default": []},
        "bucket": {"type": "str", "required": True},
        "prefix": {"type": "str", "default": ""},
        "kms_key_id": {"type": "str", "no_log": False},
        "output_dir": {"type": "path", "required": True},
    }
    CONCURRENCY = upload.MAX_WORKERS

    def operate(self, options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the task and return its result."""
        del task_vars
        tree = load_tree(options["template"])
        client = self.clients.client("s3", upload.CLIENT_SETTINGS)
        if not botocore_at_least(_BOTOCORE):
            raise CfnError(f"botocore is older than {_BOTOCORE}; install a newer one.")
        target = package.destination(
            options["bucket"],
            self.clients.region,
            options["prefix"],
            DNS_SUFFIXES.get(client.meta.partition, DNS_SUFFIXES["aws"]),
        )
        packaged = package.build(tree, options["parameters"], options["literals"], target)
        warnings = list(packaged.warnings)
        release = packaged.release
        missing = self._missing(client, release, warnings)
        path = package.save(packaged, Path(options["output_dir"]))
        uploaded: tuple[str, ...] = ()
        if missing and not self._task.check_mode:
            done = upload.upload(
                client, release.bucket, missing, packaged.contents, options["kms_key_id"]
            )
            uploaded = done.keys
            warnings += done.warnings
        return {
            "changed": bool(missing),
            "release_id": release.release_id,
            "template_url": release.template_url,
            "manifest": str(path),
            "artifacts": [asdict(artifact) for artifact in release.artifacts],
            "missing": [artifact.key for artifact in missing],
            "uploaded": list(uploaded),
            "warnings": warnings,
        }

    def _missing(
        self, client: S3Client, release: Release, warnings: list[str]
    ) -> tuple[Artifact, ...]:
        try:
            return upload.find_missing(client, release)
        except upload.MissingBucketError as error:
            # In check mode, the task that creates the bucket has not created it either.
            if not self._task.check_mode:
                raise
            warnings.append(str(error))
            return release.artifacts
