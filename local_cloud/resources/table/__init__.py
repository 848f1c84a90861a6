"""The table of resource types, one module per area of the platform.

To add a type, give it a `ResourceType` here and a case in `tests/local_cloud/resource_cases`.
What the service's own API forgets or answers otherwise than AWS is put right in `..mends`.
"""

from __future__ import annotations

from ..model import ResourceType
from .backup import BACKUP
from .builtin import BUILTIN
from .compute import COMPUTE
from .database import DATABASE
from .governance import GOVERNANCE
from .monitoring import MONITORING
from .network import NETWORK
from .secrets import SECRETS
from .security import SECURITY
from .storage import STORAGE

RESOURCE_TYPES: tuple[ResourceType, ...] = (
    *NETWORK,
    *SECURITY,
    *SECRETS,
    *DATABASE,
    *COMPUTE,
    *STORAGE,
    *MONITORING,
    *GOVERNANCE,
    *BACKUP,
    *BUILTIN,
)
