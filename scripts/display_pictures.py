"""Takes the pictures of the operator's display that stand in docs/images.

`python scripts/display_pictures.py` wants the extra `browser` and Debian's chromium.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT / "tests" / "smartbox"))

from browser_kit import browser, busy_station, lose_a_cell, missing, page_of, shows  # noqa: E402
from display_kit import Front  # noqa: E402
from smartbox_kit import Stage  # noqa: E402

TOUCH: dict[str, Any] = {"viewport": {"width": 800, "height": 480}, "has_touch": True}
LARGE: dict[str, Any] = {"viewport": {"width": 1280, "height": 1120}}
DARK: dict[str, Any] = {**LARGE, "color_scheme": "dark"}


async def take(page: Any, name: str) -> None:
    """One picture, once the weight is there."""
    path = IMAGES / f"{name}.png"
    await page.screenshot(path=path, animations="disabled", timeout=120_000)
    print(name, page.complaints)


async def choose(page: Any, language: str) -> None:
    """Let the page speak another language."""
    await page.select_option("#language", language)
    await page.wait_for_function(f"document.documentElement.lang === '{language}'")


async def main() -> None:
    """All pictures."""
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        front = Front(Stage(Path(directory) / "stage"), Path(directory) / "data")
        await front.start()
        url = f"{front.url}/display/"
        await busy_station(front)
        async with browser() as one:
            async with page_of(one, url, **LARGE) as page:
                await shows(page, "#number", "18")
                await shows(page, "#ticket-rows", "4711")
                await take(page, "display-light")
            async with page_of(one, url, **DARK) as page:
                await shows(page, "#number", "18")
                await shows(page, "#ticket-rows", "4711")
                await take(page, "display-dark")
            async with page_of(one, url, **TOUCH) as page:
                await shows(page, "#number", "18")
                await take(page, "display-touch")
                await choose(page, "pt")
                await take(page, "display-touch-pt")
                await page.click("#button-vehicle")
                await take(page, "display-keys-pt")
            first = await front.told("tickets", lambda told: len(told["tickets"]) == 3)
            ticket = first["tickets"][-1]["ticket"]["ticketID"]
            async with page_of(
                one,
                f"{front.url}/display/tickets/{ticket}?lang=de",
                viewport={"width": 800, "height": 900},
            ) as page:
                await page.wait_for_selector("#code:not([hidden])")
                await take(page, "display-ticket-de")
            await lose_a_cell(front)
            async with page_of(one, url, **TOUCH) as page:
                await shows(page, "#alarm-list", "C13")
                await choose(page, "de")
                await take(page, "display-alarm-de")
        await front.close()


if __name__ == "__main__":
    if reason := missing():
        raise SystemExit(reason)
    asyncio.run(main())
