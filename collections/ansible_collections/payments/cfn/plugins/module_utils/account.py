# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is calling AWS, and where: regions, partitions, the caller's identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import CloudError
from .parameters import did_you_mean

with suppress(ImportError):  # without boto3 there are no clients, see session
    from botocore import exceptions as botocore_exceptions
    from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

# A check that comes first must answer soon: one retry, short timeouts (in seconds).
CLIENT_SETTINGS: Mapping[str, Any] = {
    "connect_timeout": 3,
    "read_timeout": 6,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}

DNS_SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-us-gov": "amazonaws.com",
}

NO_REGION = "no region is set; give the option region or set AWS_REGION."
_INCOMPLETE = "there are no complete AWS credentials"
_HOW_TO_GIVE = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), set AWS_PROFILE, or "
    "give the option profile"
)
_REFUSALS = {
    "AccessDenied": "allow sts:GetCallerIdentity, which only an explicit deny takes away",
    "ExpiredToken": "renew the credentials",
    "ExpiredTokenException": "renew the credentials",
    "InvalidClientTokenId": "check the access key id, and the session token if there is one",
    "RequestExpired": "set this machine's clock",
    "SignatureDoesNotMatch": "check the secret access key and this machine's clock",
}


@dataclass(frozen=True)
class Identity:
    """Who the credentials belong to."""

    account_id: str
    arn: str


def check_region(region: str | None, known: Mapping[str, str]) -> CloudError | None:
    """What is wrong with a region; ``known`` maps CloudFormation's regions to partitions."""
    if not region:
        return CloudError(NO_REGION)
    if region in known:
        return None
    hint = did_you_mean(region, known) or f" (there are {', '.join(sorted(known)[:3])} …)"
    return CloudError(
        f"region {region} is not a region of CloudFormation{hint}; correct it, or update botocore "
        "if the region is new."
    )


def check_options(options: Mapping[str, Any], profiles: Sequence[str]) -> CloudError | None:
    """What is wrong with the options that give credentials; ``profiles`` are those configured."""
    keys = [bool(options.get(name)) for name in ("access_key", "secret_key")]
    profile = options.get("profile")
    if profile and (any(keys) or options.get("session_token")):
        return CloudError("a profile and an access key exclude each other; give one of them.")
    if any(keys) and not all(keys):
        return CloudError(f"{_INCOMPLETE}; {_HOW_TO_GIVE}.")
    if profile and profile not in profiles:
        return CloudError(
            f"profile {profile} is not in the AWS configuration (there: "
            f"{', '.join(profiles) or 'none'}); correct the option profile or AWS_PROFILE."
        )
    return None


def caller_identity(client: STSClient) -> Identity:
    """Ask STS who is calling, which also proves that the endpoint can be reached.

    Raises:
        CloudError: no or bad credentials, or no connection; with the way to mend it.
    """
    errors = botocore_exceptions
    endpoint = client.meta.endpoint_url
    try:
        answer = client.get_caller_identity()
    except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
        raise CloudError(f"{_INCOMPLETE}; {_HOW_TO_GIVE}.") from error
    except errors.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        fix = _REFUSALS.get(code, "check the credentials and the endpoint")
        raise CloudError(f"AWS refuses the credentials at {endpoint} ({code}); {fix}.") from error
    except (errors.ConnectionError, errors.HTTPClientError) as error:
        raise CloudError(
            f"the AWS endpoint {endpoint} cannot be reached ({_reason(client, error)}); check the "
            "network, the proxy, and AWS_ENDPOINT_URL or the option endpoint_url if one is set."
        ) from error
    except errors.BotoCoreError as error:
        raise CloudError(
            f"the AWS credentials cannot be used ({str(error).rstrip('. ')}); {_HOW_TO_GIVE}."
        ) from error
    except (ValueError, ResponseParserError) as error:
        # what is not an AWS endpoint answers with something that cannot be parsed
        raise CloudError(
            f"the endpoint {endpoint} does not answer like AWS; check AWS_ENDPOINT_URL or the "
            "option endpoint_url."
        ) from error
    return Identity(answer["Account"], answer["Arn"])


def _reason(client: STSClient, error: Exception) -> str:
    config: Any = client.meta.config
    names = {
        "ConnectTimeoutError": f"no connection within {config.connect_timeout} s",
        "ReadTimeoutError": f"no answer within {config.read_timeout} s",
        "EndpointConnectionError": "connection refused or unknown host",
        "SSLError": "its certificate is not trusted",
        "ProxyConnectionError": "the proxy does not answer",
    }
    return names.get(type(error).__name__, str(error).rstrip(". "))
