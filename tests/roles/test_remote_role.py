"""The application's role in a PostgreSQL elsewhere is made once, by whoever may, and by TLS."""

import json
import subprocess
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from databases import PostgresqlMissing
from remote_database_world import (
    ARN,
    MASTER,
    REGION,
    ROOT,
    elsewhere,
    loaded,
    provider_stand_in,
    self_signed,
)
from steelyard.store import schema
from steelyard.store.database import Database
from steelyard.store.errors import DatabaseUnavailable
from steelyard.store.settings import StoreSettings

PROGRAM = ROOT / "roles/postgresql/files/remote_role.py"
role = loaded(PROGRAM)
PASSWORD = "0123456789abcdef" * 3

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A server and a provider, for all tests."""
    try:
        with elsewhere(tmp_path_factory.mktemp("elsewhere")) as made:
            yield made
    except PostgresqlMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def world(everything):
    """The same with nothing made yet, and with the application's password."""
    everything.password_file.write_text(f"{PASSWORD}\n")
    everything.password_file.chmod(0o600)
    everything.provider.log.unlink(missing_ok=True)
    yield everything
    everything.server.sql("DROP DATABASE IF EXISTS steelyard WITH (FORCE)")
    everything.server.sql("DROP ROLE IF EXISTS platform")


def run(world, *more: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The program as the role runs it."""
    options = {
        "url": world.url(),
        "ca-file": str(world.ca_file),
        "password-file": str(world.password_file),
        "secret-arn": ARN,
        "endpoint": world.endpoint,
        "endpoint-ca-file": str(world.ca_file),
        "metadata-url": world.metadata_url,
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return subprocess.run(
        [sys.executable, PROGRAM, *words, *more], check=False, capture_output=True, text=True
    )


def asked(world, statement: str, database: str = "postgres") -> str:
    """What the superuser sees."""
    done = subprocess.run(
        [
            *(world.server.programs / "psql", "-XqAt", "-h", world.server.directory),
            *("-p", str(world.server.port), "-U", "steelyard", "-d", database, "-c", statement),
        ],
        check=True,
        env={"PGPASSWORD": world.server.password, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_it_is_made_once(world):
    """The second run asks nobody for a secret."""
    done = run(world)
    assert (done.stdout, done.stderr) == ("made\n", "")
    assert world.log == ["credentials given", f"secret given: {ARN}"]
    assert run(world).stdout == "there\n"
    assert len(world.log) == 2


def test_the_application_owns_its_database_and_nothing_else(world):
    """It is no member of anything, nobody is a member of it, and others do not connect."""
    run(world)
    rights = (
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname = 'platform'"
    )
    assert asked(world, rights) == "f"
    members = (
        "SELECT count(*) FROM pg_auth_members WHERE roleid = 'platform'::regrole "
        "AND (inherit_option OR set_option) OR member = 'platform'::regrole"
    )
    if world.server.programs.parts[-2] < "16":
        members = members.replace("AND (inherit_option OR set_option) ", "")
    assert asked(world, members) == "0"
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'steelyard'"
    assert asked(world, owner) == "platform"
    public = (
        "SELECT count(*) FROM pg_database, aclexplode(datacl) "
        "WHERE datname = 'steelyard' AND grantee = 0"
    )
    assert asked(world, public) == "0"


async def test_the_application_migrates_and_works_with_it(world):
    """With its own settings: password file and authority."""
    run(world)
    settings = StoreSettings(
        url=world.url(), password_file=world.password_file, ca_file=world.ca_file
    )
    database = Database(settings)
    await schema.upgrade(database)
    await schema.require_schema(database)
    await database.dispose()
    ssl = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE NOT ssl"
    assert asked(world, f"{ssl} AND client_addr IS NOT NULL") == "0"


async def test_the_application_refuses_another_server(world, tmp_path):
    """Whose certificate is of another authority, and one of another name."""
    run(world)
    (tmp_path / "other").mkdir()
    other, _ = self_signed(tmp_path / "other")
    told = {"password_file": world.password_file}
    for settings in (
        StoreSettings(url=world.url(), ca_file=other, **told),
        StoreSettings(
            url=world.url().replace("localhost", "127.0.0.1"), ca_file=world.ca_file, **told
        ),
    ):
        database = Database(settings)
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await database.dispose()


def test_another_server_gets_no_password(world, tmp_path):
    """Nothing is asked of the provider either."""
    (tmp_path / "other").mkdir()
    other, _ = self_signed(tmp_path / "other")
    done = run(world, ca_file=str(other))
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "certificate verify failed" in done.stderr
    assert world.log == []


def test_a_database_of_the_masters_is_given(world):
    """The provider makes it with the instance."""
    world.server.sql(f"CREATE DATABASE steelyard OWNER {MASTER}")
    assert run(world).stdout == "made\n"
    assert run(world).stdout == "there\n"


def test_somebody_elses_database_is_left_alone(world):
    """It is named."""
    world.server.sql("CREATE DATABASE steelyard")
    done = run(world)
    assert done.stderr == "the database steelyard at localhost is steelyard's\n"
    assert asked(world, "SELECT count(*) FROM pg_roles WHERE rolname = 'platform'") == "0"


def test_a_new_password_is_taken_into_use(world):
    """Such as after the host was made again; the database is as it was."""
    run(world)
    asked(world, "CREATE TABLE kept (n int)", "steelyard")
    world.password_file.write_text("f" * 48)
    assert run(world, "--look").stdout == "missing\n"
    assert run(world).stdout == "made\n"
    assert run(world, "--look").stdout == "there\n"
    assert asked(world, "SELECT count(*) FROM kept", "steelyard") == "0"


def test_a_look_changes_nothing_and_asks_for_nothing(world):
    """Ansible's check mode."""
    assert run(world, "--look").stdout == "missing\n"
    assert world.log == []
    assert asked(world, "SELECT count(*) FROM pg_roles WHERE rolname = 'platform'") == "0"


def test_the_server_is_not_told_the_password(world):
    """Not even in its log of statements; it gets what it would keep (RFC 5803)."""
    world.server.sql("ALTER SYSTEM SET log_statement = 'all'")
    world.server.sql("SELECT pg_reload_conf()")
    run(world)
    log = (world.server.directory / "log").read_text()
    assert "CREATE ROLE" in log
    assert PASSWORD not in log
    kept = asked(world, "SELECT rolpassword FROM pg_authid WHERE rolname = 'platform'")
    assert kept.startswith("SCRAM-SHA-256$4096:")


def test_no_secret_is_on_an_argument_list_or_is_printed(world, tmp_path, monkeypatch):
    """Programs in the place of curl and psql write down what they are called with."""
    master = json.loads(world.provider.secrets[ARN])["password"]
    source = PROGRAM.read_text()
    for name in ("curl", "psql"):
        spy = tmp_path / name
        spy.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/called\nexec /usr/bin/{name} "$@"\n'
        )
        spy.chmod(0o755)
        assert f'"/usr/bin/{name}"' in source
        source = source.replace(f'"/usr/bin/{name}"', f'"{spy}"')
    program = tmp_path / "watched.py"
    program.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "PROGRAM", program)
    done = run(world)
    assert done.stdout == "made\n"
    shown = (tmp_path / "called").read_text() + done.stdout + done.stderr
    shown += "".join(world.log)
    assert "ON_ERROR_STOP=1" in shown
    provider = world.provider
    hidden = [PASSWORD, master, provider.key, provider.session, *provider.tokens, "SCRAM-SHA-256"]
    assert [one for one in hidden if one in shown] == []


