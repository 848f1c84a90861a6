# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys and deletes a tree of nested stacks: change set, plan, execution, events, outcome."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import changesets, stacks
from .changesets import ChangeSetError, Proposal, TemplateUrl
from .errors import CfnError
from .evaluate import as_text, planned, root_scope, tree_scopes
from .events import EventTree, Follower, Pace, StackEvent, Waiting, first_failure
from .lending import lent_templates
from .manifest import Release
from .plan import (
    Difference,
    HeldStack,
    Kept,
    Plan,
    build_plan,
    creation_plan,
    deletion_plan,
    kept_resources,
    no_changes,
    parameter_differences,
    same_template,
)
from .session import Clients
from .stacks import RawStack
from .templates import STACK_TYPE, Template, TemplateTree, load_template, load_tree

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_SUCCEEDED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})


class OperationFailed(CfnError):
    """An operation that AWS could not carry through.

    ``status`` is what the stack ended in, ``cause`` the first failure in its tree if one is known.
    """

    def __init__(self, message: str, status: str, cause: StackEvent | None) -> None:
        """Keep the facts beside the sentence."""
        super().__init__(message)
        self.status = status
        self.cause = cause


@dataclass(frozen=True)
class PackagedRelease:
    """A release and the directory of its manifest."""

    release: Release
    directory: Path


@dataclass(frozen=True)
class Deployment:
    """What to deploy, and how.

    ``packaged`` is there for a release, ``template`` for a single template that goes with the
    request; neither for a template that is known by its URL only. ``termination_protection`` is
    None to leave it as it is. With ``dry_run`` nothing changes in AWS. ``timeout`` limits each
    wait, in seconds.
    """

    proposal: Proposal
    packaged: PackagedRelease | None
    template: Template | None
    termination_protection: bool | None
    timeout: float
    dry_run: bool


@dataclass(frozen=True)
class Deletion:
    """What to delete, and how; see :class:`Deployment`."""

    stack_name: str
    role_arn: str | None
    timeout: float
    dry_run: bool


class Observer(Protocol):
    """Whoever watches an operation."""

    def planned(self, plan: Plan) -> None:
        """Take note of the plan, before anything is changed."""

    def happened(self, event: StackEvent, tree: EventTree) -> None:
        """Take note of an event, and of the tree of stacks that it belongs to."""

    def quiet(self, seconds: float, waiting: Sequence[Waiting], tree: EventTree) -> None:
        """Take note that nothing has happened for a while, and what is waited for."""

    def warned(self, text: str) -> None:
        """Take note of something that went wrong without harm to the outcome."""


@dataclass(frozen=True)
class Outcome:
    """How an operation ended; ``status`` is ABSENT where there is no stack."""

    changed: bool
    status: str
    plan: Plan | None
    stack_id: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True)
