"""A card that is flashed holds the image, and the station's settings, byte by byte."""

import json
import lzma
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import flash_kit
from flash_kit import BOOT_BYTES, BOOT_START, IMAGE_BYTES, MIB, MadeImage, make_device, order
from infra.flash.claims import Platform, fetch_claim
from infra.flash.devices import Device
from infra.flash.errors import FlashRefused
from infra.flash.orders import Order
from infra.flash.partitions import read_partitions
from infra.flash.service import flash, look
from infra.flash.target import Target
from registry_world import write_certificate
from steelyard.station.card import Card, read_card

CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ"
BLKFLSBUF = 0x1261


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> MadeImage:
    flash_kit.need_programs()
    return flash_kit.make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture
def made(sound: MadeImage, tmp_path: Path) -> MadeImage:
    """A copy that a test may break."""
    shutil.copytree(sound.path.parent, tmp_path / "image")
    own = tmp_path / "image"
    return MadeImage(own / sound.path.name, sound.content, sound.key, own / "images.pub")


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("authority"))[0]


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return make_device(tmp_path / "card.img")


def told(words: dict) -> Order:
    return Order.model_validate(words)


def quiet(*_: object) -> None:
    """Progress that nobody watches."""


def test_every_byte_is_the_images_or_the_stations(
    made: MadeImage, device: Path, ca_file: Path, tmp_path: Path
) -> None:
    """Beyond the boot partition nothing differs from the image, and nothing old is left."""
    claim = flash_kit.secret_file(tmp_path / "claim", CODE)
    wifi = flash_kit.secret_file(tmp_path / "wifi", 'a "quoted" phrase')
    network = {"wifi": {"ssid": "Yard", "country": "PT", "passphrase_file": str(wifi)}}
    settings = {"network": network, "time_zone": "Europe/Lisbon"}
    steps: list[tuple[str, int, int]] = []
    words = order(made, device, ca_file, claim_file=str(claim), settings=settings)
    done = flash(told(words), lambda *step: steps.append(step))
    written = device.read_bytes()
    assert len(written) == IMAGE_BYTES + 3 * MIB
    boot_end = BOOT_START + BOOT_BYTES
    assert written[:BOOT_START] == made.content[:BOOT_START]
    assert written[boot_end:IMAGE_BYTES] == made.content[boot_end:]
    assert not any(written[IMAGE_BYTES:])
    card = read_card(flash_kit.read_boot(device, "station.json"))
    assert (card.station, card.host_name, card.claim) == ("north", "north-box", CODE)
    assert card.network.wifi is not None
    assert card.network.wifi.passphrase == 'a "quoted" phrase'
    assert flash_kit.read_boot(device, "ca.pem") == ca_file.read_bytes()
    assert (
        flash_kit.run("mtype", "-i", f"{device}@@{BOOT_START}", "::config.txt") == "arm_64bit=1\n"
    )
    assert done.image_sha256 == flash_kit.sha256(made.content)
    assert done.has_claim
    assert list(dict.fromkeys(step[0] for step in steps)) == [
        "check",
        "write",
        "verify",
        "settings",
    ]
    assert steps[-1] == ("settings", BOOT_BYTES, BOOT_BYTES)


def test_an_image_with_gpt_is_flashed(tmp_path: Path, ca_file: Path) -> None:
    """Its first FAT partition gets the settings."""
    flash_kit.need_programs()
    made = flash_kit.make_image(tmp_path, "gpt")
    device = make_device(tmp_path / "card.img")
    flash(told(order(made, device, ca_file)), quiet)
    assert read_card(flash_kit.read_boot(device, "station.json")).claim is None


