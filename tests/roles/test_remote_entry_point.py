"""Role postgresql's entry point `remote`, run on this computer against servers on loopback."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from databases import PostgresqlMissing
from plays import run_play
from remote_database_world import ARN, ROOT, elsewhere
from steelyard.store.settings import StoreSettings

pytestmark = [pytest.mark.postgresql, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server and a provider, with the application's password, in a directory with a space."""
    directory = tmp_path_factory.mktemp("else where")
    try:
        with elsewhere(directory) as made:
            made.password_file.write_text("0123456789abcdef" * 3)
            yield made
    except PostgresqlMissing as missing:
        pytest.skip(str(missing))


def play(world, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The entry point's part `run`: the rest is for a whole machine."""
    told = {
        "postgresql_remote_url": world.url(),
        "postgresql_remote_password_file": str(world.password_file),
        "postgresql_remote_ca_file": str(world.ca_file),
        "postgresql_remote_secret_arn": ARN,
        "postgresql_remote_endpoint": world.endpoint,
        "postgresql_remote_endpoint_ca_file": str(world.ca_file),
        "postgresql_remote_metadata_url": world.metadata_url,
        "postgresql_remote_retries": 0,
    } | changes
    role = {"name": "postgresql", "tasks_from": "remote"}
    tasks = [{"ansible.builtin.include_role": role, "vars": told, "tags": ["preflight", "run"]}]
    path = world.directory / "play.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return run_play(path, "-v", "-t", "preflight,run", *options)


def changed(done: subprocess.CompletedProcess[str]) -> int:
    """How many tasks say that they changed something."""
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"changed=(\d+)", done.stdout)[1])


def test_a_dry_run_a_run_and_another(world):
    """The first tells what it would do, and asks for no secret; the last has nothing to do."""
    assert changed(play(world, "--check")) == 1
    assert world.log == []
    done = play(world)
    assert changed(done) == 1
    assert world.log[-1] == f"secret given: {ARN}"
    assert changed(play(world)) == 0
    assert changed(play(world, "--check")) == 0
    assert len(world.log) == 2
    master = json.loads(world.provider.secrets[ARN])["password"]
    for secret in (master, world.provider.key, "0123456789abcdef"):
        assert secret not in done.stdout + done.stderr


def test_what_is_wrong_is_told_in_one_sentence(world):
    """Although the task itself may show nothing."""
    done = play(
        world, postgresql_remote_url=world.url(user="other"), postgresql_remote_secret_arn=""
    )
    assert done.returncode != 0
    assert "no secret of a master is named" in " ".join(done.stdout.split())
    done = play(world, postgresql_remote_url="postgresql://a:b@c/d")
    assert "postgresql_remote_url must be postgresql://USER@HOST:PORT/NAME" in " ".join(
        done.stdout.split()
    )


def test_what_the_platform_is_told_is_what_it_reads(tmp_path):
    """The settings of a database elsewhere; its backups have the keys and no dump."""
    told = {
        "platform_name": "platform.example",
        "platform_database": "remote",
        "platform_database_url": "postgresql://platform@database.example:5432/steelyard",
        "platform_database_password_file": "/etc/steelyard/platform/database.password",
        "platform_database_ca_file": "/etc/steelyard/database/ca.pem",
        "backup_database": "",
        "backup_platform_key_paths": ["/etc/steelyard"],
    }
    roles = ROOT / "roles"
    read = ("platform/defaults/main.yml", "platform/vars/main.yml", "backup/vars/platform.yml")
    source = roles / "platform/templates/platform.toml.j2"
    sets = {"content": "{{ backup_sets_of_platform | to_json }}", "dest": f"{tmp_path}/sets.json"}
    after = {"content": "{{ platform_after | to_json }}", "dest": f"{tmp_path}/after.json"}
    tasks = [
        *({"ansible.builtin.include_vars": str(roles / one)} for one in read),
        {"ansible.builtin.set_fact": told},
        {"ansible.builtin.template": {"src": str(source), "dest": f"{tmp_path}/platform.toml"}},
        {"ansible.builtin.copy": sets},
        {"ansible.builtin.copy": after},
    ]
    path = tmp_path / "play.json"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    done = run_play(path)
    assert done.returncode == 0, done.stdout
    written = tomllib.loads((tmp_path / "platform.toml").read_text())
    settings = StoreSettings(**written["store"])
    assert settings.url == told["platform_database_url"]
    assert settings.ca_file == Path(told["platform_database_ca_file"])
    assert settings.password_file == Path(told["platform_database_password_file"])
    kept = json.loads((tmp_path / "sets.json").read_text())
    assert [one["name"] for one in kept] == ["platform-keys"]
    assert "postgresql.service" not in json.loads((tmp_path / "after.json").read_text())
