# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account or a region has only once, asked for in a real local cloud."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import singletons
from ansible_collections.payments.cfn.plugins.module_utils.errors import CloudError

from .conftest import MakeClient, RunModule

URL = "https://token.example.com/path"
ROLE = "arn:aws:iam::111122223333:role/recorder"


class Account:
    """One account of the local cloud; remembers which services were asked."""

    def __init__(self, make_client: MakeClient, key: tuple[str, str] | None = None) -> None:
        self._make, self._key = make_client, key
        self.asked: list[str] = []

    def client(self, service: str) -> Any:
        self.asked.append(service)
        return self._make(service, config={}, key=self._key)


def new_account(make_client: MakeClient) -> Account:
    """An account that nobody else uses; its id is the key of its root user."""
    return Account(make_client, (f"{uuid.uuid4().int % 10**12:012}", "of-no-importance"))


@pytest.fixture
def account(make_client: MakeClient) -> Account:
    return new_account(make_client)


def fill(account: Account) -> str:
    """Give an account one of each kind; return the ARN of the identity provider."""
    config = account.client("config")
    config.put_configuration_recorder(ConfigurationRecorder={"name": "first", "roleARN": ROLE})
    config.put_delivery_channel(DeliveryChannel={"name": "second", "s3BucketName": "history"})
    made = account.client("iam").create_open_id_connect_provider(
        Url=URL, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )
    account.asked.clear()
    return str(made["OpenIDConnectProviderArn"])


def test_an_empty_account(account: Account) -> None:
    assert singletons.find(account, singletons.KINDS) == {
        "config_recorders": [],
        "config_delivery_channels": [],
        "oidc_providers": [],
    }


def test_what_exists_is_found(account: Account) -> None:
    arn = fill(account)
    assert singletons.find(account, singletons.KINDS) == {
        "config_recorders": ["first"],
        "config_delivery_channels": ["second"],
        "oidc_providers": [{"arn": arn, "url": URL}],
    }


def test_another_account_has_its_own(account: Account, make_client: MakeClient) -> None:
    fill(account)
    other = new_account(make_client)
    assert singletons.find(other, ["config_recorders"]) == {"config_recorders": []}


@pytest.mark.parametrize(
    ("kind", "service"),
    [("config_recorders", "config"), ("config_delivery_channels", "config"),
     ("oidc_providers", "iam")],
)  # fmt: skip
def test_only_what_is_asked_for_is_looked_for(account: Account, kind: str, service: str) -> None:
    fill(account)
    found = singletons.find(account, [kind])
    assert list(found) == [kind]
    assert found[kind]
    assert account.asked == [service]


@pytest.mark.parametrize(
    ("recorder", "listed"),
    [
        ({"name": "default"}, True),
        ({"name": "AWSConfigurationRecorderForSecurityHub_x",
          "servicePrincipal": "securityhub.amazonaws.com"}, False),
    ],
)  # fmt: skip
def test_a_recorder_of_a_service_leaves_room_for_ones_own(
    recorder: dict[str, str], listed: bool
) -> None:
    assert singletons._is_customers(recorder) is listed


def test_a_refusal_is_one_sentence(make_client: MakeClient) -> None:
    iam = make_client("iam", config={})
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = Account(make_client, (key["AccessKeyId"], key["SecretAccessKey"]))
    with pytest.raises(CloudError) as caught:
        singletons.find(user, ["oidc_providers"])
    sentence = str(caught.value)
    assert sentence.startswith("listing the OpenID Connect providers: AWS answers AccessDenied")
    assert sentence.endswith("; allow this action to the role or user that deploys.")
    assert "\n" not in sentence


@pytest.mark.parametrize("check", [True, False])
def test_the_action_changes_nothing(
    run_module: RunModule, cloud: dict[str, str], check: bool
) -> None:
    done = run_module("singletons", {}, check=check)
    assert not done["failed"], done["msg"]
    assert not done["changed"]
    assert {kind: done[kind] for kind in singletons.KINDS} == {
        kind: [] for kind in singletons.KINDS
    }
    assert cloud["AWS_ACCESS_KEY_ID"]


def test_the_action_asks_for_the_kinds_that_it_is_given(run_module: RunModule) -> None:
    done = run_module(
        "singletons", {"kinds": ["config_recorders"], "debug_botocore_endpoint_logs": True}
    )
    assert set(done) & set(singletons.KINDS) == {"config_recorders"}
    assert done["resource_actions"] == ["config:DescribeConfigurationRecorders"]


def test_the_action_refuses_an_unknown_kind(run_module: RunModule) -> None:
    failed = run_module("singletons", {"kinds": ["load_balancers"]})
    assert failed["failed"]
    assert "load_balancers" in failed["msg"]


def test_the_action_says_that_aws_cannot_be_reached(
    run_module: RunModule, cloud: dict[str, str]
) -> None:
    failed = run_module(
        "singletons",
        {"aws_config": {"retries": {"total_max_attempts": 1}}},
        environment=cloud | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    )
    assert failed["failed"]
    assert json.dumps(failed["findings"]).startswith('["listing the configuration recorders: ')
    assert "\n" not in failed["msg"]