@pytest.mark.parametrize("label", ["dos", "gpt"])
def test_partitions_are_read_as_sfdisk_reads_them(tmp_path: Path, label: str) -> None:
    """Both kinds of table."""
    flash_kit.need_programs()
    path = tmp_path / "x.img"
    path.write_bytes(flash_kit.raw_image(tmp_path, label))
    table = json.loads(flash_kit.run("sfdisk", "--json", path))["partitiontable"]["partitions"]
    ours = read_partitions(path.read_bytes()[:MIB])
    assert [(p.start // 512, p.size // 512) for p in ours] == [
        (p["start"], p["size"]) for p in table
    ]
    assert [p.is_fat for p in ours] == [True, False, False, False]


def test_the_map_is_what_bmaptool_makes(made: MadeImage, device: Path, ca_file: Path) -> None:
    """The field's own tool writes the maps; its files are read."""
    if shutil.which("bmaptool") is None:
        pytest.skip("bmaptool is not here: install bmap-tools")
    raw = made.path.parent / "raw.img"
    raw.write_bytes(made.content)
    subprocess.run(["cp", "--sparse=always", raw, f"{raw}.sparse"], check=True)
    flash_kit.run("bmaptool", "create", "-o", made.map, f"{raw}.sparse")
    flash(told(order(made, device, ca_file)), quiet)
    assert device.read_bytes()[9 * MIB : IMAGE_BYTES] == made.content[9 * MIB :]


def refused(words: dict) -> str:
    with pytest.raises(FlashRefused) as refusal:
        flash(told(words), quiet)
    return str(refusal.value)


def test_an_image_of_somebody_else_is_refused(made: MadeImage, device: Path, ca_file: Path) -> None:
    """And nothing was written."""
    before = device.read_bytes()
    made.sign(Ed25519PrivateKey.generate())
    assert "no signature" in refused(order(made, device, ca_file))
    assert device.read_bytes() == before


def test_a_damaged_image_is_refused(made: MadeImage, device: Path, ca_file: Path) -> None:
    """Before anything is written."""
    before = device.read_bytes()
    content = bytearray(made.path.read_bytes())
    content[len(content) // 2] ^= 1
    made.path.write_bytes(content)
    assert "is damaged: it has not the checksum" in refused(order(made, device, ca_file))
    assert device.read_bytes() == before


def test_a_map_of_another_image_is_refused(made: MadeImage, device: Path, ca_file: Path) -> None:
    """It would hide parts of the image, or be a false witness."""
    other = bytearray(made.content)
    other[9 * MIB] ^= 1
    made.map.write_text(flash_kit.block_map(bytes(other)))
    assert "do not belong together" in refused(order(made, device, ca_file))
    made.map.write_text(flash_kit.block_map(made.content[: 9 * MIB] + bytes(11 * MIB)))
    assert "do not belong together" in refused(order(made, device, ca_file))
    made.map.write_text(flash_kit.block_map(made.content[: 18 * MIB]))
    assert "has not the" in refused(order(made, device, ca_file))
    made.map.write_text(made.map.read_text().replace("Range", "Rang", 1))
    assert "its checksum is not right" in refused(order(made, device, ca_file))


def test_what_should_stand_beside_an_image_is_named(
    made: MadeImage, device: Path, ca_file: Path
) -> None:
    """One sentence for each file."""
    made.map.unlink()
    assert "has no block map beside it: station.img.bmap" in refused(order(made, device, ca_file))
    (made.path.parent / "station.img.xz.sig").unlink()
    assert "has no signature beside it" in refused(order(made, device, ca_file))
    made.public_key.write_text("rubbish")
    (made.path.parent / "station.img.xz.sig").write_bytes(b"")
    assert "must be an Ed25519 public key" in refused(order(made, device, ca_file))


def test_an_image_without_a_boot_partition_is_refused(
    made: MadeImage, device: Path, ca_file: Path
) -> None:
    """There would be nowhere to say who the station is."""
    content = bytearray(made.content)
    content[446 + 4] = 0x83
    made.path.write_bytes(lzma.compress(bytes(content), preset=0))
    made.map.write_text(flash_kit.block_map(bytes(content)))
    made.sign()
    assert "has no FAT partition" in refused(order(made, device, ca_file))


class Forgetful(Target):
    """A false card: what is written beyond its real memory is lost."""

    def read(self, start: int, count: int) -> bytes:
        content = bytearray(super().read(start, count))
        for place in range(max(start, 12 * MIB), start + count):
            content[place - start] = 0
        return bytes(content)


def test_a_card_with_less_memory_than_it_says_is_found(
    made: MadeImage, device: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the range that is not there; the station's secrets never come on it."""
    monkeypatch.setattr("infra.flash.service.Target", Forgetful)
    sentence = refused(order(made, device, ca_file))
    assert f"does not hold what was written (bytes {13 * MIB} to {13 * MIB + 4096})" in sentence
    with pytest.raises(subprocess.CalledProcessError):
        flash_kit.read_boot(device, "station.json")


class HonestCard(Target):
    """A device, and no file, by what is done with it; it has as much memory as it says."""

    real = IMAGE_BYTES + 3 * MIB

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.device = replace(device, kind="disk")

    def write(self, start: int, content: bytes | memoryview) -> None:
        super().write(start, content[: max(0, self.real - start)])

    def read(self, start: int, count: int) -> bytes:
        held = super().read(start, count)[: max(0, self.real - start)]
        return held + bytes(count - len(held))

    def forget_cache(self) -> None:
        self.sync()


class FalseCard(HonestCard):
    """It has room for the image, and loses what is written behind."""

    real = IMAGE_BYTES + MIB


def test_a_card_that_loses_what_is_behind_the_image_is_found(
    made: MadeImage, device: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the image comes on it: its data partition would be where nothing is kept."""
    monkeypatch.setattr("infra.flash.service.Target", FalseCard)
    phases: list[str] = []
    with pytest.raises(FlashRefused) as refusal:
        flash(told(order(made, device, ca_file)), lambda phase, *_: phases.append(phase))
    assert str(refusal.value) == (
        f"{device} does not hold what was written (bytes {21 * MIB} to {21 * MIB + 512}): it says "
        f"that it has {23 * MIB} bytes (24.1 MB), and seems to hold no more than {21 * MIB} "
        "(22.0 MB): it is a false card, or worn out; use another one"
    )
    assert set(phases) == {"check", "size"}
    assert made.content[9 * MIB : 10 * MIB] not in device.read_bytes()


def test_an_honest_card_is_marked_before_it_is_written(
    made: MadeImage, device: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No mark is left, in the image's holes or behind it."""
    monkeypatch.setattr("infra.flash.service.Target", HonestCard)
    phases: list[str] = []
    flash(told(order(made, device, ca_file)), lambda phase, *_: phases.append(phase))
    assert list(dict.fromkeys(phases)) == ["check", "size", "write", "verify", "settings"]
    boot_end, written = BOOT_START + BOOT_BYTES, device.read_bytes()
    assert written[:BOOT_START] == made.content[:BOOT_START]
    assert written[boot_end:] == made.content[boot_end:] + bytes(3 * MIB)


def test_who_may_not_read_past_the_cache_is_refused_before_anything_is_written(
    device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's answer to a member of the group `disk`; the device is let go."""
    before = device.read_bytes()

    def of_the_group(descriptor: int, request: int, *_: object) -> int:
        assert request == BLKFLSBUF
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("infra.flash.target.fcntl.ioctl", of_the_group)
    card = Device(str(device), "disk", len(before))
    for _ in range(2):
        with pytest.raises(FlashRefused) as refusal, Target(card):
            pass
        assert str(refusal.value) == (
            f"{device} cannot be read back past this computer's memory by others than root: run "
            "this as root"
        )
    assert device.read_bytes() == before


def test_another_device_than_was_shown_is_refused(
    made: MadeImage, device: Path, ca_file: Path
) -> None:
    """A card was changed between the question and the answer."""
    shown = look(told(order(made, device, ca_file)))
    words = order(made, device, ca_file, identity=shown.identity)
    with device.open("r+b") as file:
        file.truncate(device.stat().st_size + MIB)
    assert "is another device than the one that was shown" in refused(words)


def test_one_device_is_written_by_one(made: MadeImage, device: Path, ca_file: Path) -> None:
    """The second is told."""
    size = device.stat().st_size
    with Target(Device(str(device), "file", size)):
        assert "being written by somebody else" in refused(order(made, device, ca_file))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"claim": CODE}, "claim must not stand in the inventory: name its file"),
        ({"host_name": "North Box"}, "north: host_name: must be 1 to 63 lower-case"),
        ({"platform_url": "http://x"}, "platform_url: must be an https:// URL"),
        ({"network": {"wired": {"address": "10.0.0.300/24"}}}, "network.wired.address: must be"),
        ({"network": {"wired": {"adress": "dhcp"}}}, "network.wired.adress: is not known here"),
        (
            {"network": {"wifi": {"ssid": "x", "country": "PT", "passphrase": "secret-phrase"}}},
            "network.wifi.passphrase must not stand in the inventory",
        ),
        ({"weighing": {"wb-1": {"mode": "manual"}}}, "weighing.wb-1.mode: Input should be"),
        (
            {"network": {"wifi": {"ssid": "x", "country": "PT", "passphrase_file": "nowhere"}}},
            "network.wifi.passphrase_file: nowhere cannot be read",
        ),
    ],
)
def test_wrong_settings_are_told_before_anything_is_erased(
    made: MadeImage, device: Path, ca_file: Path, settings: dict, sentence: str
) -> None:
    """In one sentence that names the setting, and shows no secret."""
    before = device.read_bytes()
    words = order(made, device, ca_file, settings=settings)
    for step in (lambda: flash(told(words), quiet), lambda: look(told(words))):
        with pytest.raises(FlashRefused) as refusal:
            step()
        assert sentence in str(refusal.value)
        assert "secret-phrase" not in str(refusal.value)
        assert CODE not in str(refusal.value)
    assert device.read_bytes() == before


def test_a_token_that_is_not_there_is_told_before_anything_is_erased(
    made: MadeImage, device: Path, ca_file: Path
) -> None:
    """It is needed last, when the image is on the card."""
    before = device.read_bytes()
    words = order(made, device, ca_file, claim_from_platform={"token_file": "/nowhere/token"})
    for step in (lambda: flash(told(words), quiet), lambda: look(told(words))):
        with pytest.raises(FlashRefused, match="token_file: /nowhere/token cannot be read"):
            step()
    assert device.read_bytes() == before


@pytest.mark.parametrize("text", ["tök", "two\nlines"])
def test_a_token_that_is_none_is_told_before_anything_is_erased(
    made: MadeImage, device: Path, ca_file: Path, tmp_path: Path, text: str
) -> None:
    """No header takes it; and it is shown to nobody."""
    before = device.read_bytes()
    path = flash_kit.secret_file(tmp_path / "token", text)
    words = order(made, device, ca_file, claim_from_platform={"token_file": str(path)})
    for step in (lambda: flash(told(words), quiet), lambda: look(told(words))):
        with pytest.raises(FlashRefused, match="must hold an access token") as refusal:
            step()
        assert text not in str(refusal.value)
    assert device.read_bytes() == before


@contextmanager
def answering(directory: Path, answer: bytes) -> Iterator[Platform]:
    """What a server of these bytes looks like to us."""
    authority, certificate, key = write_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Platform(f"https://127.0.0.1:{listener.getsockname()[1]}", authority, "token")
        thread.join()


OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"220 mail.example ready\r\n\r\n", "does not answer as a management API does"),
        (OK + CHUNKED, "does not answer as a management API does"),
        (OK + b"\r\n" + b"[" * 100_000, "does not answer as a management API does"),
        (OK + b"\r\n<html>", "does not answer as a management API does"),
        (OK + b'\r\n["code"]', "does not answer as a management API does"),
        (b"HTTP/1.1 403 Forbidden\r\n" + CHUNKED, "answers 403: Forbidden"),
        (b'HTTP/1.1 403 Forbidden\r\n\r\n["title"]', "answers 403: Forbidden"),
    ],
)
def test_whatever_a_server_sends_is_one_sentence(
    tmp_path: Path, answer: bytes, sentence: str
) -> None:
    """The card is written by then: its user must learn why it has no claim."""
    with answering(tmp_path, answer) as platform, pytest.raises(FlashRefused, match=sentence):
        platform.new_claim("x")


