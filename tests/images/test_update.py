"""An update goes into the other slot, whole and signed, or nowhere."""

import io
import os
import shutil
import tarfile

import pytest

from image_kit import BOARD, sha256
from infra.images.__main__ import main
from infra.images.signing import make_key, public_key
from infra.images.station.errors import SlotProblem
from infra.images.station.install import Station, install
from infra.images.station.slot_file import SlotFile, read, write
from infra.images.update import make_update


@pytest.fixture
def station(tmp_path):
    """A station that runs from a; b has an older release."""
    boot = tmp_path / "boot"
    for slot in "ab":
        (boot / slot).mkdir(parents=True)
        (boot / slot / "vmlinuz").write_bytes(b"old")
        (tmp_path / slot).write_bytes(b"old root")
    (boot / "slot.txt").write_bytes(SlotFile("a").text())
    roots = {slot: tmp_path / slot for slot in "ab"}
    return Station("a", boot, roots, tmp_path / "public.pem", BOARD)


def members(path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """A tar's files."""
    with tarfile.open(path) as tar:
        return [(one, tar.extractfile(one).read()) for one in tar]


def packed(parts) -> io.BytesIO:
    """A tar of these."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for info, content in parts:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    made.seek(0)
    return made


def test_the_other_slot_gets_it_and_is_tried(station, update):
    """The slot that runs is as it was, and the command line is of the slot."""
    with update.open("rb") as file:
        assert install(station, file) == "2"
    assert read(station.boot) == SlotFile("b", "try b")
    assert station.roots["b"].read_bytes()[:3] == b"new"
    assert (station.boot / "b/vmlinuz").read_bytes() == b"kern"
    assert "steelyard.slot=b " in (station.boot / "b/cmdline.txt").read_text()
    assert (station.roots["a"].read_bytes(), (station.boot / "a/vmlinuz").read_bytes()) == (
        b"old root",
        b"old",
    )


def test_what_was_before_is_noted_for_an_update_that_is_tried(station, update):
    """Before it is; and not for one that is refused while a root is on trial."""
    noted = []
    with update.open("rb") as file:
        install(station, file, lambda: noted.append(read(station.boot)))
    assert noted == [SlotFile("a")]
    write(station.boot, SlotFile("b", "tried a"))
    with update.open("rb") as file, pytest.raises(SlotProblem, match="is itself on trial"):
        install(station, file, lambda: noted.append(None))
    assert len(noted) == 1


def test_the_same_input_gives_the_same_update(update, tmp_path, key):
    """Signature and all."""
    with tarfile.open(update) as tar:
        names = tar.getnames()
    assert names[:2] == ["manifest.json", "manifest.sig"]
    again = tmp_path / "again.update"
    make_update(
        again,
        squashfs=tmp_path / "root.squashfs",
        slot=tmp_path / "new-slot",
        key=key,
        version="2",
        board=BOARD,
        epoch=1_700_000_000,
    )
    assert sha256(again) == sha256(update)


def refused(station, file, match):
    """The station says why, and goes on with what it has."""
    with pytest.raises(SlotProblem, match=match):
        install(station, file)
    assert read(station.boot) == SlotFile("a")


def test_another_signature_is_refused(station, update, tmp_path):
    """Before anything is written."""
    make_key(tmp_path / "other.pem")
    public_key(tmp_path / "other.pem", station.key)
    with update.open("rb") as file:
        refused(station, file, "not signed by whom")
    assert (station.boot / "b/vmlinuz").read_bytes() == b"old"


def test_a_key_is_whole_or_not_there(tmp_path, monkeypatch, capsys):
    """What fails is one sentence, and leaves nothing that the next call would not replace."""
    for path, sentence in ((tmp_path / "no/key.pem", "No such file"), (tmp_path / "key.pem", "")):
        monkeypatch.setattr("sys.argv", ["images", "key", str(path)])
        with monkeypatch.context() as broken:
            broken.setattr("infra.images.programs._PATH", "/nowhere")
            assert main() == 1
        said = capsys.readouterr().err
        assert said.startswith("image: ")
        assert sentence in said
        assert not path.exists()
    assert main() == 0
    assert b"PRIVATE KEY" in (tmp_path / "key.pem").read_bytes()
    assert main() == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
def test_whatever_ends_openssl_leaves_no_key(tmp_path, monkeypatch, error):
    """Not only its own failure."""

    def fails(_):
        raise error

    monkeypatch.setattr("infra.images.signing.run", fails)
    with pytest.raises(type(error)):
        make_key(tmp_path / "key.pem")
    assert not (tmp_path / "key.pem").exists()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "image: No space left on device\n"),
        (shutil.Error("a tree is not copied"), "image: a tree is not copied\n"),
        (OSError(28, "No space left", "/x"), "image: /x: No space left\n"),
    ],
)
def test_an_error_of_the_system_is_one_sentence(monkeypatch, capsys, error, sentence):
    """Also where it names no file."""

    def fails(_):
        raise error

    monkeypatch.setattr("infra.images.__main__.make_key", fails)
    monkeypatch.setattr("sys.argv", ["images", "key", "x"])
    assert main() == 1
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("at", range(2, 6))
def test_a_changed_file_is_refused(station, update, at):
    """Whichever it is."""
    parts = members(update)
    info, content = parts[at]
    parts[at] = (info, content[:-1] + b"!")
    refused(station, packed(parts), f"{info.name} is not the file of its list")


def test_a_changed_list_is_refused(station, update):
    """The list is what is signed."""
    parts = members(update)
    parts[0] = (parts[0][0], parts[0][1].replace(b'"version": "2"', b'"version": "3"'))
    refused(station, packed(parts), "not signed by whom")


def test_what_breaks_off_is_refused(station, update):
    """At whichever file."""
    refused(station, packed(members(update)[:-1]), "lacks")
    refused(station, io.BytesIO(update.read_bytes()[:2000]), "this is no update|breaks off")


@pytest.mark.parametrize("eighths", range(1, 8))
def test_what_breaks_off_within_a_file_is_refused(station, update, eighths):
    """Wherever the copying ended."""
    with tarfile.open(update) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + last.size
    part = update.read_bytes()[: end * eighths // 8]
    refused(station, io.BytesIO(part), "this is no update|breaks off|lacks")


def test_more_than_the_list_has_is_refused(station, update):
    """Even when the rest is right."""
    parts = members(update)
    parts.insert(3, (tarfile.TarInfo("boot/evil"), b"x"))
    refused(station, packed(parts), "'boot/evil', which its list has not")


def test_no_update_is_taken_for_one(station):
    """Whatever it is."""
    refused(station, io.BytesIO(b"x" * 4096), "this is no update")


def test_another_board_s_is_refused(station, update):
    """By both names."""
    other = Station(station.running, station.boot, station.roots, station.key, "toaster")
    with update.open("rb") as file:
        refused(other, file, f"for {BOARD}, and this is toaster")


def test_a_root_on_trial_takes_none(station, update):
    """It would overwrite the one to go back to."""
    write(station.boot, SlotFile("b", "tried a"))
    with update.open("rb") as file, pytest.raises(SlotProblem, match="itself on trial"):
        install(station, file)


def test_after_a_failed_one_another_is_taken(station, update):
    """The root that was fallen back to is the one that runs."""
    write(station.boot, SlotFile("a", "tried b"))
    with update.open("rb") as file:
        assert install(station, file) == "2"


def test_one_that_was_never_started_gives_way(station, update):
    """Whoever brought it may have gone in between: the same call is made again."""
    write(station.boot, SlotFile("b", "try b"))
    with update.open("rb") as file:
        assert install(station, file) == "2"
    assert read(station.boot) == SlotFile("b", "try b")


@pytest.mark.parametrize("name", ["vmlinuz", "initrd"])
def test_an_update_without_what_starts_it_is_refused(station, update, tmp_path, key, name):
    """From such a slot nothing leads back."""
    slot = tmp_path / "new-slot"
    (slot / name).unlink()
    make_update(
        update,
        squashfs=tmp_path / "root.squashfs",
        slot=slot,
        key=key,
        version="2",
        board=BOARD,
        epoch=1_700_000_000,
    )
    with update.open("rb") as file:
        refused(station, file, f"has no boot/{name}")


def test_a_card_that_does_not_keep_what_is_written_is_found(station, update, monkeypatch):
    """What was written is read back before it is tried."""
    monkeypatch.setattr(os, "write", lambda file, view: _write(file, bytes(len(view))))
    with update.open("rb") as file:
        refused(station, file, "is not what was written: the card is worn out")


_write = os.write
