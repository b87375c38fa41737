"""The alibi memory in several files: one chain, kept for years, and what is kept still verifies."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_kit import START, open_storage, receipt, record

from steelyard.smartbox.alibi.export import export_lines, read_export
from steelyard.smartbox.alibi.format import Record, TornTail
from steelyard.smartbox.alibi.keeping import SEGMENT_MS, YEAR_MS
from steelyard.smartbox.alibi.memory import AlibiMemory, read_all, read_from
from steelyard.smartbox.alibi.segments import read_segments, segment_paths
from steelyard.smartbox.audit.comparison import compare_with_export
from steelyard.smartbox.audit.verify import SealedHead, compare_with_heads, read_heads, verify_alibi
from steelyard.smartbox.errors import AlibiDamaged, HeadsUnusable
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Storage

NOW = 1_800_000_000_000


def write(path: Path, *sizes: int) -> list[Record]:
    """A memory of files with so many records each."""
    alibi, _ = AlibiMemory.open(path, "s")
    made = []
    for number, size in enumerate(sizes):
        if number:
            alibi.begin_segment(NOW + number)
        made += [alibi.append({"n": f"{number}-{one}"}) for one in range(size)]
    alibi.close()
    return made


def reopen(path: Path, known: Record | None = None) -> list[Record]:
    alibi, records = AlibiMemory.open(path, "s", known.head if known else None)
    alibi.close()
    return records


def test_files_are_one_chain(tmp_path: Path) -> None:
    """Read through as one, from any record on; each file is named by its first record."""
    path = tmp_path / "a.memory"
    made = write(path, 3, 2, 4)
    assert [one.name for one in segment_paths(path)] == [
        "a.memory",
        "a-000000000004.memory",
        "a-000000000006.memory",
    ]
    assert list(read_all(path)) == made
    for first in range(1, 11):
        assert list(read_from(path, first)) == made[first - 1 :]
    assert verify_alibi(path).sentence.startswith(f"{path}: 9 records, all as they were written")


def test_it_goes_on_wherever_it_was_left(tmp_path: Path) -> None:
    """Whatever the outbox knew last, the rest comes back, over the files' ends too."""
    path = tmp_path / "a"
    made = write(path, 3, 2, 2)
    assert reopen(path) == made
    for number, known in enumerate(made, 1):
        assert reopen(path, known) == made[number:]
    alibi, _ = AlibiMemory.open(path, "s", made[-1].head)
    made.append(alibi.append({"n": "more"}))
    alibi.begin_segment(NOW)
    alibi.close()
    assert reopen(path, made[-1]) == []
    alibi, _ = AlibiMemory.open(path, "s", made[-1].head)
    assert alibi.head == made[-1].head
    made.append(alibi.append({"n": "first of its file"}))
    alibi.close()
    assert list(read_all(path)) == made


def test_an_empty_file_is_not_followed_by_another(tmp_path: Path) -> None:
    """Neither of a new memory nor behind a file that was just begun."""
    path = tmp_path / "a"
    write(path, 0, 0, 1, 0, 0)
    assert len(segment_paths(path)) == 2


