# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind ``payments.cfn.stack``: it runs in the controller, so that it can stream.

What it does is in module_utils; here are the options, the display and the result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from ansible import constants as C
from ansible.utils.color import stringc

from ..module_utils import manifest, render
from ..module_utils.changesets import Proposal, TemplateBody, TemplateUrl
from ..module_utils.code import find_local_code
from ..module_utils.engine import (
    Deletion,
    Deployment,
    Engine,
    OperationFailed,
    Outcome,
    PackagedRelease,
)
from ..module_utils.errors import CfnError, OutputError
from ..module_utils.evaluate import as_text
from ..module_utils.events import EventTree, StackEvent, Waiting
from ..module_utils.plan import Plan
from ..module_utils.render import Line
from ..module_utils.session import in_words
from ..module_utils.templates import Template, load_tree
from ..plugin_utils.action import CfnAction

_SOURCES = ("manifest", "template", "template_url")
# CloudFormation's limit for a template that goes with the request, in bytes.
_LARGEST_BODY = 51_200
_COLORS = {
    "add": C.COLOR_DIFF_ADD,
    "import": C.COLOR_DIFF_ADD,
    "modify": C.COLOR_CHANGED,
    "replace": C.COLOR_WARN,
    "remove": C.COLOR_DIFF_REMOVE,
    "error": C.COLOR_ERROR,
    "dim": C.COLOR_DEBUG,
}


class ActionModule(CfnAction):
    """Deploys or deletes a tree of nested stacks."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "name": {"type": "str", "required": True, "aliases": ["stack_name"]},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "manifest": {"type": "path"},
        "template": {"type": "path"},
        "template_url": {"type": "str"},
        "parameters": {"type": "dict", "default": {}},
        "tags": {"type": "dict"},
        "capabilities": {
            "type": "list",
            "elements": "str",
            "default": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        },
        "role_arn": {"type": "str"},
        "termination_protection": {"type": "bool"},
        "timeout": {"type": "int", "default": 7200},
        "plan_only": {"type": "bool", "default": False},
        "output_dir": {"type": "path"},
    }
    RULES: ClassVar[Mapping[str, Any]] = {
        "mutually_exclusive": [_SOURCES],
        "required_if": [("state", "present", _SOURCES, True)],
    }

    CONCURRENCY = 8

    def operate(self, options: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """Do the task and return its result."""
        dry_run = bool(self._task.check_mode or options["plan_only"])
        watcher = _Watcher(
            display=None if self._task.no_log else self._display.display,
            warn=self._display.warning,
            prefix=_prefix(task_vars),
            files=_Files(options["output_dir"]),
            # Ansible shows the diff of a result itself, but only after the deployment.
            show_plan=not (dry_run and self._task.diff),
        )
        try:
            outcome = self._run_engine(options, dry_run, watcher)
            return watcher.result(outcome, with_diff=dry_run or not self._task.diff)
        except CfnError as error:
            return watcher.failure(error)

    def _run_engine(self, options: Mapping[str, Any], dry_run: bool, watcher: _Watcher) -> Outcome:
        name = options["name"]
        with ThreadPoolExecutor(self.CONCURRENCY) as pool, in_words(name):
            engine = Engine(self.clients, pool, watcher)
            if options["state"] == "absent":
                deletion = Deletion(name, options["role_arn"], options["timeout"], dry_run)
                return engine.delete(deletion)
            return engine.deploy(_deployment(options, dry_run))


def _deployment(options: Mapping[str, Any], dry_run: bool) -> Deployment:
    packaged = template = None
    source: TemplateUrl | TemplateBody
    if options["manifest"]:
        path = Path(options["manifest"])
        packaged = PackagedRelease(manifest.read(path), path.parent)
        source = TemplateUrl(packaged.release.template_url)
    elif options["template"]:
        template, source = _single_template(options["template"])
    else:
        source = TemplateUrl(options["template_url"])
    proposal = Proposal(
        stack_name=options["name"],
        template=source,
        parameters=_texts(options["parameters"], "parameter"),
        tags=None if options["tags"] is None else _texts(options["tags"], "tag"),
        capabilities=options["capabilities"],
        role_arn=options["role_arn"],
    )
    return Deployment(
        proposal=proposal,
        packaged=packaged,
        template=template,
        termination_protection=options["termination_protection"],
        timeout=options["timeout"],
        dry_run=dry_run,
    )


def _single_template(path: str) -> tuple[Template, TemplateBody]:
    """Read a template that needs no packaging, since nothing else belongs to it."""
    tree = load_tree(path)
    if tree.nested or any(find_local_code(tree.template)):
        raise CfnError(
            f"{path} names other files; package it with payments.cfn.package and give the option "
            "manifest instead of template."
        )
    text = Path(path).read_text(encoding="utf-8")
    if len(text.encode()) > _LARGEST_BODY:
        raise CfnError(
            f"{path} has more than {_LARGEST_BODY} bytes, the most that a request takes; package "
            "it with payments.cfn.package and give the option manifest instead of template."
        )
    return tree.template, TemplateBody(text)


def _texts(values: Mapping[str, Any], what: str) -> dict[str, str]:
    """Give values as CloudFormation takes them; one that is null counts as not given."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            raise CfnError(
                f"{what} {name} is a mapping, but CloudFormation takes text, numbers or lists of "
                "them; give one of these."
            )
    return {str(name): as_text(value) for name, value in values.items() if value is not None}


