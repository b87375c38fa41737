"""What a disk may hold after a power cut: from the system calls that a process made, by strace.

Every call that changes a file is kept, with its bytes. For each place between two of them this
makes the disks that a cut there may leave:

- `kill`: all that was written is there, as after SIGKILL;
- `cut`: only what was synced is there, names and bytes: the least that a disk may hold;
- `torn`: of what was not synced the last write is there by half, and what came before it whole.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,"
    "unlinkat,mkdir,mkdirat,fallocate,pwritev,writev,link,linkat,symlink,truncate"
)
_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?:<(.*)>)?.*$")
_FD = re.compile(r"^(\d+|AT_FDCWD)<(.*?)>$")


@dataclass(frozen=True)
class Call:
    """One system call: its name, its arguments as strace wrote them, what it returned."""

    name: str
    arguments: tuple[str, ...]
    returned: int
    opened: str


def trace(script: Path, directory: Path, log: Path) -> list[Call]:
    """Run a script on a directory under strace; the calls that it made."""
    command = ["strace", "-f", "-y", "-xx", "-s", "4194304", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*command, sys.executable, str(script), str(directory)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    calls = []
    for line in log.read_text("ascii", "replace").splitlines():
        found = _LINE.match(line)
        if found is not None and int(found[3], 0) >= 0:
            opened = _unhex_path(found[4] or "")
            calls.append(Call(found[1], _split(found[2]), int(found[3], 0), opened))
    return calls


def _split(text: str) -> tuple[str, ...]:
    """The arguments: with -xx, texts in quotes have neither quotes nor commas in them."""
    return tuple(re.findall(r'"[^"]*"(?:\.\.\.)?|[^, ][^,]*', text))


def _bytes(argument: str) -> bytes:
    assert argument.startswith('"'), argument
    assert argument.endswith('"'), "strace cut it short"
    return bytes.fromhex(argument[1:-1].replace("\\x", ""))


def _unhex_path(text: str) -> str:
    if "\\x" in text:
        return bytes.fromhex(text.replace("\\x", "")).decode()
    return text


@dataclass
class File:
    """A file's bytes as written, and as synced."""

    written: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    last: tuple[int, bytes] | None = None  # the last write behind the last sync
    before_last: bytes = b""

    def write(self, at: int, data: bytes) -> None:
        self.before_last = bytes(self.written)
        self.last = (at, data)
        self._put(self.written, at, data)

    @staticmethod
    def _put(held: bytearray, at: int, data: bytes) -> None:
        held.extend(bytes(max(0, at - len(held))))
        held[at : at + len(data)] = data

    def cut_to(self, size: int) -> None:
        self.written[size:] = b""
        self.written.extend(bytes(max(0, size - len(self.written))))
        self.last = None

    def sync(self) -> None:
        self.synced = bytes(self.written)
        self.last = None

    def torn(self) -> bytes:
        """With half of the last write."""
        if self.last is None:
            return bytes(self.written)
        at, data = self.last
        held = bytearray(self.before_last)
        self._put(held, at, data[: len(data) // 2])
        return bytes(held)


class Disk:
    """A directory as the calls left it. `told` is what was printed until now."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._names: dict[str, File] = {}
        self._synced_names: dict[str, File] = {}
        self.told: list[str] = []

    def _name(self, path: str) -> str | None:
        name = path.removeprefix(self._directory + "/")
        # SQLite's shared memory is no part of what a disk must hold.
        return None if name == path or "/" in name or name.endswith("-shm") else name

    def apply(self, call: Call) -> bool:
        """Do what a call did; whether it changed anything here."""
        name, arguments = call.name, call.arguments
        if name in ("openat", "open", "creat"):
            return self._open(call)
        if name in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync"):
            found = _FD.match(arguments[0])
            path = _unhex_path(found[2]) if found else ""
            if found and found[1] == "1" and name == "write":
                self.told += _bytes(arguments[1]).decode().splitlines()
                return True
            if path == self._directory:
                self._synced_names = dict(self._names)
                return True
            return self._change(call, self._name(path))
        if name in ("rename", "renameat", "renameat2", "unlink", "unlinkat"):
            return self._rename_or_remove(call)
        touched = [one for one in arguments if self._directory in _path_of(one)]
        assert name in ("mkdir", "mkdirat") or not touched, f"{name} is not played: {arguments}"
        return False

    def _open(self, call: Call) -> bool:
        name = self._name(call.opened)
        if name is None:
            return False
        flags = " ".join(call.arguments)
        if name not in self._names:
            assert "O_CREAT" in flags, flags
            self._names[name] = File()
            return True
        if "O_TRUNC" in flags and self._names[name].written:
            self._names[name].cut_to(0)
            return True
        return False

    def _change(self, call: Call, name: str | None) -> bool:
        if name is None or name not in self._names:
            return False
        file = self._names[name]
        if call.name == "ftruncate":
            file.cut_to(int(call.arguments[1], 0))
        elif call.name in ("fsync", "fdatasync"):
            file.sync()
        else:
            data = _bytes(call.arguments[1])[: call.returned]
            # The alibi memory's files are opened to append; SQLite says where.
            at = int(call.arguments[3], 0) if call.name == "pwrite64" else len(file.written)
            file.write(at, data)
        return True

    def _rename_or_remove(self, call: Call) -> bool:
        paths = [path for one in call.arguments if (path := _path_of(one)) and "/" in path]
        names = [self._name(path) for path in paths if not path.endswith(">")]
        known = [name for name in names if name is not None]
        if not known:
            return False
        if call.name.startswith("rename"):
            old, new = known
            self._names[new] = self._names.pop(old)
        else:
            self._names.pop(known[0], None)
        return True

    def states(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """What the disk may hold now, each with its name."""
        yield "kill", {name: bytes(one.written) for name, one in self._names.items()}
        yield "cut", {name: one.synced for name, one in self._synced_names.items()}
        torn = {name: one.torn() for name, one in self._names.items()}
        yield "torn", torn


def _path_of(argument: str) -> str:
    if argument.startswith('"'):
        return _bytes(argument.removesuffix("...")).decode("utf-8", "replace")
    found = _FD.match(argument)
    return _unhex_path(found[2]) if found else ""


def cuts(calls: list[Call], directory: Path) -> Iterator[tuple[str, list[str], dict[str, bytes]]]:
    """Every disk that differs from all before, with what had been told until then."""
    disk = Disk(directory)
    seen: set[bytes] = set()
    for number, call in enumerate(calls):
        if not disk.apply(call):
            continue
        for kind, state in disk.states():
            digest = hashlib.sha256("\n".join(disk.told).encode())
            for name, held in sorted(state.items()):
                digest.update(name.encode() + hashlib.sha256(held).digest())
            if digest.digest() not in seen:
                seen.add(digest.digest())
                yield f"{number} {call.name} {kind}", list(disk.told), state
