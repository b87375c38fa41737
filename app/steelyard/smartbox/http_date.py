"""Dates of HTTP, which are dates of mail (RFC 9110, 5.6.7)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def read_http_date(text: str | None) -> datetime | None:
    """The moment that a header says, in UTC where it names no zone; None for anything else."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError, TypeError, IndexError):
        return None  # parsers of mail dates fail in many ways
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