def test_a_file_missing_moved_or_of_another_memory_is_named(tmp_path: Path) -> None:
    """The header of each file names the last record of the one before."""
    path = tmp_path / "a"
    write(path, 2, 2, 2)
    other = tmp_path / "b"
    write(other, 2, 2, 2)
    _, middle, last = segment_paths(path)
    good = middle.read_bytes()
    middle.unlink()
    finding = verify_alibi(path)
    assert (finding.holds, finding.record) == (False, 3)
    assert "record 3: is missing" in finding.sentence
    middle.write_bytes(segment_paths(other)[1].read_bytes())
    assert "does not follow the file before it" in verify_alibi(path).sentence
    middle.write_bytes(good[:-5])
    assert "record 4: is not complete, and later ones follow" in verify_alibi(path).sentence
    middle.write_bytes(good)
    last.write_bytes(last.read_bytes()[:-5])
    assert verify_alibi(path).record == 6
    assert len(reopen(path)) == 5


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_altered_byte_of_any_file_passes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Headers are part of the chain."""
    path = tmp_path_factory.mktemp("altered") / "a"
    write(path, 2, 1, 1)
    file = data.draw(st.sampled_from(segment_paths(path)))
    held = bytearray(file.read_bytes())
    held[data.draw(st.integers(0, len(held) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(held)
    assert not verify_alibi(path).holds
    with pytest.raises(AlibiDamaged):
        reopen(path)


# -- kept for years


def fill(storage: Storage, first: int, count: int) -> list[str]:
    return [record(storage, number) for number in range(first, first + count)]


def register(storage: Storage, ids: list[str]) -> None:
    storage.outbox.settle([receipt(one) for one in ids], [])


def years_of_weighing(directory: Path, files: int) -> tuple[Storage, list[str]]:
    """A file a month with three tickets each, all registered; the last month is the present."""
    storage = open_storage(directory)
    given: list[str] = []
    begin = storage.alibi.segments()[0].made
    for month in range(files):
        if month:
            storage.tidy(begin + month * SEGMENT_MS, 100)
        given += fill(storage, 3 * month, 3)
    register(storage, given)
    return storage, given


def test_a_month_is_a_file_and_old_ones_go(tmp_path: Path) -> None:
    """After the years that are kept, with what the outbox has of them; what is left verifies."""
    storage, given = years_of_weighing(tmp_path, 30)
    begin = storage.alibi.segments()[0].made
    assert len(storage.alibi.segments()) == 30
    for month in range(30, 40):
        storage.tidy(begin + month * SEGMENT_MS, 2)
        given += (new := fill(storage, 3 * month, 3))
        register(storage, new)
    storage.close()
    now = begin + 39 * SEGMENT_MS
    kept = read_segments(tmp_path / ALIBI_FILE)
    assert now - kept[1].made < 2 * YEAR_MS <= now - kept[1].made + 2 * SEGMENT_MS
    finding = verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE)
    assert finding.holds, finding.sentence
    assert f"from record {kept[0].first} on" in finding.sentence
    storage = open_storage(tmp_path)
    held = [one.ticket_id for one in storage.outbox.receipts()]
    assert held == given[kept[0].first - 1 :]
    # A weighing that is kept is still known; the next one still gets its place in the chain.
    assert record(storage, 3 * 39) == given[3 * 39]
    record(storage, 1000)
    storage.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).holds


def test_what_is_not_settled_stays(tmp_path: Path) -> None:
    """A refused ticket keeps its file, and all later ones, until someone takes care of it."""
    storage, given = years_of_weighing(tmp_path, 30)
    with storage.outbox._transaction() as connection:
        connection.execute(
            "UPDATE tickets SET state = 'refused', problem = '{}', transaction_hash = NULL, "
            "block_number = NULL WHERE id = ?",
            (given[4],),
        )
    begin = storage.alibi.segments()[0].made
    for month in range(30, 34):
        storage.tidy(begin + month * SEGMENT_MS, 1)
        fill(storage, 3 * month, 3)
    assert storage.alibi.segments()[0].first == 4
    assert storage.outbox.dismiss([given[4]], 1, "weighed again") == 1
    storage.tidy(begin + 34 * SEGMENT_MS, 1)
    assert storage.alibi.segments()[0].first == 10
    storage.close()


def test_a_clock_in_the_future_costs_two_months_at_most(tmp_path: Path) -> None:
    """For each new file two old ones go, whatever the time."""
    storage, _ = years_of_weighing(tmp_path, 10)
    storage.tidy(storage.alibi.segments()[-1].made + 500 * YEAR_MS, 1)
    assert len(storage.alibi.segments()) == 10 + 1 - 2
    storage.tidy(storage.alibi.segments()[-1].made + 1000 * YEAR_MS, 1)  # nothing was weighed since
    assert len(storage.alibi.segments()) == 10 + 1 - 2
    storage.close()


@pytest.mark.parametrize("step", ["before", "outbox", "one file"])
def test_dropping_old_records_may_be_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Wherever the power goes, both books agree afterwards and the next time ends it."""
    storage, _ = years_of_weighing(tmp_path, 20)
    now = storage.alibi.segments()[-1].made + SEGMENT_MS

    class Crash(BaseException):
        pass

    def die(*_: object) -> None:
        raise Crash

    if step == "before":
        monkeypatch.setattr(storage.outbox, "keep_from", die)
    elif step == "outbox":
        monkeypatch.setattr(storage.alibi, "remove_segments", die)
    else:
        real = Path.unlink
        gone: list[Path] = []

        def unlink(path: Path, *args: bool, **kwargs: bool) -> None:
            if gone:
                raise Crash
            gone.append(path)
            real(path, *args, **kwargs)

        monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(Crash):
        storage.tidy(now, 1)
    monkeypatch.undo()
    storage.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).holds
    storage = open_storage(tmp_path)
    fill(storage, 200, 1)
    storage.tidy(now + SEGMENT_MS, 1)
    storage.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).holds
    first = read_segments(tmp_path / ALIBI_FILE)[0].first
    storage = open_storage(tmp_path)
    assert storage.outbox.kept_from() == first > 1
    storage.close()


