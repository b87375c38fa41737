"""How much is measured, and what the command line says about it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from steelyard.ledger.settings import LedgerSettings

SMALLEST = 500  # tickets; a page of each weighbridge is then full
WEEK = 4_200  # tickets: 7 days of 2 weighbridges with 300 weighings each


@dataclass(frozen=True, slots=True)
class Extent:
    """How many tickets each measurement takes; those of a round are taken in every round."""

    rounds: int
    singly: int  # each, ours and naive, and each manner
    naive_many: int
    ours_many: int
    ours_list: int  # of one call; the station that is queried grows by such lists as well
    singles_on_disk: int
    repetitions: int  # of a query
    sizes: tuple[int, ...]
    naive_sizes: tuple[int, ...]


FULL = Extent(
    rounds=3,
    singly=20,
    naive_many=160,
    ours_many=640,
    ours_list=8_400,
    singles_on_disk=1_000,
    repetitions=30,
    sizes=(1_000, 100_000, 1_000_000),
    naive_sizes=(1_000, 5_000, 20_000),
)
QUICK = replace(
    FULL,
    rounds=1,
    singly=6,
    naive_many=64,
    ours_many=192,
    ours_list=4_200,
    singles_on_disk=200,
    repetitions=10,
    sizes=(500, 2_000),
    naive_sizes=(500,),
)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `directory` is where the network's own directory is made."""

    extent: Extent
    settings: LedgerSettings
    json: Path | None
    directory: Path | None


def options(description: str, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; ends the program with 2 when it is wrong."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--sizes", type=_sizes, help="tickets of the station that is queried, by commas"
    )
    parser.add_argument("--naive-sizes", type=_sizes, help="the same of the naive contract")
    parser.add_argument("--rounds", type=_positive, help="turns of our client and the naive one")
    parser.add_argument(
        "--quick", action="store_true", help="a minute's measurements: no figure to quote"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument(
        "--max-batch", type=_positive, help="ledger.max_batch, tickets a transaction"
    )
    parser.add_argument(
        "--max-in-flight", type=_positive, help="ledger.max_in_flight, transactions"
    )
    parser.add_argument(
        "--directory", type=Path, help="where the network's files go, a short path; a temporary one"
    )
    given = parser.parse_args(arguments)
    chosen = {name: getattr(given, name) for name in ("sizes", "naive_sizes", "rounds")}
    extent = replace(QUICK if given.quick else FULL, **{k: v for k, v in chosen.items() if v})
    tuned = {name: getattr(given, name) for name in ("max_batch", "max_in_flight")}
    try:
        settings = LedgerSettings(**{name: value for name, value in tuned.items() if value})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        parser.error(f"ledger.{first['loc'][0]}: {first['msg']}")
    return Options(extent, settings, given.json, given.directory)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({int(size) for size in text.split(",")}))
    if sizes[0] < SMALLEST:
        raise argparse.ArgumentTypeError(f"at least {SMALLEST}, so that every page of 100 is full")
    return sizes


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
