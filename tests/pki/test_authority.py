"""Authorities issue what devices need and nothing more."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from steelyard.pki.authority import Authority
from steelyard.pki.errors import AuthorityUnusable, FileExists, InvalidSubject, UnknownCertificate
from steelyard.pki.profiles import client_profile


def usages(certificate: x509.Certificate) -> list:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def alternative_names(certificate: x509.Certificate) -> list:
    return [
        name.value
        for name in certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    ]


def openssl_verify(authority: Authority, certificate: Path, *options: str) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed")
    trust = authority.certificate_path
    ran = subprocess.run(
        ["openssl", "verify", "-x509_strict", *options, "-CAfile", str(trust), str(certificate)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def test_authority_is_restricted_to_signing(authority: Authority) -> None:
    """The root may sign leaf certificates and lists, and nothing else."""
    extensions = authority.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    assert isinstance(authority.certificate.public_key().curve, ec.SECP256R1)


def test_loadcell_certificate(authority: Authority, tmp_path: Path) -> None:
    """A cell's certificate carries its serial twice, its station, and serves a client only."""
    issued = authority.issue_loadcell("LC-0001", tmp_path / "cell", station="S1")
    leaf = issued.certificate
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "LC-0001"
    assert leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "S1"
    assert alternative_names(leaf) == ["urn:steelyard:loadcell:LC-0001"]
    assert usages(leaf) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert "OK" in openssl_verify(authority, issued.certificate_path, "-purpose", "sslclient")
    assert "error" in openssl_verify(authority, issued.certificate_path, "-purpose", "sslserver")


@pytest.mark.parametrize("serial", ["LC-0001", "0123456789ABCDEF", "station-7 cell/4 #north"])
def test_device_certificates_stay_short(authority: Authority, tmp_path: Path, serial: str) -> None:
    """A leaf fits into two datagrams of a constrained network: at most 470 bytes."""
    issued = authority.issue_loadcell(serial, tmp_path, station="S1")
    assert len(issued.certificate.public_bytes(Encoding.DER)) <= 470


def test_smartbox_certificate_is_no_client(authority: Authority, tmp_path: Path) -> None:
    """A SmartBox's certificate serves under its hosts and URN, and not as a client's."""
    issued = authority.issue_smartbox("SB-1", ["127.0.0.1", "Box.Example"], tmp_path, station="S1")
    assert alternative_names(issued.certificate) == [
        "urn:steelyard:smartbox:SB-1",
        ip_address("127.0.0.1"),
        "box.example",
    ]
    assert usages(issued.certificate) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert "OK" in openssl_verify(authority, issued.certificate_path, "-purpose", "sslserver")


def test_server_certificate_needs_a_host(authority: Authority, tmp_path: Path) -> None:
    """A server that is reached under no name cannot be checked."""
    with pytest.raises(InvalidSubject, match="at least one"):
        authority.issue_server("api", [], tmp_path)
    issued = authority.issue_server("api", ["localhost", "::1"], tmp_path)
    assert alternative_names(issued.certificate) == ["localhost", ip_address("::1")]


@pytest.mark.parametrize("host", ["", "a b", "-x.example", "x" * 64, "1.2.3", "*.example", "é.eu"])
def test_bad_hosts_are_refused(authority: Authority, tmp_path: Path, host: str) -> None:
    """What is neither a DNS name nor an address is named in the error."""
    with pytest.raises(InvalidSubject, match="must be a DNS name or an IP address"):
        authority.issue_server("api", [host], tmp_path)


@pytest.mark.parametrize("serial", ["", " LC", "LC ", "LC\n1", "é", "x" * 33])
def test_bad_serials_are_refused(authority: Authority, tmp_path: Path, serial: str) -> None:
    """A serial follows the ticket's rule, and nothing is written for another."""
    with pytest.raises(InvalidSubject, match="serial: must be 1 to 32"):
        authority.issue_loadcell(serial, tmp_path / "cell", station="S1")
    assert not (tmp_path / "cell").exists()


def test_file_names_stay_in_the_directory(authority: Authority, tmp_path: Path) -> None:
    """A serial with path separators names a file, not a place elsewhere."""
    issued = authority.issue_loadcell("../../up/LC", tmp_path / "cells", station="S1")
    assert issued.key_path.parent == tmp_path / "cells"
    assert issued.key_path.is_file()


def test_private_keys_are_private(authority: Authority, tmp_path: Path) -> None:
    """Keys are readable by their owner only, and belong to their certificates."""
    issued = authority.issue_client("uplink", tmp_path)
    for path in (issued.key_path, authority.directory / "authority.key"):
        assert path.stat().st_mode & 0o777 == 0o600
    key = load_pem_private_key(issued.key_path.read_bytes(), None)
    assert key.public_key() == issued.certificate.public_key()


