"""Networks of a stack: cut from one range, and never over each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations

from infra.stack.models import AwsConfig, StackConfig

_PLACE = "steelyard:aws.network"
_ZONES = ("a", "b", "c")
_SMALLEST_PREFIX, _LARGEST_PREFIX = 16, 24
# The provider keeps five addresses of a subnet for itself; the database and the gate take some.
_RESERVED_ADDRESSES = 5 + 8


@dataclass(frozen=True, slots=True)
class Subnets:
    """Subnets by zone: `public` for what the world reaches, `private` for the rest."""

    zones: tuple[str, ...]
    public: tuple[IPv4Network, ...]
    private: tuple[IPv4Network, ...]


def subnets_of(aws: AwsConfig) -> Subnets:
    """The subnets, as given or cut: the range's first quarter is public, the rest private."""
    network = aws.network
    zones = tuple(network.zones) or tuple(f"{aws.region}{one}" for one in _ZONES)
    parts = list(network.range.subnets(prefixlen_diff=2))
    public = tuple(network.public) or tuple(parts[0].subnets(prefixlen_diff=2))[: len(zones)]
    private = tuple(network.private) or tuple(parts[1:])[: len(zones)]
    return Subnets(zones, public, private)


def network_problems(config: StackConfig, machines: int) -> list[str]:
    """What is wrong with the addresses, a sentence each."""
    problems = [
        "steelyard:operators must not be everybody: name networks of operators"
        for one in config.operators
        if one.prefixlen == 0
    ]
    if config.target == "aws" and config.aws is not None:
        problems += _aws_problems(config, config.aws, machines)
    return problems


def _aws_problems(config: StackConfig, aws: AwsConfig, machines: int) -> list[str]:
    whole = aws.network.range
    if not _SMALLEST_PREFIX <= whole.prefixlen <= _LARGEST_PREFIX:
        return [f"{_PLACE}.range {whole} must be a /{_SMALLEST_PREFIX} to /{_LARGEST_PREFIX}"]
    subnets = subnets_of(aws)
    if not 2 <= len(subnets.zones) <= 3:
        return [f"{_PLACE}.zones has {len(subnets.zones)}: there must be two or three"]
    problems = [*_subnet_problems(subnets, whole), *_overlaps(config, aws)]
    room = min((one.num_addresses for one in subnets.private), default=0) - _RESERVED_ADDRESSES
    if machines > room * len(subnets.private):
        problems.append(
            f"{_PLACE}.range {whole} has no room for {machines} machines: take a larger one"
        )
    return problems


def _subnet_problems(subnets: Subnets, whole: IPv4Network) -> Iterator[str]:
    for name, cut in (("public", subnets.public), ("private", subnets.private)):
        if len(cut) != len(subnets.zones):
            yield f"{_PLACE}.{name} has {len(cut)} subnets for {len(subnets.zones)} zones: one each"
        for one in cut:
            if not one.subnet_of(whole):
                yield f"{_PLACE}.{name}: {one} is not in the range {whole}"
    for one, other in combinations([*subnets.public, *subnets.private], 2):
        if one.overlaps(other):
            yield f"{_PLACE}: the subnets {one} and {other} overlap"


def _overlaps(config: StackConfig, aws: AwsConfig) -> Iterator[str]:
    whole = aws.network.range
    for elsewhere in aws.network.reserved:
        if elsewhere.overlaps(whole):
            yield f"{_PLACE}.range {whole} overlaps {elsewhere} of {_PLACE}.reserved"
    for operator in config.operators:
        if operator.prefixlen > 0 and operator.overlaps(whole):
            yield f"steelyard:operators {operator} overlaps {_PLACE}.range {whole}"
    for name, host in config.outside.items():
        if host.address in whole:
            yield f"steelyard:outside.{name} {host.address} is in the stack's own range {whole}"
