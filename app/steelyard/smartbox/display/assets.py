"""The display's files: pages, style, scripts, texts. They are read once; nothing else is served."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from steelyard.smartbox.display.errors import NoSuchPage
from steelyard.smartbox.display.words import TEXTS

ASSETS = Path(__file__).parent / "assets"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    content_type: str
    etag: str


class Assets:
    """All files by name. `build` is another for other files: pages that are older load anew."""

    def __init__(self) -> None:
        paths = sorted([*ASSETS.iterdir(), *TEXTS.iterdir()])
        self._files = {path.name: _read(path) for path in paths if path.suffix in _TYPES}
        whole = "".join(file.etag for file in self._files.values())
        self.build = hashlib.sha256(whole.encode()).hexdigest()[:16]

    def answer(self, name: str, request: web.Request) -> web.Response:
        """A file. Raises NoSuchPage."""
        file = self._files.get(name)
        if file is None:
            raise NoSuchPage(f"{name[:100]} is not here")
        headers = {"ETag": f'"{file.etag}"', "Cache-Control": "no-cache"}
        if any(one.value == file.etag for one in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=file.body, content_type=file.content_type, charset="utf-8", headers=headers
        )


def _read(path: Path) -> _File:
    body = path.read_bytes()
    return _File(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])
