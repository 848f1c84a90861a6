"""AWS Config, EventBridge rules and Route 53 health checks."""

from __future__ import annotations

import time
import uuid
from typing import Any

from ..errors import ResourceError
from ..expressions import search
from ..model import Api, Call, Document, Read, ResourceType, Step, Tags

_RECORDER = """{
    name: name || id,
    roleARN: properties.RoleARN,
    recordingGroup: properties.RecordingGroup,
    recordingMode: properties.RecordingMode
}"""
_CHANNEL = """{
    name: name || id,
    s3BucketName: properties.S3BucketName,
    s3KeyPrefix: properties.S3KeyPrefix,
    s3KmsKeyArn: properties.S3KmsKeyArn,
    snsTopicARN: properties.SnsTopicARN,
    configSnapshotDeliveryProperties: properties.ConfigSnapshotDeliveryProperties
}"""
_RULE = """{
    ConfigRuleName: name || id,
    Description: properties.Description,
    EvaluationModes: properties.EvaluationModes,
    InputParameters: properties.InputParameters,
    MaximumExecutionFrequency: properties.MaximumExecutionFrequency,
    Scope: properties.Scope,
    Source: properties.Source
}"""
_RECORDER_SECONDS = 10.0
_POLL_SECONDS = 0.05


def _recorders(api: Api) -> list[Any]:
    found = api("config", "describe_configuration_recorders")["ConfigurationRecorders"]
    return [recorder["name"] for recorder in found]


def _start_recording(api: Api, _document: Document) -> None:
    """Recording starts as soon as there are a recorder and a channel, whichever came last."""
    if not api("config", "describe_delivery_channels")["DeliveryChannels"]:
        return
    for name in _recorders(api):
        api("config", "start_configuration_recorder", ConfigurationRecorderName=name)


def _stop_recording(api: Api, _document: Document) -> None:
    for name in _recorders(api):
        api("config", "stop_configuration_recorder", ConfigurationRecorderName=name)


def _create_channel(api: Api, document: Document) -> Any:
    """Wait for the recorder: it waits for the channel, so a template can put neither first."""
    deadline = time.monotonic() + _RECORDER_SECONDS
    while not _recorders(api):
        if time.monotonic() > deadline:
            raise ResourceError("No configuration recorder is available for the delivery channel.")
        time.sleep(_POLL_SECONDS)
    wanted = search(_CHANNEL, document)
    channel = {name: value for name, value in wanted.items() if value is not None}
    return api("config", "put_delivery_channel", DeliveryChannel=channel)


def _create_health_check(api: Api, document: Document) -> Any:
    made = api(
        "route53",
        "create_health_check",
        CallerReference=str(uuid.uuid4()),
        HealthCheckConfig=document["properties"]["HealthCheckConfig"],
    )
    return made["HealthCheck"]


def _update_health_check(api: Api, document: Document) -> None:
    """An update takes the members of the configuration one by one."""
    fixed = {"MeasureLatency", "RequestInterval", "Type"}
    config = document["properties"]["HealthCheckConfig"]
    changes = {name: value for name, value in config.items() if name not in fixed}
    api("route53", "update_health_check", HealthCheckId=document["id"], **changes)


GOVERNANCE: tuple[ResourceType, ...] = (
    ResourceType(
        name="AWS::Config::ConfigurationRecorder",
        service="config",
        create=Call("put_configuration_recorder", {"ConfigurationRecorder": _RECORDER}),
        reference="name",
        after_create=(Step(_start_recording),),
        read=Read(
            "describe_configuration_recorder_status",
            {"ConfigurationRecorderNames": "[id]"},
            "ConfigurationRecordersStatus[0]",
        ),
        ready="record.recording",
        attributes={"ResourceARN": "record.arn"},
        updates=(Call("put_configuration_recorder", {"ConfigurationRecorder": _RECORDER}),),
        delete=Call("delete_configuration_recorder", {"ConfigurationRecorderName": "id"}),
        create_only=("StartedOnCreate",),
        named="Name",
    ),
    ResourceType(
        name="AWS::Config::DeliveryChannel",
        service="config",
        create=Step(_create_channel),
        reference="name",
        after_create=(Step(_start_recording),),
        updates=(Call("put_delivery_channel", {"DeliveryChannel": _CHANNEL}),),
        before_delete=(Step(_stop_recording),),
        delete=Call("delete_delivery_channel", {"DeliveryChannelName": "id"}),
        named="Name",
    ),
    ResourceType(
        name="AWS::Config::ConfigRule",
        service="config",
        create=Call("put_config_rule", {"ConfigRule": _RULE}),
        reference="name",
        read=Read("describe_config_rules", {"ConfigRuleNames": "[id]"}, "ConfigRules[0]"),
        attributes={"Arn": "record.ConfigRuleArn", "ConfigRuleId": "record.ConfigRuleId"},
        updates=(Call("put_config_rule", {"ConfigRule": _RULE}),),
        delete=Call("delete_config_rule", {"ConfigRuleName": "id"}),
        named="ConfigRuleName",
    ),
    ResourceType(
        name="AWS::Events::Rule",
        service="events",
        mends_builtin=True,
        conditional=("EventBusName",),
        tags=Tags("ResourceARN"),
        named="Name",
    ),
    ResourceType(
        name="AWS::Route53::HealthCheck",
        service="route53",
        create=Step(_create_health_check, on=("HealthCheckConfig",)),
        reference="response.Id",
        read=Read("get_health_check", {"HealthCheckId": "id"}, "HealthCheck"),
        attributes={"HealthCheckId": "id"},
        updates=(Step(_update_health_check, on=("HealthCheckConfig",)),),
        delete=Call("delete_health_check", {"HealthCheckId": "id"}),
        tags=Tags("route53", property_name="HealthCheckTags", at_create=False),
    ),
)
