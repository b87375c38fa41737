"""The program, from the stack's configuration to its outputs."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pulumi

from infra.program.consortium import Consortium, ConsortiumArgs
from infra.program.outputs import outputs_of
from infra.stack.errors import InvalidStack
from infra.stack.layout import Layout, lay_out
from infra.stack.reading import read_stack
from infra.targets.interface import Target
from infra.targets.local.target import LocalTarget

ROOT = Path(__file__).resolve().parents[2]


def run(values: Mapping[str, str], secret_keys: Collection[str], stack: str) -> dict[str, Any]:
    """Declare everything; the outputs. Raises pulumi.RunError, a line for each thing wrong."""
    try:
        layout = lay_out(read_stack(values, secret_keys))
        log = ROOT / f".cache/stacks/{stack}-site.log"
        args = ConsortiumArgs(layout, target_of(layout, stack), ROOT, log)
        consortium = Consortium(layout.spec.name, args)
    except InvalidStack as error:
        raise pulumi.RunError("\n".join(error.problems)) from None
    return outputs_of(layout, consortium)


def target_of(layout: Layout, stack: str) -> Target:
    """The target that the configuration names."""
    if layout.config.target == "local":
        return LocalTarget(ROOT, stack)
    # The provider's package takes its time and memory: only its own target loads it.
    from infra.targets.aws.target import AwsTarget

    return AwsTarget(stack)
