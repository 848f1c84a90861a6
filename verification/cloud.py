"""Reads AWS: every distinct question is asked once in a run and the answer kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Record = dict[str, Any]


class CloudError(Exception):
    """AWS refused a read, does not know what was asked for, or could not be reached."""

    def __init__(self, message: str, code: str = "") -> None:
        """Keep the sentence and AWS's code, empty where AWS did not answer."""
        super().__init__(message)
        self.code = code


class Cloud:
    """One account in one region, read only.

    Endpoint and credentials come from the environment, as boto3 finds them.
    """

    def __init__(self, region: str) -> None:
        """Prepare to read a region; nothing is asked yet."""
        self._session = boto3.session.Session(region_name=region)
        self._config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 4},
        )
        self._clients: dict[str, Any] = {}
        # Refusals are kept as well: a cloud that does not answer is asked once, not per check.
        self._answers: dict[str, Any] = {}

    def again(self) -> Cloud:
        """Return the same account and region with nothing asked yet, by the connections of this."""
        other = copy(self)
        other._answers = {}
        return other

    def get(self, service: str, operation: str, **arguments: Any) -> Record:
        """Return the whole answer of one operation, for example `get("sns", "list_topics")`.

        Raises:
            CloudError: the service refused or could not be reached.
        """

        def ask() -> Record:
            answer: Record = getattr(self._client(service), operation)(**arguments)
            return answer

        answer: Record = self._once(service, operation, arguments, "", ask)
        return answer

    def every(self, service: str, operation: str, key: str, **arguments: Any) -> list[Record]:
        """Return the list under `key`, over all pages of the answer.

        Raises:
            CloudError: the service refused or could not be reached.
        """

        def ask() -> list[Record]:
            client = self._client(service)
            if not client.can_paginate(operation):
                return list(getattr(client, operation)(**arguments).get(key, []))
            pages = client.get_paginator(operation).paginate(**arguments)
            return [item for page in pages for item in page.get(key, [])]

        answer: list[Record] = self._once(service, operation, arguments, key, ask)
        return answer

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            # The stubs know a signature per service, and this name is any of them.
            create: Callable[..., Any] = self._session.client
            self._clients[service] = create(service, config=self._config)
        return self._clients[service]

    def _once(
        self,
        service: str,
        operation: str,
        arguments: Record,
        key: str,
        ask: Callable[[], Any],
    ) -> Any:
        question = json.dumps([service, operation, key, arguments], sort_keys=True, default=str)
        if question not in self._answers:
            try:
                self._answers[question] = ask()
            except (BotoCoreError, ClientError) as error:
                self._answers[question] = self._explain(service, operation, arguments, error)
        answer = self._answers[question]
        if isinstance(answer, CloudError):
            # A new object each time: the same one would collect the tracebacks of every check.
            raise CloudError(str(answer), answer.code)
        return answer

    def _explain(
        self, service: str, operation: str, arguments: Record, error: BotoCoreError | ClientError
    ) -> CloudError:
        of = ", ".join(value for value in arguments.values() if isinstance(value, str))
        where = f"{service} {operation} {of and f'of {of} '}in {self._session.region_name}"
        if isinstance(error, ClientError):
            detail = error.response.get("Error", {})
            code = str(detail.get("Code", ""))
            return CloudError(f"{where}: {code}: {detail.get('Message', error)}", code)
        return CloudError(f"{where}: {error}")
