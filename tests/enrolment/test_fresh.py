"""A fresh SmartBox, and a fresh load cell, become a station's: over real sockets."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from enrolment_kit import Field
from steelyard.errors import Problem
from steelyard.loadcell.errors import EnrolmentFailed
from steelyard.pki.claims import ClaimCode
from steelyard.pki.errors import FileExists
from steelyard.pki.fresh import FreshDevice
from steelyard.pki.requests import read_key
from steelyard.smartbox.errors import EnrolmentRefused, PlatformUnreached


async def test_a_smartbox_is_there_whole_and_its_secrets_are_its_own(field: Field) -> None:
    """Its settings are those of its station, and nobody else may read key and client secret."""
    done = await field.enrol_box()
    assert (done.serial, done.station, done.fault) == ("SB-1", "station-a", None)
    settings = field.box_settings()
    assert settings.station == "station-a"
    assert settings.device_station == field.world.ids["station_a"]
    assert [cell.serial for cell in settings.weighbridges[0].cells] == ["LC-1"]
    assert settings.weighbridges[0].scale_interval_grams == 20_000
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in field.box_directory.iterdir()}
    assert modes == {
        "device.key": 0o600,
        "client-secret": 0o600,
        "device.pem": 0o644,
        "devices-ca.pem": 0o644,
        "devices-crl.pem": 0o644,
        "ca.pem": 0o644,
        "smartbox.toml": 0o644,
    }
    certificate = x509.load_pem_x509_certificate(settings.certificate_file.read_bytes())
    assert certificate.public_key() == read_key(settings.key_file).public_key()
    assert not field.box_directory.with_name("box.enrolling").exists()


async def test_a_code_serves_no_second_smartbox(field: Field) -> None:
    """The other one is told in one sentence, and has no certificate and no configuration."""
    code = await field.claim("box_a")
    await field.enrol_box(code=code)
    elsewhere = field.directory / "other"
    with pytest.raises(EnrolmentRefused, match="answers 403"):
        await field.enrol_box(elsewhere, code)
    assert not elsewhere.exists()
    with pytest.raises(FileExists, match="is not overwritten"):
        await field.enrol_box(code=code)


async def test_an_interrupted_enrolment_goes_on_with_its_key(field: Field) -> None:
    """The platform answered, the SmartBox lost its power: the same code again is good for it."""
    code = await field.claim("box_a")
    device = FreshDevice(field.box_directory, code)
    request = device.request(None)
    pem = request.public_bytes(Encoding.PEM).decode()
    async with field.management() as management:
        lost = await management.enrol(code.locator, pem, device.proof(request))
    assert not field.box_directory.exists()
    done = await field.enrol_box(code=code)
    assert done.certificate.public_bytes(Encoding.DER) == lost.papers.certificate


async def test_a_platform_of_another_authority_gets_nothing(field: Field, tmp_path: Path) -> None:
    """TLS fails before the request leaves."""
    await field.enrol_box()
    field.ca_file = field.box_directory / "devices-ca.pem"
    with pytest.raises(PlatformUnreached, match="certificate"):
        await field.enrol_box(tmp_path / "other", ClaimCode.new())


async def test_a_cell_gets_its_certificate_through_the_smartbox(field: Field) -> None:
    """Its settings name any SmartBox of its station, and its key is its own."""
    told: list[str] = []
    assert await field.enrol_cell(await field.claim("cell_a"), told) == "LC-1"
    assert told == ["enrolled: load cell LC-1"]
    config = field.cell_config(5684)
    assert (config.serial, config.server_name) == ("LC-1", "urn:steelyard:smartbox:")
    certificate = x509.load_pem_x509_certificate(config.certificate_file.read_bytes())
    assert certificate.public_key() == read_key(config.key_file).public_key()


async def test_the_relay_hands_on_nothing_but_its_stations_cells(field: Field) -> None:
    """A SmartBox's code, another station's cell and a code of nobody: the cell has nothing."""
    told: list[str] = []
    other = await field.api.token("admin@b.test")
    path = f"/v1/devices/{field.world.ids['cell_b']}/claim"
    foreign = ClaimCode.parse((await field.api.call("POST", path, other)).json["code"])
    assert foreign is not None
    for code in (await field.claim("box_a"), foreign, ClaimCode.new()):
        with pytest.raises(EnrolmentFailed, match=r"4\.03"):
            await field.enrol_cell(code, told)
        assert not field.cell_directory.exists()
    assert [line.partition(":")[0] for line in told] == ["refused"] * 3


async def test_who_has_not_the_code_cannot_answer_a_cell(field: Field) -> None:
    """An answer that was sealed with another code is not taken, whatever it says."""
    code, other = await field.claim("cell_a"), ClaimCode.new()
    device = FreshDevice(field.cell_directory, code)
    request = device.request(None)
    async with field.management() as management:
        pem = request.public_bytes(Encoding.PEM).decode()
        certified = await management.enrol(code.locator, pem, device.proof(request))
    assert device.check(certified.papers)
    with pytest.raises(Problem, match="whoever made the claim code"):
        FreshDevice(field.cell_directory, other).check(certified.papers)
