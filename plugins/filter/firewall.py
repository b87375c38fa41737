"""Filters of role base's firewall; the logic is infra.firewall's."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from infra.firewall import includes, problems, rendered  # noqa: E402


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {
            "firewall_includes": includes,
            "firewall_problems": problems,
            "firewall_rules": rendered,
        }
