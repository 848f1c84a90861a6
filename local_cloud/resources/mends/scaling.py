"""Application Auto Scaling in moto: it looks for ECS services among its own, and has no tags."""

from __future__ import annotations

import importlib
import json
import threading
from types import ModuleType
from typing import Any

_lock = threading.Lock()
_known: set[str] = set()


def prepare() -> None:
    """Begin to import moto's service, in a thread of its own."""
    threading.Thread(target=know_local_services, name="scaling", daemon=True).start()


def know_local_services() -> None:
    """Make moto, which serves from this process, look for ECS services in the local cloud.

    moto takes a second to import, so `prepare` begins it when the server starts; whoever needs
    it earlier than it is done waits here.
    """
    with _lock:
        if _known:
            return
        models = importlib.import_module("moto.applicationautoscaling.models")
        exceptions = importlib.import_module("moto.applicationautoscaling.exceptions")
        ecs = importlib.import_module("ministack.services.ecs")

        def exists(backend: Any, resource_id: str) -> bool:
            name = resource_id.removeprefix("service/")
            service = ecs._services.get_scoped(backend.account_id, backend.region_name, name)
            if service is None or service["status"] != "ACTIVE":
                raise exceptions.AWSValidationException(f"ECS service doesn't exist: {resource_id}")
            return True

        models.ApplicationAutoscalingBackend._ecs_service_exists_for_target = exists
        _know_tags(
            importlib.import_module("moto.applicationautoscaling.responses"),
            importlib.import_module("moto.utilities.tagging_service"),
        )
        _known.add("ecs")


def _know_tags(responses: ModuleType, tagging: ModuleType) -> None:
    """Add the three tag operations of the service, kept by moto's own tagging."""

    def tagger(response: Any) -> Any:
        backend = response.applicationautoscaling_backend
        if not hasattr(backend, "tagger"):
            backend.tagger = tagging.TaggingService(
                tag_name="Tags", key_name="Key", value_name="Value"
            )
        return backend.tagger

    def tag_resource(response: Any) -> str:
        tags = tagging.TaggingService.convert_dict_to_tags_input(response._get_param("Tags"))
        tagger(response).tag_resource(response._get_param("ResourceARN"), tags)
        return "{}"

    def untag_resource(response: Any) -> str:
        keys = response._get_param("TagKeys")
        tagger(response).untag_resource_using_names(response._get_param("ResourceARN"), keys)
        return "{}"

    def list_tags_for_resource(response: Any) -> str:
        return json.dumps(
            {"Tags": tagger(response).get_tag_dict_for_resource(response._get_param("ResourceARN"))}
        )

    for operation in (tag_resource, untag_resource, list_tags_for_resource):
        setattr(responses.ApplicationAutoScalingResponse, operation.__name__, operation)
