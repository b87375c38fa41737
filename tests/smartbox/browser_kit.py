"""A headless Chromium for the display's tests and pictures.

Playwright drives it; the browser itself is Debian's `chromium`, or what STEELYARD_CHROMIUM names.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from display_kit import TRUCK, Front

WAIT_MS = 60_000


def missing() -> str | None:
    """What is not here for the tests with a browser; None when all is."""
    try:
        import axe_playwright_python
        import playwright
    except ImportError:
        return "needs the extra `browser`: pip install -r requirements/browser.txt"
    del axe_playwright_python, playwright
    if chromium() is None:
        return "needs a browser: apt-get install chromium, or STEELYARD_CHROMIUM"
    return None


def chromium() -> str | None:
    """The browser's program."""
    return os.environ.get("STEELYARD_CHROMIUM") or shutil.which("chromium")


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    """A browser without a window; sandboxed unless it is root's."""
    from playwright.async_api import async_playwright

    arguments = ["--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    async with async_playwright() as play:
        one = await play.chromium.launch(executable_path=chromium(), args=arguments)
        try:
            yield one
        finally:
            await one.close()


@asynccontextmanager
async def page_of(one: Any, url: str, **options: Any) -> AsyncIterator[Any]:
    """A page in a profile of its own; whatever its console or its policy complains of is kept."""
    context = await one.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page = await context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: page.complaints.append(said.text) if said.type == "error" else None,
    )
    await page.goto(url, timeout=WAIT_MS)
    try:
        yield page
    finally:
        await context.close()


async def shows(page: Any, selector: str, text: str) -> None:
    """Wait until an element's text has this in it."""
    found = page.locator(selector, has_text=text)
    await found.first.wait_for(state="attached", timeout=WAIT_MS)


async def busy_station(front: Front) -> None:
    """Three tickets on their ways, and a truck that stands on the bridge."""
    first = await front.weigh(2_900, 3_100, 2_800, 3_200, vehicle="AA-00-BB")
    second = await front.weigh(*TRUCK, vehicle="82-XC-11")
    await front.weigh(5_000, 5_200, 4_800, 5_000, vehicle="AA-00-BB")
    await front.register(first, block=4711)
    await front.refuse(second, "the station is not active")
    await front.stand(1.5)
    assert (await front.press("vehicle", vehicle="AA-00-BB"))[0] == 200
    assert (await front.press("tare", grams=12_000_000))[0] == 200
    await front.stand(2, *TRUCK)
    for number, cell in enumerate(("C11", "C12", "C13", "C14")):
        front.live.warm(cell, 14.5 + number / 2)
    await front.stand(0.5, *TRUCK)


async def lose_a_cell(front: Front) -> None:
    """C13 says nothing for longer than it may, while the truck stands there."""
    await front.stand(4, *TRUCK, silent="C13")
    front.live.tick()
    await front.stand(3, *TRUCK, silent="C13")
    front.live.tick()
    front.status.raise_alarm("platform", "the platform does not answer")
