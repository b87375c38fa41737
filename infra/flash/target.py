"""A device that is open for writing, for us alone."""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from infra.flash.devices import Device
from infra.flash.errors import FlashRefused

# linux/fs.h
_BLKFLSBUF = 0x1261
_BLKRRPART = 0x125F
_BLKZEROOUT = 0x127F
_ZEROS = bytes(1024 * 1024)


@contextmanager
def failures_told(path: str, doing: str) -> Iterator[None]:
    """Turn what the system says of a device into one sentence."""
    try:
        yield
    except OSError as error:
        raise FlashRefused(
            f"{path}: {doing} failed: {error.strerror}: the card or its reader is faulty, or it "
            "was taken out"
        ) from None


class Target:
    """What is written and read back. A context manager."""

    def __init__(self, device: Device) -> None:
        self.device = device
        # With O_EXCL the kernel itself refuses a device that is mounted or otherwise in use.
        flags = os.O_RDWR | os.O_CLOEXEC | (0 if device.is_file else os.O_EXCL)
        try:
            self._descriptor = os.open(device.path, flags)
        except PermissionError:
            raise FlashRefused(f"{device.path} must be writable: run this as root") from None
        except OSError as error:
            raise FlashRefused(f"{device.path} cannot be opened: {error.strerror}") from None
        try:
            # udev, and with it whoever mounts what appears, leaves a locked device alone.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise FlashRefused(f"{device.path} is being written by somebody else") from None
        try:
            # Whoever is of the group `disk` may write, and would be told when all is written.
            self._drop_buffers()
        except FlashRefused:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def empty(self) -> None:
        """Let a file forget what it held, so that nothing has to be written where nothing is."""
        if self.device.is_file:
            with failures_told(self.device.path, "erasing"):
                os.ftruncate(self._descriptor, 0)
                os.ftruncate(self._descriptor, self.device.size)

    def zero(self, start: int, end: int) -> None:
        """Make a range zeros. A file's is so since `empty`."""
        if self.device.is_file or start == end:
            return
        try:
            fcntl.ioctl(self._descriptor, _BLKZEROOUT, struct.pack("=QQ", start, end - start))
        except OSError:
            for place in range(start, end, len(_ZEROS)):
                self.write(place, _ZEROS[: end - place])

    def write(self, start: int, content: bytes | memoryview) -> None:
        """Write at a place."""
        with failures_told(self.device.path, "writing"):
            done = 0
            while done < len(content):
                done += os.pwrite(self._descriptor, content[done:], start + done)

    def read(self, start: int, count: int) -> bytes:
        """Read at a place: all of it, or FlashRefused."""
        with failures_told(self.device.path, "reading back"):
            parts = bytearray()
            while len(parts) < count:
                part = os.pread(self._descriptor, count - len(parts), start + len(parts))
                if not part:
                    raise OSError(0, "it ended early")
                parts += part
            return bytes(parts)

    def sync(self) -> None:
        """Wait until everything is on the device."""
        with failures_told(self.device.path, "writing"):
            os.fsync(self._descriptor)

    def forget_cache(self) -> None:
        """Let what is read next come from the device and not from this computer's memory."""
        self.sync()
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self._drop_buffers()

    def _drop_buffers(self) -> None:
        if self.device.is_file:
            return
        with failures_told(self.device.path, "reading back"):
            try:
                fcntl.ioctl(self._descriptor, _BLKFLSBUF, 0)
            except PermissionError:
                raise FlashRefused(
                    f"{self.device.path} cannot be read back past this computer's memory by "
                    "others than root: run this as root"
                ) from None

    def reread_table(self) -> None:
        """Let the kernel see the new partitions; what does not know any is no fault."""
        if not self.device.is_file:
            try:
                fcntl.ioctl(self._descriptor, _BLKRRPART, 0)
            except OSError:
                return
