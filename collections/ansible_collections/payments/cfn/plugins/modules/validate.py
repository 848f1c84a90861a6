#!/usr/bin/python
# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check everything a deployment needs before anything is created."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: validate
version_added: "0.1.0"
short_description: Check a tree of nested CloudFormation templates before it is deployed
description:
  - Checks the templates, the parameters, the region and the credentials, and reports everything
    that is wrong at once, one sentence for each finding, before anything is created.
  - "Templates: each one in the tree exists and can be parsed (with line and column), is within
    CloudFormation's quotas, is not nested inside itself; local code exists; every C(DeletionPolicy)
    and C(UpdateReplacePolicy) can be resolved when packaging."
  - "Wiring: what is passed to a nested stack is declared there, what it requires is passed, and
    the outputs that are read of it exist."
  - "Parameters: unknown and missing ones, types, C(AllowedValues), C(AllowedPattern), lengths and
    bounds, also of values passed on to nested stacks. The value of a C(NoEcho) parameter is never
    shown."
  - "AWS: the region is one of CloudFormation's, the endpoint can be reached and the credentials
    work (C(sts:GetCallerIdentity)), with short timeouts."
options:
  template:
    description: The root template, YAML or JSON.
    type: path
    required: true
  parameters:
    description: Parameter values of the root template. A null value counts as not given.
    type: dict
    default: {}
  literals:
    description: Names of the root parameters that M(payments.cfn.package) will pin.
    type: list
    elements: str
    default: []
requirements:
  - PyYAML
author:
  - Nested Stack Tooling Authors (@cfn-tooling-authors)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Never changes anything.
    support: full
"""

EXAMPLES = r"""
- name: Check what is about to be deployed
  payments.cfn.validate:
    template: cloudformation/master.yml
    parameters:
      EnvironmentType: dev
    literals: [EnvironmentType]
    region: eu-west-1
  register: valid

- name: Stop if the credentials belong to another account
  ansible.builtin.assert:
    that: valid.account_id == "123456789012"
"""

RETURN = r"""
account_id:
  description: The account of the credentials.
  returned: success
  type: str
  sample: "123456789012"
arn:
  description: The ARN of the user or role.
  returned: success
  type: str
  sample: arn:aws:iam::123456789012:role/deploy
region:
  description: The region.
  returned: success
  type: str
  sample: eu-west-1
partition:
  description: The partition of the region.
  returned: success
  type: str
  sample: aws
templates:
  description: The template files of the tree, children before parents, the root last.
  returned: success
  type: list
  elements: str
findings:
  description: Everything that is wrong, one sentence each; C(msg) has the same, one a line.
  returned: failure
  type: list
  elements: str
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.payments.cfn.plugins.module_utils import account, package
from ansible_collections.payments.cfn.plugins.module_utils.errors import (
    CfnError,
    CloudError,
    FindingsError,
)
from ansible_collections.payments.cfn.plugins.module_utils.evaluate import root_scope
from ansible_collections.payments.cfn.plugins.module_utils.parameters import (
    check_parameters,
    secrets,
)
from ansible_collections.payments.cfn.plugins.module_utils.templates import (
    YAML_IMPORT_ERROR,
    TemplateTree,
    scan_tree,
)
from ansible_collections.payments.cfn.plugins.module_utils.wiring import check_wiring

with suppress(ImportError):  # AnsibleAWSModule says what is missing
    import botocore.session
    from botocore.config import Config


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec={
            "template": {"type": "path", "required": True},
            "parameters": {"type": "dict", "default": {}},
            "literals": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)
    tree, errors = check_files(module)
    result, refused = check_account(module)
    if errors or refused or tree is None:
        found = FindingsError([*errors, *refused])
        module.fail_json(msg=str(found), findings=list(found.findings))
    templates = [str(template.path) for template in tree.templates()]
    module.exit_json(changed=False, templates=templates, **result)


def check_files(module: AnsibleAWSModule) -> tuple[TemplateTree | None, list[CfnError]]:
    """Check the templates and the parameters; nothing outside this machine is asked."""
    options = module.params
    tree, errors = scan_tree(options["template"])
    found = list(errors)
    if tree is None:
        return None, found
    given = {name: value for name, value in options["parameters"].items() if value is not None}
    module.no_log_values.update(secrets(tree.template, given))
    found += check_parameters(tree.template, given)
    found += check_wiring(tree, root_scope(tree.template, given))
    found += package.check(tree, given, options["literals"])
    return tree, found


def check_account(module: AnsibleAWSModule) -> tuple[dict[str, Any], list[CfnError]]:
    """Check the region, the credentials and the way to AWS."""
    # boto3's own session refuses to start with an unknown profile
    session = botocore.session.get_session()
    options = module.params
    problem = account.check_options(options, session.available_profiles)
    if problem is not None:
        return {}, [problem]
    regions = {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("cloudformation", partition)
    }
    problem = account.check_region(module.region, regions)
    errors: list[CfnError] = [] if problem is None else [problem]
    # the credentials are worth a question even if the region is misspelt
    region = module.region if problem is None else _any_region(regions)
    client = module.client("sts", region=region, config=Config(**account.CLIENT_SETTINGS))
    try:
        identity = account.caller_identity(client)
    except CloudError as error:
        return {}, [*errors, error]
    return {
        "account_id": identity.account_id,
        "arn": identity.arn,
        "region": region,
        "partition": regions.get(region),
    }, errors


def _any_region(regions: Iterable[str]) -> str:
    return "us-east-1" if "us-east-1" in regions else next(iter(regions))


if __name__ == "__main__":
    main()