def test_more_missing_than_was_dropped_is_named(tmp_path: Path) -> None:
    """The outbox knows with which record the memory begins; one that was lost takes its word."""
    storage, _ = years_of_weighing(tmp_path, 3)
    storage.close()
    segment_paths(tmp_path / ALIBI_FILE)[0].unlink()
    finding = verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE)
    assert not finding.holds
    assert "record 1: is missing, the memory begins with record 4" in finding.sentence
    with pytest.raises(AlibiDamaged, match="record 1: is missing"):
        open_storage(tmp_path)
    for path in tmp_path.glob("outbox*"):
        path.unlink()
    storage = open_storage(tmp_path)
    assert storage.outbox.counts()["queued"] == 6
    assert storage.outbox.kept_from() == 4
    storage.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).holds


# -- exports


@pytest.mark.parametrize(("first", "last"), [(1, None), (2, 5), (4, 4), (6, 9), (3, 100), (50, 60)])
def test_an_export_verifies_like_the_memory(tmp_path: Path, first: int, last: int | None) -> None:
    """All of it or a part: every hash is computed again from the lines."""
    path = tmp_path / "a"
    made = write(path, 3, 2, 4)
    file = tmp_path / "a.ndjson"
    file.write_text("".join(f"{line}\n" for line in export_lines(path, first, last)))
    part = made[first - 1 : last]
    found = list(read_export(file))
    assert [(one.body, one.head.sequence, one.head.hash) for one in found] == [
        (one.body, one.head.sequence, one.head.hash) for one in part
    ]
    assert verify_alibi(file).holds
    assert verify_alibi(file).records == len(part)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_altered_letter_of_an_export_passes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """But for what JSON may be spelt like: then the records are the same."""
    directory = tmp_path_factory.mktemp("export")
    made = write(directory / "a", 2, 2)
    text = bytearray("".join(f"{x}\n" for x in export_lines(directory / "a")).encode())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 127))
    file = directory / "e.ndjson"
    file.write_bytes(b"{" + text[1:])
    try:
        found = list(read_export(file))
    except AlibiDamaged:
        return
    assert [(one.body, one.head.hash) for one in found] == [(m.body, m.head.hash) for m in made]


def test_an_export_that_is_cut_or_mended_is_named(tmp_path: Path) -> None:
    """Whole lines removed, moved, doubled, or from another memory."""
    write(tmp_path / "a", 3, 2)
    write(tmp_path / "b", 3, 2)
    lines = list(export_lines(tmp_path / "a"))
    others = list(export_lines(tmp_path / "b"))
    file = tmp_path / "e"
    wrong = [
        lines[:-1],
        [*lines[:2], *lines[3:]],
        [lines[0], lines[2], lines[1], *lines[3:]],
        [*lines[:4], *lines[5:]],
        [*lines[:4], others[4], *lines[5:]],
        [others[0], *lines[1:]],
        [*lines, lines[-1]],
        lines[1:],
        [*lines[:-1], '{"end":{"sequence":5,"records":4}}'],
        [*lines[:2], "nonsense", *lines[2:]],
    ]
    for some in wrong:
        file.write_text("".join(f"{line}\n" for line in some))
        with pytest.raises(AlibiDamaged):
            list(read_export(file))


