"""The exceptions of the local cloud; the text of each is a sentence for the user."""

from __future__ import annotations


class LocalCloudError(Exception):
    """Base class: what is wrong, where, and what to do, in one sentence."""


class PortInUseError(LocalCloudError):
    """The asked port is held by another program and no other may be taken."""


class StartError(LocalCloudError):
    """The server did not come up."""


class StopError(LocalCloudError):
    """The server did not end."""


class IncompatibleMinistackError(LocalCloudError):
    """The installed MiniStack lacks a name that the local cloud builds on."""
