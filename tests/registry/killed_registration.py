"""Registers a station and kills itself with SIGKILL at the point that it is told.

Arguments: database URL, key ring file, customer id, point. Points: `commit 1` (before the
reservation is committed), `before deploy`, `after deploy`, `commit 2` (before the completion is
committed), `after` (it is done, and nobody was told).
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

sys.path.insert(0, str(Path(__file__).parent.parent))

from fakes import FakeLedger
from steelyard.registry.registration import Requester, StationRegistrar
from steelyard.store.audit import OPERATOR
from steelyard.store.database import Database
from steelyard.store.settings import StoreSettings
from steelyard.store.vault import Vault


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingLedger(FakeLedger):
    """Dies before or after the deployment."""

    point = ""

    async def deploy(self, *arguments):
        if self.point == "before deploy":
            die()
        deployment = await super().deploy(*arguments)
        if self.point == "after deploy":
            die()
        return deployment


async def main(url: str, ring: str, customer_id: str, point: str) -> None:
    database = Database(StoreSettings(url=url))
    commits = 0

    def count(connection: object) -> None:
        nonlocal commits
        commits += 1
        if point == f"commit {commits}":
            die()

    event.listen(database.engine.sync_engine, "commit", count)
    ledger = DyingLedger()
    ledger.point = point
    registrar = StationRegistrar(database, Vault.load(Path(ring)), ledger, deploy_seconds=5)
    await registrar.register(customer_id, "north", Requester(OPERATOR, None))
    die()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
