# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``payments.cfn.validate``; the checks themselves are in module_utils."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..module_utils import account, package
from ..module_utils.errors import CfnError, CloudError, FindingsError
from ..module_utils.evaluate import root_scope
from ..module_utils.parameters import check_parameters
from ..module_utils.session import Clients
from ..module_utils.templates import TemplateTree, scan_tree
from ..module_utils.wiring import check_wiring
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
        tree, errors = check_files(options)
        result, refused = check_account(Clients(options, concurrency=1), options)
        if errors or refused or tree is None:
            raise FindingsError([*errors, *refused])
        templates = [str(template.path) for template in tree.templates()]
        return {"changed": False, "templates": templates, **result}


def check_files(options: Mapping[str, Any]) -> tuple[TemplateTree | None, list[CfnError]]:
    """Check the templates and the parameters; nothing outside this machine is asked."""
    tree, errors = scan_tree(options["template"])
    found = list(errors)
    if tree is None:
        return None, found
    given = {name: value for name, value in options["parameters"].items() if value is not None}
    found += check_parameters(tree.template, given)
    found += check_wiring(tree, root_scope(tree.template, given))
    found += package.check(tree, given, options["literals"])
    return tree, found


def check_account(
    clients: Clients, options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[CfnError]]:
    """Check the region, the credentials and the way to AWS."""
    problem = account.check_options(options, clients.profiles)
    if problem is not None:
        return {}, [problem]
    regions = clients.regions("cloudformation")
    problem = account.check_region(clients.configured_region, regions)
    errors: list[CfnError] = [] if problem is None else [problem]
    # The credentials are worth a question even if the region is misspelt.
    region = clients.configured_region if problem is None else _any_region(regions)
    client = clients.client("sts", account.CLIENT_SETTINGS, region)
    try:
        identity = account.caller_identity(client)
    except CloudError as error:
        return {}, [*errors, error]
    return {
        "account_id": identity.account_id,
        "arn": identity.arn,
        "region": region,
        "partition": regions.get(str(region)),
    }, errors


def _any_region(regions: Iterable[str]) -> str:
    return "us-east-1" if "us-east-1" in regions else next(iter(regions))
