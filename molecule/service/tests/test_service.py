"""What role service leaves on a machine."""

from scenario import assert_confined

UNITS = ["steelyard-probe", "steelyard-twin@01", "steelyard-twin@02"]


def test_the_user_cannot_log_in(host):
    """A system user without shell and password."""
    user = host.user("steelyard")
    assert user.shell == "/usr/sbin/nologin"
    with host.sudo():
        assert host.run("getent shadow steelyard").stdout.split(":")[1] in {"!", "!*"}


def test_the_application_runs_from_its_bundle(host):
    """The current release starts, and is nobody's but root's."""
    program = host.file("/opt/steelyard/station/current/venv/bin/steelyard")
    assert (program.user, program.mode & 0o022) == ("root", 0)
    assert host.run(f"{program.path} --version").stdout.strip().endswith("0.1.0")
    assert host.run("/opt/steelyard/station/current/venv/bin/pip check").rc == 0


def test_the_pinned_file_is_complete(host):
    """With the mark of its checksum."""
    assert (
        host.file("/opt/licence/1/LICENSE").sha256sum
        == host.file("/opt/licence/1/.checksum").content_string.strip()
    )


def test_units_run_and_are_enabled(host):
    """Also a template's instances."""
    for name in UNITS:
        assert host.service(name).is_running
        assert host.service(name).is_enabled


def test_units_are_confined(host):
    """systemd-analyze's exposure is at most 2.5."""
    for name in UNITS:
        assert_confined(host, name)


def test_a_credential_reaches_the_service_only(host):
    """The service serves its credentials directory; the file itself is root's."""
    get = "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8099/probe').read())\""
    assert "a secret of the scenario" in host.run(get).stdout
    assert host.run("cat /etc/probe.secret").rc != 0
    with host.sudo():
        environment = host.run(
            "cat /proc/$(systemctl show -P MainPID steelyard-probe)/environ"
        ).stdout
    assert "a secret" not in environment
