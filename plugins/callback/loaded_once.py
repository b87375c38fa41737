"""Loads the filters and tests before the first task, so that no task has to.

Each task runs in a process of its own, forked from the play's. The first template in it that has a
filter loads every filter there is; ours bring pydantic. Loaded before the fork they are there for
all: measured, more than half of what a task costs on the controller.
"""

from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, test_loader

DOCUMENTATION = """
name: loaded_once
type: aggregate
short_description: load filters before the first task
description:
  - Loads all filters and tests in the process that forks the tasks' processes. Prints nothing.
"""


class CallbackModule(CallbackBase):
    """What Ansible loads."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "loaded_once"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002 - Ansible gives it
        """One filter asked for is all of them loaded."""
        filter_loader.get("default")
        test_loader.get("defined")
