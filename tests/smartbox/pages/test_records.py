"""The alibi memory's viewer and export, and what is done with refused tickets."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner
from storage_kit import open_storage, receipt, record

from steelyard.errors import ConfigurationError
from steelyard.smartbox.alibi.keeping import SEGMENT_MS
from steelyard.smartbox.audit.cli import alibi
from steelyard.smartbox.display.guard import guard
from steelyard.smartbox.display.service import loopback_door
from steelyard.smartbox.errors import AlibiDamaged
from steelyard.smartbox.pages.records import add_record_routes
from steelyard.smartbox.recorder import ALIBI_FILE, Recorder


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Any]:
    """Five tickets, the second refused, over two files; asks the page."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    storage = recorder.storage

    def fill() -> list[str]:
        given = [record(storage, number) for number in range(3)]
        storage.tidy(storage.alibi.segments()[0].made + SEGMENT_MS, 10)
        given += [record(storage, number) for number in range(3, 5)]
        storage.outbox.settle([receipt(given[0])], [(given[1], {"status": 422, "title": "no"})])
        return given

    given = await recorder.run(fill)
    application = web.Application()
    guard(application, loopback_door())
    add_record_routes(application, recorder, lambda: 42)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def ask(method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url + path, **more) as response,
        ):
            return response.status, await response.json(content_type=None)

    ask.ids = given  # type: ignore[attr-defined]
    ask.outbox = storage.outbox  # type: ignore[attr-defined]
    ask.recorder = recorder  # type: ignore[attr-defined]
    yield ask
    await runner.cleanup()
    await recorder.close()


async def test_records_are_shown_as_they_stand_there(page: Any) -> None:
    """From any record on, so many at a time."""
    status, found = await page("GET", "/alibi?from=2&limit=3")
    assert (status, found["last"]) == (200, 5)
    assert [one["sequence"] for one in found["records"]] == [2, 3, 4]
    assert [one["ticket"]["ticketID"] for one in found["records"]] == page.ids[1:4]
    assert len((await page("GET", "/alibi"))[1]["records"]) == 5
    assert (await page("GET", "/alibi?from=99"))[1]["records"] == []


@pytest.mark.parametrize("query", ["from=0", "from=x", "from=-1", "limit=0", "from=%C2%B2"])
async def test_a_bad_place_is_named(page: Any, query: str) -> None:
    """With what is allowed."""
    status, problem = await page("GET", f"/alibi?{query}")
    assert status in (400, 422)
    assert "must be a number from 1" in problem["detail"]


async def test_a_refused_ticket_is_requeued_or_dismissed(page: Any) -> None:
    """By its id, with a reason; no other ticket, and from no web page."""
    one = page.ids[1]
    status, problem = await page("POST", f"/refused/{one}/dismiss", json={})
    assert "the reason must have" in problem["detail"]
    status, _ = await page("POST", f"/refused/{one}/dismiss", data='{"reason":"x"}')
    assert status >= 400
    status, _ = await page("POST", f"/refused/{one}/dismiss", json={"reason": "weighed again"})
    assert status == 200
    (held,) = await page.recorder.run(lambda: list(page.outbox.refusals(dismissed=True)))
    assert held.dismissed == (42, "weighed again")
    status, _ = await page("POST", f"/refused/{one}/requeue", json={})
    assert status == 200
    assert await page.recorder.run(page.outbox.state_of, one) == "queued"
    status, problem = await page("POST", f"/refused/{one}/requeue", json={})
    assert (status, problem["type"]) == (404, "urn:steelyard:problem:ticket-not-refused")
    for path, body in (("forget", {}), ("requeue", {"reason": "x"})):
        status, _ = await page("POST", f"/refused/{one}/{path}", json=body)
        assert status in (400, 422)


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(alibi, [str(one) for one in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_the_commands_show_export_and_verify(tmp_path: Path) -> None:
    """Over the memory's files, and over an export of them."""
    data = tmp_path / "data"
    storage = open_storage(data)
    given = [record(storage, number) for number in range(3)]
    storage.tidy(storage.alibi.segments()[0].made + SEGMENT_MS, 10)
    given += [record(storage, number) for number in range(3, 5)]
    head = storage.alibi.head
    storage.close()
    status, output = run("show", data, "--from", 2, "--to", 4)
    assert [json.loads(line)["sequence"] for line in output.splitlines()] == [2, 3, 4]
    _, output = run("show", data, "--ticket", given[3])
    assert json.loads(output)["ticket"]["ticketID"] == given[3]
    assert run("show", data, "--vehicle", "AA")[1] == ""
    file = tmp_path / "export.ndjson"
    status, output = run("export", data, file)
    assert (status, output) == (0, f"{file}: 5 records\n")
    with pytest.raises(ConfigurationError, match="is there already"):
        run("export", data, file)
    status, output = run("verify", file)
    assert status == 0
    assert "5 records, all as they were written" in output
    assert run("show", file, "--from", 5)[1] == run("show", data, "--from", 5)[1]
    heads = tmp_path / "heads"
    line = {"sequence": 5, "hash": head.hash.hex(), "transactionHash": "0x1", "blockNumber": 2}
    heads.write_text(json.dumps(line) + "\n")
    status, output = run("verify", data, "--heads", heads)
    assert status == 0
    assert "and the outbox agrees" in output
    assert "1 heads on the ledger are as recorded, 0 are not" in output
    heads.write_text(json.dumps(line | {"hash": "00" * 32}) + "\n")
    status, output = run("verify", data, "--heads", heads)
    assert status == 1
    assert "record 5: is not the one that the transaction 0x1 seals" in output
    path = data / ALIBI_FILE
    path.write_bytes(path.read_bytes()[:-1000] + b"!" + path.read_bytes()[-999:])
    with pytest.raises(AlibiDamaged):
        run("export", data, tmp_path / "other")
    assert [one.name for one in tmp_path.iterdir() if "other" in one.name] == []