def test_nothing_is_overwritten(authority: Authority, tmp_path: Path) -> None:
    """A second authority or key at the same place is refused, and the first stays."""
    issued = authority.issue_client("uplink", tmp_path / "out")
    before = issued.key_path.read_bytes(), authority.certificate_path.read_bytes()
    with pytest.raises(FileExists, match=r"uplink\.key exists"):
        authority.issue_client("uplink", tmp_path / "out")
    with pytest.raises(FileExists, match=r"authority\.pem exists"):
        Authority.create(authority.directory, "Another")
    assert (issued.key_path.read_bytes(), authority.certificate_path.read_bytes()) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "uplink.key",
        "uplink.pem",
    ]


def test_validity_stays_within_the_issuers(tmp_path: Path) -> None:
    """A leaf that is asked to outlive its authority ends with it."""
    authority = Authority.create(tmp_path / "ca", "Short", days=10)
    leaf = authority.issue_client("uplink", tmp_path, days=4000).certificate
    assert leaf.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert leaf.not_valid_before_utc >= authority.certificate.not_valid_before_utc


def test_expired_authority_issues_nothing(tmp_path: Path) -> None:
    """A certificate that could never be valid is not made."""
    authority = Authority.create(tmp_path / "ca", "Over", days=10)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    late = datetime.now(UTC) + timedelta(days=30)
    with pytest.raises(AuthorityUnusable, match="expired"):
        authority.sign(client_profile("late"), key, not_before=late)


def test_serial_numbers_are_random_and_short(authority: Authority) -> None:
    """Numbers do not repeat and take nine bytes."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    numbers = {authority.sign(client_profile("c"), key).serial_number for _ in range(50)}
    assert len(numbers) == 50
    assert {number.bit_length() for number in numbers} == {71}


def test_revocation(authority: Authority, tmp_path: Path) -> None:
    """A revoked certificate is on the list, once, and the list's number grows."""
    good = authority.issue_client("good", tmp_path)
    bad = authority.issue_client("bad", tmp_path)
    assert authority.revoke(bad.certificate)
    assert not authority.revoke(bad.serial_number)
    crl = authority.revocations()
    assert [entry.serial_number for entry in crl] == [bad.serial_number]
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
    check = ("-crl_check", "-CRLfile", str(authority.crl_path))
    assert "certificate revoked" in openssl_verify(authority, bad.certificate_path, *check)
    assert "OK" in openssl_verify(authority, good.certificate_path, *check)


def test_only_own_certificates_are_revoked(authority: Authority, tmp_path: Path) -> None:
    """Another authority's certificate, or an unknown number, is an error."""
    other = Authority.create(tmp_path / "other", "Test devices").issue_client("x", tmp_path)
    for which in (other.certificate, other.serial_number, 12345):
        with pytest.raises(UnknownCertificate):
            authority.revoke(which)
    assert list(authority.revocations()) == []


def test_load(authority: Authority, tmp_path: Path) -> None:
    """A loaded authority is the one that was made."""
    loaded = Authority.load(authority.directory)
    issued = loaded.issue_client("uplink", tmp_path)
    assert loaded.name == "Test devices"
    assert loaded.issued() == [issued.certificate]
    issued.certificate.verify_directly_issued_by(authority.certificate)
    assert "PRIVATE" not in repr(loaded)


@pytest.mark.parametrize("name", ["authority.pem", "authority.key"])
@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_load_names_the_broken_file(authority: Authority, name: str, content: bytes | None) -> None:
    """A missing or broken part is named, without its content."""
    path = authority.directory / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(AuthorityUnusable, match=name):
        Authority.load(authority.directory)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_load_refuses_a_key_that_others_can_read(authority: Authority, mode: int) -> None:
    """Whoever reads the authority's key issues certificates."""
    (authority.directory / "authority.key").chmod(mode)
    with pytest.raises(AuthorityUnusable, match=rf"authority\.key must .* it has mode {mode:04o}"):
        Authority.load(authority.directory)


def test_load_refuses_another_key(authority: Authority, tmp_path: Path) -> None:
    """A key that does not belong to the certificate is noticed at once."""
    other = Authority.create(tmp_path / "other", "Other")
    (authority.directory / "authority.key").write_bytes(
        (other.directory / "authority.key").read_bytes()
    )
    with pytest.raises(AuthorityUnusable, match="does not belong"):
        Authority.load(authority.directory)


def test_forged_revocation_list_is_refused(authority: Authority, tmp_path: Path) -> None:
    """A list that another authority signed does not count."""
    other = Authority.create(tmp_path / "other", "Test devices")
    authority.crl_path.write_bytes(other.crl_path.read_bytes())
    with pytest.raises(AuthorityUnusable, match="not signed by this authority"):
        authority.revocations()