def _prefix(task_vars: Mapping[str, Any]) -> str:
    """Tell targets apart where several are deployed side by side."""
    hosts = task_vars.get("ansible_play_hosts_all") or ()
    return f"[{task_vars['inventory_hostname']}] " if len(hosts) > 1 else ""


class _Files:
    """The files of one run; each is there whole or not at all."""

    def __init__(self, directory: str | None) -> None:
        self._directory = Path(directory) if directory else None

    def save(self, name: str, data: Any) -> None:
        if self._directory:
            text = json.dumps(data, indent=2, sort_keys=True) + "\n"
            manifest.replace_file(self._directory / name, text.encode())


class _Watcher:
    """Shows what happens while it happens, and remembers it for the result."""

    def __init__(
        self, *, display: Any, warn: Any, prefix: str, files: _Files, show_plan: bool
    ) -> None:
        self._display = display
        self._warn = warn
        self._prefix = prefix
        self._files = files
        self._show_plan = show_plan
        self._plan: Plan | None = None
        self._tree: EventTree | None = None

    def planned(self, plan: Plan) -> None:
        self._plan = plan
        self._files.save("plan.json", plan.to_dict())
        if self._show_plan:
            self._show(render.plan_lines(plan))

    def happened(self, event: StackEvent, tree: EventTree) -> None:
        self._tree = tree
        self._show(render.event_lines(event, tree))

    def quiet(self, seconds: float, waiting: Sequence[Waiting], tree: EventTree) -> None:
        self._show([render.waiting_line(seconds, waiting, tree)])

    def warned(self, text: str) -> None:
        self._warn(text)

    def result(self, outcome: Outcome, *, with_diff: bool) -> dict[str, Any]:
        """Give the task's result."""
        outputs = dict(outcome.outputs)
        self._files.save("outputs.json", outputs)
        result = {
            "changed": outcome.changed,
            "stack_id": outcome.stack_id,
            "status": outcome.status,
            "outputs": outputs,
            "plan": self._plan_data(),
            "kept": [item.to_dict() for item in outcome.kept],
        }
        if with_diff and self._plan:
            text = render.to_text(render.plan_lines(self._plan), _paint)
            result["diff"] = {"prepared": text}
        self._save_events()
        if self._tree is not None:
            self._show(render.kept_lines(outcome.kept))
        return result

    def failure(self, error: CfnError) -> dict[str, Any]:
        """Give the result of a task that failed."""
        try:
            self._save_events()
        except OutputError as unwritten:
            # What failed first is what matters, and may be the same.
            if not isinstance(error, OutputError):
                self.warned(str(unwritten))
        result: dict[str, Any] = {
            "failed": True,
            "changed": self._tree is not None,
            # Not the plan: it was shown, and Ansible prints all of a result that failed.
            "msg": "\n".join(error.findings),
        }
        if isinstance(error, OperationFailed):
            result["status"] = error.status
            result["cause"] = error.cause.to_dict() if error.cause else {}
        return result

    def _plan_data(self) -> dict[str, Any]:
        return self._plan.to_dict() if self._plan else {}

    def _save_events(self) -> None:
        events = sorted(self._tree.events, key=lambda e: e.time) if self._tree else []
        self._files.save("events.json", [event.to_dict() for event in events])

    def _show(self, lines: Sequence[Line]) -> None:
        """Show lines at once, so that those of other targets don't come between them."""
        if self._display and lines:
            text = render.to_text(lines, lambda line: _paint(line, self._prefix))
            self._display(text.removesuffix("\n"))


def _paint(line: Line, prefix: str = "") -> str:
    color = _COLORS.get(line.role)
    text = prefix + line.text
    return str(stringc(text, color)) if color else text
