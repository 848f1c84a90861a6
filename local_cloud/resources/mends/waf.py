"""WAF: MiniStack has no logging configurations."""

from __future__ import annotations

from ministack.services import waf as _waf

from .core import Amendment, Members, Mend, Operation, Refusal, scoped

_UPDATED = (
    "AssociationConfig",
    "CaptchaConfig",
    "ChallengeConfig",
    "CustomResponseBodies",
    "DataProtectionConfig",
    "Description",
    "TokenDomains",
)
_configurations: dict[tuple[str, str, str], Members] = {}


def _put(request: Members) -> Members:
    configuration = {"ManagedByFirewallManager": False, **request["LoggingConfiguration"]}
    _configurations[scoped(configuration["ResourceArn"])] = configuration
    return {"LoggingConfiguration": configuration}


def _get(request: Members) -> Members:
    found = _configurations.get(scoped(request["ResourceArn"]))
    if found is None:
        raise Refusal(
            "WAFNonexistentItemException",
            f"AWS WAF has no logging configuration of {request['ResourceArn']}.",
        )
    return {"LoggingConfiguration": found}


def _delete(request: Members) -> Members:
    _get(request)
    del _configurations[scoped(request["ResourceArn"])]
    return {}


def _list(_request: Members) -> Members:
    here = scoped("")[:2]
    return {"LoggingConfigurations": [c for key, c in _configurations.items() if key[:2] == here]}


def _show_label_namespace(_request: Members, response: Members) -> None:
    acl = response["WebACL"]
    account = acl["ARN"].split(":")[4]
    acl.setdefault("LabelNamespace", f"awswaf:{account}:webacl:{acl['Name']}:")
    # What AWS charges: the managed groups it documents with 700, any other statement with 2.
    acl["Capacity"] = acl.get("Capacity") or sum(_capacity(rule) for rule in acl["Rules"])


def _capacity(rule: Members) -> int:
    return 700 if "ManagedRuleGroupStatement" in rule["Statement"] else 2


def _keep_created(request: Members, response: Members) -> None:
    acl = _waf.web_acl_record(response["Summary"]["Id"], request["Scope"])
    acl.update({name: request[name] for name in _UPDATED if name in request})


def _describe(request: Members, _response: Members) -> None:
    """UpdateWebACL leaves some of what it is given out."""
    acl = _waf.web_acl_record(request["Id"], request["Scope"])
    acl.update({name: request[name] for name in _UPDATED if name in request})


MENDS: tuple[Mend, ...] = (
    Amendment("CreateWebACL", _keep_created),
    Amendment("UpdateWebACL", _describe),
    Amendment("GetWebACL", _show_label_namespace),
    Amendment("GetWebACLForResource", _show_label_namespace),
    Operation("PutLoggingConfiguration", _put),
    Operation("GetLoggingConfiguration", _get),
    Operation("DeleteLoggingConfiguration", _delete),
    Operation("ListLoggingConfigurations", _list),
)
