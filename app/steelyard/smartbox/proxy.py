"""The rule for a proxy, light enough for what each boot waits for."""

from urllib.parse import urlsplit


def check_proxy(url: str) -> str:
    """The URL of a proxy. Raises ValueError."""
    try:
        parts = urlsplit(url)
        known = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        known = None
    if not known or "@" in url:
        raise ValueError("must be http://HOST:PORT, without a user or a password")
    return url.rstrip("/")
