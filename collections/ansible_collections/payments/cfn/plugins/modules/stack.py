#!/usr/bin/python
# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of ``payments.cfn.stack``; what it does is in the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: stack
short_description: Plan, deploy and delete a tree of nested CloudFormation stacks
version_added: "0.1.0"
author:
  - Nested Stack Tooling Authors (@cfn-tooling-authors)
description:
  - Deploys a root stack and everything nested in it through one change set over the whole tree,
    so that what will happen to every resource is shown before it happens.
  - While the stacks work, the events of the whole tree are shown as they come, in a terminal as
    well as in a log.
  - If nothing differs, nothing is changed and no change set is left behind.
  - This is an action. It always runs on the controller, whatever the connection of the host, with
    the environment of the task. A relative path begins where the playbook is.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  name:
    description:
      - The name of the root stack.
    type: str
    required: true
    aliases: [stack_name]
  state:
    description:
      - V(present) creates the stack or brings it up to date.
      - V(absent) deletes it with everything nested in it, except what the deletion policies in
        its templates keep. A stack that only has change sets goes with them.
    type: str
    choices: [present, absent]
    default: present
  manifest:
    description:
      - Path of the C(release.json) that M(payments.cfn.package) wrote.
      - One of O(manifest), O(template) and O(template_url) is needed with O(state=present).
    type: path
  template:
    description:
      - Path of a single template that names no other file and goes with the request, in at most
        51,200 bytes.
    type: path
  template_url:
    description:
      - URL of the root template in S3. A stack that does not exist yet cannot be planned from it.
    type: str
  parameters:
    description:
      - Parameters of the root stack.
      - A parameter that is not given, or is null, has the default of the template, also if the
        stack has another value now.
      - Lists are joined with commas, booleans become C(true) and C(false).
    type: dict
    default: {}
  tags:
    description:
      - Tags of the root stack. CloudFormation puts them on every resource that takes tags.
      - If omitted, the tags stay as they are.
    type: dict
  capabilities:
    description:
      - Capabilities to acknowledge, for the whole tree.
    type: list
    elements: str
    default: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM]
  role_arn:
    description:
      - ARN of the service role that CloudFormation works with. If omitted, it works with the role
        it had before, or with the caller's credentials.
    type: str
  termination_protection:
    description:
      - Whether the stack is protected against deletion.
      - If omitted, the protection stays as it is.
      - O(state=absent) refuses a stack that is protected. Lift the protection first.
    type: bool
  timeout:
    description:
      - How many seconds to wait for the stack at most.
      - CloudFormation goes on when the time is over.
    type: int
    default: 7200
  plan_only:
    description:
      - Show and return the plan and change nothing, as in check mode.
    type: bool
    default: false
  output_dir:
    description:
      - Directory for C(plan.json), C(outputs.json) and C(events.json). They are written in check
        mode too.
    type: path
attributes:
  action:
    description: Runs on the controller.
    support: full
  check_mode:
    description: Plans and changes nothing.
    support: full
    details:
      - A stack that does not exist is planned from the templates on disk, without a change set.
      - For a stack that exists, a change set is made and deleted again. Templates that the bucket
        lacks are uploaded for it, below C(plans/) in the prefix of the release and under keys that
        no other run has, and deleted again. A deployment beside it neither finds nor misses them.
      - A plan that is killed leaves these behind. A lifecycle rule of the bucket may expire them.
  diff_mode:
    description: Returns the plan as difference.
    support: full
    details:
      - When a deployment runs with C(--diff), the plan is shown before it begins and is not
        returned as RV(diff), so that it is not shown twice.
notes:
  - A value of a C(NoEcho) parameter is never shown. CloudFormation does not tell its current
    value, so a new one does not appear in the plan.
  - With C(no_log) nothing is shown while the stacks work.
  - If a deployment is stopped from outside, CloudFormation goes on with it.
seealso:
  - module: payments.cfn.package
  - module: payments.cfn.validate
  - module: amazon.aws.cloudformation
"""

EXAMPLES = r"""
---
- name: Package the templates
  payments.cfn.package:
    template: cloudformation/root.yml
    bucket: example-artifacts
    output_dir: artifacts/example
  register: package

- name: Deploy the tree
  payments.cfn.stack:
    name: example-dev
    manifest: "{{ package.manifest }}"
    parameters:
      EnvironmentType: dev
      DesiredCount: 2
    tags:
      Environment: dev
    output_dir: artifacts/example
  register: stack

- name: Show what a deployment would do
  payments.cfn.stack:
    name: example-dev
    manifest: "{{ package.manifest }}"
    parameters:
      EnvironmentType: dev
    plan_only: true

- name: Delete the tree
  payments.cfn.stack:
    name: example-dev
    state: absent
"""

RETURN = r"""
---
stack_id:
  description: The ARN of the root stack; empty if there is none.
  returned: success
  type: str
  sample: arn:aws:cloudformation:eu-west-1:123456789012:stack/example-dev/7c1f3a40
status:
  description:
    - The status of the root stack, V(ABSENT) if there is none.
    - In check mode the status it has now.
  returned: success, and when CloudFormation failed to carry the operation through
  type: str
  sample: UPDATE_COMPLETE
outputs:
  description: The outputs of the root stack by name.
  returned: success
  type: dict
  sample: {Endpoint: example.internal}
plan:
  description: What the operation does to the whole tree.
  returned: success, and when a failure came after the plan
  type: dict
  contains:
    schema:
      description: Version of this structure.
      type: int
      sample: 1
    stack_name:
      description: The name of the root stack.
      type: str
    operation:
      description: V(create), V(update) or V(delete).
      type: str
    changes:
      description:
        - How many resources change for certain; nested stacks themselves do not count.
      type: int
    counts:
      description:
        - The same by kind, C(add), C(modify), C(replace), C(remove) and C(import).
        - C(replace_conditional) of the replacements may turn out as changes in place.
        - C(possible) more resources change only if a value of another resource differs that is
          known when it is applied.
      type: dict
    parameters:
      description:
        - The parameters of the root that differ, each with C(name), C(old) and C(new).
        - C(old) is null where there was none, and C(new) where there is none any more.
      type: list
      elements: dict
    settings:
      description: The settings of the root stack that differ, in the same form.
      type: list
      elements: dict
    stacks:
      description:
        - The root stack with C(name), C(path), C(action), C(stack_id), C(change_set_id),
          C(policy_action), C(changes) and, in C(stacks), its nested stacks in the same form.
        - A change has C(logical_id), C(type), C(action), C(replacement), C(physical_id),
          C(policy_action), C(certain) and C(properties). A property says with C(causes) why it
          changes.
      type: list
      elements: dict
kept:
  description: What outlives the deleted stack, or would outlive it in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The logical ids from the root down.
      type: str
    type:
      description: The resource type.
      type: str
    physical_id:
      description: The physical id.
      type: str
    how:
      description: V(retained) or V(snapshot).
      type: str
diff:
  description: The plan as text.
  returned: when the plan was not shown before a deployment that runs with C(--diff)
  type: dict
  contains:
    prepared:
      description: The text.
      type: str
cause:
  description: The first failure in the tree, empty if none is known.
  returned: when CloudFormation failed to carry the operation through
  type: dict
  contains:
    path:
      description: The logical ids from the root down.
      type: str
    type:
      description: The resource type.
      type: str
    status:
      description: The status of the resource.
      type: str
    reason:
      description: The reason that CloudFormation gives.
      type: str
"""