@pytest.mark.parametrize(
    "answers",
    [
        [{}],
        [{"items": {}}],
        [{"items": ["north"]}],
        [{"items": [{"name": "north"}]}],
        [{"items": [{"id": "1"}]}, {"items": [{"id": 2}]}],
        [{"items": [{"id": "1"}]}, {"items": [{"id": "2"}]}, {}],
        [{"items": [{"id": "1"}]}, {"items": [{"id": "2"}]}, {"code": None}],
    ],
)
def test_an_answer_that_is_no_management_apis_is_told(answers: list) -> None:
    """Whatever somebody else's server says in JSON."""
    left = list(answers)

    class Odd(Platform):
        def __init__(self) -> None:
            self._url = "https://platform.example"

        def _ask(self, method: str, path: str) -> dict:
            return left.pop(0)

    card = Card(version=1, station="north", host_name="n", platform_url="https://platform.example")
    with pytest.raises(FlashRefused, match="does not answer as a management API does"):
        fetch_claim(card, Odd(), None)
    assert left == []


def test_an_image_that_breaks_while_it_is_read_is_told(
    made: MadeImage, device: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may open everything: a disk may still fail."""
    real = Path.open

    def failing(path: Path, *words: object, **more: object) -> object:
        if path == made.path:
            raise OSError(5, "Input/output error", str(path))
        return real(path, *words, **more)

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(FlashRefused, match=r"img\.xz: cannot be read: Input/output error"):
        look(told(order(made, device, ca_file)))


def test_an_image_that_nobody_may_look_at_is_told(
    made: MadeImage, device: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is closed to us."""

    def closed(path: Path, *_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(FlashRefused, match=r"img\.xz: cannot be read: Permission denied"):
        look(told(order(made, device, ca_file)))


def test_a_secret_that_others_can_read_is_refused(
    made: MadeImage, device: Path, ca_file: Path, tmp_path: Path
) -> None:
    """The file's mode is in the sentence."""
    claim = flash_kit.secret_file(tmp_path / "claim", CODE)
    claim.chmod(0o644)
    assert "mode 0644" in refused(order(made, device, ca_file, claim_file=str(claim)))


def test_an_authority_that_is_none_is_refused(
    made: MadeImage, device: Path, tmp_path: Path
) -> None:
    """Nor is a key put on a card."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("rubbish")
    assert "must be the platform's authority in PEM" in refused(order(made, device, wrong))
    authority, _, key = write_certificate(tmp_path)
    wrong.write_bytes(authority.read_bytes() + key.read_bytes())
    assert "certificates only, and no key" in refused(order(made, device, wrong))


def run_program(words: dict, step: str = "write") -> tuple[int, list[dict]]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.flash", step],
        input=json.dumps(words),
        text=True,
        capture_output=True,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_program_tells_progress_and_the_result(
    made: MadeImage, device: Path, ca_file: Path
) -> None:
    """As lines of JSON; each percent once."""
    code, lines = run_program(order(made, device, ca_file))
    assert code == 0
    assert lines[-1]["flashed"]["station"] == "north"
    shown = [(line["phase"], line["percent"]) for line in lines[:-1]]
    assert len(set(shown)) == len(shown)
    assert shown[-1] == ("settings", 100)


def test_a_device_that_is_too_small_is_refused_by_the_program(
    made: MadeImage, device: Path, ca_file: Path
) -> None:
    """One sentence, exit status 1, nothing erased."""
    with device.open("r+b") as file:
        file.truncate(IMAGE_BYTES - 1)
    before = device.read_bytes()
    for step in ("look", "write"):
        code, lines = run_program(order(made, device, ca_file), step)
        assert code == 1
        (line,) = [line for line in lines if "refused" in line]
        assert f"is too small: it has {IMAGE_BYTES - 1} bytes" in line["refused"]
    assert device.read_bytes() == before


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """A real block device in memory (zram), made for the test and gone after it."""
    control = Path("/sys/class/zram-control")
    if os.geteuid() != 0 or not control.is_dir():
        pytest.skip("needs root and zram, for a block device of its own")
    try:
        number = (control / "hot_add").read_text().strip()
    except OSError as error:
        pytest.skip(f"zram gives no block device: {error}")
    try:
        Path(f"/sys/block/zram{number}/disksize").write_text(str(32 * MIB))
        yield Path(f"/dev/zram{number}")
    finally:
        (control / "hot_remove").write_text(number)


def test_a_block_device_is_flashed(made: MadeImage, memory_disk: Path, ca_file: Path) -> None:
    """With its holes zeroed by the kernel, whatever was there before."""
    if not memory_disk.is_block_device():
        pytest.skip(f"{memory_disk} is not made here: no udev")
    memory_disk.write_bytes(b"\xaa" * (32 * MIB))
    phases: list[str] = []
    flash(told(order(made, memory_disk, ca_file)), lambda phase, *_: phases.append(phase))
    assert list(dict.fromkeys(phases)) == ["check", "size", "write", "verify", "settings"]
    written = memory_disk.read_bytes()
    assert written[:BOOT_START] == made.content[:BOOT_START]
    assert written[BOOT_START + BOOT_BYTES : IMAGE_BYTES] == made.content[BOOT_START + BOOT_BYTES :]
    assert not any(written[IMAGE_BYTES:])  # it was marked all over
    assert read_card(flash_kit.read_boot(memory_disk, "station.json")).station == "north"


@contextmanager
def member_of_a_group(group: int) -> Iterator[None]:
    """Somebody who is not root, for a while."""
    os.setegid(group)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_a_member_of_the_group_disk_is_refused_by_a_block_device(memory_disk: Path) -> None:
    """The kernel lets him write, and not read back."""
    if not memory_disk.is_block_device():
        pytest.skip(f"{memory_disk} is not made here: no udev")
    group = 6
    os.chown(memory_disk, 0, group)
    memory_disk.chmod(0o660)
    card = Device(str(memory_disk), "disk", 32 * MIB)
    with member_of_a_group(group):
        memory_disk.write_bytes(b"\xaa" * 4096)
        with pytest.raises(FlashRefused, match="by others than root: run"), Target(card):
            pass
    with Target(card) as target:
        assert target.read(0, 4096) == b"\xaa" * 4096
