"""`steelyard pki` as its user runs it."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from steelyard.errors import Problem
from steelyard.pki.cli import pki


@pytest.fixture
def run(tmp_path: Path):
    runner = CliRunner()

    def invoke(*arguments: str) -> str:
        result = runner.invoke(pki, [*arguments, "--authority", str(tmp_path / "ca")])
        if result.exception is not None:
            raise result.exception
        return result.output

    return invoke


def test_a_whole_life(run, tmp_path: Path) -> None:
    """Init, issue each kind, revoke one by file and one by number; `show` tells the states."""
    out = ["--into", str(tmp_path / "out")]
    assert "authority.pem" in run("init", "--name", "Devices")
    run("issue-server", *out, "--host", "localhost", "api")
    run("issue-smartbox", *out, "--host", "127.0.0.1", "--station", "S1", "SB-1")
    run("issue-client", *out, "uplink")
    cell = run("issue-loadcell", *out, "--station", "S1", "LC-1")
    number = cell.split(": ")[1].split(",")[0]
    assert f"{number}: revoked" in run("revoke", number)
    assert "was revoked already" in run("revoke", str(tmp_path / "out" / "LC-1.pem"))
    run("revoke", str(tmp_path / "out" / "uplink.pem"))
    lines = {line.rsplit("CN=", 1)[1]: line for line in run("show").splitlines()[1:]}
    assert {name.split(",")[0]: "revoked" in line for name, line in lines.items()} == {
        "api": False,
        "SB-1": False,
        "uplink": True,
        "LC-1": True,
    }


def test_days_are_kept(run, tmp_path: Path) -> None:
    """--days is how long the certificate lasts."""
    run("init", "--name", "Devices")
    run("issue-client", "--into", str(tmp_path), "--days", "3", "uplink")
    leaf = x509.load_pem_x509_certificate((tmp_path / "uplink.pem").read_bytes())
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show",), "authority.pem: No such file"),
        (("issue-loadcell", "--station", "S1", "LC-1"), "authority.pem: No such file"),
    ],
)
def test_missing_authority(run, arguments: tuple[str, ...], sentence: str) -> None:
    """Without an authority every command says which file is missing."""
    with pytest.raises(Problem, match=sentence):
        run(*arguments)


@pytest.mark.parametrize("command", ["issue-loadcell", "issue-smartbox"])
def test_a_device_has_a_station(run, tmp_path: Path, command: str) -> None:
    """Without --station nothing is issued: the certificate says where the device may weigh."""
    run("init", "--name", "Devices")
    with pytest.raises(SystemExit) as caught:
        run(command, "--into", str(tmp_path / "out"), "D-1")
    assert caught.value.code == 2
    assert not (tmp_path / "out").exists()


def test_revoking_nonsense(run) -> None:
    """What is neither a file nor a number is named."""
    run("init", "--name", "Devices")
    with pytest.raises(Problem, match="nonsense: is neither"):
        run("revoke", "nonsense")
