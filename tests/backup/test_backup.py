"""Sets are backed up and restored by the real restic, with files and a SQLite database."""

import json
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.backup import restore as restoration
from steelyard.backup import service
from steelyard.backup.errors import BackupFailed, RestoreFailed, RestoreRefused
from steelyard.backup.restore import Request
from steelyard.backup.settings import BackupSettings
from steelyard.errors import ConfigurationError
from steelyard.pki.authority import Authority
from steelyard.pki.issuing import DeviceIssuer

pytestmark = pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")

SYSTEMCTL = """#!/bin/sh
echo "$*" >> {log}
case $1 in
  is-active) if [ -e {state}/$2 ]; then echo active; else echo inactive; exit 3; fi;;
  is-enabled) exit 0;;
  stop) rm -f {state}/$2;;
  start) touch {state}/$2; test "$2" != broken.service || {{ echo "no way" >&2; exit 1; }};;
esac
"""

# restic that loses its repository before the database's copy is fetched.
RESTIC = """#!/bin/sh
case "$*" in *restore*.sqlite*) echo "Fatal: the line is dead" >&2; exit 1;; esac
exec {restic} "$@"
"""


class World:
    """A host's directories, a systemctl of the test's, and the settings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.live = path / "live"
        self.live.mkdir()
        (self.live / "chain").mkdir()
        (self.live / "chain/key").write_text("of the node")
        (self.live / "chain/key").chmod(0o640)
        (self.live / "chain/link").symlink_to("key")
        self.database = self.live / "outbox.sqlite"
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE tickets (id TEXT)")
            connection.execute("INSERT INTO tickets VALUES ('one')")
            connection.commit()
        self.database.chmod(0o600)
        self.log, self.units = path / "systemctl.log", path / "units"
        self.units.mkdir()
        for unit in ("tessera.service", "quorum.service"):
            (self.units / unit).touch()
        program = path / "systemctl"
        program.write_text(SYSTEMCTL.format(log=self.log, state=self.units))
        program.chmod(0o755)
        (path / "metrics").mkdir()
        self.set = {
            "name": "node",
            "repository": "data",
            "paths": [str(self.live / "chain")],
            "sqlite": [str(self.database)],
            "stop": ["quorum.service", "tessera.service"],
            "stop_for_restore": ["reader.service"],
        }

    def settings(self, **changes) -> BackupSettings:
        """The settings; `changes` are the set's."""
        return BackupSettings(
            host="station-1",
            repositories=[
                {
                    "name": "data",
                    "url": str(self.path / "repository"),
                    "password_file": str(self.path / "password"),
                }
            ],
            sets=[self.set | changes],
            state_directory=self.path / "state",
            runtime_directory=self.path / "run",
            metrics_directory=self.path / "metrics",
            systemctl=str(self.path / "systemctl"),
        )

    def calls(self) -> list[str]:
        """The units that were stopped and started, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if not line.startswith("is-")]

    def rows(self) -> list[str]:
        """What is in the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return [row[0] for row in connection.execute("SELECT id FROM tickets")]


@pytest.fixture(scope="module")
def empty_repository(tmp_path_factory):
    """A repository without backups, made once: its key takes restic a second."""
    world = World(tmp_path_factory.mktemp("template"))
    service.initialise(world.settings())
    return world.path


@pytest.fixture
def world(tmp_path, empty_repository):
    """A host with an empty repository."""
    shutil.copytree(empty_repository / "repository", tmp_path / "repository")
    shutil.copy2(empty_repository / "password", tmp_path / "password")
    return World(tmp_path)


@pytest.fixture
def backed_up(world):
    """A host with a first backup."""
    service.run(world.settings(), [], lambda _: None)
    return world


def test_a_set_returns_as_it_was(backed_up):
    """Content, modes and links; the units stop in order and start in the reverse one."""
    assert backed_up.calls() == [
        *("stop quorum.service", "stop tessera.service"),
        *("start tessera.service", "start quorum.service"),
    ]
    shutil.rmtree(backed_up.live)
    backed_up.log.unlink()
    told = restoration.restore(backed_up.settings(), Request("node"))
    assert told[1:] == [
        *(f"Restored {backed_up.live / 'chain'}.", f"Restored {backed_up.database}."),
    ]
    key = backed_up.live / "chain/key"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("of the node", 0o640)
    assert (backed_up.live / "chain/link").readlink() == Path("key")
    assert backed_up.rows() == ["one"]
    assert stat.S_IMODE(backed_up.database.stat().st_mode) == 0o600
    assert backed_up.calls()[-3:] == [
        *("start tessera.service", "start quorum.service", "start reader.service"),
    ]
    assert sorted(one.name for one in backed_up.live.iterdir()) == ["chain", "outbox.sqlite"]


