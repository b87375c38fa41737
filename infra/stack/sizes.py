"""What a machine of a size is, and how many ledger nodes it carries."""

from dataclasses import dataclass

from infra.stack.models import Size

# Measured (bench/README.md): geth took 0.5 GiB and Tessera 0.3 GiB after the rounds; geth took 2.8
# at full speed. One GiB is the system's and the gateway's.
NODE_GIB = 1.0
SYSTEM_GIB = 1.0


@dataclass(frozen=True, slots=True)
class MachineSize:
    """A machine's processors, memory and disk (GiB), and the provider's name for it."""

    processors: int
    memory_gib: int
    disk_gib: int
    instance_type: str

    @property
    def nodes(self) -> int:
        """How many ledger nodes, each with its privacy manager, have room in its memory."""
        return int((self.memory_gib - SYSTEM_GIB) / NODE_GIB)


SIZES: dict[Size, MachineSize] = {
    "small": MachineSize(2, 4, 50, "t3.medium"),
    "medium": MachineSize(2, 8, 100, "m7i.large"),
    "large": MachineSize(4, 16, 250, "m7i.xlarge"),
    "xlarge": MachineSize(8, 32, 500, "m7i.2xlarge"),
}
