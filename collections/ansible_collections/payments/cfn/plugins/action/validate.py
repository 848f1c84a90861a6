# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``payments.cfn.validate``; the checks themselves are in module_utils."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.errors import FindingsError
from ..module_utils.parameters import secrets
from ..module_utils.validation import check_account, check_files
from ..plugin_utils.action import CfnAction


class ActionModule(CfnAction):
    """Finds what is wrong before anything is created."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "template": {"type": "path", "required": True},
        "parameters": {"type": "dict", "default": {}},
        "literals": {"type": "list", "elements": "str", "default": []},
    }

    def operate(self, options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the task and return its result."""
        del task_vars
        parameters = options["parameters"]
        tree, errors = check_files(options["template"], parameters, options["literals"])
        if tree is not None:
            self.hidden.update(secrets(tree.template, parameters))
        result, refused = check_account(self.clients)
        if errors or refused or tree is None:
            raise FindingsError([*errors, *refused])
        templates = [str(template.path) for template in tree.templates()]
        return {"changed": False, "templates": templates, **result}
