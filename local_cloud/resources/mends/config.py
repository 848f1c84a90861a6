"""AWS Config: one recorder and one delivery channel to a region, which need each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core import responses as _responses
from ministack.services import config as _config
from ministack.services import s3 as _s3

from .core import Amendment, Members, Mend, Operation, Refusal


def _put_recorder(request: Members) -> Members:
    name = request["ConfigurationRecorder"].setdefault("name", "default")
    _refuse_second(_config._recorders, name, "ConfigurationRecorder", "configuration recorder")
    _config._put_configuration_recorder(request)
    return {}


def _put_channel(request: Members) -> Members:
    channel = request["DeliveryChannel"]
    name = channel.setdefault("name", "default")
    _refuse_second(_config._delivery_channels, name, "DeliveryChannel", "delivery channel")
    if not _config._recorders:
        raise Refusal(
            "NoAvailableConfigurationRecorderException",
            f"Failed to put delivery channel '{name}' because no configuration recorder is "
            "available.",
        )
    if channel.get("s3BucketName") not in _s3._buckets:
        raise Refusal("NoSuchBucketException", "The specified bucket does not exist.")
    _config._put_delivery_channel(request)
    return {}


def _refuse_second(store: Any, name: str, kind: str, words: str) -> None:
    if set(store) - {name}:
        raise Refusal(
            f"MaxNumberOf{kind}sExceededException",
            f"Failed to put {words} '{name}' because the maximum number of {words}s: 1 is reached.",
        )


def _start_recorder(request: Members) -> Members:
    if request["ConfigurationRecorderName"] in _config._recorders:
        if not _config._delivery_channels:
            raise Refusal(
                "NoAvailableDeliveryChannelException",
                "Delivery channel is not available to start configuration recorder.",
            )
        _config._start_configuration_recorder(request)
        return {}
    raise _missing("ConfigurationRecorder", request["ConfigurationRecorderName"])


def _put_rule(request: Members) -> Members:
    rule = request["ConfigRule"]
    if not _config._recorders:
        raise Refusal(
            "NoAvailableConfigurationRecorderException", "NoAvailableConfigurationRecorder"
        )
    if not rule.get("ConfigRuleName"):
        raise Refusal("InvalidParameterValueException", "ConfigRuleName is a required field")
    _config._put_config_rule(request)
    return {}


def _delete_recorder(request: Members) -> Members:
    return _delete(_config._recorders, "ConfigurationRecorder", request)


def _delete_channel(request: Members) -> Members:
    if any(recorder["recording"] for recorder in _config._recorders.values()):
        name = request["DeliveryChannelName"]
        raise Refusal(
            "LastDeliveryChannelDeleteFailedException",
            f"Failed to delete last specified delivery channel with name '{name}', because there "
            "is a running configuration recorder.",
        )
    return _delete(_config._delivery_channels, "DeliveryChannel", request)


def _delete(store: Any, kind: str, request: Members) -> Members:
    name = request[f"{kind}Name"]
    if name not in store:
        raise _missing(kind, name)
    del store[name]
    return {}


def _missing(kind: str, name: str) -> Refusal:
    return Refusal(f"NoSuch{kind}Exception", f"Cannot find {name}.")


def _show_arns(member: str) -> Callable[[Members, Members], None]:
    def amend(_request: Members, response: Members) -> None:
        for recorder in response[member]:
            recorder["arn"] = (
                f"arn:aws:config:{_responses.get_region()}:{_responses.get_account_id()}"
                f":configuration-recorder/{recorder['name']}"
            )

    return amend


MENDS: tuple[Mend, ...] = (
    Operation("PutConfigurationRecorder", _put_recorder),
    Operation("PutDeliveryChannel", _put_channel),
    Operation("PutConfigRule", _put_rule),
    Operation("StartConfigurationRecorder", _start_recorder),
    Operation("DeleteConfigurationRecorder", _delete_recorder),
    Operation("DeleteDeliveryChannel", _delete_channel),
    Amendment("DescribeConfigurationRecorders", _show_arns("ConfigurationRecorders")),
    Amendment("DescribeConfigurationRecorderStatus", _show_arns("ConfigurationRecordersStatus")),
)
