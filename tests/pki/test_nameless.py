"""OpenSSL itself holds an authority for devices to what it may."""

from pathlib import Path

import pytest
from OpenSSL import crypto

from steelyard.pki.authority import Authority


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    directory = tmp_path_factory.mktemp("alone")
    return Authority.create(directory / "authority", "Devices", nameless=True)


def refusal(authority: Authority, path: Path) -> str | None:
    """Why OpenSSL refuses a certificate; None when it does not."""
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(authority.certificate))
    leaf = crypto.load_certificate(crypto.FILETYPE_PEM, path.read_bytes())
    try:
        crypto.X509StoreContext(store, leaf).verify_certificate()
    except crypto.X509StoreContextError as error:
        return str(error)
    return None


@pytest.mark.parametrize("serial", ["SB-1", "LC112010201", "LC 1.2"])
def test_devices_are_accepted(alone: Authority, tmp_path: Path, serial: str) -> None:
    """SmartBoxes and load cells, named by serial and URN."""
    box = alone.issue_smartbox(serial, [], tmp_path / "box", station="S")
    cell = alone.issue_loadcell(serial, tmp_path / "cell", station="S")
    assert refusal(alone, box.certificate_path) is None
    assert refusal(alone, cell.certificate_path) is None


@pytest.mark.parametrize("host", ["platform.example", "localhost", "10.0.0.1", "::1"])
def test_no_host_is_accepted(alone: Authority, tmp_path: Path, host: str) -> None:
    """Whatever somebody with its key puts into a certificate."""
    server = alone.issue_server("server", [host], tmp_path)
    assert refusal(alone, server.certificate_path) == "excluded subtree violation"


@pytest.mark.parametrize("serial", ["4711.01", "platform.example"])
def test_a_serial_that_reads_like_a_host_is_not_accepted(
    alone: Authority, tmp_path: Path, serial: str
) -> None:
    """That is why the management API refuses to enrol it."""
    cell = alone.issue_loadcell(serial, tmp_path, station="S")
    assert refusal(alone, cell.certificate_path) == "excluded subtree violation"
