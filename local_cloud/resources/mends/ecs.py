"""ECS: settings of services that are taken and forgotten; and no containers."""

from __future__ import annotations

from ministack.services import ecs as _ecs

from .core import Amendment, Members, Mend

_FORGOTTEN = (
    "availabilityZoneRebalancing",
    "enableECSManagedTags",
    "propagateTags",
    "serviceConnectConfiguration",
    "serviceRegistries",
    "volumeConfigurations",
)
_DEPLOYMENT_DEFAULTS = {"maximumPercent": 200, "minimumHealthyPercent": 100}


def _keep(request: Members, response: Members) -> None:
    service = response["service"]
    name = service["serviceArn"].partition(":service/")[2]
    kept = _ecs._services[name]
    settings = {member: request[member] for member in _FORGOTTEN if member in request}
    kept.setdefault("availabilityZoneRebalancing", "DISABLED")
    kept.update(settings)
    kept["deploymentConfiguration"] = {**_DEPLOYMENT_DEFAULTS, **kept["deploymentConfiguration"]}
    if kept.get("launchType") == "FARGATE":
        kept["platformFamily"] = kept.get("platformFamily") or "Linux"
    service.update({key: kept[key] for key in (*settings, "deploymentConfiguration")})


MENDS: tuple[Mend, ...] = (
    Amendment("CreateService", _keep),
    Amendment("UpdateService", _keep),
)


def start_no_containers() -> None:
    """A task here is its description: no image is pulled where Docker happens to run."""
    _ecs._get_docker = lambda: None
