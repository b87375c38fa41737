"""The status page, JSON on the loopback interface, and beside it the operator's display."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from steelyard.smartbox.display.operator import MAX_BODY_BYTES
from steelyard.smartbox.display.service import SHUTDOWN_SECONDS, DisplayService, loopback_door
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.outbox.refusals import Refusal
from steelyard.smartbox.pages.records import add_record_routes
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.station_clock import StationClock
from steelyard.smartbox.status import Status
from steelyard.ticket import format_timestamp

LOOPBACK = "127.0.0.1"
MAX_SHOWN = 100
ROUTES = (("GET", "/", "The status page, as JSON"),)


class StatusPage:
    """Serves `GET /` on loopback, and there the display with its buttons.

    `transport` gives the CoAP transport's counters.
    """

    def __init__(
        self,
        settings: SmartBoxSettings,
        recorder: Recorder,
        status: Status,
        transport: Callable[[], dict[str, Any]],
        replayed: int | None,
        live: LiveStation,
        display: DisplayService,
        clock: StationClock,
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._status = status
        self._transport = transport
        self._replayed = replayed
        self._live = live
        self._display = display
        self._clock = clock
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listen; gives the page's URL. Raises OSError when the port is taken."""
        self._runner = web.AppRunner(
            self.application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self._settings.status_port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/"

    def application(self) -> web.Application:
        """All that is served on loopback: `ROUTES`, and those of the records and the display."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_get("/", self._get)
        self._display.add_to(application, loopback_door())
        add_record_routes(application, self._recorder, self._clock.now)
        return application

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(await self.as_json())

    async def as_json(self) -> dict[str, Any]:
        """The whole page."""
        storage = self._recorder.storage
        tickets = await self._recorder.run(storage.outbox.counts)
        aside = await self._recorder.run(storage.outbox.weighings_set_aside)
        refused = await self._recorder.run(lambda: list(storage.outbox.refusals(most=MAX_SHOWN)))
        own = self._status.as_json()
        heard = own.pop("cells")
        return {
            "station": self._settings.station,
            "tickets": tickets,
            "alibi_records": storage.alibi.head.sequence,
            "replay_rows": self._replayed,
            "refused": [_shown(refusal) for refusal in refused],
            "time": {"now": format_timestamp(self._clock.now()), "source": self._clock.source},
            "set_aside": aside[:MAX_SHOWN],
            "weighbridges": {
                bridge.name: {
                    cell.serial: heard.get(cell.serial, {"last_seen": None})
                    for cell in bridge.cells
                }
                for bridge in self._settings.weighbridges
            },
            "scales": self._live.as_json(),
            **own,
            "transport": self._transport(),
        }


def _shown(refusal: Refusal) -> dict[str, Any]:
    """A refused ticket without what only its customer needs to see."""
    problem = {name: refusal.problem.get(name) for name in ("status", "title", "detail")}
    return {
        "ticketID": refusal.id,
        "timestamp": refusal.ticket.get("timestamp"),
        "problem": {name: value for name, value in problem.items() if value is not None},
    }
