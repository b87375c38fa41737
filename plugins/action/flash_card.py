"""Flashes a card from this computer, and shows how far it is.

A module's output is shown when it has ended; this runs where Ansible itself runs and may speak
meanwhile. The work is infra.flash's, in a process of its own. Neither what goes in (files' names)
nor what comes out has a secret in it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from infra.plain import plain  # noqa: E402

# Each phase is shown at these percents.
STEP = 10

_display = Display()


class ActionModule(ActionBase):
    """`flash_card: {step: look or write, order: {...}}`: see infra.flash."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """One step for one card."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        step, order = self._task.args["step"], plain(self._task.args["order"])
        if self._task.check_mode:
            step = "look"
        answer = self._follow(step, order)
        if "refused" in answer:
            return result | {"failed": True, "msg": answer["refused"]}
        return result | answer | {"changed": self._task.args["step"] == "write"}

    def _follow(self, step: str, order: dict[str, Any]) -> dict[str, Any]:
        shown = ("", -1)
        answer: dict[str, Any] = {}
        with subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-m", "infra.flash", step],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None  # noqa: S101 - for mypy
            assert process.stdout is not None  # noqa: S101 - for mypy
            assert process.stderr is not None  # noqa: S101 - for mypy
            process.stdin.write(json.dumps(order))
            process.stdin.close()
            for line in process.stdout:
                told = json.loads(line)
                if "percent" not in told:
                    answer = told
                    continue
                now = (told["phase"], told["percent"] // STEP * STEP)
                if now != shown:
                    shown = now
                    _display.display(f"{order['station']}: {now[0]} {now[1]} %")
            last = process.stderr.read().strip().splitlines()[-1:]
        if process.returncode and "refused" not in answer:
            fault = last[0] if last else f"exit status {process.returncode}"
            return {"refused": f"{order['station']}: python -m infra.flash failed: {fault}"}
        return answer
