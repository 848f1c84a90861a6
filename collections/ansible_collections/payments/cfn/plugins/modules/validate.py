#!/usr/bin/python
# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of ``payments.cfn.validate``; what it does is in the action of that name."""

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
    CloudFormation's quotas, is not nested inside itself; local code exists, and its
    C(requirements.txt) is one that M(payments.cfn.package) takes (nothing is fetched); every
    C(DeletionPolicy) and C(UpdateReplacePolicy) can be resolved when packaging."
  - "Names inside a template: the parameters, resources, conditions and mappings that C(Ref),
    C(Fn::GetAtt), C(Fn::Sub), C(Fn::If), C(Condition), C(DependsOn) and C(Fn::FindInMap) name are
    declared, as are mapping keys that are written out; with these parameters, no resources depend
    on each other in a circle. In a template with macros or modules, which declare names of their
    own, none of this is looked at."
  - "Wiring: what is passed to a nested stack is declared there, what it requires is passed, and
    the outputs that are read of it exist."
  - "Parameters: unknown and missing ones, types, C(AllowedValues), C(AllowedPattern), lengths and
    bounds, also of values passed on to nested stacks. The value of a C(NoEcho) parameter is never
    shown."
  - "AWS: the region is one of CloudFormation's, the endpoint can be reached and the credentials
    work (C(sts:GetCallerIdentity)), with short timeouts."
  - This is an action. It always runs on the controller, whatever the connection of the host, with
    the environment of the task. A relative path begins where the playbook is.
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
  action:
    description: Runs on the controller.
    support: full
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
