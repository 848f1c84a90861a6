"""A local AWS: MiniStack completed with what the platform needs of CloudFormation.

Run it with ``python -m local_cloud up``; see :mod:`local_cloud.cli`.
"""

from __future__ import annotations
