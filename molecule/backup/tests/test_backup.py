"""What role backup leaves on a host, and what a restoration brings back."""

import json
import re

from scenario import assert_confined

PROGRAM = "/opt/steelyard/station/current/venv/bin/steelyard"
CONFIG = "--config /etc/steelyard-backup/backup.toml"
PROM = "/var/lib/prometheus/node-exporter/steelyard_backup.prom"
SETS = {"platform-database", "platform-keys", "authorities", "genesis", "node-north", "smartbox"}


def psql(host, statement, database="steelyard"):
    """The answer of the database."""
    with host.sudo("postgres"):
        return host.check_output("psql -At -d %s -c %s", database, statement)


def test_services_are_confined(host):
    """systemd-analyze's exposure is at most 2.5, though they read what only root may."""
    for name in ("steelyard-backup", "steelyard-backup-check"):
        assert_confined(host, name)


def test_timers_are_set(host):
    """Both, with their next time."""
    for name in ("steelyard-backup.timer", "steelyard-backup-check.timer"):
        assert host.service(name).is_enabled
        assert host.service(name).is_running


def test_every_set_was_backed_up(host):
    """By the unit, with its few rights; the monitoring is told of each."""
    text = host.file(PROM).content_string
    for name in SETS:
        assert f'steelyard_backup_last_run_success{{set="{name}"}} 1' in text
    assert host.file(PROM).mode == 0o644


def test_secrets_are_roots(host):
    """Passwords were born here, differ, and are in no log and no process's arguments."""
    with host.sudo():
        found = []
        for name in ("data", "keys"):
            file = host.file(f"/etc/steelyard-backup/{name}.password")
            assert (file.user, file.mode) == ("root", 0o600)
            found.append(file.content_string.strip())
        assert len(set(found)) == 2
        assert min(map(len, found)) >= 40
        journal = host.check_output("journalctl --no-pager -q")
        assert not [one for one in found if one in journal]
        assert not host.file("/var/lib/steelyard-backup/staging").listdir()


def test_keys_are_in_their_own_repository(host):
    """And not in the data's."""
    with host.sudo():
        for place, password, present in (
            ("/srv/backup", "data", False),
            ("/srv/backup-of-keys", "keys", True),
        ):
            listed = host.check_output(
                f"restic -r {place} --password-file /etc/steelyard-backup/{password}.password "
                "--no-cache ls latest --tag set=platform-keys"
                if present
                else f"restic -r {place} --password-file /etc/steelyard-backup/{password}.password "
                "--no-cache --json snapshots"
            )
            assert ("vault.json" in listed) is present
            assert ("platform/enrolment/authority.key" in listed) is present


def test_the_pair_was_stopped_in_order(host):
    """Geth before its Tessera, Tessera up before geth."""
    with host.sudo():
        lines = host.check_output(
            "journalctl -q --no-pager -o cat -u steelyard-quorum-north -u steelyard-tessera-north"
        )
    words = re.findall(r"(Stopped|Started) steelyard-(quorum|tessera)", lines)
    assert words[2:6] == [
        *(("Stopped", "quorum"), ("Stopped", "tessera")),
        *(("Started", "tessera"), ("Started", "quorum")),
    ], lines


def test_rows_and_the_databases_own_settings_are_back(host):
    """With the owner and the grants; what lived is kept under another name."""
    assert psql(host, "SELECT string_agg(name, ',' ORDER BY name) FROM stations") == "north,south"
    assert psql(host, "SELECT tableowner FROM pg_tables WHERE tablename='stations'") == "steelyard"
    assert psql(host, "SHOW statement_timeout") == "31s"
    acl = psql(host, "SELECT datacl FROM pg_database WHERE datname='steelyard'")
    assert "=T/" in acl
    kept = psql(host, "SELECT datname FROM pg_database WHERE datname LIKE 'steelyard_before%'")
    assert psql(host, "SELECT count(*) FROM stations", kept) == "0"


def test_files_have_their_owners_and_modes(host):
    """By name: the node's user has another number than when the backup was made."""
    with host.sudo():
        for path, owner, mode in (
            ("/etc/steelyard/vault.json", "steelyard", 0o600),
            ("/var/lib/steelyard-authorities/consortium.key", "root", 0o400),
            ("/var/lib/steelyard/smartbox/alibi", "steelyard", 0o640),
            ("/var/lib/steelyard-nodes/genesis.json", "root", 0o644),
            ("/var/lib/steelyard-nodes/north/geth/nodekey", "quorum", 0o600),
            ("/var/lib/steelyard-nodes/north/tessera/tm.key", "tessera", 0o600),
        ):
            file = host.file(path)
            assert (file.user, file.group, file.mode) == (owner, owner, mode), path
            assert file.content_string == f"{path}\n"
        assert host.file("/var/lib/steelyard-nodes/north/geth").uid == 4711


def test_the_devices_authority_is_the_one_that_it_was(host):
    """Every file of it, for root alone, and it can be used: no device must enrol again."""
    with host.sudo():
        host.check_output("diff -r /root/enrolment-before /etc/steelyard/platform/enrolment")
        for name, mode in ((".", 0o700), ("authority.key", 0o600)):
            file = host.file(f"/etc/steelyard/platform/enrolment/{name}")
            assert (file.user, file.group, file.mode) == ("root", "root", mode)
        said = host.check_output(
            f"{PROGRAM} pki show --authority /etc/steelyard/platform/enrolment"
        )
        assert said.startswith("Devices of the scenario, until ")


def test_the_smartboxs_database_is_whole(host):
    """It was copied while the SmartBox wrote, which goes on writing now."""
    script = (
        "import sqlite3; c = sqlite3.connect('/var/lib/steelyard/smartbox/outbox.sqlite'); "
        "print(c.execute('PRAGMA integrity_check').fetchone()[0], "
        "c.execute('SELECT count(*), max(id) FROM tickets').fetchone())"
    )
    with host.sudo("steelyard"):
        verdict, counts = host.check_output("python3 -c %s", script).split(" ", 1)
    count, last = json.loads(counts.replace("(", "[").replace(")", "]"))
    assert (verdict, count) == ("ok", last)
    assert count > 1
    for name in ("steelyard-smartbox", "steelyard-quorum-north", "steelyard-tessera-north"):
        assert host.service(name).is_running


def test_a_killed_backup_leaves_nothing_stopped(host):
    """What it stopped is started by systemd's last step."""
    with host.sudo():
        host.check_output("systemctl start --no-block steelyard-backup.service")
        host.check_output(
            "timeout 60 sh -c "
            "'while systemctl is-active --quiet steelyard-tessera-north; do sleep 0.02; done'"
        )
        host.check_output("systemctl kill --signal=KILL steelyard-backup.service")
        host.check_output(
            "timeout 60 sh -c 'until systemctl is-active --quiet steelyard-quorum-north; "
            "do sleep 0.2; done'"
        )
        assert host.service("steelyard-tessera-north").is_running


def test_the_check_runs_in_its_unit(host):
    """With fewer rights still, and tells the monitoring."""
    with host.sudo():
        host.check_output("systemctl start steelyard-backup-check.service")
    text = host.file(PROM).content_string
    for name in ("data", "keys"):
        assert f'steelyard_backup_check_success{{repository="{name}"}} 1' in text
