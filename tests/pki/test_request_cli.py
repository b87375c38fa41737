"""Request, signature, installation and check as a role runs them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.errors import Problem
from steelyard.pki.authority import Authority
from steelyard.pki.cli import pki
from steelyard.pki.profiles import client_profile
from steelyard.pki.standing import Expected, Standing, standing

HOST = ["--kind", "peer", "--host", "10.0.0.1"]


@pytest.fixture
def run():
    runner = CliRunner()

    def invoke(*arguments: object, given: bytes = b"") -> tuple[int, str]:
        result = runner.invoke(pki, [str(one) for one in arguments], input=given)
        if isinstance(result.exception, Problem):
            raise result.exception
        return result.exit_code, result.output

    return invoke


@pytest.fixture
def installed(run, authority: Authority, tmp_path: Path) -> Path:
    """The directory of a host with a certificate."""
    into = tmp_path / "pki"
    signed(run, authority, into)
    return into


def signed(run, authority: Authority, into: Path, *more: str) -> str:
    _, path = run("request", "--into", into, *HOST, *more, "net-1")
    csr = Path(path.strip()).read_bytes()
    options = ["--authority", authority.directory, *HOST, "--name", "net-1"]
    _, pem = run("sign-request", *options, "-", given=csr)
    trust = ["--ca", authority.certificate_path]
    return run("install", "--into", into, *trust, "net-1", "-", given=pem.encode())[1]


def check(run, authority: Authority, into: Path, *more: object) -> tuple[int, str]:
    options = ["--ca", authority.certificate_path, "--crl", authority.crl_path]
    return run("check", *options, "--key", into / "net-1.key", *more, into / "net-1.pem")


def test_a_hosts_certificate(run, authority: Authority, installed: Path) -> None:
    """From request to a valid certificate, without the key leaving its directory."""
    status, said = check(run, authority, installed, *HOST, "--name", "net-1")
    assert (status, "valid: 82" in said) == (0, True)
    key = (installed / "net-1.key").read_bytes().splitlines()[1]
    elsewhere = [one for one in authority.directory.rglob("*") if one.is_file()]
    assert not any(key in one.read_bytes() for one in elsewhere)
    assert "a new key" in signed(run, authority, installed, "--rekey")
    assert check(run, authority, installed)[0] == 0


def test_sign_request_writes_a_file(run, authority: Authority, tmp_path: Path) -> None:
    """With -o."""
    run("request", "--into", tmp_path, *HOST, "--file", "p2p", "net-1")
    options = ["--authority", authority.directory, *HOST, "--name", "net-1", "--days", "9"]
    run("sign-request", *options, "-o", tmp_path / "p2p.pem", tmp_path / "p2p.csr")
    certificate = x509.load_pem_x509_certificate((tmp_path / "p2p.pem").read_bytes())
    assert (certificate.not_valid_after_utc - datetime.now(UTC)).days == 8


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--days", "900"], 3, "renew: 82"),
        (["--host", "10.0.0.2"], 4, "bad: it does not name 10.0.0.2"),
        (["--kind", "client", "--name", "net-1"], 4, "bad: it has other names"),
        (["--kind", "server", "--host", "10.0.0.1", "--name", "net-1"], 4, "another purpose"),
        ([*HOST, "--name", "net-2"], 4, "bad: it has other names"),
    ],
)
def test_check_tells_why(run, authority: Authority, installed: Path, options, status, reason):
    """The exit status says what is to be done, the line why."""
    found, said = check(run, authority, installed, *options)
    assert found == status
    assert reason in said


def test_check_of_a_revoked_certificate(run, authority: Authority, installed: Path) -> None:
    """Revoked by its name; `--keep` spares the one in use."""
    options = ["--authority", authority.directory, "--keep", "-"]
    kept = (installed / "net-1.pem").read_bytes()
    assert "nothing to revoke" in run("revoke-name", *options, "net-1", given=kept)[1]
    assert check(run, authority, installed)[0] == 0
    run("revoke-name", "--authority", authority.directory, "--kind", "peer", "net-1")
    assert check(run, authority, installed)[0] == 5


def test_check_of_what_is_broken(run, authority: Authority, installed: Path, tmp_path) -> None:
    """Missing, another authority's, junk: bad, in one line."""
    other = Authority.create(tmp_path / "other", "Test devices")
    assert "issued" in check(run, other, installed)[1]
    assert check(run, other, installed)[0] == 4
    options = ["--ca", authority.certificate_path, installed / "net-1.pem"]
    crl = run("check", "--crl", other.crl_path, *options)
    assert crl[0] == 4
    assert "list is not this authority's" in crl[1]
    (installed / "net-1.pem").write_bytes(b"junk")
    assert check(run, authority, installed)[0] == 4
    (installed / "net-1.pem").unlink()
    status, said = check(run, authority, installed)
    assert (status, "No such file" in said) == (4, True)
    assert run("check", *options[:2], "--kind", "peer", installed / "x")[0] == 2


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (-2, Standing.BAD),
        (0, Standing.VALID),
        (59, Standing.VALID),
        (61, Standing.RENEW),
        (91, Standing.BAD),
    ],
)
def test_it_is_renewed_in_the_last_third_of_its_life(authority, day, expected) -> None:
    """Neither unborn nor expired ones are valid."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = authority.sign(client_profile("platform"), key, days=90)
    now = datetime.now(UTC) + timedelta(days=day)
    assert standing(leaf, authority.certificate, Expected(), now)[0] == expected


def test_a_certificate_for_another_key_is_bad(authority: Authority, tmp_path: Path) -> None:
    """A key that was put back from somewhere is noticed."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = authority.issue_client("platform", tmp_path).certificate
    found = standing(leaf, authority.certificate, Expected(key=key), datetime.now(UTC))
    assert found == (Standing.BAD, "it is for another key")
    assert b"PRIVATE" not in leaf.public_bytes(Encoding.PEM)
