"""The one place where MiniStack is changed from outside.

MiniStack is pinned. What it lacks is added by replacing names in its modules before it serves;
each name is looked up first, so that a MiniStack without it is refused instead of half patched.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from local_cloud.errors import IncompatibleMinistackError
from local_cloud.latency import Latency


def apply(*, latency: float = 0.0) -> None:
    """Patch the imported MiniStack; once per process, before it serves.

    Args:
        latency: the factor on AWS's creation times.

    Raises:
        IncompatibleMinistackError: MiniStack lacks a name that is to be replaced.
    """
    try:
        _apply(Latency(latency))
    except (ImportError, AttributeError, LookupError) as error:
        raise IncompatibleMinistackError(
            f"The installed MiniStack does not fit the local cloud ({error}): install the version "
            "that requirements.txt pins."
        ) from error


def _apply(latency: Latency) -> None:
    from ministack.core import iam_actions, iam_evaluator
    from ministack.services.cloudformation import changesets, engine, helpers, provisioners, stacks
    from ministack.services.cloudformation import handlers as actions

    from local_cloud import authorization, conditions, dependencies

    wrap("extract_resource_arn", authorization.knows_change_sets, iam_actions)
    wrap("_first_match", authorization.fills_in_variables, iam_evaluator)
    wrap("_evaluate_conditions", conditions.looks_in_maps, engine, stacks, actions, changesets)
    wrap("_extract_deps", dependencies.reads_metadata, engine, stacks)

    # These use names of MiniStack's as they are imported, and so come after what is above.
    from local_cloud import (
        change_sets,
        deployment,
        forecast,
        nested_stacks,
        operations,
        template_urls,
    )

    resource_handlers = existing(provisioners, "_RESOURCE_HANDLERS")
    resource_handlers[nested_stacks.TYPE] = nested_stacks.handlers(deployment.undo)
    _register_resource_types(resource_handlers, stacks)
    replace(
        "_create_stack_task_in_region",
        operations.scheduler(existing(stacks, "_stack_region_context")),
        stacks,
        actions,
        changesets,
    )
    wrap("new_uuid", operations.uuid_source, actions, changesets)
    replace("_deploy_stack_async", deployment.engine(latency), stacks, actions, changesets)
    replace("_roll_back_operation", deployment.roll_back, stacks, actions)
    wrap("_provision_resource", _refuse_placeholders, stacks, provisioners)
    wrap("_delete_resource", _delete_what_exists, stacks)
    wrap("_resolve_document", template_urls.reads_from_s3, helpers)
    wrap("_resolve_parameters", forecast.takes_unknown, changesets)
    wrap("_resolve_props_for_diff", forecast.without_what_conditions_exclude, changesets)
    wrap("_track_change_set_execution", change_sets.tracks_tree, changesets)
    wrap("_drop_other_change_sets", change_sets.drops_trees, changesets)
    _wrap_actions(existing(actions, "_ACTION_HANDLERS"))


def _wrap_actions(actions: dict[str, Any]) -> None:
    from local_cloud import change_sets, stack_actions

    wrappers = {
        "CreateStack": stack_actions.creates_once,
        "UpdateStack": stack_actions.updates_what_can_be,
        "DeleteStack": change_sets.deletes_reviewed_children,
        "ContinueUpdateRollback": stack_actions.continues_tree,
        "CancelUpdateStack": stack_actions.cancels_at_once,
        "DescribeStacks": stack_actions.tells_tree,
        "ListStacks": stack_actions.tells_tree,
        "CreateChangeSet": change_sets.creates_tree,
        "DescribeChangeSet": change_sets.describes_tree,
        "ListChangeSets": change_sets.lists_tree,
        "ExecuteChangeSet": change_sets.executes_tree,
        "DeleteChangeSet": change_sets.deletes_tree,
    }
    for name, wrap_action in wrappers.items():
        if name not in actions:
            raise IncompatibleMinistackError(
                f"The installed MiniStack has no CloudFormation action {name}: install the "
                "version that requirements.txt pins."
            )
        actions[name] = wrap_action(actions[name])


def _refuse_placeholders(original: Callable[..., Any]) -> Callable[..., Any]:
    """MiniStack records a CloudFormation type that it does not know, and makes nothing."""
    from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

    def provision(resource_type: str, *arguments: Any) -> Any:
        known = resource_type in _RESOURCE_HANDLERS
        if resource_type.startswith("AWS::CloudFormation::") and not known:
            raise ValueError(f"Unsupported resource type: {resource_type}")
        return original(resource_type, *arguments)

    return provision


def _delete_what_exists(original: Callable[..., None]) -> Callable[..., None]:
    """A failed resource is listed like any other, but there is nothing to delete."""

    def delete(resource_type: str, physical_id: str, *arguments: Any) -> None:
        if physical_id:
            original(resource_type, physical_id, *arguments)

    return delete


def _register_resource_types(handlers: dict[str, Any], stacks: ModuleType) -> None:
    from local_cloud import resources

    resources.register(handlers)
    blocking = resources.worker_types()
    original = existing(stacks, "_runs_on_worker_thread")
    replace(
        "_runs_on_worker_thread",
        lambda resource_type: resource_type in blocking or original(resource_type),
        stacks,
    )


def existing(module: ModuleType, name: str) -> Any:
    """The attribute ``name`` of ``module``.

    Raises:
        IncompatibleMinistackError: there is none.
    """
    try:
        return getattr(module, name)
    except AttributeError:
        raise IncompatibleMinistackError(
            f"The installed MiniStack has no {module.__name__}.{name}: install the version "
            "that requirements.txt pins."
        ) from None


def replace(name: str, new: Any, *modules: ModuleType) -> None:
    """Put ``new`` in place of ``name`` in every one of ``modules``, which must have it."""
    for module in modules:
        existing(module, name)
        setattr(module, name, new)


def wrap(name: str, wrapper: Callable[[Any], Any], *modules: ModuleType) -> None:
    """Put ``wrapper`` of it in place of the function ``name`` in every one of ``modules``."""
    for module in modules:
        replace(name, wrapper(existing(module, name)), module)
