"""Hands every check the deployed platform of the inventory host it runs for."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from testinfra.host import Host

from verification.platform import Platform
from verification.settings import SettingError, Settings, read_settings

# Who runs the checks again and again in one process hands over the platforms that it knows.
KNOWN = pytest.StashKey[dict[str, Platform | SettingError]]()


@dataclass
class Platforms:
    """The platforms of this run by inventory host, so that each is read only once."""

    known: dict[str, Platform | SettingError] = field(default_factory=dict)

    def of(self, host: Host) -> Platform:
        """Return the platform that the inventory's variables describe for a host."""
        variables = host.ansible.get_variables()
        name = variables["inventory_hostname"]
        if name not in self.known:
            self.known[name] = self._describe(variables)
        platform = self.known[name]
        if isinstance(platform, SettingError):
            raise SettingError(str(platform))
        return platform

    @staticmethod
    def _describe(variables: dict[str, object]) -> Platform | SettingError:
        try:
            return Platform(read_settings(variables))
        except SettingError as error:
            return error


@pytest.fixture(scope="session")
def platforms(pytestconfig: pytest.Config) -> Platforms:
    """Return the platforms of this run."""
    return Platforms(pytestconfig.stash.get(KNOWN, {}))


@pytest.fixture(scope="module")
def platform(host: Host, platforms: Platforms) -> Platform:
    """Return the deployed platform that the checks of a module look at."""
    return platforms.of(host)


@pytest.fixture(scope="module")
def settings(platform: Platform) -> Settings:
    """Return what the inventory asks of the platform."""
    return platform.settings
