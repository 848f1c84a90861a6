# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources of which an account or a region has only one, which a second stack cannot create."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from .session import in_words

_OIDC_MARK = ":oidc-provider/"


class ClientSource(Protocol):
    """Makes clients of AWS, as ``session.Clients`` does."""

    def client(self, service: str) -> Any:
        """Make the client of a service in the region of the task."""


def find(clients: ClientSource, kinds: Iterable[str]) -> dict[str, list[Any]]:
    """Ask AWS for what exists of each kind.

    :param kinds: keys of ``KINDS``; AWS is asked for nothing else.
    :return: what was found, by its kind: names, and for identity providers ``arn`` and ``url``.
    :raises CloudError: AWS refuses or cannot be reached.
    """
    return {kind: KINDS[kind](clients) for kind in kinds}


def _config_recorders(clients: ClientSource) -> list[Any]:
    with in_words("listing the configuration recorders"):
        found = clients.client("config").describe_configuration_recorders()
    # Those that a service of AWS keeps for itself leave room for one more.
    return [item["name"] for item in found["ConfigurationRecorders"] if _is_customers(item)]


def _is_customers(recorder: Mapping[str, Any]) -> bool:
    return not recorder.get("servicePrincipal")


def _config_delivery_channels(clients: ClientSource) -> list[Any]:
    with in_words("listing the delivery channels of AWS Config"):
        found = clients.client("config").describe_delivery_channels()
    return [item["name"] for item in found["DeliveryChannels"]]


def _oidc_providers(clients: ClientSource) -> list[Any]:
    with in_words("listing the OpenID Connect providers"):
        found = clients.client("iam").list_open_id_connect_providers()
    arns = [item["Arn"] for item in found["OpenIDConnectProviderList"]]
    # The URL is the identity of a provider and stands in its ARN.
    return [{"arn": arn, "url": f"https://{arn.split(_OIDC_MARK, 1)[1]}"} for arn in arns]


KINDS: Mapping[str, Callable[[ClientSource], list[Any]]] = {
    "config_recorders": _config_recorders,
    "config_delivery_channels": _config_delivery_channels,
    "oidc_providers": _oidc_providers,
}
