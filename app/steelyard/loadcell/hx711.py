"""The HX711, a 24-bit converter for load cells, on two lines of a GPIO character device.

The chip pulls DOUT low when a value is ready. 24 pulses on PD_SCK shift it out, the first bit
first, in two's complement; one to three pulses more choose the next value's channel and gain (25:
channel A at 128, 26: B at 32, 27: A at 64). PD_SCK high for more than 60 microseconds switches the
chip off, so a value with such a pulse is thrown away (HX711 data sheet, Avia Semiconductor).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from steelyard.loadcell.errors import AdcUnavailable

BITS = 24
PULSES = {128: 25, 32: 26, 64: 27}
LONGEST_PULSE_SECONDS = 50e-6
SATURATED = (-(2**23), 2**23 - 1)


class Lines(Protocol):
    """The two lines: the converter's data, and its clock."""

    def data(self) -> bool:
        """Whether DOUT is high."""
        ...

    def pulse(self) -> float:
        """Raise PD_SCK and let it fall; for how many seconds it was high."""
        ...


class Hx711:
    """Reads values. `gain` is 128 or 64 (channel A) or 32 (channel B)."""

    def __init__(self, lines: Lines, gain: int = 128) -> None:
        self._lines = lines
        self._pulses = PULSES[gain]
        self._skip = True
        self.spoiled = 0

    def read(self) -> int | None:
        """The value that is ready, or None: none is, or it was spoiled, or is of another channel.

        Raises AdcUnavailable for a value at the end of the scale: a wire is off, or the cell is
        far beyond its capacity.
        """
        if self._lines.data():
            return None
        value, longest = 0, 0.0
        for number in range(self._pulses):
            longest = max(longest, self._lines.pulse())
            if number < BITS:
                value = value << 1 | self._lines.data()
        if longest > LONGEST_PULSE_SECONDS:
            # The chip may have been off, and comes back with channel A at 128.
            self.spoiled += 1
            self._skip = True
            return None
        if self._skip:
            # The first value after a start is still of the channel that was chosen before.
            self._skip = False
            return None
        signed = value - 2**BITS if value >= 2 ** (BITS - 1) else value
        if signed in SATURATED:
            raise AdcUnavailable("the converter is at the end of its scale: a wire may be off")
        return signed


class GpioLines:
    """The lines of a GPIO character device such as /dev/gpiochip0, by libgpiod."""

    def __init__(self, request: "_Request", data: int, clock: int) -> None:
        import gpiod

        self._request = request
        self._data, self._clock = data, clock
        self._high, self._low = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE

    def data(self) -> bool:
        """See `Lines.data`."""
        return self._request.get_value(self._data) is self._high

    def pulse(self) -> float:
        """See `Lines.pulse`."""
        before = time.perf_counter()
        self._request.set_value(self._clock, self._high)
        self._request.set_value(self._clock, self._low)
        return time.perf_counter() - before


class _Request(Protocol):
    def get_value(self, line: int) -> object: ...

    def set_value(self, line: int, value: object) -> None: ...


@contextmanager
def open_lines(chip: str, data: int, clock: int) -> Iterator[GpioLines]:
    """Take two lines of a chip for as long as the context lasts. Raises AdcUnavailable."""
    try:
        import gpiod
    except ModuleNotFoundError:
        raise AdcUnavailable(
            "the HX711 needs the package gpiod: install the extra `adc` (README, 'Extras')"
        ) from None
    inward = gpiod.LineSettings(direction=gpiod.line.Direction.INPUT)
    outward = gpiod.LineSettings(
        direction=gpiod.line.Direction.OUTPUT, output_value=gpiod.line.Value.INACTIVE
    )
    try:
        request = gpiod.request_lines(
            chip, consumer="steelyard-loadcell", config={data: inward, clock: outward}
        )
    except (OSError, ValueError) as error:
        raise AdcUnavailable(f"{chip}, lines {data} and {clock}: {error}") from None
    with request:
        yield GpioLines(request, data, clock)
