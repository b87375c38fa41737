"""How far the operator's display is behind the load cells, and how often it is told.

`python bench/display.py` runs a SmartBox as a process, four cells that send 50 samples a second
over DTLS, and two displays: a program that reads the events, and a headless Chromium, where there
is one. The delay of a weight is the time from its samples to the event, and to the browser's next
frame after it; all clocks are this machine's. Both clocks must be one, so run it on one machine.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import tomli_w

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "smartbox"))

from browser_kit import browser, missing, page_of  # noqa: E402
from live_kit import CELLS, World, stream_cell  # noqa: E402
from smartbox_kit import Stage  # noqa: E402

GOAL_RATE, GOAL_MS = 10.0, 100.0

# In the browser: for each new weight, how old it is once the next frame has been drawn.
WATCH = """() => {
  window.ages = [];
  const digits = document.getElementById("digits");
  new MutationObserver(() => {
    const time = Number(digits.dataset.time);
    requestAnimationFrame(() => setTimeout(() => window.ages.push(Date.now() - time)));
  }).observe(digits, {attributes: true, attributeFilter: ["data-time"]});
}"""


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which this part of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def row(name: str, ages: Sequence[float], seconds: float) -> str:
    """A line of the table."""
    if not ages:
        return f"| {name} | none came | | | | |"
    parts = " | ".join(f"{percentile(ages, part):6.0f}" for part in (0.5, 0.95, 0.99))
    within = sum(age < GOAL_MS for age in ages) / len(ages)
    return f"| {name} | {len(ages) / seconds:5.1f} | {parts} | {within:6.1%} |"


async def read_events(url: str, seconds: float) -> list[float]:
    """The ages in milliseconds of the weights that a stream of events brings."""
    ages: list[float] = []
    last = 0
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session, session.get(url + "display/events") as answer:
        kind = b""
        async for line in answer.content:
            now = time.time() * 1000
            if line.startswith(b"event:"):
                kind = line[7:].strip()
            elif line.startswith(b"data:") and kind == b"scales":
                shown = json.loads(line[6:])["scales"]["wb-1"].get("time", 0)
                if shown != last:
                    last = shown
                    ages.append(now - shown)
            if time.monotonic() > end:
                break
    return ages


async def watch_browser(url: str, seconds: float) -> list[float]:
    """The same from a browser's page."""
    async with browser() as one, page_of(one, url + "display/") as page:
        await page.wait_for_selector("#digits[data-time]:not([data-time=''])")
        await page.evaluate(WATCH)
        await asyncio.sleep(seconds)
        ages: list[float] = await page.evaluate("window.ages")
        return ages


async def start_smartbox(config: Path, directory: Path) -> tuple[asyncio.subprocess.Process, Any]:
    """The SmartBox as a process, and where it listens."""
    box = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from steelyard.cli import main; main()"),
        *("smartbox", "run", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert box.stdout is not None
    if not await box.stdout.readline():
        raise SystemExit("the SmartBox did not start")
    return box, json.loads((directory / "data" / "ready.json").read_text())


async def measure(directory: Path, rate: float, pack: int, seconds: float) -> None:
    """One SmartBox with cells that send `pack` samples in a message, and its displays."""
    stage = Stage(directory / "stage")
    values = stage.settings(directory / "data", "https://localhost:1")
    values["weighbridges"][0]["weighing"] = {"mode": "operator", "rate_hz": rate}
    config = directory / "steelyard.toml"
    config.write_text(tomli_w.dumps({"smartbox": values}))
    box, ready = await start_smartbox(config, directory)
    world = World()
    (directory / "cells").mkdir()
    port = ready["coap"][1]
    cells = [
        asyncio.create_task(stream_cell(stage, world, cell, port, directory / "cells", pack))
        for cell in CELLS
    ]
    try:
        url = ready["status_url"]
        await asyncio.sleep(3)
        name = f"{rate:g} weights a second, {pack} samples a message"
        print(row(f"event: {name}", await read_events(url, seconds), seconds), flush=True)
        if missing() is None:
            ages = await watch_browser(url, seconds)
            print(row(f"browser: {name}", ages, seconds), flush=True)
    finally:
        for cell in cells:
            cell.cancel()
        await asyncio.gather(*cells, return_exceptions=True)
        box.terminate()
        await box.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    if reason := missing():
        print(f"without a browser: {reason}")
    print(f"goal: {GOAL_RATE:g} a second, each under {GOAL_MS:g} ms behind the cell\n")
    print("| display | a second | p50 ms | p95 ms | p99 ms | under the goal |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for rate, pack in ((10.0, 1), (10.0, 5), (20.0, 1)):
        with TemporaryDirectory() as directory:
            asyncio.run(measure(Path(directory), rate, pack, seconds))


if __name__ == "__main__":
    main()
