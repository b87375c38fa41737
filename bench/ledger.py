"""What the ledger does on real engines, beside a newcomer's client on the same network.

    python bench/ledger.py [--quick] [--sizes 1000,100000,1000000] [--json FILE]

Starts five nodes with five privacy managers, measures, and ends them. The exit status is 1 when a
goal is missed or something that was measured is not right, and 2 when it could not start. What each
figure is: bench/README.md.
"""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from web3.exceptions import Web3Exception

from bed import Bed, Result
from goals import all_held, verdict
from naive.client import Artefact, NaiveFailure, NoCompiler, compiled
from options import Options, options
from report import as_dict, goals, headline, machine, print_figures
from run import everything
from steelyard.errors import Problem
from steelyard.network.probe import Unanswered
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings

NODES = 5
MISSED, NOT_STARTED = 1, 2
# What an engine that fails, or a client that gives up, looks like.
_BROKE_OFF = (Problem, Unanswered, NaiveFailure, Web3Exception, requests.RequestException)


def main() -> int:
    chosen = options(__doc__.partition("\n")[0])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with _directory(chosen.directory) as directory:
        settings = NetworkSettings(nodes=NODES)
        network = LocalNetwork(directory, settings, tethered=True, report=_say)
        try:
            artefact = compiled()
            network.up()
        except (Problem, NoCompiler) as problem:
            print(_sentence(problem), file=sys.stderr)
            return NOT_STARTED
        try:
            return _measure(network, chosen, artefact, Result(settings.block_period))
        finally:
            network.down()


def _measure(network: LocalNetwork, chosen: Options, artefact: Artefact, result: Result) -> int:
    bed = Bed(network, chosen.settings, chosen.extent, artefact, result, _say)
    before, whole = machine(network.programs), True
    try:
        everything(bed)
    except _BROKE_OFF as problem:
        whole = False
        print(f"the run broke off: {_sentence(problem)}", file=sys.stderr)
    found = goals(result, chosen.extent.sizes)
    print(headline(before, chosen.settings))
    print_figures(result)
    print("\n" + verdict(found, result.checks))
    if chosen.json:
        document = {"machine": before, "whole": whole, **as_dict(result, chosen, found)}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return 0 if whole and all_held(found, result.checks) else MISSED


@contextmanager
def _directory(parent: Path | None) -> Iterator[Path]:
    """A directory for the network, gone afterwards. Its path is short, as sockets are in it."""
    directory = Path(tempfile.mkdtemp(prefix="steelyard-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _sentence(problem: Exception) -> str:
    hint = problem.hint if isinstance(problem, Problem) else None
    return f"{problem} {hint}" if hint else f"{problem}"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
