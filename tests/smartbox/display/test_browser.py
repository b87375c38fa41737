"""The display in a real browser: what is seen, pressed, read out, and complained of."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from browser_kit import browser, busy_station, lose_a_cell, missing, page_of, shows
from display_kit import TRUCK, Front

REASON = missing()
pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=REASON or ""),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
Start = Callable[..., Awaitable[Front]]
DARK = {"color_scheme": "dark"}
TOUCH = {"viewport": {"width": 800, "height": 480}, "has_touch": True}


async def violations(page: Any) -> list[str]:
    """What axe-core finds against WCAG 2.2, A and AA."""
    from axe_playwright_python.async_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}})
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found.response["violations"]
    ]


async def test_an_operator_weighs_a_truck(front: Start) -> None:
    """By the keyboard alone: vehicle, preset tare, ticket; then the ticket's page."""
    one = await front()
    await one.stand(2)
    async with browser() as chromium, page_of(chromium, f"{one.url}/display/") as page:
        await shows(page, "#number", "0")
        await shows(page, "#why-ticket", "The bridge is empty")
        await page.focus("#button-ticket")
        await page.keyboard.press("Enter")
        await shows(page, "#message", "Ticket: not now. The bridge is empty")
        await one.stand(2, *TRUCK)
        await shows(page, "#number", "30\u00a0000")
        await shows(page, "#mark-stable.on", "Stable")
        await page.focus("#button-vehicle")
        await page.keyboard.press("Enter")
        await page.keyboard.type("AA-00-BB")
        await page.keyboard.press("Enter")
        await shows(page, "#vehicle", "AA-00-BB")
        await page.focus("#button-preset-tare")
        await page.keyboard.press("Enter")
        await page.keyboard.type("12 t")
        await page.keyboard.press("Enter")
        await shows(page, "#ask-wrong", "Write a number of kilograms")
        await page.fill("#ask-input", "12000")
        await page.keyboard.press("Enter")
        await shows(page, "#number", "18\u00a0000")
        await shows(page, "#mark-net.on", "Net")
        await page.click("#button-ticket")
        await shows(page, "#message", "Ticket asked for")
        await one.stand(1, *TRUCK)
        await shows(page, "#ticket-rows", "Queued")
        (entry,) = (await one.told("tickets", lambda told: told["tickets"]))["tickets"]
        assert (entry["ticket"]["vehicle"], entry["ticket"]["scaleNet"]) == ("AA-00-BB", 18_000_000)
        await one.register(entry["ticket"]["ticketID"], block=4711)
        await shows(page, "#ticket-rows", "block 4711")
        await page.click("#button-print")
        await page.wait_for_selector("#code:not([hidden])")
        await shows(page, "#lines", "18\u00a0000\u00a0kg")
        assert page.complaints == []


async def test_everyone_can_use_it(front: Start) -> None:
    """axe-core finds nothing: light, dark, small, with an alarm, with the dialog, on paper."""
    one = await front()
    await busy_station(one)
    url = f"{one.url}/display/"
    async with browser() as chromium:
        for options in ({}, DARK, TOUCH):
            async with page_of(chromium, url, **options) as page:
                await shows(page, "#ticket-rows", "Registered")
                assert await violations(page) == []
                await page.click("#button-vehicle")
                await page.wait_for_selector("#ask[open]")
                assert await violations(page) == []
        ticket = (await one.told("tickets"))["tickets"][-1]["ticket"]["ticketID"]
        async with page_of(chromium, f"{one.url}/display/tickets/{ticket}?lang=pt") as page:
            await page.wait_for_selector("#code:not([hidden])")
            assert await violations(page) == []
        await lose_a_cell(one)
        async with page_of(chromium, url, **DARK) as page:
            await shows(page, "#alarm-banner", "C13")
            await shows(page, "#state", "C13 has sent nothing for too long")
            assert await violations(page) == []


async def test_a_display_without_its_smartbox_shows_no_weight(front: Start) -> None:
    """Once the stream ends the digits go, the buttons say why, and it is read out."""
    one = await front()
    await one.stand(2)
    await one.stand(2, *TRUCK)
    async with browser() as chromium, page_of(chromium, f"{one.url}/display/") as page:
        await shows(page, "#number", "30\u00a0000")
        await page.context.set_offline(True)
        await one.display.feed.close()
        await shows(page, "#link", "No connection to the SmartBox")
        await shows(page, "#number", "\u2013")
        await shows(page, "#why-zero", "No connection to the SmartBox")
        assert await page.get_attribute("#button-zero", "aria-disabled") == "true"


async def test_it_speaks_three_languages(front: Start) -> None:
    """Choosing one changes all texts, and is remembered; the texts a machine reads, too."""
    one = await front(display_language="de")
    await one.stand(2)
    async with browser() as chromium, page_of(chromium, f"{one.url}/display/") as page:
        await shows(page, "#why-ticket", "Die Waage ist leer")
        await page.select_option("#language", "pt")
        await shows(page, "#why-ticket", "A báscula está vazia")
        assert await page.get_attribute("html", "lang") == "pt"
        assert await page.get_attribute("#buttons + #message", "role") == "status"
        await page.reload()
        await shows(page, "#why-ticket", "A báscula está vazia")
        assert await page.title() == "Visor de pesagem"


async def test_nothing_is_cut_off_on_a_small_touch_screen(front: Start) -> None:
    """In every language each reason stands there whole, and no plate is broken at its dashes."""
    one = await front()
    await busy_station(one)
    async with browser() as chromium, page_of(chromium, f"{one.url}/display/", **TOUCH) as page:
        await shows(page, "#ticket-rows", "Registered")
        for language in ("en", "pt", "de"):
            await page.select_option("#language", language)
            await page.wait_for_selector(f"html[lang={language}]")
            cut = await page.eval_on_selector_all(
                ".button small",
                "all => all.filter(one => one.scrollHeight > one.clientHeight + 1)"
                ".map(one => one.textContent)",
            )
            assert cut == []
            tall = await page.eval_on_selector_all(
                "#ticket-rows .vehicle",
                "all => all.map(one => { const range = document.createRange();"
                " range.selectNodeContents(one);"
                " return new Set([...range.getClientRects()].map(line => line.top)).size; })",
            )
            assert set(tall) == {1}
            assert await page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            )


async def test_a_rolling_weight_is_not_read_out(front: Start) -> None:
    """The live region says the weight that came to rest, not the hundred before it."""
    one = await front()
    await one.stand(2)
    async with browser() as chromium, page_of(chromium, f"{one.url}/display/") as page:
        await shows(page, "#number", "0")
        await page.evaluate(
            "() => { window.said = []; new MutationObserver(() => "
            "window.said.push(document.getElementById('spoken').textContent))"
            ".observe(document.getElementById('spoken'), {childList: true}); }"
        )
        for step in range(1, 21):
            await one.stand(0.1, *(kilograms * step / 20 for kilograms in TRUCK))
            await page.wait_for_timeout(20)
        await one.stand(2, *TRUCK)
        await shows(page, "#spoken", "Gross 30\u00a0000\u00a0kg, stable")
        said = await page.evaluate("window.said")
        assert len(said) <= 3
        assert all("kg" not in one or "stable" in one or "zero" in one for one in said)