WRONG = {
    "a secret that is another's": (
        {"secret_arn": f"{ARN}X"},
        f"AccessDeniedException not authorized to read {ARN}X",
    ),
    "no secret's address": ({"secret_arn": "arn:aws:s3:::x"}, "arn:aws:s3:::x is no secret: arn:"),
    "no secret at all": ({"secret_arn": ""}, "give postgresql_remote_secret_arn"),
    "another region": (
        {"secret_arn": ARN.replace("eu-west-1", "eu-west-2")},
        "InvalidSignatureException another key, session, region or service",
    ),
    "no metadata service": (
        {"metadata_url": "http://127.0.0.1:9"},
        "http://127.0.0.1:9/latest/api/token did not answer: curl: (7)",
    ),
    "the master's own name": (
        {"url": "master"},
        "is the provider's own master, whose password changes: the application must have another",
    ),
    "no URL": ({"url": "sqlite:////x"}, "the database's URL must be postgresql://USER@HOST:PORT/"),
    "a URL with a password": (
        {"url": "postgresql://a:hunter2@localhost/x"},
        "the database's URL must be postgresql://USER@HOST:PORT/NAME",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(world, name):
    """And no traceback."""
    changes, expected = WRONG[name]
    if changes.get("url") == "master":
        changes = {"url": world.url(user=MASTER)}
    done = run(world, **changes)
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr


def test_a_powerful_role_is_not_taken_for_the_applications(world):
    """Its password would open more than the database."""
    world.server.sql("CREATE ROLE platform CREATEDB")
    done = run(world)
    assert done.stderr == "platform has rights beyond its own database at localhost\n"


def test_a_weak_password_is_refused(world):
    """An empty file, for one."""
    world.password_file.write_text("short\n")
    assert "must hold a password of at least 16 ASCII characters" in run(world).stderr


def test_the_stand_in_takes_the_providers_own_signatures(tmp_path):
    """And refuses every change of them: it is as strict as what it stands in for."""
    provider = provider_stand_in.Provider(REGION, "r", {}, set(), tmp_path / "log")
    body = b'{"SecretId": "x"}'

    def signed() -> dict[str, str]:
        request = botocore.awsrequest.AWSRequest(
            "POST",
            "https://localhost:1234/",
            data=body,
            headers={"X-Amz-Target": "secretsmanager.GetSecretValue", "Host": "localhost:1234"},
        )
        own = botocore.credentials.Credentials(provider.key_id, provider.key, provider.session)
        botocore.auth.SigV4Auth(own, "secretsmanager", REGION).add_auth(request)
        return dict(request.headers.items())

    problem = provider_stand_in.signature_problem
    assert problem(provider, "/", signed(), body) is None
    assert problem(provider, "/", signed(), body + b" ") == "the signature is wrong"
    assert problem(provider, "/x", signed(), body) == "the signature is wrong"
    for name in ("X-Amz-Target", "X-Amz-Security-Token", "X-Amz-Date", "Host"):
        assert problem(provider, "/", signed() | {name: "other"}, body) is not None
        assert problem(provider, "/", {k: v for k, v in signed().items() if k != name}, body)
    assert "x-amz-more" in problem(provider, "/", signed() | {"X-Amz-More": "1"}, body)