class Engine:
    """Carries operations out.

    :param pool: runs independent requests at the same time.
    """

    clients: Clients
    pool: Executor
    observer: Observer
    pace: Pace = field(default_factory=Pace)

    @property
    def _cloudformation(self) -> CloudFormationClient:
        return self.clients.cloudformation

    def deploy(self, deployment: Deployment) -> Outcome:
        """Bring a stack to the proposed state.

        :raises CfnError: it cannot be done, or did not succeed.
        """
        name = deployment.proposal.stack_name
        stack = stacks.describe(self._cloudformation, name)
        operation = stacks.deployment(stack, name, self.clients.region)
        if operation == "create" and deployment.dry_run:
            return self._foresee(deployment, stack)
        with ExitStack() as cleanup:
            if deployment.dry_run and deployment.packaged:
                deployment = cleanup.enter_context(self._lent(deployment, deployment.packaged))
            change_set = cleanup.enter_context(self._change_set(deployment, operation, stack))
            return self._carry_out(deployment, operation, stack, change_set)

    def _carry_out(
        self,
        deployment: Deployment,
        operation: str,
        stack: RawStack | None,
        change_set: _ChangeSet,
    ) -> Outcome:
        page = change_set.page
        settings = _settings(deployment, stack)
        if page["Status"] == "FAILED" and not no_changes(page["Status"], _reason(page)):
            raise ChangeSetError(changesets.failure(self._cloudformation, page))
        plan = self._plan(deployment, operation, stack, page).with_settings(settings)
        idle = page["Status"] == "FAILED" or self._is_idle(deployment, plan, stack, page)
        if idle:
            plan = replace(plan, parameters=(), root=replace(plan.root, changes=(), children=()))
        changed = not idle or bool(settings)
        self.observer.planned(plan)
        if deployment.dry_run or not changed:
            current = stack or {}
            return Outcome(
                changed=changed,
                status=stacks.status_of(stack),
                plan=plan,
                stack_id=current.get("StackId", ""),
                outputs=stacks.outputs(current),
            )
        final: RawStack = stack or {}
        if not idle:
            final = self._execute(deployment, operation, change_set, plan)
        self._protect(deployment, final)
        return Outcome(
            changed=True,
            status=final["StackStatus"],
            plan=plan,
            stack_id=final["StackId"],
            outputs=stacks.outputs(final),
        )

    def _foresee(self, deployment: Deployment, stack: RawStack | None) -> Outcome:
        """Plan the creation of a stack from its templates alone, so that nothing is left in AWS."""
        proposal = deployment.proposal
        tree = _tree(deployment)
        listed = _resources(tree, proposal.parameters, self.clients.region)
        plan = creation_plan(proposal.stack_name, listed)
        plan = replace(
            plan,
            parameters=parameter_differences(
                None, _root_parameters(tree, proposal.parameters), _no_echo(tree.template)
            ),
            settings=_settings(deployment, None),
        )
        self.observer.planned(plan)
        return Outcome(
            changed=True,
            status=stacks.status_of(stack),
            plan=plan,
            stack_id=(stack or {}).get("StackId", ""),
        )

    def _plan(
        self,
        deployment: Deployment,
        operation: str,
        stack: RawStack | None,
        page: Mapping[str, Any],
    ) -> Plan:
        pages = changesets.describe_tree(self._cloudformation, self.pool, page)
        plan = build_plan(
            deployment.proposal.stack_name,
            operation,
            page["ChangeSetId"],
            pages,
            self._leaving(pages),
        )
        before = stacks.parameters(stack) if stack and operation == "update" else None
        differences = parameter_differences(
            before, stacks.parameters(page), self._no_echo(deployment)
        )
        return replace(plan, parameters=differences)

    def _leaving(self, pages: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, HeldStack]:
        """Look into the nested stacks that go; AWS makes no change set for them."""
        ids = [
            change["PhysicalResourceId"]
            for described in pages.values()
            for page in described
            for change in (item.get("ResourceChange", {}) for item in page.get("Changes", []))
            if change.get("ResourceType") == STACK_TYPE
            and change.get("Action") == "Remove"
            and change.get("PhysicalResourceId")
        ]
        return {
            stack_id: stacks.held(self._cloudformation, self.pool, stack_id) for stack_id in ids
        }

    def _no_echo(self, deployment: Deployment) -> set[str]:
        """Find the root's parameters whose values must not be shown."""
        if deployment.packaged:
            packaged = deployment.packaged
            return _no_echo(load_template(packaged.directory / packaged.release.root.path))
        if deployment.template:
            return _no_echo(deployment.template)
        template = deployment.proposal.template
        assert isinstance(template, TemplateUrl)
        summary = self._cloudformation.get_template_summary(TemplateURL=template.url)
        return {item["ParameterKey"] for item in summary["Parameters"] if item.get("NoEcho")}

    def _is_idle(
        self, deployment: Deployment, plan: Plan, stack: RawStack | None, page: Mapping[str, Any]
    ) -> bool:
        """Whether AWS made a change set that changes nothing, as it does for nested stacks.

        What changes only if the value of another resource does cannot change if nothing else
        does. With no change of a resource, outputs or metadata may still differ; then the root's
        template does, or a nested change set was made for it.
        """
        if plan.operation != "update" or stack is None or plan.counts.total or plan.parameters:
            return False
        if any(node.bare for child in plan.root.children for node in child.walk()):
            return False
        if deployment.proposal.tags is not None and stacks.tags(stack) != stacks.tags(page):
            return False
        current = self._cloudformation.get_template(StackName=stack["StackId"])
        return same_template(self._proposed(deployment, page), current["TemplateBody"])

    def _proposed(self, deployment: Deployment, page: Mapping[str, Any]) -> object:
        """Give the root's template; from this machine if it is here, since a plan lends another."""
        if deployment.packaged:
            packaged = deployment.packaged
            path = packaged.directory / packaged.release.root.path
            return path.read_text(encoding="utf-8")
        return self._cloudformation.get_template(ChangeSetName=page["ChangeSetId"])["TemplateBody"]

    def _execute(
        self, deployment: Deployment, operation: str, change_set: _ChangeSet, plan: Plan
    ) -> RawStack:
        client = self._cloudformation
        before = stacks.last_event_id(client, change_set.stack_id)
        tree = EventTree(change_set.stack_id, plan.paths(), after=before)
        token = f"{operation}-{secrets.token_hex(12)}"
        changesets.execute(client, change_set.id, token)
        change_set.executed = True
        final = self._follow(tree, deployment.timeout)
        if final["StackStatus"] not in _SUCCEEDED:
            raise _failed(deployment.proposal.stack_name, tree, final)
        return final

    def _follow(self, tree: EventTree, timeout: float) -> RawStack:
        follower = Follower(
            client=self._cloudformation,
            pool=self.pool,
            on_event=lambda event: self.observer.happened(event, tree),
            on_lull=lambda seconds, waiting: self.observer.quiet(seconds, waiting, tree),
            pace=self.pace,
        )
        return follower.follow(tree, timeout)

    def _protect(self, deployment: Deployment, stack: RawStack) -> None:
        wanted = deployment.termination_protection
        if wanted is None or wanted == bool(stack.get("EnableTerminationProtection")):
            return
        self._cloudformation.update_termination_protection(
            StackName=stack["StackId"], EnableTerminationProtection=wanted
        )

    @contextmanager
    def _lent(self, deployment: Deployment, packaged: PackagedRelease) -> Iterator[Deployment]:
        """Give the deployment with its templates where AWS can read them for a while."""
        release = packaged.release
        url = release.template_url
        with lent_templates(self.clients.s3, self.pool, release, packaged.directory) as lent:
            template = TemplateUrl(lent.get(url, url))
            yield replace(deployment, proposal=replace(deployment.proposal, template=template))

    @contextmanager
    def _change_set(
        self, deployment: Deployment, operation: str, stack: RawStack | None
    ) -> Iterator[_ChangeSet]:
        """Make a change set, and delete it with the stack it made unless it was executed."""
        client = self._cloudformation
        packaged = deployment.packaged
        name = changesets.new_name(packaged.release.release_id if packaged else None)
        change_set_id, stack_id = changesets.create(client, deployment.proposal, operation, name)
        change_set = _ChangeSet(change_set_id, stack_id)
        try:
            change_set.page = changesets.wait(client, change_set_id, deployment.timeout)
            yield change_set
        finally:
            if not change_set.executed:
                self._discard(change_set, made_stack=stack is None)

    def _discard(self, change_set: _ChangeSet, *, made_stack: bool) -> None:
        client = self._cloudformation
        if not changesets.delete(client, change_set.id):
            self.observer.warned(
                f"{change_set.id}: this change set is still there; delete it with "
                f"`aws cloudformation delete-change-set --change-set-name {change_set.id}`."
            )
        if made_stack and not stacks.delete_unmade(client, change_set.stack_id):
            self.observer.warned(
                f"{change_set.stack_id}: this stack without resources is still there; delete it "
                f"with `aws cloudformation delete-stack --stack-name {change_set.stack_id}`."
            )

    def delete(self, deletion: Deletion) -> Outcome:
        """Delete a stack and everything nested in it.

        :raises CfnError: it cannot be done, or did not succeed.
        """
        client = self._cloudformation
        stack = stacks.describe(client, deletion.stack_name)
        if stack is None:
            return Outcome(changed=False, status="ABSENT", plan=None)
        stacks.check_deletable(stack, deletion.stack_name, self.clients.region)
        stack_id = stack["StackId"]
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return self._delete_unmade(deletion, stack_id)
        plan = deletion_plan(deletion.stack_name, stacks.held(client, self.pool, stack_id))
        self.observer.planned(plan)
        kept = kept_resources(plan)
        if deletion.dry_run:
            return Outcome(True, stack["StackStatus"], plan, stack_id, kept=kept)
        tree = self._start_deletion(deletion, stack, plan)
        final = self._follow(tree, deletion.timeout)
        if final["StackStatus"] != "DELETE_COMPLETE":
            raise _failed(deletion.stack_name, tree, final)
        return Outcome(True, "DELETE_COMPLETE", plan, stack_id, kept=_confirmed(kept, tree))

    def _delete_unmade(self, deletion: Deletion, stack_id: str) -> Outcome:
        """Delete a stack that has change sets only: there is nothing to hold and to follow."""
        client = self._cloudformation
        plan = deletion_plan(deletion.stack_name, HeldStack(stack_id))
        self.observer.planned(plan)
        if deletion.dry_run:
            return Outcome(True, "REVIEW_IN_PROGRESS", plan, stack_id)
        # With a change set go the stacks that it made ready to be nested.
        for change_set_id in changesets.list_ids(client, stack_id):
            changesets.delete(client, change_set_id, deletion.timeout)
        if not stacks.delete_unmade(client, stack_id, deletion.timeout):
            raise CfnError(
                f"{deletion.stack_name}: still there after {deletion.timeout:g} seconds, although "
                "it has no resources; run this again."
            )
        return Outcome(True, "DELETE_COMPLETE", plan, stack_id)

    def _start_deletion(self, deletion: Deletion, stack: RawStack, plan: Plan) -> EventTree:
        """Start the deletion, or join the one that is running."""
        client = self._cloudformation
        stack_id = stack["StackId"]
        if stack["StackStatus"] == "DELETE_IN_PROGRESS":
            return EventTree(stack_id, plan.paths(), since=stack.get("DeletionTime"))
        before = stacks.last_event_id(client, stack_id)
        tree = EventTree(stack_id, plan.paths(), after=before)
        role: Any = {"RoleARN": deletion.role_arn} if deletion.role_arn else {}
        client.delete_stack(
            StackName=stack_id, ClientRequestToken=f"delete-{secrets.token_hex(12)}", **role
        )
        return tree


