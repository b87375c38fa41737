"""`pulumi up`: see docs/how-to/pulumi.md."""

import os
import signal
from types import FrameType

import pulumi
from pulumi.runtime import get_config_env, get_config_secret_keys_env

from infra.program.run import run


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(1)


# Pulumi interrupts the program when an update cannot go on, and has said why. Python's traceback of
# the interruption would stand below that and tell nothing.
signal.signal(signal.SIGINT, _end)

outputs = run(get_config_env(), get_config_secret_keys_env(), pulumi.get_stack())
for name, value in outputs.items():
    pulumi.export(name, value)
