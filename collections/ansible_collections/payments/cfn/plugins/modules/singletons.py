#!/usr/bin/python
# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of ``payments.cfn.singletons``; what it does is in the action of that name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: singletons
version_added: "0.1.0"
short_description: Find what an account or a region can have only once
description:
  - Lists resources that a template cannot create where one exists already, because AWS allows a
    single one. Pass what was found to the template as a parameter, so that it creates the
    resource or uses the one that is there.
  - A region has one configuration recorder and one delivery channel of AWS Config. Recorders that
    belong to a service of AWS are not listed; they leave room for one more.
  - An account has one OpenID Connect provider for each URL.
  - This is an action. It always runs on the controller, whatever the connection of the host, with
    the environment of the task.
options:
  kinds:
    description:
      - What to look for. AWS is asked for nothing else, so no other permission is needed.
      - V(config_recorders) needs C(config:DescribeConfigurationRecorders).
      - V(config_delivery_channels) needs C(config:DescribeDeliveryChannels).
      - V(oidc_providers) needs C(iam:ListOpenIDConnectProviders).
    type: list
    elements: str
    choices: [config_recorders, config_delivery_channels, oidc_providers]
    default: [config_recorders, config_delivery_channels, oidc_providers]
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
- name: See whether AWS Config records already
  payments.cfn.singletons:
    kinds: [config_recorders]
    region: eu-west-1
  register: existing

- name: Create a recorder only where there is none
  payments.cfn.stack:
    name: recording
    template: cloudformation/recording.yml
    parameters:
      ConfigRecorder: "{{ 'existing' if existing.config_recorders else 'create' }}"
    region: eu-west-1
"""

RETURN = r"""
config_recorders:
  description: Names of the customer managed configuration recorders of the region.
  returned: when O(kinds) asks for it
  type: list
  elements: str
  sample: [default]
config_delivery_channels:
  description: Names of the delivery channels of the region.
  returned: when O(kinds) asks for it
  type: list
  elements: str
  sample: [default]
oidc_providers:
  description: The OpenID Connect providers of the account.
  returned: when O(kinds) asks for it
  type: list
  elements: dict
  contains:
    arn:
      description: ARN of the provider.
      returned: always
      type: str
      sample: arn:aws:iam::123456789012:oidc-provider/token.example.com
    url:
      description: URL of the provider.
      returned: always
      type: str
      sample: https://token.example.com
findings:
  description: What stands in the way, in one sentence; C(msg) has the same.
  returned: failure
  type: list
  elements: str
"""
