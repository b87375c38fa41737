"""Runs an application over HTTPS until it is told to stop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click
from aiohttp import web

from steelyard.errors import ConfigurationError
from steelyard.web.application import SILENCE
from steelyard.web.logs import protocol_logger
from steelyard.web.settings import ListenSection
from steelyard.web.tls import Certificate, ServerCertificate

RELOAD_SECONDS = 10.0


@contextlib.asynccontextmanager
async def running(
    app: web.Application,
    settings: ListenSection,
    *,
    certificate: Certificate | None = None,
    reload_seconds: float = RELOAD_SECONDS,
) -> AsyncIterator[str]:
    """Serve the application; the value is its URL. At the end: stop accepting, drain, close.

    A `certificate` is one that also looks at its clients'; without it, that of the settings is used
    and anyone may connect. Raises ConfigurationError when the address is taken or the certificate
    is not usable.
    """
    certificate = certificate or ServerCertificate(settings.certificate, settings.private_key)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=protocol_logger(),
        handle_signals=False,
        auto_decompress=False,
        keepalive_timeout=75.0,
        lingering_time=2.0,
        shutdown_timeout=settings.shutdown_seconds,
    )
    watchers = [asyncio.create_task(_watch(certificate, reload_seconds))]
    try:
        await runner.setup()
        if runner.server is not None and SILENCE in app:
            server = runner.server
            silence = app[SILENCE].watch(lambda: server.connections, settings.read_seconds)
            watchers.append(asyncio.create_task(silence))
        port = await _listen(runner, settings, certificate)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        if settings.port_file:
            write_port(settings.port_file, port)
        yield f"https://{host}:{port}"
    finally:
        for watcher in watchers:
            watcher.cancel()
        await runner.cleanup()


async def serve(
    app: web.Application,
    settings: ListenSection,
    name: str,
    certificate: Certificate | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; print one line when ready. SIGHUP reloads the certificate."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(app, settings, certificate=certificate) as url:
            click.echo(f"steelyard {name} ready on {url}")
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def run(build: Callable[[], web.Application], settings: ListenSection, name: str) -> None:
    """Build the application inside a new event loop and serve it until a signal."""

    async def main() -> None:
        # What is wrong with the files is said before anything is opened that would need closing.
        ServerCertificate(settings.certificate, settings.private_key)
        await serve(build(), settings, name)

    asyncio.run(main())


async def _listen(runner: web.AppRunner, settings: ListenSection, certificate: Certificate) -> int:
    site = web.TCPSite(
        runner, settings.host, settings.port, ssl_context=certificate.context, backlog=512
    )
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "not an address of this machine"
        raise ConfigurationError(
            f"{settings.section}.host, {settings.section}.port: cannot listen on "
            f"{settings.host} port {settings.port}: {reason}"
        ) from None
    port: int = runner.addresses[0][1]
    return port


async def _watch(certificate: Certificate, seconds: float) -> None:
    hangup = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGHUP, hangup.set)
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await hangup.wait()
        hangup.clear()
        certificate.reload_if_changed()


def write_port(path: Path, port: int) -> None:
    """Write the port so that a reader sees all of it or nothing."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(f"{port}\n")
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
