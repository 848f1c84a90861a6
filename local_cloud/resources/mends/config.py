"""AWS Config: recorders and delivery channels can be deleted."""

from __future__ import annotations

from collections.abc import Callable

from ministack.services import config as _config

from .core import Members, Mend, Operation, Refusal


def _deletion(store: str, parameter: str, missing: str) -> Callable[[Members], Members]:
    def delete(request: Members) -> Members:
        name = request[parameter]
        if name not in getattr(_config, store):
            raise Refusal(missing, f"Cannot find {name}.")
        del getattr(_config, store)[name]
        return {}

    return delete


MENDS: tuple[Mend, ...] = (
    Operation(
        "DeleteConfigurationRecorder",
        _deletion(
            "_recorders", "ConfigurationRecorderName", "NoSuchConfigurationRecorderException"
        ),
    ),
    Operation(
        "DeleteDeliveryChannel",
        _deletion("_delivery_channels", "DeliveryChannelName", "NoSuchDeliveryChannelException"),
    ),
)
