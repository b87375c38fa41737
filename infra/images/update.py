"""The update of a station: what it has in a card's slot, signed, for `steelyard-slot install`."""

import json
import tarfile
from io import BytesIO
from pathlib import Path

from infra.images.archive import file_sha256
from infra.images.definition import IMAGES
from infra.images.signing import sign
from infra.images.station.bundle import MANIFEST, ROOT, SIGNATURE


def make_update(
    path: Path, *, squashfs: Path, slot: Path, key: Path, version: str, board: str, epoch: int
) -> None:
    """Write the bundle. `slot` is a slot's directory of the boot partition."""
    scratch = path.with_suffix(".parts")
    scratch.mkdir(exist_ok=True)
    cmdline = scratch / "cmdline.txt"
    cmdline.write_bytes((IMAGES / "boot/cmdline.txt").read_bytes())
    files = {f"boot/{one.name}": one for one in sorted(slot.iterdir())}
    # It is for whichever slot it comes into.
    files["boot/cmdline.txt"] = cmdline
    files[ROOT] = squashfs
    told = [
        {"name": name, "size": one.stat().st_size, "sha256": file_sha256(one)}
        for name, one in files.items()
    ]
    listed = {"version": version, "board": board, "files": told}
    text, signature = scratch / MANIFEST, scratch / SIGNATURE
    text.write_text(json.dumps(listed, indent=2) + "\n", "utf-8")
    sign(key, text, signature)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, one in {MANIFEST: text, SIGNATURE: signature, **files}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = one.stat().st_size, epoch, 0o644
            with one.open("rb") if info.size else BytesIO() as content:
                tar.addfile(info, content)
    for one in (cmdline, text, signature):
        one.unlink()
    scratch.rmdir()
