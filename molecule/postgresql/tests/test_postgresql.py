"""What role postgresql leaves on a machine."""

import pytest

QUERY = "psql -XAt -d steelyard -c"


def as_user(host, user: str, command: str):
    """A command as a system user."""
    return host.run(f"sudo runuser -u {user} -- {command}")


def is_scram(host) -> bool:
    """The second machine takes passwords as well."""
    return "trixie" in host.backend.get_hostname()


def test_it_is_debians_version_and_runs(host):
    """Enabled, and with checksums of its pages."""
    version = {"12": "15", "13": "17"}[host.system_info.release.split(".")[0]]
    service = host.service(f"postgresql@{version}-main")
    assert service.is_running
    assert service.is_enabled
    shown = as_user(host, "postgres", "psql -XAt -c 'SHOW data_checksums'")
    assert shown.stdout.strip() == "on"


def test_the_application_owns_its_database_and_nothing_else(host):
    """It makes tables there; it is no superuser, and makes neither databases nor users."""
    made = as_user(host, "steelyard", f"{QUERY} 'CREATE TABLE probe (); DROP TABLE probe'")
    assert made.rc == 0, made.stderr
    rights = as_user(host, "postgres", "psql -XAt -c '\\du steelyard'")
    assert rights.stdout.split("|")[:2] == ["steelyard", ""] or rights.stdout == "steelyard|\n"
    assert as_user(host, "steelyard", f"{QUERY} 'CREATE DATABASE more'").rc != 0
    assert as_user(host, "steelyard", "psql -XAt -d postgres -c 'SELECT 1'").rc != 0


def test_strangers_do_not_get_in(host):
    """Not as themselves, not under the application's name, not as the administrator."""
    for name in ("stranger", "steelyard", "postgres"):
        refused = as_user(host, "stranger", f"psql -XAt -U {name} -d steelyard -c 'SELECT 1'")
        assert refused.rc != 0


def test_root_comes_as_the_application(host):
    """For migrations and rotations, without a password."""
    found = host.run(f"sudo {QUERY} 'SELECT current_user' -U steelyard")
    assert found.stdout.strip() == "steelyard"


def test_backups_read_and_do_not_write(host):
    """The whole database can be dumped by the backups' user."""
    as_user(host, "steelyard", f"{QUERY} 'CREATE TABLE IF NOT EXISTS kept (n int)'")
    dump = as_user(host, "steelyard-backup", "pg_dump steelyard")
    assert "CREATE TABLE public.kept" in dump.stdout, dump.stderr
    assert as_user(host, "steelyard-backup", f"{QUERY} 'DROP TABLE kept'").rc != 0
    assert as_user(host, "steelyard-backup", f"{QUERY} 'TRUNCATE kept'").rc != 0


def test_it_listens_on_this_host_only(host):
    """On no port at all, or on the loopback interface."""
    listening = host.run("ss -Hltn 'sport = :5432'").stdout.split("\n")
    addresses = {line.split()[3] for line in listening if line}
    assert addresses == ({"127.0.0.1:5432"} if is_scram(host) else set())


def test_the_password_works_and_is_roots(host):
    """On the machine with passwords."""
    if not is_scram(host):
        pytest.skip("this machine has none")
    with host.sudo():
        kept = host.file("/etc/steelyard/postgresql.password")
        assert (kept.user, kept.mode) == ("root", 0o600)
        url = "postgresql://steelyard@127.0.0.1/steelyard"
        good = host.run(f"PGPASSWORD=$(cat {kept.path}) psql -XAt {url} -c 'SELECT 1'")
        assert good.stdout.strip() == "1"
        assert host.run(f"PGPASSWORD=wrong psql -XAt {url} -c 'SELECT 1'").rc != 0
        stored = host.run(
            "runuser -u postgres -- psql -XAt -c"
            " \"SELECT rolpassword FROM pg_authid WHERE rolname = 'steelyard'\""
        )
        assert stored.stdout.startswith("SCRAM-SHA-256$")


def test_settings_of_the_inventory_are_in_force(host):
    """And those that keep what was given out through a power cut."""
    shown = as_user(
        host,
        "postgres",
        "psql -XAt -c \"SELECT current_setting('work_mem'), current_setting('fsync'),"
        " current_setting('synchronous_commit')\"",
    )
    assert shown.stdout.strip() == "8MB|on|on"
