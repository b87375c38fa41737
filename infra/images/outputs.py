"""What a build hands over, beside the image: checksums, signature, block map, SBOM, manifest."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.images.archive import file_sha256
from infra.images.imager import manifest
from infra.images.lock import Lock
from infra.images.programs import run
from infra.images.sbom import software_list
from infra.images.signing import sign


@dataclass(frozen=True, slots=True)
class Outputs:
    """The names of a version's files in a directory."""

    directory: Path
    version: str

    def path(self, ending: str) -> Path:
        """`steelyard-station-VERSION` with an ending."""
        return self.directory / f"steelyard-station-{self.version}{ending}"


def hand_over(
    card: Path,
    outputs: Outputs,
    *,
    lock: Lock,
    distributions: list[tuple[str, str]],
    key: Path,
    url: str,
) -> None:
    """Compress the image and write what belongs to it. `url` is where the files will be found."""
    packed = outputs.path(".img.xz")
    whole = file_sha256(card)
    _block_map(card, outputs.path(".bmap"))
    # Blocks of one size, so that the number of processors changes nothing.
    command: list[str | Path] = ["xz", "--threads=2", "--block-size=32MiB", "-1", "--keep"]
    run([*command, "--force", "--suffix=.xz", card], seconds=3600)
    card.with_name(f"{card.name}.xz").replace(packed)
    digest = file_sha256(packed)
    summed = outputs.path(".img.xz.sha256")
    summed.write_text(f"{digest}  {packed.name}\n", "ascii")
    # The signature is of the checksum's file, which is small enough to be signed whole.
    sign(key, summed, outputs.path(".img.xz.sha256.sig"))
    sbom = software_list(lock, distributions, version=outputs.version, sha256=digest)
    _json(outputs.path(".spdx.json"), sbom)
    told = manifest(
        version=outputs.version,
        url=f"{url.rstrip('/')}/{packed.name}" if url else packed.name,
        epoch=lock.epoch,
        size=card.stat().st_size,
        sha256=whole,
        packed_size=packed.stat().st_size,
        packed_sha256=digest,
    )
    _json(outputs.directory / "os_list.json", told)


def _block_map(card: Path, path: Path) -> None:
    run(["bmaptool", "--quiet", "create", "-o", path, card], seconds=900)


def _json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
