# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS clients from the options that all AWS modules have in common, and AWS's errors in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .account import NO_REGION, check_options
from .errors import CfnError, CloudError

BOTO3_IMPORT_ERROR: str | None = None
try:
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError
    from botocore.parsers import ResponseParserError
except ImportError as error:  # pragma: no cover - the environment of the tests has boto3
    BOTO3_IMPORT_ERROR = str(error)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

# AWS throttles per account, and other tools share the account: adaptive retries slow down. More
# attempts would keep a user waiting for over a minute when an endpoint cannot be reached at all.
_RETRIES: Any = {"mode": "adaptive", "total_max_attempts": 5}
# Seconds; an endpoint that takes a request and never answers must not look like a long operation.
_CONNECT_TIMEOUT, _READ_TIMEOUT = 5, 20

# Where a setting is wrong; it may come from the task, the environment or the configuration.
_SETTINGS = "the AWS settings"
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")


class Clients:
    """The clients of one task, each made when it is first used and then kept."""

    def __init__(self, options: Mapping[str, Any], concurrency: int) -> None:
        """Take the options; nothing is made yet.

        :param options: the options of amazon.aws's common doc fragment, validated.
        :param concurrency: how many requests a client is asked for at the same time.
        """
        self._options = options
        self._concurrency = concurrency
        # What AWS was asked, as amazon.aws's modules tell it: s3:ListObjectsV2.
        self.operations: set[str] = set()

    def check(self) -> None:
        """See to it that the options which give credentials go together.

        :raises CfnError: they do not, there is no such profile, or the AWS configuration cannot be
            read.
        """
        with in_words(_SETTINGS):
            # boto3's session refuses to start with an unknown profile; botocore's does not.
            profiles = self._core.available_profiles
        problem = check_options(self._options, profiles)
        if problem is not None:
            raise problem

    @property
    def configured_region(self) -> str | None:
        """The region that is set somewhere, whether AWS has it or not."""
        region = self._options.get("region") or self._session.region_name
        return str(region) if region else None

    def regions(self, service: str) -> dict[str, str]:
        """The regions that a service has, and the partition of each.

        :param service: the prefix of its endpoints.
        """
        # boto3 would load the whole model of the service to learn the prefix.
        return {
            region: partition["partition"]
            for partition in self._core.get_data("endpoints")["partitions"]
            for region in partition["regions"]
            if region in partition["services"].get(service, {}).get("endpoints", {})
        }

    @property
    def region(self) -> str:
        """The region that requests go to.

        :raises CloudError: there is none.
        """
        region = self.configured_region
        if not region:
            raise CloudError(NO_REGION)
        return region

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation's client."""
        client: CloudFormationClient = self.client("cloudformation")
        return client

    @cached_property
    def s3(self) -> S3Client:
        """S3's client."""
        client: S3Client = self.client("s3")
        return client

    @cached_property
    def _core(self) -> botocore.session.Session:
        _require_boto3()
        return botocore.session.Session()

    @cached_property
    def _session(self) -> boto3.session.Session:
        self.check()
        names = ("access_key", "secret_key", "session_token", "profile")
        access_key, secret_key, session_token, profile = (
            self._options.get(name) or None for name in names
        )
        with in_words(_SETTINGS):
            session = boto3.session.Session(
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                aws_session_token=session_token,
                profile_name=profile,
                botocore_session=self._core,
            )
        session.events.register("before-call", self._note)
        return session

    def _note(self, *, model: Any, **_: Any) -> None:
        self.operations.add(f"{model.service_model.endpoint_prefix}:{model.name}")

    def client(
        self, service: str, settings: Mapping[str, Any] | None = None, region: str | None = None
    ) -> Any:
        """Make a client.

        :param settings: of botocore's Config, before those that the option aws_config gives.
        :param region: in place of the one that is set.
        :raises CfnError: a setting is wrong, whether an option or in the AWS configuration.
        """
        _require_boto3()
        options = self._options
        region = region or self.region
        defaults = {
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": _READ_TIMEOUT,
            "retries": _RETRIES,
            "max_pool_connections": self._concurrency,
            "user_agent_extra": "payments.cfn",
        }
        config = Config(**{**defaults, **(settings or {})})
        if options.get("aws_config"):
            config = config.merge(_config(options["aws_config"]))
        verify = options.get("validate_certs", True)
        if verify and options.get("aws_ca_bundle"):
            verify = options["aws_ca_bundle"]
        session: Any = self._session  # its stubs know services by their literal names only
        try:
            with in_words(_SETTINGS):
                return session.client(
                    service,
                    region_name=region,
                    endpoint_url=options.get("endpoint_url") or None,
                    verify=verify,
                    config=config,
                )
        except ValueError as error:
            raise CfnError(
                f"{_SETTINGS}: {_one_line(str(error))}; correct the option endpoint_url or "
                "AWS_ENDPOINT_URL."
            ) from error


def _config(options: Mapping[str, Any]) -> Config:
    try:
        with in_words("the option aws_config"):
            return Config(**options)
    except TypeError as error:
        raise CfnError(f"the option aws_config: {_one_line(str(error))}; correct it.") from error


def _require_boto3() -> None:
    if BOTO3_IMPORT_ERROR:
        raise CfnError(
            f"boto3 cannot be imported ({BOTO3_IMPORT_ERROR}); install it for the Python that "
            "runs Ansible."
        )


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; boto3 reads its settings from there.

    Where they hold an access key, a profile they name counts for nothing, as boto3 has it; it may
    be one that only another task's credentials belong to, and need not even exist here.
    """
    before = {name: os.environ.get(name) for name in (*variables, *_PROFILES)}
    os.environ.update(variables)
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        for name in _PROFILES:
            os.environ.pop(name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def in_words(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into one sentence.

    :param doing: what was being done, e.g. ``creating a change set for app-dev``.
    :raises CloudError: in place of any error of boto3.
    """
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code, text = details.get("Code", "unknown"), _one_line(details.get("Message", ""))
        raise CloudError(f"{doing}: AWS answers {code}: {text}{_remedy(code)}.") from error
    except NoRegionError as error:
        raise CloudError(f"{doing}: no region is set; give the option region.") from error
    except (BotoCoreError, ResponseParserError) as error:
        text = _one_line(str(error))
        raise CloudError(f"{doing}: {text}{_remedy(type(error).__name__)}.") from error


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(". ")


_REMEDIES = (
    (
        ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        "give credentials by the environment, a profile or the options",
    ),
    (
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"),
        "renew the credentials and run this again",
    ),
    (
        ("InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"),
        "check the access key and its secret",
    ),
    (
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"),
        "allow this action to the role or user that deploys",
    ),
    (("ConfigParseError",), "correct that file"),
    (("InvalidRegionError",), "correct the option region or AWS_REGION"),
    (
        ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError"),
        "check the region, the endpoint and the network",
    ),
    (("NoSuchBucket",), "make the bucket first"),
    (("Throttling", "ThrottlingException"), "run this again later"),
)


def _remedy(code: str) -> str:
    return next((f"; {advice}" for codes, advice in _REMEDIES if code in codes), "")
