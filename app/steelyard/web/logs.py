"""Structured logs: one JSON object a line on standard error."""

import logging
import sys
from typing import TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError


class _WithoutWhatWasSent(logging.Filter):
    """Takes the exception off a line about bytes that are no HTTP: it quotes them."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "request that is no HTTP", ()
            record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
        return True


def protocol_logger() -> logging.Logger:
    """The logger for aiohttp's protocol: it writes nothing of what a caller sent."""
    found = logging.getLogger("steelyard.web.protocol")
    if not found.filters:
        found.addFilter(_WithoutWhatWasSent())
    return found


def configure_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog and the libraries' logging as JSON lines to `stream` (standard error).

    `level` is that of our own lines; libraries are heard from warnings on. Tracebacks go without
    local variables: those may hold secrets.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Below a warning, libraries log what must not be there: a database driver its parameters.
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger("steelyard").setLevel(number)
