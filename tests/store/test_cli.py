"""The commands on a host: what an operator types, reads, and gets as exit status."""

import json
import re
import sqlite3

import pytest
from click.testing import CliRunner, Result

from steelyard.cli import steelyard
from steelyard.errors import ConfigurationError, Problem
from steelyard.store import schema
from steelyard.store.errors import SchemaMismatch


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with its settings in the environment, and nothing made yet."""
    monkeypatch.setenv("STEELYARD_STORE_URL", f"sqlite:///{tmp_path}/steelyard.db")
    monkeypatch.setenv("STEELYARD_VAULT_KEY_RING_FILE", str(tmp_path / "ring.json"))
    return tmp_path


def _run(*words: str) -> Result:
    result = CliRunner().invoke(steelyard, list(words))
    if isinstance(result.exception, Problem):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_database_is_made_once_and_checked(host):
    """Upgrade makes it, again changes nothing, current and check say where it is."""
    newest = schema.head()
    assert f"went from revision none to {newest}" in _run("database", "upgrade").output
    assert f"at revision {newest} already" in _run("database", "upgrade").output
    assert _run("database", "current").output == f"{newest} (needed: {newest})\n"
    result = _run("database", "check")
    assert (result.exit_code, "in order" in result.output) == (0, True)


def test_a_database_without_tables_is_told(host):
    """A check before the upgrade names the command to run."""
    with pytest.raises(SchemaMismatch) as caught:
        _run("database", "check")
    assert "database upgrade" in caught.value.hint


def test_an_edited_audit_log_fails_the_check(host):
    """Exit status 1, and the line's number."""
    _run("database", "upgrade")
    _run("vault", "init")
    _run("vault", "rotate")
    with sqlite3.connect(host / "steelyard.db") as connection:
        connection.execute("DROP TRIGGER audit_log_no_update")
        connection.execute("UPDATE audit_log SET actor_id = 'someone' WHERE seq = 1")
    result = _run("database", "check")
    assert result.exit_code == 1
    assert "wrong: line 1 of the audit log does not fit its hash" in result.output


def test_a_head_that_was_kept_is_looked_for(host):
    """The head that check prints can be given back; another one fails."""
    _run("database", "upgrade")
    _run("vault", "init")
    _run("vault", "rotate")
    head = re.search(r"head (\d+:[0-9a-f]{64})", _run("database", "check").output)[1]
    assert _run("database", "check", "--expect-head", head).exit_code == 0
    assert _run("database", "check", "--expect-head", "1:" + "0" * 64).exit_code == 1
    assert _run("database", "check", "--expect-head", "1:zz").exit_code == 2


def test_a_broken_reference_fails_the_check(host):
    """Rows that somebody wrote without the references are found."""
    _run("database", "upgrade")
    with sqlite3.connect(host / "steelyard.db") as connection:
        connection.execute("INSERT INTO refresh_tokens VALUES (x'00', 'NOFAMILY', 1, 0, 0, NULL)")
    result = _run("database", "check")
    assert result.exit_code == 1
    assert "a row of refresh_tokens refers to a row of token_families" in result.output


def test_a_ring_is_made_once_rotated_and_its_old_key_dropped_later(host):
    """The key stays for its time, and goes when asked to go at once."""
    _run("database", "upgrade")
    ring = host / "ring.json"
    assert "with the key k1" in _run("vault", "init").output
    with pytest.raises(ConfigurationError, match="exists"):
        _run("vault", "init")
    assert "under k2" in _run("vault", "rotate").output
    assert set(json.loads(ring.read_text())["keys"]) == {"k1", "k2"}
    assert "Dropped" not in _run("vault", "rewrap").output
    assert "Dropped k1" in _run("vault", "rewrap", "--drop-after", "0").output
    assert set(json.loads(ring.read_text())["keys"]) == {"k2"}
    assert "Added the key k3" in _run("vault", "rotate", "--stage-only").output
    assert json.loads(ring.read_text())["current"] == "k2"
    assert "under k3" in _run("vault", "rotate").output
    assert _run("vault", "check").exit_code == 0


def test_a_tampered_value_fails_check_and_rewrap(host):
    """Exit status 1 and the row; the database's log has it."""
    _run("database", "upgrade")
    _run("vault", "init")
    with sqlite3.connect(host / "steelyard.db") as connection:
        connection.execute(
            "INSERT INTO nodes (id, version, created_at, updated_at, name, role, tessera_key,"
            " rpc_url, tessera_url, seal) VALUES"
            " ('N1', 1, 0, 0, 'n', 'network', 'k', x'01', x'0102', x'03')"
        )
    for command in ("check", "rewrap"):
        result = _run("vault", command)
        assert result.exit_code == 1
        assert "wrong: the stored value nodes/N1/rpc_url failed" in result.output
    with sqlite3.connect(host / "steelyard.db") as connection:
        found = connection.execute(
            "SELECT count(*) FROM audit_log WHERE action = 'vault.open' AND outcome = 'tampered'"
        ).fetchone()
    assert found == (6,)


def test_the_settings_may_come_from_a_file(tmp_path, monkeypatch):
    """--config names a TOML file."""
    monkeypatch.delenv("STEELYARD_STORE_URL", raising=False)
    config = tmp_path / "steelyard.toml"
    config.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/x.db"\n')
    assert _run("database", "upgrade", "--config", str(config)).exit_code == 0
    assert (tmp_path / "x.db").exists()