def test_the_devices_authority_returns_and_certifies(world):
    """As the set `platform-keys` has it: its key is nowhere in the clear, and is the same after."""
    secrets = world.path / "etc/platform"
    authority = Authority.create(secrets / "enrolment", "Devices", nameless=True)
    key = (authority.directory / "authority.key").read_bytes()
    settings = world.settings(paths=[str(world.path / "etc")], sqlite=[], stop=[])
    service.run(settings, [], lambda _: None)
    stored = [file for file in (world.path / "repository").rglob("*") if file.is_file()]
    assert len(stored) > 3
    assert not any(b"PRIVATE KEY" in file.read_bytes() for file in stored)
    shutil.rmtree(world.path / "etc")
    restoration.restore(settings, Request("node"))
    assert (authority.directory / "authority.key").read_bytes() == key
    issuer = DeviceIssuer.load(authority.certificate_path, authority.directory / "authority.key")
    assert issuer.certificate == authority.certificate
    for path, mode in (
        (authority.directory, 0o700),
        (authority.directory / "authority.key", 0o600),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert (
        Authority.load(authority.directory)
        .revocations()
        .is_signature_valid(authority.certificate.public_key())
    )


def test_a_database_in_use_is_copied_whole(world):
    """With a transaction open, and what is committed in its write-ahead log."""
    with closing(sqlite3.connect(world.database, isolation_level=None)) as writer:
        writer.execute("INSERT INTO tickets VALUES ('two')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO tickets VALUES ('not committed')")
        service.run(world.settings(), [], lambda _: None)
        writer.execute("ROLLBACK")
    shutil.rmtree(world.live)
    restoration.restore(world.settings(), Request("node"))
    assert world.rows() == ["one", "two"]


def test_a_database_below_a_path_of_its_set_is_in_its_place(world):
    """Its copy, not the files that are in use; the directory is moved as a whole."""
    settings = world.settings(paths=[str(world.live)], exclude=[f"{world.database}*"])
    service.run(settings, [], lambda _: None)
    world.database.write_bytes(b"lost")
    restoration.restore(settings, Request("node", force=True))
    assert world.rows() == ["one"]
    assert sorted(one.name for one in world.live.iterdir()) == ["chain", "outbox.sqlite"]
    assert stat.S_IMODE(world.database.stat().st_mode) == 0o600


def test_what_lives_is_not_replaced(backed_up):
    """Unless it is forced; then it is put aside, with the database's log."""
    (backed_up.live / "chain/key").write_text("newer")
    Path(f"{backed_up.database}-wal").write_bytes(b"of another database")
    backed_up.log.unlink()
    with pytest.raises(RestoreRefused, match="chain is there already; --force puts it aside"):
        restoration.restore(backed_up.settings(), Request("node"))
    assert backed_up.calls() == []
    restoration.restore(backed_up.settings(), Request("node", force=True, start=False))
    assert (backed_up.live / "chain/key").read_text() == "of the node"
    aside = [one.name for one in backed_up.live.iterdir() if "before-restore" in one.name]
    assert len(aside) == 3
    assert backed_up.rows() == ["one"]
    assert backed_up.calls() == ["stop quorum.service", "stop tessera.service"]


def test_a_wrong_password_is_one_sentence(backed_up):
    """Without the password, the place and restic's own words; nothing is stopped."""
    (backed_up.path / "password").write_text("guessed\n")
    backed_up.log.unlink()
    said = f"repository data: the password in {backed_up.path}/password is not the repository's"
    for action in (
        lambda: service.run(backed_up.settings(), [], lambda _: None),
        lambda: restoration.restore(backed_up.settings(), Request("node")),
        lambda: service.check(backed_up.settings(), 0, lambda _: None),
        lambda: service.initialise(backed_up.settings()),
    ):
        with pytest.raises(BackupFailed) as caught:
            action()
        assert str(caught.value).split("; ")[0] == said
    assert backed_up.calls() == []


def test_a_lost_password_is_not_made_anew(backed_up):
    """A repository whose password is lost stays as it is, and no file pretends to open it."""
    (backed_up.path / "password").unlink()
    with pytest.raises(BackupFailed, match="is not the repository's"):
        service.initialise(backed_up.settings())
    assert not (backed_up.path / "password").exists()


def test_a_password_that_others_can_read_is_refused(backed_up):
    """As every secret of ours."""
    (backed_up.path / "password").chmod(0o644)
    with pytest.raises(ConfigurationError, match="must be a regular file that only its owner"):
        service.initialise(backed_up.settings())


def test_a_failed_backup_starts_what_it_stopped(world):
    """And is told, with the time of the last success kept."""
    service.run(world.settings(), [], lambda _: None)
    known = json.loads((world.path / "state/state.json").read_text())["sets"]["node"]
    world.log.unlink()
    broken = world.settings(paths=[str(world.live / "nothing")])
    with pytest.raises(BackupFailed, match="nothing is not there"):
        service.run(broken, [], lambda _: None)
    assert world.calls() == []
    metrics = (world.path / "metrics/steelyard_backup.prom").read_text()
    assert 'steelyard_backup_last_run_success{set="node"} 0' in metrics
    success = f'steelyard_backup_last_success_timestamp_seconds{{set="node"}} {known["success"]}'
    assert success in metrics


def test_a_unit_that_does_not_start_again_fails_the_set(world):
    """The others are started all the same."""
    (world.units / "broken.service").touch()
    settings = world.settings(stop=["broken.service", "tessera.service"])
    with pytest.raises(BackupFailed, match=r"broken\.service: systemctl start failed: no way"):
        service.run(settings, [], lambda _: None)
    assert (world.units / "tessera.service").exists()


def test_what_a_killed_backup_stopped_is_started(world):
    """By whoever comes after it."""
    units = service.units_of(world.settings())
    units.stop(["quorum.service", "tessera.service", "reader.service"])
    service.units_of(world.settings()).resume()
    assert world.calls()[2:] == ["start tessera.service", "start quorum.service"]
    service.units_of(world.settings()).resume()
    assert len(world.calls()) == 4


def test_a_damaged_repository_is_found(backed_up):
    """By the check, in one sentence and a metric."""
    service.check(backed_up.settings(), 100, lambda _: None)
    for pack in (backed_up.path / "repository/data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:-1])
    with pytest.raises(BackupFailed, match="repository data is damaged: "):
        service.check(backed_up.settings(), 100, lambda _: None)
    metrics = (backed_up.path / "metrics/steelyard_backup.prom").read_text()
    assert 'steelyard_backup_check_success{repository="data"} 0' in metrics


def test_a_repository_that_goes_away_changes_nothing(backed_up):
    """What is fetched last fails before anything is stopped or moved."""
    program = backed_up.path / "restic"
    program.write_text(RESTIC.format(restic=shutil.which("restic")))
    program.chmod(0o755)
    backed_up.log.unlink()
    settings = backed_up.settings().model_copy(update={"restic": str(program)})
    with pytest.raises(RestoreFailed, match="repository data cannot be used: the line is dead"):
        restoration.restore(settings, Request("node", force=True))
    assert backed_up.calls() == []
    assert sorted(one.name for one in backed_up.live.iterdir()) == ["chain", "outbox.sqlite"]


def test_another_hosts_set_by_its_name_only(backed_up):
    """A host does not get another's backup by accident."""
    settings = backed_up.settings().model_copy(update={"host": "station-2"})
    with pytest.raises(RestoreRefused, match="no backup of the set node of station-2"):
        restoration.restore(settings, Request("node"))
    told = restoration.restore(settings, Request("node", host="station-1", force=True))
    assert "Restored" in told[1]


def test_two_at_once_are_refused(backed_up):
    """Neither waits for the other."""
    with (
        service.alone(backed_up.settings()),
        pytest.raises(BackupFailed, match="another backup or restoration is under way"),
    ):
        service.run(backed_up.settings(), [], lambda _: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_are_kept_by_name(world, monkeypatch):
    """A user who has another number on the new host owns its files there."""
    os.chown(world.live / "chain/key", 65534, 65534)
    service.run(world.settings(), [], lambda _: None)
    shutil.rmtree(world.live)
    monkeypatch.setattr(
        "steelyard.backup.owners.user_id", {"nobody": 1234, "root": 0, "daemon": 1}.get
    )
    restoration.restore(world.settings(), Request("node"))
    assert (world.live / "chain/key").stat().st_uid == 1234
    assert stat.S_IMODE((world.live / "chain/key").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"paths": [], "sqlite": []}, "must name paths, sqlite or postgresql"),
        ({"repository": "tape"}, "repository tape must be one of data"),
        ({"paths": ["/"]}, "must be an absolute path below /"),
        ({"stop": ["x; reboot"]}, "String should match pattern"),
        ({"postgresql": ["a'b"]}, "String should match pattern"),
    ],
)
def test_settings_are_checked(world, change, said):
    """Each in one sentence."""
    with pytest.raises(ValueError, match=said):
        world.settings(**change)
