"""A SmartBox and its load cells in one process, over real sockets."""

import asyncio
from pathlib import Path

from smartbox_kit import CELLS, FakePlatform, Stage, expected_ticket, plan, until, write_replay

from steelyard.loadcell.communicator import Communicator
from steelyard.loadcell.position import Position
from steelyard.loadcell.sender import CoapSender, open_client
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE
from steelyard.smartbox.service import Ready, SmartBox


async def replay_cell(stage: Stage, serial: str, port: int, directory: Path) -> int:
    """One load cell from its first row to its last."""
    config = stage.cell(serial, port, directory)
    position = Position(config.position_file)
    client = await open_client(config)
    communicator = Communicator(config, CoapSender(client, config), position, lambda *_, **__: None)
    try:
        await communicator.run()
    finally:
        await client.shutdown()
        position.close()
    assert communicator.refused == 0
    return position.next


async def test_every_replayed_weighing_becomes_one_ticket(
    stage: Stage, platform: FakePlatform, tmp_path: Path
) -> None:
    """Weights from eight cells over DTLS, rows from the file: the tickets say exactly that."""
    planned = plan(30)
    rows = write_replay(planned, tmp_path)
    box = SmartBox(stage.load(tmp_path / "data", platform.url), rows)
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(box.run(ready.set_result))
    port = (await ready).coap_port
    sent = await asyncio.gather(*(replay_cell(stage, cell, port, tmp_path) for cell in CELLS))
    assert sent == [15] * 8
    await until(lambda: len(platform.tickets) == 30)
    box.stop()
    await running
    assert platform.tickets == {expected_ticket(w).id: expected_ticket(w) for w in planned}
    finding = verify_alibi(tmp_path / "data" / ALIBI_FILE, tmp_path / "data" / OUTBOX_FILE)
    assert finding.holds
    assert finding.records == 30
