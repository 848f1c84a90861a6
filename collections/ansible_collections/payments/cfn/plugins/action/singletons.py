# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``payments.cfn.singletons``; what it asks AWS is in module_utils."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.singletons import KINDS, find
from ..plugin_utils.action import CfnAction


class ActionModule(CfnAction):
    """Finds what an account or a region can have only once."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "kinds": {"type": "list", "elements": "str", "choices": [*KINDS], "default": [*KINDS]},
    }

    def operate(self, options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the task and return its result."""
        del task_vars
        return {"changed": False, **find(self.clients, options["kinds"])}
