"""The first boot as its unit runs it: enrolment, the page, the console, the state's file."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from steelyard.pki.files import PUBLIC, replace
from steelyard.station.console import Console
from steelyard.station.first_boot import FirstBoot
from steelyard.station.page import Page
from steelyard.station.places import Places
from steelyard.station.settings import StationSettings
from steelyard.station.state import Shown
from steelyard.station.told import Told


def run(settings: StationSettings) -> None:
    """Enrol, and show the state meanwhile. A SIGTERM ends it with exit status EX_TEMPFAIL."""
    asyncio.run(_serve(settings))


async def _serve(settings: StationSettings) -> None:
    places = Places(settings)
    boot = FirstBoot(places, Told.read(settings.told_file), socket.gethostname())
    page = Page(settings.page_host, settings.page_port)
    boot.watchers += [
        page.show,
        Console(settings.console).show,
        lambda shown: _write(places.first_boot_state, shown),
    ]
    task = asyncio.create_task(boot.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await page.start()
    try:
        await task
    except asyncio.CancelledError:
        sys.exit(os.EX_TEMPFAIL)
    finally:
        await page.close()


def _write(path: Path, shown: Shown) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, json.dumps(shown.as_json()).encode(), PUBLIC)
