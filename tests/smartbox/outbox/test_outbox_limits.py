"""The outbox at its limits: weeks offline, refusals, certificates and tokens that end meanwhile."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from smartbox_kit import Fault, Stage, until
from storage_kit import open_storage, receipt, record
from uplink_by_hand import ByHand
from uplink_kit import Desk, registered

from steelyard.smartbox.alibi.format import Record
from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.audit.verify import SealedHead, compare_with_heads, verify_alibi
from steelyard.smartbox.errors import BatchRefused, StorageFull
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Recorder
from steelyard.smartbox.uplink.uplink import PLATFORM_ALARM, REFUSED_ALARM
from steelyard.ticket import AlibiHead

WEEKS = 4200


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_weeks_offline_are_caught_up(desk: Desk, tmp_path: Path) -> None:
    """4,200 tickets: each registered once, and each request seals all that was weighed offline."""
    ids = await desk.queue(WEEKS)
    await desk.platform.stop()
    link = desk.link()
    await until(lambda: PLATFORM_ALARM in link.status.alarms())
    await desk.platform.start(desk.platform.port)
    await until(lambda: link.counts()["registered"] == WEEKS, 900)
    assert sorted(desk.platform.tickets) == sorted(ids)
    assert desk.platform.known_twice == 0
    assert max(len(batch) for batch in desk.platform.batches) == 100
    records = [one for one in read_all(tmp_path / ALIBI_FILE) if isinstance(one, Record)]
    assert len(records) == WEEKS
    last = AlibiHead(sequence=WEEKS, hash=records[-1].head.hash.hex())
    assert {*desk.platform.heads} == {last}
    heads = [SealedHead(one.sequence, bytes.fromhex(one.hash), "0x1") for one in [last]]
    assert compare_with_heads(tmp_path / ALIBI_FILE, heads)[0]
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).holds


async def test_a_platform_that_knows_no_heads_gets_the_tickets(desk: Desk) -> None:
    """It refuses the member by its name, once a batch; no ticket is refused for it."""
    ids = await desk.queue(3)
    body = {"status": 422, "errors": [{"field": "alibiHead", "message": "is not allowed"}]}
    desk.platform.faults.append(Fault(status=422, body=json.dumps(body).encode()))
    link = desk.link()
    await registered(link, 3)
    assert desk.platform.heads == [None]
    assert list(desk.platform.tickets) == ids
    assert link.counts()["refused"] == 0


async def test_another_refusal_is_no_reason_to_leave_the_head_out(desk: Desk) -> None:
    """A batch that is refused for a ticket is halved, and each half has its head."""
    ids = await desk.queue(2)
    desk.platform.poison.add(ids[0])
    link = desk.link()
    await registered(link, 1)
    assert None not in desk.platform.heads
    await until(lambda: link.counts()["refused"] == 1)


async def test_a_refused_ticket_is_shown_until_someone_takes_care(desk: Desk, stage: Stage) -> None:
    """With its reason, over restarts; the rest goes on; requeued or dismissed it is quiet again."""
    ids = await desk.queue(4)
    problem = {"status": 422, "title": "The scale is not this station's"}
    desk.platform.refuse = {ids[1]: problem, ids[2]: problem}
    link = desk.link()
    await registered(link, 2)
    await until(lambda: "2 tickets were refused" in link.status.alarms().get(REFUSED_ALARM, ""))
    await link.close()
    link = desk.link()
    await until(lambda: "2 tickets were refused" in link.status.alarms().get(REFUSED_ALARM, ""))
    outbox = desk.recorder.storage.outbox
    assert await desk.recorder.run(outbox.dismiss, [ids[1], ids[0], "unknown"], 7, "settled") == 1
    assert await desk.recorder.run(outbox.dismiss, [ids[1]], 8, "again") == 0
    assert link.counts() | {"queued": 0} == {
        "queued": 0, "sending": 0, "registered": 2, "refused": 1, "dismissed": 1,
        "set_aside": 0, "untimed": 0,
    }  # fmt: skip
    (dismissed,) = await desk.recorder.run(lambda: list(outbox.refusals(dismissed=True)))
    assert (dismissed.id, dismissed.dismissed) == (ids[1], (7, "settled"))
    assert dismissed.as_json()["problem"] == problem
    desk.platform.refuse = {}
    assert await desk.recorder.run(outbox.requeue, [ids[1], ids[2]]) == 2
    link.uplink.wake()
    await registered(link, 4)
    await until(lambda: REFUSED_ALARM not in link.status.alarms())


def test_an_outbox_from_before_is_read_as_it_is(tmp_path: Path) -> None:
    """A backup's: it is compared with the memory, and not changed."""
    import sqlite3

    storage = open_storage(tmp_path)
    for number in range(3):
        record(storage, number)
    storage.close()
    path = tmp_path / OUTBOX_FILE
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP VIEW records; DROP TABLE corrections; DROP TABLE untimed; DROP TABLE dismissals; "
        "DROP INDEX samples_ticket; PRAGMA user_version = 2"
    )
    connection.close()
    before = path.read_bytes()
    finding = verify_alibi(tmp_path / ALIBI_FILE, path)
    assert finding.holds
    assert finding.sentence.endswith("and the outbox agrees")
    outbox = Outbox.open_for_reading(path)
    assert outbox.counts()["queued"] == 3
    assert outbox.open_refusals() == 0
    outbox.close()
    assert path.read_bytes() == before
    storage = open_storage(tmp_path)
    assert record(storage, 3)
    storage.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, path).records == 4


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_a_dismissal_has_a_reason(tmp_path: Path, reason: str) -> None:
    """Somebody will ask."""
    storage = open_storage(tmp_path)
    one = record(storage, 1)
    storage.outbox.settle([], [(one, {"status": 422})])
    with pytest.raises(ValueError, match="the reason must have 1 to 200 characters"):
        storage.outbox.dismiss([one], 1, reason)
    assert storage.outbox.open_refusals() == 1
    storage.close()


