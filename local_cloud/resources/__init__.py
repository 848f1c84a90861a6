"""The CloudFormation resource types that MiniStack lacks, as one declarative table.

`local_cloud.resources.table` says what each type is; `local_cloud.resources.engine` interprets
it against the local cloud's own service APIs, in the account and region of the stack;
`local_cloud.resources.mends` puts right what those APIs forget.
"""

from __future__ import annotations

from .registry import register, worker_types
from .table import RESOURCE_TYPES

__all__ = ["RESOURCE_TYPES", "register", "worker_types"]
