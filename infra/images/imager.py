"""The manifest with which Raspberry Pi Imager offers the image."""

import datetime as dt
from typing import Any

# A balance in three strokes; the field must be there.
_ICON = (
    "data:image/svg+xml;base64,"
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0IDQiPjxwYXRo"
    "IGQ9Ik0wIDNoNE0yIDN2LTJNMSAxaDIiIHN0cm9rZT0iIzAwMCIgc3Ryb2tlLXdpZHRoPSIuNCIvPjwvc3ZnPg=="
)
# Imager's own words for the boards.
DEVICES = ("pi3-64bit", "pi4-64bit", "pi5-64bit")


def manifest(
    *,
    version: str,
    url: str,
    epoch: int,
    size: int,
    sha256: str,
    packed_size: int,
    packed_sha256: str,
) -> dict[str, Any]:
    """`size` and `sha256` are of the image, `packed_…` of the file that is downloaded from `url`.

    No `init_format`: the station is told what it is by the file that is written beside, not by
    Imager's own customisation.
    """
    when = dt.datetime.fromtimestamp(epoch, dt.UTC)
    return {
        "os_list": [
            {
                "name": f"Steelyard station {version}",
                "description": "A SmartBox for weighing stations (64-bit)",
                "icon": _ICON,
                "url": url,
                "extract_size": size,
                "extract_sha256": sha256,
                "image_download_size": packed_size,
                "image_download_sha256": packed_sha256,
                "release_date": when.date().isoformat(),
                "devices": list(DEVICES),
            }
        ]
    }
