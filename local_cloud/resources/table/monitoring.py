"""CloudWatch and SNS."""

from __future__ import annotations

from ..model import EVERY, Api, Call, Document, Read, ResourceType, Tags


def _is_alarm(api: Api, document: Document) -> bool:
    """Whether there is an alarm of either kind with this name."""
    kinds = ["MetricAlarm", "CompositeAlarm"]
    found = api("cloudwatch", "describe_alarms", AlarmNames=[document["name"]], AlarmTypes=kinds)
    return bool(found["MetricAlarms"] or found["CompositeAlarms"])


def _is_dashboard(api: Api, document: Document) -> bool:
    name = document["name"]
    found = api("cloudwatch", "list_dashboards", DashboardNamePrefix=name)["DashboardEntries"]
    return any(entry["DashboardName"] == name for entry in found)


def _topic_attribute(name: str) -> Call:
    return Call(
        "set_topic_attributes",
        {
            "TopicArn": "id",
            "AttributeName": f"'{name}'",
            "AttributeValue": f"properties.{name} || ''",
        },
    )


MONITORING = (
    ResourceType(
        name="AWS::SNS::Topic",
        service="sns",
        mends_builtin=True,
        settings=tuple(
            _topic_attribute(name)
            for name in ("KmsMasterKeyId", "SignatureVersion", "TracingConfig")
        ),
        create_only=("FifoTopic",),
        named="TopicName",
    ),
    ResourceType(
        name="AWS::CloudWatch::Alarm",
        service="cloudwatch",
        create=Call("put_metric_alarm", {"AlarmName": "name"}, EVERY),
        reference="name",
        read=Read(
            "describe_alarms",
            {"AlarmNames": "[id]", "AlarmTypes": "['MetricAlarm']"},
            "MetricAlarms[0]",
        ),
        attributes={"Arn": "record.AlarmArn"},
        updates=(Call("put_metric_alarm", {"AlarmName": "id"}, EVERY),),
        delete=Call("delete_alarms", {"AlarmNames": "[id]"}),
        named="AlarmName",
        name_limit=255,
        taken=_is_alarm,
        tags=Tags("ResourceARN", "record.AlarmArn", reserved=False),
    ),
    ResourceType(
        name="AWS::CloudWatch::Dashboard",
        service="cloudwatch",
        mends_builtin=True,
        attributes={"DashboardName": "id"},
        named="DashboardName",
        taken=_is_dashboard,
        tags=Tags(
            "ResourceARN",
            "join('', ['arn:aws:cloudwatch::', account, ':dashboard/', id])",
            at_create=False,
            reserved=False,
        ),
    ),
    ResourceType(
        name="AWS::CloudWatch::CompositeAlarm",
        service="cloudwatch",
        create=Call("put_composite_alarm", {"AlarmName": "name"}, EVERY),
        reference="name",
        read=Read(
            "describe_alarms",
            {"AlarmNames": "[id]", "AlarmTypes": "['CompositeAlarm']"},
            "CompositeAlarms[0]",
        ),
        attributes={"Arn": "record.AlarmArn"},
        updates=(Call("put_composite_alarm", {"AlarmName": "id"}, EVERY),),
        delete=Call("delete_alarms", {"AlarmNames": "[id]"}),
        named="AlarmName",
        name_limit=255,
        taken=_is_alarm,
        tags=Tags("ResourceARN", "record.AlarmArn", reserved=False),
    ),
)
