"""A platform whose database is a provider's: PostgreSQL with TLS on another machine."""

import base64
from pathlib import Path

import pytest
from scenario import machine, must_run

CONVERGE = Path(__file__).parents[1] / "converge.yml"
PASSWORD = "/etc/steelyard/platform/database.password"  # noqa: S105 - a place
LOG = "/var/lib/provider/provider.log"


@pytest.fixture(scope="module")
def platform():
    """The platform's machine, as root."""
    return machine("platform-bookworm")


@pytest.fixture(scope="module")
def provider():
    """The provider's machine, as root."""
    return machine("provider-trixie")


def asked(provider, statement: str) -> str:
    """What the superuser of the server sees."""
    return provider.check_output(f'runuser -u postgres -- psql -XqAt -c "{statement}"').strip()


def secrets_given(provider) -> int:
    """How often the provider gave the master's password out."""
    return provider.file(LOG).content_string.count("secret given")


def ready(platform) -> None:
    """Both APIs answer that they are."""
    for port in (8443, 8444):
        platform.check_output(
            "curl -sS --retry 60 --retry-delay 1 --retry-all-errors --fail -o /dev/null"
            f" --cacert /etc/steelyard/pki/ca.pem https://127.0.0.1:{port}/readyz"
        )


def test_the_secret_was_read_once(provider):
    """By a signed request; a dry run asked for nothing, and neither did the second run."""
    lines = provider.file(LOG).content_string.splitlines()
    assert [line.split(":")[0] for line in lines] == ["credentials given", "secret given"]


def test_both_apis_are_ready(platform):
    """With the tables that the application made there."""
    ready(platform)
    said = platform.check_output(
        "/opt/steelyard/server/current/venv/bin/steelyard database check"
        " --config /etc/steelyard/platform.toml"
    )
    assert "is in order" in said


def test_no_postgresql_is_installed_beside_it(platform):
    """The client alone. The server's package is known all the same: the client suggests it."""
    known = platform.run(
        "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' 'postgresql*'"
    ).stdout
    installed = [line.split()[1] for line in known.splitlines() if line.startswith("installed ")]
    assert any(name.startswith("postgresql-client") for name in installed)
    assert not any(name.startswith("postgresql-1") for name in installed), installed
    assert platform.run("ss -Hltn 'sport = :5432'").stdout == ""


def test_the_application_owns_its_database_and_nothing_else(provider):
    """PostgreSQL 17, where who makes a role is its administrator and no member of it."""
    rights = (
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
        " FROM pg_roles WHERE rolname = 'platform'"
    )
    assert asked(provider, rights) == "f"
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'steelyard'"
    assert asked(provider, owner) == "platform"
    member = (
        "SELECT count(*) FROM pg_auth_members WHERE roleid = 'platform'::regrole"
        " AND (inherit_option OR set_option) OR member = 'platform'::regrole"
    )
    assert asked(provider, member) == "0"


def test_every_connection_of_the_application_is_tls(provider, platform):
    """As its own user."""
    ready(platform)
    found = asked(
        provider,
        "SELECT DISTINCT usename, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
        " WHERE client_addr IS NOT NULL",
    )
    assert found == "platform|t"


def test_no_secret_is_where_it_does_not_belong(provider, platform):
    """The master's password is on no disk of the platform's; the application's in one file."""
    kept = platform.file(PASSWORD)
    assert (kept.user, kept.mode) == ("root", 0o600)
    master = provider.file("/etc/provider/master.password").content_string.strip()
    assert len(master) == 48
    # Not as it is: sudo writes commands down.
    hidden = base64.b64encode(master.encode()).decode()
    platform.check_output(f"umask 077; echo {hidden} | base64 -d > /run/probe")
    found = platform.run(
        "grep -rlF -f /run/probe /etc /root /home /tmp /opt /var/lib /var/log 2>/dev/null;"
        " rm /run/probe"
    )
    assert found.stdout == ""
    # On the server, where every statement is logged.
    log = provider.check_output("cat /var/log/postgresql/postgresql-17-main.log")
    assert "PASSWORD 'SCRAM-SHA-256$" in log
    assert kept.content_string.strip() not in log


def test_another_server_is_refused(provider, platform):
    """One whose certificate another authority signed gets no password, and nothing is asked."""
    before = secrets_given(provider)
    platform.check_output(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=database.example"
        " -keyout /run/other.key -out /run/other.pem"
    )
    said = platform.run(
        "PGPASSWORD=$(cat " + PASSWORD + ") PGSSLMODE=verify-full PGSSLROOTCERT=/run/other.pem"
        " psql -XAt postgresql://platform@database.example:5432/steelyard -c 'SELECT 1'"
    )
    assert "certificate verify failed" in said.stderr
    assert secrets_given(provider) == before


def test_a_new_password_is_made_and_taken_into_use(provider, platform):
    """By removing the old one and running the play again; the APIs go on."""
    before = platform.file(PASSWORD).content_string
    platform.check_output(f"rm {PASSWORD}")
    must_run(CONVERGE)
    assert platform.file(PASSWORD).content_string != before
    ready(platform)
    assert secrets_given(provider) == 2
