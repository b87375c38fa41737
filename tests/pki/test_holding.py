"""A device's certificate in use: when it is due, and what is taken in its place."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.pki import building
from steelyard.pki.authority import Authority
from steelyard.pki.errors import KeyUnusable
from steelyard.pki.holding import Holding
from steelyard.pki.profiles import loadcell_profile


@pytest.fixture
def devices(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", "Devices", nameless=True)


@pytest.fixture
def holding(devices: Authority, tmp_path: Path) -> Holding:
    issued = devices.issue_loadcell("LC-1", tmp_path, station="S", days=90)
    crl = tmp_path / "crl.pem"
    crl.write_bytes(devices.crl_path.read_bytes())
    return Holding(issued.certificate_path, issued.key_path, devices.certificate_path, crl)


def renewed(devices: Authority, holding: Holding, serial: str = "LC-1") -> bytes:
    key = holding.own().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return devices.sign(loadcell_profile(serial, "S"), key, days=90).public_bytes(Encoding.DER)


def test_it_is_due_once_a_third_has_passed(holding: Holding) -> None:
    """Not before, and ever after."""
    own = holding.own()
    third = own.not_valid_before_utc + (own.not_valid_after_utc - own.not_valid_before_utc) / 3
    assert not holding.is_due(third - timedelta(seconds=1))
    assert holding.is_due(third)
    assert holding.is_due(own.not_valid_after_utc + timedelta(days=1))


def test_a_renewed_one_takes_its_place(devices: Authority, holding: Holding) -> None:
    """For the same key; the same one again is nothing new."""
    der = renewed(devices, holding)
    assert holding.take(der)
    assert holding.own().public_bytes(Encoding.DER) == der
    assert not holding.take(der)


@pytest.mark.parametrize("what", ["stranger", "other-key", "other-name", "junk"])
def test_what_is_not_its_own_is_not_taken(
    devices: Authority, holding: Holding, tmp_path: Path, what: str
) -> None:
    """The old one stays, whatever came."""
    before = holding.certificate.read_bytes()
    if what == "stranger":
        other = Authority.create(tmp_path / "other", "Devices", nameless=True)
        der = renewed(other, holding)
    elif what == "other-key":
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        der = devices.sign(loadcell_profile("LC-1", "S"), key).public_bytes(Encoding.DER)
    else:
        der = renewed(devices, holding, "LC-2") if what == "other-name" else b"junk"
    with pytest.raises(KeyUnusable):
        holding.take(der)
    assert holding.certificate.read_bytes() == before


def test_a_new_list_is_taken_and_another_authoritys_is_not(
    devices: Authority, holding: Holding, tmp_path: Path
) -> None:
    """The same list again changes nothing; one's own number on it is seen."""
    empty = devices.revocations().public_bytes(Encoding.DER)
    assert not holding.take_revocations(empty)
    devices.revoke(holding.own())
    assert holding.take_revocations(devices.revocations().public_bytes(Encoding.DER))
    assert holding.is_revoked()
    other = Authority.create(tmp_path / "other", "Devices", nameless=True)
    for der in (other.revocations().public_bytes(Encoding.DER), b"junk"):
        with pytest.raises(KeyUnusable):
            holding.take_revocations(der)
    assert holding.is_revoked()


def test_the_request_is_by_the_key_in_use(holding: Holding) -> None:
    """Its signature proves the key, and it asks for no name."""
    request = holding.request()
    assert request.is_signature_valid
    assert request.public_key() == holding.own().public_key()
    assert list(request.subject) == []


def test_an_authority_for_devices_alone_is_known_by_its_constraints(tmp_path: Path) -> None:
    """An ordinary one is none."""
    plain = Authority.create(tmp_path / "plain", "Consortium")
    alone = Authority.create(tmp_path / "alone", "Devices", nameless=True)
    assert not building.is_nameless(plain.certificate)
    assert building.is_nameless(alone.certificate)
