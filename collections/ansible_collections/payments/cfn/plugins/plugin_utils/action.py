# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of this collection have in common.

They run in the controller, where the templates are: a task takes a fraction of the second that it
costs to start a module, and it can show what happens while it happens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec

from ..module_utils.errors import CfnError
from ..module_utils.session import Clients, environment


class CfnAction(ActionBase):
    """Reads the options and the task's environment, and words what fails.

    ``clients`` lead to AWS; ``hidden`` are values that no message may show.
    """

    _requires_connection = False
    _supports_check_mode = True

    # The options beside those of every AWS module, and the rules among them
    # (`mutually_exclusive`, `required_if` and the like).
    OPTIONS: ClassVar[Mapping[str, Any]]
    RULES: ClassVar[Mapping[str, Any]] = {}
    # How many requests a client is asked for at the same time.
    CONCURRENCY: ClassVar[int] = 1

    clients: Clients
    hidden: set[str]

    @classmethod
    def argument_spec(cls) -> dict[str, Any]:
        """Give all options, those common to all AWS modules among them."""
        return {**aws_argument_spec(), **cls.OPTIONS}

    @abstractmethod
    def operate(self, options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the task and return its result.

        :raises CfnError: what a user can mend.
        """

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the task and return its result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables: dict[str, Any] = {}
        self._compute_environment_string(variables)
        # The options fall back on the environment, and boto3 reads it: set it before both.
        with environment({name: str(value) for name, value in variables.items()}):
            options = self._read_options()
            self.clients = Clients(options, self.CONCURRENCY)
            try:
                result |= self.operate(options, task_vars or {})
            except CfnError as error:
                result |= self.failure(error)
        if options["debug_botocore_endpoint_logs"]:
            result["resource_actions"] = sorted(self.clients.operations)
        return self._without_hidden(result) if result.get("failed") else result

    def failure(self, error: CfnError) -> dict[str, Any]:
        """Give the result of a task that failed."""
        findings = list(error.findings)
        return {"failed": True, "changed": False, "msg": "\n".join(findings), "findings": findings}

    def _read_options(self) -> dict[str, Any]:
        spec = self.argument_spec()
        checked = ArgumentSpecValidator(spec, **self.RULES).validate(self._task.args)
        options: dict[str, Any] = checked.validated_parameters
        self.hidden = {
            str(options[name])
            for name, rule in spec.items()
            if rule.get("no_log") and options.get(name)
        }
        if checked.error_messages:
            message = checked.errors.msg
            if isinstance(checked.errors[0], UnsupportedError):
                # Ansible's own method would name this class's Python module.
                message = f"Unsupported parameters for ({self._task.action}) module: {message}"
            raise AnsibleActionFail(self._without_hidden(message), obj=self._task.args)
        for name, rule in self.OPTIONS.items():
            if rule["type"] == "path" and options[name]:
                # Relative to the playbook's directory.
                options[name] = self._loader.path_dwim(options[name])
        return options

    def _without_hidden(self, value: Any) -> Any:
        return remove_values(value, self.hidden)
