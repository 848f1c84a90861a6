"""What a resource type is, as data: the vocabulary of the table in `local_cloud.resources.table`.

Every value that a type needs (a parameter of a call, the Ref, an attribute) is a JMESPath
expression over one document about the resource in hand:

========== ======================================================================
key        value
========== ======================================================================
id         the physical id (absent while the resource is being created)
ids        the physical id split at ``|``
name       the physical name: the one the template gives, else a generated one
properties the template's properties, resolved, with the stack's tags merged in
old        the properties before the update (empty on create and delete)
response   what the create call returned
record     what the read call returned, narrowed to this resource
account    the 12-digit account id
region     the region's name
stack      the stack's name
logical    the logical id
========== ======================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Document = Mapping[str, Any]
Properties = Mapping[str, Any]

EVERY = ("*",)
"""For `Call.takes`: every property that the operation has a parameter for."""


@dataclass(frozen=True)
class Call:
    """One operation of a service's API.

    `takes` names the properties passed under their own names (a difference in the case of
    letters is allowed for), `parameters` maps the operation's other parameters to JMESPath
    expressions, and `on` names further properties whose change calls for this operation.
    `each` is a JMESPath expression giving a list: the operation is called once per item, which
    the expressions see as ``item``. `service` is the boto3 client where it is not the type's own.
    """

    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    each: str = ""
    service: str = ""


class Api(Protocol):
    """Calls an operation of a service in the resource's account and region.

    A service written as ``kms@eu-west-1`` is called in that region instead.
    """

    def __call__(self, service: str, operation: str, **parameters: object) -> Any:
        """Return the operation's response."""


@dataclass(frozen=True)
class Step:
    """What a call can't say: a function of the API and the document; `on` as in `Call`.

    What the function returns is the ``response`` of a create.
    """

    run: Callable[[Api, Document], Any]
    on: tuple[str, ...] = ()


Action = Call | Step


@dataclass(frozen=True)
class Read:
    """The call that reads a resource back, and where in its response the resource is."""

    operation: str
    parameters: Mapping[str, str]
    record: str
    service: str = ""


@dataclass(frozen=True)
class Tags:
    """How a type carries tags.

    `property_name` and `shape` ("list" or "map") are the template's. `style` names an entry of
    `local_cloud.resources.tags.STYLES`, `target` is the JMESPath expression of what is tagged.
    `kind` is EC2's resource type for a TagSpecification. `at_create` is False where the create
    call takes no tags, so that they are added afterwards. `reserved` is False where the local
    service refuses keys that begin with ``aws:``.
    """

    style: str
    target: str = "id"
    property_name: str = "Tags"
    shape: str = "list"
    kind: str = ""
    at_create: bool = True
    reserved: bool = True


@dataclass(frozen=True)
class ResourceType:
    """One CloudFormation resource type.

    With `mends_builtin` the handlers that MiniStack has for the type do the work, and only what
    is said here is added to them; without it `create` and `delete` are required. `create_only`
    properties replace the resource and `conditional` ones may; both are the type's whole lists
    either way. `ignored` properties are accepted and have no effect here.

    `after_create` runs once the resource exists. `settings` run after the create where their
    properties are given, and on an update where they changed; `updates` run on an update only,
    and `before_delete` ahead of the deletion. `defaults` stand in on an update for a property
    that the template no longer gives. `prepare` rewrites the properties before anything else.

    `reference` is the Ref, `attributes` the Fn::GetAtt values (a function where an expression
    can't say it). `ready` is an expression that turns true once the resource can be used.

    `named` is the property that sets the physical name, and `name_limit` its longest length;
    with `name_shared` several resources may have the same name. `taken` says whether there is a
    resource already that the new one would be mixed up with; it stands where the service's own
    create overwrites such a resource in silence.
    """

    name: str
    service: str
    create: Action | None = None
    read: Read | None = None
    after_create: tuple[Action, ...] = ()
    settings: tuple[Action, ...] = ()
    updates: tuple[Action, ...] = ()
    delete: Action | None = None
    before_delete: tuple[Action, ...] = ()
    reference: str = ""
    attributes: Mapping[str, str | Callable[[Document], Any]] = field(default_factory=dict)
    create_only: tuple[str, ...] = ()
    conditional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    defaults: Properties = field(default_factory=dict)
    tags: Tags | None = None
    named: str = ""
    name_shared: bool = False
    name_limit: int = 128
    name_lowercase: bool = False
    taken: Callable[[Api, Document], bool] | None = None
    ready: str = ""
    mends_builtin: bool = False
    prepare: Callable[[Properties], Properties] | None = None

    @property
    def described_only(self) -> bool:
        """Whether MiniStack's own handlers serve the type as they are.

        The table then tells only what a change set says of it: which properties replace.
        """
        additions = (self.after_create, self.settings, self.updates, self.before_delete)
        return self.mends_builtin and not (any(additions) or self.attributes or self.taken)
