"""The first boot's state on the machine's screen, where there is one."""

import os
from dataclasses import dataclass
from pathlib import Path

from steelyard.station.state import Shown

_CLEAR = "\x1b[2J\x1b[H"


@dataclass(frozen=True, slots=True)
class Console:
    """A text terminal. One that is not there, or may not be written, is no fault."""

    path: Path

    def show(self, shown: Shown) -> None:
        """Show it on an empty screen."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return
        try:
            os.write(descriptor, (_CLEAR + as_text(shown)).replace("\n", "\r\n").encode())
        except OSError:
            return
        finally:
            os.close(descriptor)


def as_text(shown: Shown) -> str:
    """The same as the page, in lines. What others wrote is printable."""
    lines = [
        f"Steelyard station {shown.station or '(no name yet)'}",
        f"device code  {shown.device_code}",
        f"claim        {shown.claim or '-'}",
        f"host name    {shown.host_name}.local",
        f"addresses    {', '.join(shown.addresses) or '-'}",
        "",
        f"{shown.state.phase}: {shown.state.sentence}",
        shown.state.remedy,
    ]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines) + "\n"
