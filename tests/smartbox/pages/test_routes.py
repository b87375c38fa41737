"""Every route that a SmartBox serves on loopback is in the reference, and no other."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from display_kit import Front, routes_of
from smartbox_kit import Stage

from steelyard.smartbox.pages.status import StatusPage

ROOT = Path(__file__).parent.parent.parent.parent


async def test_the_reference_has_what_is_served(stage: Stage, tmp_path: Path) -> None:
    """As the application's own router has it."""
    front = await Front(stage, tmp_path).start()
    clock: Any = SimpleNamespace(now=lambda: 0)
    page = StatusPage(
        front.settings, front.recorder, front.status, dict, None, front.live, front.display, clock
    )
    text = (ROOT / "docs/reference/routes.md").read_text("utf-8")
    part = text.partition("## SmartBox\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([A-Z]+) ([^`]+)`", part, re.MULTILINE))
    assert routes_of(page.application()) == told
    await front.close()
