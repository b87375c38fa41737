"""A key, and an update of tiny files."""

import pytest

from image_kit import BOARD
from infra.images.signing import make_key, public_key
from infra.images.update import make_update


@pytest.fixture
def key(tmp_path):
    """A private key; its public half stands beside it."""
    path = tmp_path / "key.pem"
    make_key(path)
    public_key(path, tmp_path / "public.pem")
    return path


@pytest.fixture
def update(tmp_path, key):
    """An update of a root of 3 bytes and a kernel of 4."""
    slot = tmp_path / "new-slot"
    slot.mkdir()
    (slot / "vmlinuz").write_bytes(b"kern")
    (slot / "initrd").write_bytes(b"init")
    (slot / "cmdline.txt").write_bytes(b"of the image, and not of an update")
    squashfs = tmp_path / "root.squashfs"
    squashfs.write_bytes(b"new")
    path = tmp_path / "new.update"
    make_update(
        path, squashfs=squashfs, slot=slot, key=key, version="2", board=BOARD, epoch=1_700_000_000
    )
    return path
