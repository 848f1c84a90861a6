# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be found wrong before anything is created."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import account, package
from .cycles import check_cycles
from .errors import CfnError
from .evaluate import root_scope, tree_scopes
from .parameters import check_parameters
from .references import check_references
from .session import Clients
from .templates import TemplateTree, scan_tree
from .wiring import check_wiring


def check_files(
    template: Path | str, parameters: Mapping[str, Any], literals: Sequence[str]
) -> tuple[TemplateTree | None, list[CfnError]]:
    """Check the templates and the parameters; nothing outside this machine is asked."""
    tree, errors = scan_tree(template)
    found = list(errors)
    if tree is None:
        return None, found
    given = {name: value for name, value in parameters.items() if value is not None}
    found += check_parameters(tree.template, given)
    for read in tree.templates():
        found += check_references(read)
    scope = root_scope(tree.template, given)
    for _, inner in tree_scopes(tree, scope).values():
        found += check_cycles(inner)
    found += check_wiring(tree, scope)
    found += package.check(tree, given, literals)
    return tree, found


def check_account(clients: Clients) -> tuple[dict[str, Any], list[CfnError]]:
    """Check the region, the credentials and the way to AWS.

    Returns who is calling and where (``account_id``, ``arn``, ``region``, ``partition``), empty if
    that cannot be told, and what is wrong.
    """
    errors: list[CfnError] = []
    try:
        clients.check()
        regions = clients.regions("cloudformation")
        region = clients.configured_region
        problem = account.check_region(region, regions)
        if problem is not None:
            errors.append(problem)
            # The credentials are worth a question even if the region is misspelt.
            region = _any_region(regions)
        client = clients.client("sts", account.CLIENT_SETTINGS, region)
        identity = account.caller_identity(client)
    except CfnError as error:
        return {}, [*errors, error]
    return {
        "account_id": identity.account_id,
        "arn": identity.arn,
        "region": region,
        "partition": regions.get(str(region)),
    }, errors


def _any_region(regions: Iterable[str]) -> str:
    return "us-east-1" if "us-east-1" in regions else next(iter(regions))
