"""The display within a running SmartBox: its parts, and the address for other machines."""

import ssl
from collections.abc import Callable

from aiohttp import web

from steelyard.errors import ConfigurationError
from steelyard.secret_files import check_private, read_secret_line
from steelyard.smartbox.display.book import Book
from steelyard.smartbox.display.changes import Changes
from steelyard.smartbox.display.feed import Feed
from steelyard.smartbox.display.guard import LOOPBACK_NAMES, Door, guard
from steelyard.smartbox.display.operator import MAX_BODY_BYTES, add_operator_routes
from steelyard.smartbox.display.state import describe_scales, describe_station
from steelyard.smartbox.display.views import Display
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.recorder import OUTBOX_FILE
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.status import Status

SHUTDOWN_SECONDS = 2.0
MIN_PASSWORD = 12


class DisplayService:
    """Serves the display. `clock` gives milliseconds, `changes` tells what is worth a look."""

    def __init__(
        self,
        settings: SmartBoxSettings,
        live: LiveStation,
        status: Status,
        changes: Changes,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._live = live
        self._changes = changes
        self._book = Book(settings.data_directory / OUTBOX_FILE)
        self.feed = Feed(
            lambda: describe_scales(live, status, clock()),
            self._book,
            changes,
            settings.display_tickets,
        )
        self._display = Display(settings, self.feed, self._book, describe_station(settings))
        self._runner: web.AppRunner | None = None

    def add_to(self, application: web.Application, door: Door) -> None:
        """Serve the display, and the operator's actions where the door lets them through."""
        guard(application, door)
        self._display.add_routes(application, commands=door.commands)
        if door.commands:
            add_operator_routes(application, self._live, self._changes.tell)
        application.on_shutdown.append(self._end_streams)

    async def _end_streams(self, application: web.Application) -> None:
        del application
        await self.feed.close()

    async def start(self) -> str | None:
        """Begin; gives the URL for other machines, where the settings open one.

        Raises ConfigurationError.
        """
        self.feed.start()
        host = self._settings.display_host
        return await self._open(host) if host is not None else None

    async def _open(self, host: str) -> str:
        settings = self._settings
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        names = frozenset(settings.display_names)
        password = _read_password(settings)
        self.add_to(application, Door("https", names, password, settings.display_commands))
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        context = _make_context(settings)
        site = web.TCPSite(self._runner, host, settings.display_port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"smartbox.display_host, smartbox.display_port: {host}:{settings.display_port} "
                f"cannot be bound: {error.strerror}"
            ) from None
        port = self._runner.addresses[0][1]
        name = settings.display_names[0]
        return f"https://{f'[{name}]' if ':' in name else name}:{port}/display/"

    async def close(self) -> None:
        """End the streams, stop listening, release the outbox."""
        await self.feed.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._book.close()


def loopback_door() -> Door:
    """The door of the SmartBox's own screen: whoever is on the machine may press buttons."""
    return Door("http", LOOPBACK_NAMES, None, commands=True)


def _read_password(settings: SmartBoxSettings) -> str:
    name = "smartbox.display_password_file"
    if settings.display_password_file is None:
        raise ConfigurationError(f"{name}: must be set, as display_host is")
    password = read_secret_line(settings.display_password_file, name)
    if len(password) < MIN_PASSWORD:
        raise ConfigurationError(f"{name}: must have at least {MIN_PASSWORD} characters")
    return password


def _make_context(settings: SmartBoxSettings) -> ssl.SSLContext:
    certificate = settings.display_certificate_file or settings.certificate_file
    key = settings.display_key_file or settings.key_file
    check_private(key, "smartbox.display_key_file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            f"smartbox.display_certificate_file: {certificate} and the key {key} must be a "
            "certificate and its private key in PEM"
        ) from None
    return context
