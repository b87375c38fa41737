"""The description, as an inventory (or a Pulumi stack) states it: variable `consortium`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME = r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$"

# Names of nodes and customers become file names, units' instances and certificates' names.
Name = Annotated[str, StringConstraints(pattern=NAME)]
# A station's and a weighbridge's name is the customer's own, and stands in its tickets' ids.
Label = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^\S(.*\S)?$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Serial = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[!-~]+$")]

MAX_SLOT = 99


class Described(BaseModel):
    """Part of the description. What is not known is refused: a typing error must not be silent."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSpec(Described):
    """A ledger node: GoQuorum with its Tessera. `slot` tells nodes of one host apart."""

    name: Name
    host: Host
    slot: int = Field(default=0, ge=0, le=MAX_SLOT)


class CellSpec(Described):
    """A load cell. `host`: where a load cell communicator runs, when Ansible sets it up.

    `replay` is a file of weights for trials, and `interval_seconds` how often the cell speaks.
    """

    serial: Serial
    host: Host | None = None
    replay: str | None = None
    interval_seconds: float | None = Field(default=None, ge=0, le=3600)


class WeighbridgeSpec(Described):
    """A weighbridge with its cells, in the order in which tickets list them. Weights in grams.

    `weighing` is the SmartBox's table of that name; without it every common time of the cells is
    a weighing. The SmartBox checks it.
    """

    name: Label
    scale_serial: Serial
    scale_interval_grams: int = Field(gt=0)
    max_capacity_grams: int = Field(gt=0)
    cells: list[CellSpec] = Field(min_length=1, max_length=32)
    weighing: dict[str, Any] = Field(default={})


class SmartBoxSpec(Described):
    """A station's SmartBox, and the host that it runs on."""

    host: Host
    serial: Serial
    terminal_serial: Serial


class StationSpec(Described):
    """A station, with the node that emits its tickets."""

    name: Label
    node: NodeSpec
    smartbox: SmartBoxSpec | None = None
    weighbridges: list[WeighbridgeSpec] = Field(default=[])


class UserSpec(Described):
    """A user of a customer. His password is made on the platform's host, once."""

    login: Annotated[str, StringConstraints(min_length=3, max_length=254)]
    role: Literal["customer-administrator", "customer-user"] = "customer-user"


class CustomerSpec(Described):
    """A customer. Without `admin` preflight refuses it, by name."""

    name: Name
    admin: NodeSpec | None = None
    users: list[UserSpec] = Field(default=[])
    stations: list[StationSpec] = Field(default=[])


class PlatformSpec(Described):
    """Where both APIs run. The names stand in URLs and in the certificate."""

    host: Host
    names: list[str] = Field(default=[])


class ConsortiumSpec(Described):
    """A whole consortium. `fault_tolerance` f needs 3f+1 validators (QBFT, section 1 of its paper).

    Periods are in seconds and stand in the genesis: they cannot be changed later.
    """

    name: Name
    chain_id: int = Field(ge=1, le=2**31)
    block_period: int = Field(default=1, ge=1, le=3600)
    empty_block_period: int = Field(default=5, ge=0, le=3600)
    fault_tolerance: int = Field(default=1, ge=0, le=33)
    network: list[NodeSpec] = Field(min_length=1)
    customers: list[CustomerSpec] = Field(default=[])
    platform: PlatformSpec