@dataclass
class _ChangeSet:
    """A change set of this run, and whether it was executed."""

    id: str
    stack_id: str
    page: Mapping[str, Any] = field(default_factory=dict)
    executed: bool = False


def _reason(page: Mapping[str, Any]) -> str:
    return str(page.get("StatusReason", ""))


def _settings(deployment: Deployment, stack: RawStack | None) -> tuple[Difference, ...]:
    """What differs of the stack's own settings; for now termination protection."""
    wanted = deployment.termination_protection
    current = bool((stack or {}).get("EnableTerminationProtection"))
    if wanted is None or wanted == current:
        return ()
    words = {True: "on", False: "off"}
    return (Difference("TerminationProtection", words[current], words[wanted]),)


def _tree(deployment: Deployment) -> TemplateTree:
    """Give the templates as they lie on this machine.

    :raises CfnError: they lie in S3 only.
    """
    if deployment.template:
        return TemplateTree(deployment.template, ())
    if deployment.packaged is None:
        raise CfnError(
            f"{deployment.proposal.stack_name}: a stack that does not exist can be planned from "
            "templates on this machine only; give the option manifest or template."
        )
    packaged = deployment.packaged
    located = packaged.release.template_paths(packaged.directory)
    return load_tree(located[packaged.release.root.url], located)


