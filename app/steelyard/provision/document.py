"""The description: what the platform is to know. In JSON, or in TOML where the name ends so."""

import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steelyard.errors import ConfigurationError
from steelyard.json_text import read_json

_MAX_BYTES = 1 << 24


class Described(BaseModel):
    """A part of the description. What is not known is refused; what a name may be, the API says."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NodeWanted(Described):
    """A ledger node, with the names of network.json."""

    name: str
    role: Literal["network", "admin", "station"]
    rpc_url: str
    tessera_url: str
    tessera_public_key: str


class UserWanted(Described):
    """A first user of a customer."""

    login: str
    role: Literal["customer-administrator", "customer-user"] = "customer-user"


class WeighbridgeWanted(Described):
    """A weighbridge, in grams, with the serials of its load cells."""

    name: str
    scale_serial: str
    scale_interval: int
    max_capacity: int
    cells: tuple[str, ...] = Field(default=(), strict=False)


class StationWanted(Described):
    """A station: its node's name, its SmartBox's serial, its weighbridges."""

    name: str
    node: str
    smartbox: str | None = None
    weighbridges: tuple[WeighbridgeWanted, ...] = Field(default=(), strict=False)


class CustomerWanted(Described):
    """A customer, with the name of its admin node."""

    name: str
    admin_node: str | None = None
    users: tuple[UserWanted, ...] = Field(default=(), strict=False)
    stations: tuple[StationWanted, ...] = Field(default=(), strict=False)


class Description(Described):
    """Everything that is described. Stations are told apart by their names alone."""

    nodes: tuple[NodeWanted, ...] = Field(default=(), strict=False)
    customers: tuple[CustomerWanted, ...] = Field(default=(), strict=False)

    def stations(self) -> Iterator[tuple[CustomerWanted, StationWanted]]:
        """Each station with its customer."""
        for customer in self.customers:
            for station in customer.stations:
                yield customer, station

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for kind, names in self._names():
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"{kind}: {', '.join(twice)} must be there once only")
        return self

    def _names(self) -> Iterator[tuple[str, list[str]]]:
        yield "nodes", [node.name for node in self.nodes]
        yield "customers", [folded(customer.name) for customer in self.customers]
        yield "stations", [folded(station.name) for _, station in self.stations()]
        yield "users", [folded(user.login) for one in self.customers for user in one.users]
        nodes = [station.node for _, station in self.stations()]
        yield "nodes of stations", nodes
        yield "admin nodes", [one.admin_node for one in self.customers if one.admin_node]
        for customer in self.customers:
            bridges = [bridge for one in customer.stations for bridge in one.weighbridges]
            yield f"scales of {customer.name}", [bridge.scale_serial for bridge in bridges]
            boxes = [one.smartbox for one in customer.stations if one.smartbox]
            cells = [cell for bridge in bridges for cell in bridge.cells]
            yield f"devices of {customer.name}", [*boxes, *cells]


def folded(name: str) -> str:
    """Names are compared without their case, as the API compares them."""
    return name.casefold()


STANDARD_INPUT = Path("-")


def read_description(path: Path) -> Description:
    """Read a description, in JSON from standard input for `-`.

    Raises ConfigurationError: the place in it, and what is wrong.
    """
    try:
        if path == STANDARD_INPUT:
            raw = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: must not be larger than {_MAX_BYTES} bytes")
    try:
        document: Any = tomllib.loads(raw.decode()) if path.suffix == ".toml" else read_json(raw)
    except ValueError as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise ConfigurationError(f"{path}: is not valid {kind}: {error}") from None
    try:
        return Description.model_validate(document)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        sentences = [
            ": ".join(filter(None, (".".join(map(str, one["loc"])), _sentence(one["msg"]))))
            for one in problems
        ]
        raise ConfigurationError(f"{path}: {'; '.join(sentences)}") from None


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
