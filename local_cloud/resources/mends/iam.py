"""IAM: identity providers whose clients and thumbprints change."""

from __future__ import annotations

from ministack.services import iam as _iam

from .core import Amendment, Members, Mend, Operation, Refusal


def _provider(request: Members) -> Members:
    arn = request["OpenIDConnectProviderArn"]
    found: Members | None = _iam._oidc_providers.get(arn)
    if found is None:
        raise Refusal("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", 404)
    return found


def _without_scheme(_request: Members, response: Members) -> None:
    response["Url"] = response["Url"].removeprefix("https://")


def _change_thumbprints(request: Members) -> Members:
    _provider(request)["ThumbprintList"] = request["ThumbprintList"]
    return {}


def _add_client(request: Members) -> Members:
    clients = _provider(request)["ClientIDList"]
    if request["ClientID"] not in clients:
        clients.append(request["ClientID"])
    return {}


def _remove_client(request: Members) -> Members:
    provider = _provider(request)
    provider["ClientIDList"] = [c for c in provider["ClientIDList"] if c != request["ClientID"]]
    return {}


def _tag(request: Members) -> Members:
    provider = _provider(request)
    given = {tag["Key"] for tag in request["Tags"]}
    kept = [tag for tag in provider.get("Tags") or () if tag["Key"] not in given]
    provider["Tags"] = [*kept, *request["Tags"]]
    return {}


def _untag(request: Members) -> Members:
    provider = _provider(request)
    provider["Tags"] = [t for t in provider["Tags"] if t["Key"] not in request["TagKeys"]]
    return {}


def _list_tags(request: Members) -> Members:
    return {"Tags": _provider(request).get("Tags") or [], "IsTruncated": False}


MENDS: tuple[Mend, ...] = (
    Amendment("GetOpenIDConnectProvider", _without_scheme),
    Operation("UpdateOpenIDConnectProviderThumbprint", _change_thumbprints),
    Operation("AddClientIDToOpenIDConnectProvider", _add_client),
    Operation("ListOpenIDConnectProviderTags", _list_tags),
    Operation("TagOpenIDConnectProvider", _tag),
    Operation("UntagOpenIDConnectProvider", _untag),
    Operation("RemoveClientIDFromOpenIDConnectProvider", _remove_client),
)
