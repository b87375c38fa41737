"""The definition of an image (images/station.toml)."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.images.errors import ImageProblem

IMAGES = Path(__file__).resolve().parents[2] / "images"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageNames(_Strict):
    """Debian's packages by name. What `kernel` depends on counts where a part's name begins it."""

    root: list[str]
    payload: list[str]
    kernel: str
    kernel_parts: list[str]


class DriverNames(_Strict):
    """Modules of the kernel, as directories or files below its `kernel/`."""

    without: list[str]


class Initramfs(_Strict):
    """What the initramfs has of the kernel's modules, as patterns."""

    modules: list[str]


class Card(_Strict):
    """Sizes of the partitions in MiB."""

    boot: int
    root: int
    data: int


class Units(_Strict):
    """systemd's units: those enabled, with the target that wants them, and those masked."""

    enabled: list[tuple[str, str]]
    masked: list[str]


class Definition(_Strict):
    """What an image is made of."""

    suite: str
    architecture: str
    components: list[str]
    python: str
    packages: PackageNames
    modules: DriverNames
    initramfs: Initramfs
    card: Card
    units: Units


def read_definition(path: Path = IMAGES / "station.toml") -> Definition:
    """Raises ImageProblem."""
    try:
        return Definition.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ImageProblem(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        first = str(error).splitlines()
        raise ImageProblem(f"{path}: {' '.join(line.strip() for line in first[:3])}") from None
