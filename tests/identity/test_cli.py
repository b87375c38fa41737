"""`steelyard identity` as an operator uses it."""

import json
import re
import stat

import pytest
from click.testing import CliRunner, Result

from steelyard.cli import steelyard
from steelyard.errors import ConfigurationError, Problem
from steelyard.identity.errors import WeakPassword
from steelyard.identity.service import IdentityService, Origin
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TokenIssuer, TokenVerifier
from steelyard.store.database import Database
from steelyard.store.errors import Taken
from steelyard.store.models import Role

PASSWORD = "seven purple herons"


def _run(*words: str) -> Result:
    result = CliRunner().invoke(steelyard, list(words))
    if isinstance(result.exception, Problem):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def host(store_settings, monkeypatch, tmp_path):
    """A host with a migrated database, cheap hashes, and a directory for keys."""
    monkeypatch.setenv("STEELYARD_STORE_URL", store_settings.url)
    if store_settings.password_file:
        monkeypatch.setenv("STEELYARD_STORE_PASSWORD_FILE", str(store_settings.password_file))
    monkeypatch.setenv("STEELYARD_IDENTITY_ARGON2_MEMORY_KIB", "8")
    monkeypatch.setenv("STEELYARD_IDENTITY_ARGON2_ITERATIONS", "1")
    monkeypatch.setenv("STEELYARD_IDENTITY_ARGON2_LANES", "1")
    keys = tmp_path / "keys"
    keys.mkdir()
    return keys


def _settings(keys) -> IdentitySettings:
    return IdentitySettings(
        signing_key_file=keys / "signing-key.pem",
        jwks_file=keys / "jwks.json",
        argon2_memory_kib=8,
        argon2_iterations=1,
        argon2_lanes=1,
    )


def _log_in(keys, store_settings, login, password):
    import asyncio

    async def work():
        database = Database(store_settings)
        service = IdentityService.from_settings(database, _settings(keys))
        try:
            grant = await service.password_grant(login, password, Origin("192.0.2.1"))
            return await TokenVerifier.from_settings(_settings(keys)).verify(grant.access_token)
        finally:
            service.close()
            await database.dispose()

    return asyncio.run(work())


def test_the_first_administrator_logs_in_with_the_printed_password(host, store_settings):
    """From nothing to a platform administrator's token, as the tutorial has it."""
    _run("identity", "make-keys", "--directory", str(host))
    output = _run("identity", "bootstrap-admin", "--login", "root@example.org").output
    password = re.search(r"shown only now: (\S+)", output)[1]
    principal = _log_in(host, store_settings, "ROOT@example.org", password)
    assert principal.role is Role.PLATFORM_ADMINISTRATOR
    with pytest.raises(Taken, match="a user has this log-in"):
        _run("identity", "bootstrap-admin", "--login", "Root@Example.org")


def test_a_given_password_is_not_printed(host, store_settings, tmp_path):
    """It is read from a file that is its owner's, and has to keep the rules."""
    _run("identity", "make-keys", "--directory", str(host))
    path = tmp_path / "password"
    path.touch(mode=0o600)
    command = ("identity", "bootstrap-admin", "--login", "root", "--password-file", str(path))
    path.write_text("passwordpassword\n")
    with pytest.raises(WeakPassword):
        _run(*command)
    path.write_text(PASSWORD + "\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"--password-file.*mode 0644"):
        _run(*command)
    path.chmod(0o600)
    assert PASSWORD not in _run(*command).output
    assert _log_in(host, store_settings, "root", PASSWORD).customer_id is None


@pytest.mark.parametrize("login", ["", " root", "ro\not", "x" * 255])
def test_a_bad_log_in_is_refused(host, login):
    """With what is allowed."""
    result = _run("identity", "bootstrap-admin", "--login", login)
    assert result.exit_code == 2
    assert "1 to 254 printable characters" in result.output


def test_keys_are_made_once(tmp_path):
    """The private one is its owner's, the public ones are everybody's, and neither is replaced."""
    _run("identity", "make-keys", "--directory", str(tmp_path))
    private, public = tmp_path / "signing-key.pem", tmp_path / "jwks.json"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert "d" not in json.loads(public.read_text())["keys"][0]
    with pytest.raises(ConfigurationError, match="exists"):
        _run("identity", "make-keys", "--directory", str(tmp_path))


def test_rotated_keys_still_verify_what_the_old_one_signed(tmp_path):
    """The new key signs, the last one verifies, the one before is gone."""
    _run("identity", "make-keys", "--directory", str(tmp_path))
    issuers = [TokenIssuer.from_settings(_settings(tmp_path))]
    for _ in range(2):
        _run("identity", "rotate-keys", "--directory", str(tmp_path))
        issuers.append(TokenIssuer.from_settings(_settings(tmp_path)))
    published = [key["kid"] for key in json.loads((tmp_path / "jwks.json").read_text())["keys"]]
    assert published == [issuer.verification_key.id for issuer in issuers[1:]]


def test_rotating_what_is_not_there_is_told(tmp_path):
    """One sentence."""
    with pytest.raises(ConfigurationError, match=r"jwks\.json cannot be read"):
        _run("identity", "rotate-keys", "--directory", str(tmp_path))


def test_purge_says_how_much_it_deleted(host):
    """Nothing, in a new database."""
    assert _run("identity", "purge").output == "Deleted 0 expired rows.\n"
