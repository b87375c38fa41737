"""The machine's addresses, as `ip` tells them."""

import json
import subprocess


def read_addresses() -> list[tuple[str, bool]]:
    """Each address with whether it is good beyond its cable; loopback's are left out."""
    try:
        done = subprocess.run(
            ["ip", "-json", "address", "show", "up"],  # noqa: S607 - found on the PATH
            capture_output=True,
            check=True,
        )
        links = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return []
    return parse_addresses(links)


def parse_addresses(links: list[dict[str, object]]) -> list[tuple[str, bool]]:
    """What is in the JSON of `ip address`."""
    return [
        (str(one["local"]), one["scope"] == "global")
        for link in links
        for one in _entries(link)
        if "local" in one and one.get("scope") in ("global", "link")
    ]


def _entries(link: dict[str, object]) -> list[dict[str, object]]:
    told = link.get("addr_info")
    return told if isinstance(told, list) else []
