"""A partition's size, told to the kernel: the ioctl BLKPG (linux/blkpg.h).

util-linux has resizepart for it, which Debian 13 does not pack; its partx removes a partition that
is not mounted and adds it again.
"""

import ctypes
import fcntl
import os
from pathlib import Path

from steelyard.station.errors import MachineRefuses

_BLKPG = 0x1269
_RESIZE_PARTITION = 3
_NAME_BYTES = 64


class _Partition(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_longlong),
        ("length", ctypes.c_longlong),
        ("number", ctypes.c_int),
        ("device_name", ctypes.c_char * _NAME_BYTES),
        ("volume_name", ctypes.c_char * _NAME_BYTES),
    )


class _Argument(ctypes.Structure):
    _fields_ = (
        ("operation", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("data_bytes", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


def resize_partition(disk: Path, number: int, start: int, length: int) -> None:
    """Let a partition have this length, in bytes as `start` is. Raises MachineRefuses."""
    partition = _Partition(start, length, number, b"", b"")
    argument = _Argument(
        _RESIZE_PARTITION, 0, ctypes.sizeof(partition), ctypes.addressof(partition)
    )
    try:
        descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _BLKPG, argument)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MachineRefuses(
            f"{disk}: the kernel does not take the new size of partition {number}: {error.strerror}"
        ) from None