def test_a_registered_ticket_cannot_be_dismissed(tmp_path: Path) -> None:
    """Nor one that still waits."""
    storage = open_storage(tmp_path)
    one, two = record(storage, 1), record(storage, 2)
    storage.outbox.settle([receipt(one)], [])
    assert storage.outbox.dismiss([one, two], 1, "no") == 0
    storage.close()


async def test_a_full_disk_keeps_no_answer_and_loses_none(by_hand: Any) -> None:
    """A receipt that cannot be stored is asked for again; the same answer comes."""
    one: ByHand = await by_hand()
    real = one.outbox.settle
    full = [True]

    def settle(*answers: Any) -> int:
        if full[0]:
            raise StorageFull("the outbox: database or disk is full")
        return real(*answers)

    one.outbox.settle = settle  # type: ignore[method-assign]
    await one.weigh(2)
    await one.take()
    assert "disk is full" in one.status.alarms()[PLATFORM_ALARM]
    assert one.outbox.counts()["registered"] == 0
    full[0] = False
    await one.go_on()
    await one.take()
    assert one.outbox.counts()["registered"] == 2
    assert PLATFORM_ALARM not in one.status.alarms()


async def test_a_refusal_on_a_full_disk_is_not_lost(by_hand: Any) -> None:
    """The ticket waits, and is refused again."""
    one: ByHand = await by_hand()
    real = one.outbox.settle
    full = [True]

    def settle(*answers: Any) -> int:
        if full[0]:
            raise StorageFull("full")
        return real(*answers)

    one.outbox.settle = settle  # type: ignore[method-assign]
    await one.weigh(1)
    refused = BatchRefused("no", {"status": 422, "title": "no"})
    await one.answer(0, refused)
    assert one.outbox.counts()["queued"] + one.outbox.counts()["sending"] == 1
    full[0] = False
    await one.go_on()
    await one.answer(0, refused)
    assert one.outbox.counts()["refused"] == 1


async def test_a_token_that_ends_in_mid_send_is_renewed(desk: Desk) -> None:
    """Every third batch the platform forgets all tokens: nothing is lost, nothing doubles."""
    ids = await desk.queue(60)
    link = desk.link(batch_size=10, batches_in_flight=2)
    forgotten = 0
    while link.counts()["registered"] < 60:
        if len(desk.platform.batches) // 2 > forgotten:
            forgotten += 1
            desk.platform.tokens.clear()
        await asyncio.sleep(0.001)
    assert sorted(desk.platform.tickets) == sorted(ids)
    assert desk.platform.known_twice == 0
    assert desk.platform.token_requests > 1
    assert link.counts()["refused"] == 0


async def test_a_platform_certificate_that_ends_in_mid_send_is_waited_for(
    desk: Desk, stage: Stage, tmp_path: Path
) -> None:
    """The alarm says what is wrong with it; with a new one everything is there once."""
    ids = await desk.queue(30)
    link = desk.link(batch_size=10, batches_in_flight=1)
    desk.platform.gate.clear()
    await until(lambda: desk.platform.under_way == 1)
    await desk.platform.stop()
    await desk.platform.start(desk.platform.port, expired(stage, tmp_path))
    desk.platform.gate.set()
    await until(lambda: "certificate" in link.status.alarms().get(PLATFORM_ALARM, ""))
    alarm = link.status.alarms()[PLATFORM_ALARM]
    assert "certificate has expired" in alarm
    assert "is the SmartBox's clock right?" in alarm
    await desk.platform.stop()
    await desk.platform.start(desk.platform.port)
    await registered(link, 30)
    assert sorted(desk.platform.tickets) == sorted(ids)
    await until(lambda: PLATFORM_ALARM not in link.status.alarms())


def expired(stage: Stage, directory: Path) -> tuple[Path, Path]:
    """The platform's certificate as the authority gave it two years ago, for one."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    good = x509.load_pem_x509_certificates(stage.server.certificate_path.read_bytes())[0]
    keys = list((stage.directory / "https-ca").glob("*key*"))
    key = serialization.load_pem_private_key(keys[0].read_bytes(), None)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(good.subject)
        .issuer_name(good.issuer)
        .public_key(good.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=730))
        .not_valid_after(now - timedelta(days=365))
    )
    for extension in good.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    old = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    path = directory / "expired.pem"
    path.write_bytes(old.public_bytes(serialization.Encoding.PEM))
    return path, stage.server.key_path


async def test_what_was_set_aside_for_want_of_room_is_not_half_there(tmp_path: Path) -> None:
    """A recorder goes on after a full disk, with no restart."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    storage = recorder.storage

    class NoRoom:
        def check(self) -> None:
            raise StorageFull("full")

    real = storage.room
    storage.room = NoRoom()  # type: ignore[assignment]
    with pytest.raises(StorageFull):
        await recorder.run(record, storage, 1)
    storage.room = real
    await recorder.run(record, storage, 1)
    await recorder.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).records == 1