# -- heads on the ledger


def sealed(one: Record, **changes: object) -> SealedHead:
    values = {"sequence": one.sequence, "hash": one.head.hash, "transaction": "0xabc"} | changes
    return SealedHead(**values)


def test_heads_show_what_the_disk_cannot(tmp_path: Path) -> None:
    """A chain that was computed anew, or cut and gone on with, does not have the sealed hashes."""
    made = write(tmp_path / "a", 3, 2)
    heads = [sealed(made[1]), sealed(made[4]), sealed(made[4])]
    assert compare_with_heads(tmp_path / "a", heads) == (
        True,
        ["3 heads on the ledger are as recorded, 0 are not"],
    )
    forged = tmp_path / "forged" / "a"
    write(forged, 3, 2)
    agree, sentences = compare_with_heads(forged, heads)
    assert not agree
    assert "record 2: is not the one that the transaction 0xabc seals" in sentences
    beyond = [sealed(made[4], sequence=6)]
    agree, sentences = compare_with_heads(tmp_path / "a", beyond)
    assert not agree
    assert "record 6: is sealed by the transaction 0xabc, but the memory ends" in sentences[0]


def test_heads_of_dropped_records_are_counted(tmp_path: Path) -> None:
    """They prove nothing any more, and are no disagreement."""
    storage, _ = years_of_weighing(tmp_path, 20)
    records = list(read_all(tmp_path / ALIBI_FILE))
    storage.tidy(storage.alibi.segments()[-1].made + SEGMENT_MS, 1)
    storage.close()
    heads = [sealed(one) for one in records if isinstance(one, Record)]
    agree, (sentence,) = compare_with_heads(tmp_path / ALIBI_FILE, heads)
    assert agree
    assert sentence == (
        "54 heads on the ledger are as recorded, 0 are not; 6 are of records that are not kept "
        "any more"
    )


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"sequence":0,"hash":"HASH","transactionHash":"0x"}',
        '{"sequence":true,"hash":"HASH","transactionHash":"0x"}',
        '{"sequence":1,"hash":"00","transactionHash":"0x"}',
        '{"sequence":1,"hash":"HASH"}',
    ],
)
def test_a_bad_file_of_heads_is_named(tmp_path: Path, line: str) -> None:
    """With the line."""
    good = {"sequence": 1, "hash": "5e" * 32, "transactionHash": "0x12", "blockNumber": 3}
    file = tmp_path / "heads"
    file.write_text(json.dumps(good) + "\n" + line.replace("HASH", "5e" * 32) + "\n")
    with pytest.raises(HeadsUnusable, match="line 2: must be an object"):
        read_heads(file)
    file.write_text(json.dumps(good) + "\n\n")
    assert read_heads(file) == [SealedHead(1, bytes.fromhex("5e" * 32), "0x12")]


# -- with the tickets API's export


def test_a_memory_that_dropped_old_records_does_not_miss_them(tmp_path: Path) -> None:
    """What is registered and not in it may be older than what is kept; the summary says so."""
    storage, _ = years_of_weighing(tmp_path, 20)
    tickets = [
        json.dumps(one.body["ticket"] | {"station": "s-1", "blockNumber": 1})
        for one in read_all(tmp_path / ALIBI_FILE)
        if not isinstance(one, TornTail)
    ]
    export = tmp_path / "tickets.ndjson"
    export.write_text("\n".join(tickets))
    before = compare_with_export(tmp_path / ALIBI_FILE, export, tmp_path / OUTBOX_FILE)
    assert (before.same, before.holds) == (60, True)
    storage.tidy(storage.alibi.segments()[-1].made + SEGMENT_MS, 1)
    storage.close()
    after = compare_with_export(tmp_path / ALIBI_FILE, export, tmp_path / OUTBOX_FILE)
    assert (after.same, after.holds, after.unknown) == (54, True, 0)
    assert "the memory begins with record 7" in after.summary
    assert START
