#!/usr/bin/python
# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of ``payments.cfn.package``; what it does is in the action of that name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: package
version_added: "0.1.0"
short_description: Package a tree of nested CloudFormation templates into S3
description:
  - Walks from a root template through every C(AWS::CloudFormation::Stack) whose C(TemplateURL) is
    a local path, makes each template and each local code artifact content-addressed, and uploads
    to the bucket only what is missing there, in parallel.
  - Each path is relative to the template that names it. A directory or a file that CloudFormation
    wants as a zip becomes one whose bytes depend only on its content; a zip is taken as it is.
    What is already remote (C(https), C(s3)) or an intrinsic function is left alone. The
    properties handled are those of C(aws cloudformation package).
  - The code of an C(AWS::Lambda::Function) whose directory holds a C(requirements.txt) is packaged
    with what that lists, for the Python that C(Runtime) names, which must be written out. Each
    line pins a package and gives its hashes (C(name==version --hash=sha256:...)), and everything
    that is needed is listed, as C(pip-compile --generate-hashes) or C(uv pip compile
    --generate-hashes) does; anything else is refused. Only wheels of pure Python are taken
    (C(*-none-any.whl)). They are fetched once, by the pip of the Python that runs Ansible, with
    the user's configuration of pip and the task's environment, and kept below E(XDG_CACHE_HOME).
    The zip gets their files, with licences and metadata but without C(RECORD) and C(WHEEL), in
    place of C(requirements.txt).
  - Refused are wheels with files that belong elsewhere (C(.data), such as scripts), two packages
    or the code and a package with the same file, and functions and layers of more than the
    262,144,000 bytes that Lambda unpacks.
  - Resolves intrinsic functions in C(DeletionPolicy) and C(UpdateReplacePolicy) to literals and
    drops the transform C(AWS::LanguageExtensions), with which nested change sets are unreliable.
    It is kept, with a warning, where something else in the template needs it.
  - The same templates, code and literals always give the same RV(release_id), on whatever
    machine and for whatever bucket, prefix or region.
  - The packaged files and the manifest C(release.json) are written to O(output_dir) in check mode
    too, so that M(payments.cfn.stack) can compute its plan; only the bucket is left untouched.
    C(changed) tells of the bucket alone.
  - This is an action. It always runs on the controller, whatever the connection of the host, with
    the environment of the task. A relative path begins where the playbook is.
options:
  template:
    description: The root template, YAML or JSON.
    type: path
    required: true
  parameters:
    description:
      - Parameter values of the root template. Only those named in O(literals) are used; a Default
        stands in for a value that is not given.
    type: dict
    default: {}
  literals:
    description:
      - Names of root parameters to be written into the templates. The packaged templates accept
        no other value for them, in nested templates too where the parameter is handed on by
        C(Ref).
      - Every parameter that a C(DeletionPolicy) or C(UpdateReplacePolicy) depends on must be named.
    type: list
    elements: str
    default: []
  bucket:
    description: The bucket, in the region of the stack.
    type: str
    required: true
  prefix:
    description: What the keys in the bucket begin with, without the slash.
    type: str
    default: ""
  kms_key_id:
    description:
      - Id, ARN or alias of the KMS key to encrypt with. Without it, the default encryption of the
        bucket applies; it should be SSE-KMS, and a warning is given if it is not.
    type: str
  output_dir:
    description:
      - Where to write the packaged files and C(release.json). Files of an earlier release there
        are removed.
    type: path
    required: true
requirements:
  - botocore >= 1.35.2
  - PyYAML
  - pip, for code that has a C(requirements.txt)
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
    description: Uploads nothing, and tells which objects are missing in the bucket.
    support: full
    details:
      - What code depends on is fetched in check mode too, because the release depends on it.
"""

EXAMPLES = r"""
- name: Package the platform for dev
  payments.cfn.package:
    template: cloudformation/master.yml
    parameters:
      EnvironmentType: dev
    literals: [EnvironmentType]
    bucket: example-artifacts-eu-west-1
    prefix: platform
    output_dir: artifacts/dev/release
    region: eu-west-1
  register: packaged

- name: Deploy what was packaged
  payments.cfn.stack:
    name: platform-dev
    manifest: "{{ packaged.manifest }}"
    parameters:
      EnvironmentType: dev
    region: eu-west-1
"""

RETURN = r"""
release_id:
  description: 16 hexadecimal digits that stand for the templates, the code and the literals.
  returned: success
  type: str
  sample: 9f86d081884c7d65
template_url:
  description: The URL of the packaged root template.
  returned: success
  type: str
  sample: https://s3.eu-west-1.amazonaws.com/example-artifacts-eu-west-1/platform/2c26b4.template.json
manifest:
  description: Path of C(release.json).
  returned: success
  type: str
  sample: /srv/platform/artifacts/dev/release/release.json
artifacts:
  description: Everything the release consists of; the root template is last.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: What it is.
      type: str
      returned: always
      sample: template
    source:
      description: The file or directory it was made from, relative to the root template.
      type: str
      returned: always
      sample: vpc.yml
    key:
      description: Its key in the bucket.
      type: str
      returned: always
    url:
      description: Its URL.
      type: str
      returned: always
    sha256:
      description: The SHA-256 of its bytes.
      type: str
      returned: always
    size:
      description: Its size in bytes.
      type: int
      returned: always
    path:
      description: The copy in O(output_dir), relative to it.
      type: str
      returned: always
missing:
  description: Keys that the bucket lacked.
  returned: success
  type: list
  elements: str
uploaded:
  description: Keys that were uploaded; empty in check mode.
  returned: success
  type: list
  elements: str
findings:
  description: Everything that stands in the way, one sentence each.
  returned: failure
  type: list
  elements: str
"""
