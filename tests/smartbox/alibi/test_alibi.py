"""The alibi memory: what was written is found, what was altered is named."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import ConfigurationError
from steelyard.smartbox.alibi.format import Head, Record, TornTail, read_header
from steelyard.smartbox.alibi.memory import AlibiMemory, read_all
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.errors import AlibiDamaged, StorageUnavailable


def bodies(count: int) -> list[dict]:
    return [{"ticket": {"ticketID": f"t_{number}"}, "number": number} for number in range(count)]


def write(path: Path, count: int = 4) -> list[Head]:
    """An alibi memory of `count` records; the places between them, from before the first."""
    alibi, records = AlibiMemory.open(path, "s")
    assert records == []
    heads = [alibi.head]
    heads += [alibi.append(body).head for body in bodies(count)]
    alibi.close()
    return heads


def reopen(path: Path, known: Head | None = None) -> list[Record]:
    alibi, records = AlibiMemory.open(path, "s", known)
    alibi.close()
    return records


def test_records_are_read_as_written(tmp_path: Path) -> None:
    """Sequence, content and place; and those behind a known head only."""
    heads = write(tmp_path / "a")
    records = reopen(tmp_path / "a")
    assert [record.body for record in records] == bodies(4)
    assert [record.head for record in records] == heads[1:]
    assert [record.sequence for record in reopen(tmp_path / "a", heads[2])] == [3, 4]
    assert verify_alibi(tmp_path / "a").holds


def test_every_altered_byte_is_detected(tmp_path: Path) -> None:
    """Whichever byte of the file is changed, verifying names the record that holds it."""
    path = tmp_path / "a"
    heads = write(path)
    good = path.read_bytes()
    with path.open("rb") as stream:
        start = read_header(stream)[1].offset
    for place in range(len(good)):
        for flip in (0x01, 0x80):
            path.write_bytes(good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :])
            finding = verify_alibi(path)
            assert not finding.holds, place
            if place >= start:
                number = next(h.sequence for h in heads if place < h.offset)
                assert finding.record == number, place
                assert f"record {number}:" in finding.sentence


def test_an_altered_byte_is_never_taken_for_a_torn_tail(tmp_path: Path) -> None:
    """Opening refuses an altered file and leaves it as it is: it is evidence."""
    path = tmp_path / "a"
    heads = write(path)
    good = path.read_bytes()
    for place in range(heads[0].offset, len(good)):
        altered = good[:place] + bytes([good[place] ^ 0x20]) + good[place + 1 :]
        path.write_bytes(altered)
        with pytest.raises(AlibiDamaged):
            reopen(path)
        assert path.read_bytes() == altered


def test_a_record_removed_or_moved_is_detected(tmp_path: Path) -> None:
    """Each record names its number and the one before it."""
    path = tmp_path / "a"
    heads = write(path)
    good = path.read_bytes()
    head = good[: heads[0].offset]
    parts = [good[a.offset : b.offset] for a, b in itertools.pairwise(heads)]
    for order, number in (([0, 2, 3], 2), ([1, 2, 3], 1), ([0, 2, 1, 3], 2), ([0, 1, 1, 2, 3], 3)):
        path.write_bytes(head + b"".join(parts[index] for index in order))
        finding = verify_alibi(path)
        assert not finding.holds
        assert finding.record == number


def test_records_of_another_file_do_not_fit(tmp_path: Path) -> None:
    """The first record is bound to its file's header, which no other file shares."""
    heads = write(tmp_path / "a")
    other = write(tmp_path / "b")
    header = (tmp_path / "a").read_bytes()[: heads[0].offset]
    (tmp_path / "a").write_bytes(header + (tmp_path / "b").read_bytes()[other[0].offset :])
    assert verify_alibi(tmp_path / "a").record == 1


def test_a_torn_last_record_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Wherever a power cut tore the last write: the records before it stay, the next is written."""
    path = tmp_path / "a"
    heads = write(path)
    good = path.read_bytes()
    for end in range(heads[3].offset + 1, len(good)):
        path.write_bytes(good[:end])
        finding = verify_alibi(path)
        assert (finding.holds, finding.record) == (False, 4)
        assert [record.sequence for record in reopen(path, heads[3])] == []
        assert path.read_bytes() == good[: heads[3].offset]
        alibi, _ = AlibiMemory.open(path, "s", heads[3])
        alibi.append(bodies(4)[3])
        alibi.close()
        assert path.read_bytes() == good


def test_a_tail_of_zeros_is_torn(tmp_path: Path) -> None:
    """Some file systems leave zeros where a write was to come."""
    path = tmp_path / "a"
    heads = write(path)
    good = path.read_bytes()
    for cut in range(heads[3].offset, len(good) - 32):
        path.write_bytes(good[:cut] + bytes(len(good) - cut))
        assert len(reopen(path)) == 3
        assert path.read_bytes() == good[: heads[3].offset]


def test_what_the_outbox_knows_cannot_be_cut_off(tmp_path: Path) -> None:
    """Whole records missing at the end look like an older file; the outbox's head tells."""
    path = tmp_path / "a"
    heads = write(path)
    good = path.read_bytes()
    for end in range(heads[1].offset, len(good)):
        path.write_bytes(good[:end])
        with pytest.raises(AlibiDamaged, match="record 4: is not the one that the outbox knows"):
            reopen(path, heads[4])
    path.unlink()
    with pytest.raises(AlibiDamaged, match="is missing, but the outbox knows its 4 records"):
        reopen(path, heads[4])


def test_one_process_holds_it(tmp_path: Path) -> None:
    """A second SmartBox on the same directory is refused."""
    alibi, _ = AlibiMemory.open(tmp_path / "a", "s")
    with pytest.raises(StorageUnavailable, match="another process holds it"):
        AlibiMemory.open(tmp_path / "a", "s")
    alibi.close()


def test_another_station_s_memory_is_refused(tmp_path: Path) -> None:
    """The header names the station."""
    write(tmp_path / "a")
    with pytest.raises(ConfigurationError, match=r"smartbox\.station: is other"):
        AlibiMemory.open(tmp_path / "a", "other")


def test_a_failed_write_leaves_no_record(tmp_path: Path) -> None:
    """After a failed fsync nothing more is written: only a restart knows what the disk holds."""
    failing = False

    def sync(descriptor: int) -> None:
        if failing:
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)

    alibi, _ = AlibiMemory.open(tmp_path / "a", "s", sync=sync)
    alibi.append(bodies(1)[0])
    failing = True
    with pytest.raises(StorageUnavailable, match="No space left"):
        alibi.append(bodies(2)[1])
    failing = False
    with pytest.raises(StorageUnavailable, match="restart"):
        alibi.append(bodies(2)[1])
    alibi.close()
    assert [record.body for record in reopen(tmp_path / "a")] == bodies(1)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_damaged_file_or_a_good_one(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Garbage behind good records never raises anything but AlibiDamaged."""
    path = tmp_path_factory.mktemp("any") / "a"
    write(path, 1)
    path.write_bytes(path.read_bytes() + data)
    try:
        found = list(read_all(path))
    except AlibiDamaged:
        return
    assert isinstance(found[0], Record)
    assert all(isinstance(one, TornTail) for one in found[1:])
