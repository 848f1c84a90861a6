"""boto3 clients of the local cloud's own services, in the account and region of a stack."""

from __future__ import annotations

import os
import threading
from typing import Any

import botocore.config
import botocore.session

_CONFIG = botocore.config.Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"total_max_attempts": 1},
    max_pool_connections=20,
    s3={"addressing_style": "path"},
)
# Only the account is read from the credentials; no request leaves this machine.
_SECRET_KEY = "local-cloud-secret-access-key"

_lock = threading.Lock()
_session = botocore.session.Session()
_clients: dict[tuple[str, str, str], Any] = {}


def endpoint(service: str) -> str:
    """Where a service answers, as URL: its own endpoint of the environment, else everybody's.

    Raises KeyError where the environment names none, so that no call can ever reach AWS.
    """
    # Named after the service's id ("Application Auto Scaling"), not after boto3's client.
    name = str(_session.get_service_model(service).service_id).replace(" ", "_").upper()
    return os.environ.get(f"AWS_ENDPOINT_URL_{name}") or os.environ["AWS_ENDPOINT_URL"]


def client(service: str, account: str, region: str) -> Any:
    """Return the client of a service; it is made once and may be used from any thread."""
    key = (service, account, region)
    with _lock:
        if key not in _clients:
            _clients[key] = _session.create_client(
                service,
                region_name=region,
                endpoint_url=endpoint(service),
                aws_access_key_id=account,
                aws_secret_access_key=_SECRET_KEY,
                config=_CONFIG,
            )
        return _clients[key]
