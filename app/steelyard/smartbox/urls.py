"""The rules for URLs, a proxy's among them, light enough for what each boot waits for."""

from urllib.parse import urlsplit


def has_host(url: str) -> bool:
    """Whether a URL names a host that can be looked up, and a port, if one, that there is."""
    try:
        parts = urlsplit(url)
        # An empty label, or one of more than 63 characters, is a UnicodeError, so a ValueError.
        return bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        return False


def check_proxy(url: str) -> str:
    """The URL of a proxy. Raises ValueError."""
    known = has_host(url) and urlsplit(url).scheme == "http"
    if not known or "@" in url:
        raise ValueError("must be http://HOST:PORT, without a user or a password")
    return url.rstrip("/")