def _resources(
    tree: TemplateTree, parameters: Mapping[str, str], region: str
) -> list[tuple[tuple[str, ...], str]]:
    """List what a new tree of stacks would create, with paths."""
    scope = root_scope(tree.template, parameters, {"AWS::Region": region})
    return [
        ((*path, item.logical_id), item.type)
        for path, (_tree, inner) in tree_scopes(tree, scope).items()
        for item in planned(inner)
    ]


def _root_parameters(tree: TemplateTree, given: Mapping[str, str]) -> dict[str, str]:
    """Give the root's parameters as AWS would have them: those given, else the defaults."""
    return {
        name: given.get(name, as_text(declared.get("Default", "")))
        for name, declared in tree.template.parameters.items()
    }


def _no_echo(template: Template) -> set[str]:
    return {
        name
        for name, declared in template.parameters.items()
        if str(declared.get("NoEcho", "")).lower() == "true"
    }


def _failed(name: str, tree: EventTree, stack: RawStack) -> OperationFailed:
    """Put the first failure and the final state into one sentence."""
    status = stack["StackStatus"]
    cause = first_failure(tree.events)
    if cause is None:
        reason = _one_line(stack.get("StackStatusReason", ""))
        return OperationFailed(f"{name} ended {status}: {reason}.", status, None)
    what = f"{cause.name} ({cause.resource_type}) was {cause.status}"
    reason = _one_line(cause.reason)
    return OperationFailed(f"{name} ended {status} because {what}: {reason}.", status, cause)


def _one_line(reason: str) -> str:
    return " ".join(reason.split()).rstrip(". ") or "AWS gives no reason"


def _confirmed(expected: Sequence[Kept], tree: EventTree) -> tuple[Kept, ...]:
    """What a deletion left behind: what its events say was skipped, and the snapshots."""
    skipped = tuple(
        Kept(event.name, event.resource_type, event.physical_id, "retained")
        for event in tree.events
        if event.status == "DELETE_SKIPPED"
    )
    paths = {item.path for item in skipped}
    below = tuple(
        item
        for item in expected
        if item.path not in paths
        and (item.how == "snapshot" or any(item.path.startswith(f"{path}/") for path in paths))
    )
    return skipped + below
