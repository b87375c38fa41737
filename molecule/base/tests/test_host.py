"""SSH, time, updates, journal and kernel, as they are in force."""

import re

import pytest

from conftest import address_of, here

SSH = {
    "permitrootlogin": {"without-password", "prohibit-password"},
    "passwordauthentication": {"no"},
    "kbdinteractiveauthentication": {"no"},
    "permitemptypasswords": {"no"},
    "authenticationmethods": {"publickey"},
    "x11forwarding": {"no"},
    "allowtcpforwarding": {"no"},
    "maxauthtries": {"3"},
}


def sshd(host) -> dict[str, str]:
    """The SSH server's settings, as it has read them."""
    with host.sudo():
        lines = host.check_output("sshd -T").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


@pytest.mark.parametrize("name", SSH)
def test_ssh_settings(host, name):
    """Keys only."""
    assert sshd(host)[name] in SSH[name]


def test_ssh_has_no_old_cryptography(host):
    """Neither SHA-1 nor CBC nor Diffie-Hellman with finite fields."""
    settings = sshd(host)
    for name in ("kexalgorithms", "ciphers", "macs", "hostkeyalgorithms"):
        assert not re.search(r"sha1|cbc|group|ssh-rsa|ssh-dss|md5|nistp", settings[name]), name
    if "trixie" in host.backend.host:
        assert "mlkem768x25519-sha256" in settings["kexalgorithms"]


def test_ssh_offers_no_passwords(host):
    """What it tells a client without a key."""
    options = "-o BatchMode=yes -o PubkeyAuthentication=no -o StrictHostKeyChecking=no"
    options += " -o UserKnownHostsFile=/dev/null"
    said = here(f"ssh {options} deploy@{address_of(host)} true 2>&1 || true")
    assert "Permission denied (publickey)." in said


def test_root_has_no_password(host):
    """Neither a password nor an empty one."""
    with host.sudo():
        assert host.check_output("getent shadow root").split(":")[1][:1] in {"*", "!"}


@pytest.fixture
def chrony(host):
    """The time service, running for the test.

    A container may not set the clock, so that it would not start; with -x it does all but that.
    """
    place = "/run/systemd/system/chrony.service.d"
    lines = "[Unit]|ConditionCapability=|[Service]|EnvironmentFile=|Environment=DAEMON_OPTS=-x|"
    with host.sudo():
        host.check_output(f"mkdir -p {place} && echo '{lines}' | tr '|' '\\n' > {place}/test.conf")
        host.check_output("systemctl daemon-reload && systemctl start chrony")
    yield host.service("chrony")
    with host.sudo():
        host.check_output(f"systemctl stop chrony && rm -r {place} && systemctl daemon-reload")


def test_time_is_kept(host, chrony):
    """Chrony runs, asks the servers that were named, and is nobody's server."""
    assert chrony.is_running
    assert chrony.is_enabled
    with host.sudo():
        assert "127.0.0.123" in host.check_output("chronyc -n sources")
        listening = host.check_output("ss --udp --listening --numeric --processes")
    assert "chronyd" not in listening
    assert not host.package("systemd-timesyncd").is_installed


def test_the_journal_is_bounded(host):
    """It says so itself, and is kept on disk."""
    with host.sudo():
        said = host.check_output("journalctl --no-pager --unit systemd-journald")
        kept = host.check_output("find /var/log/journal -name 'system.journal'")
    assert re.search(r"System Journal \(/var/log/journal/\S+\) is \S+, max 40", said), said
    assert kept
    told = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert "MaxRetentionSec=90day" in told


def test_security_updates_install_themselves(host):
    """And no others; apt's own timers start it."""
    with host.sudo():
        told = host.check_output("apt-config dump")
        dry = host.run("unattended-upgrade --dry-run --debug")
    origins = [one for one in told.splitlines() if "Unattended-Upgrade::Origins-Pattern::" in one]
    assert len(origins) == 2
    assert all("label=Debian-Security" in one for one in origins)
    assert 'APT::Periodic::Unattended-Upgrade "1"' in told
    assert 'Unattended-Upgrade::Automatic-Reboot "false"' in told
    assert dry.rc == 0, dry.stderr
    for name in ("apt-daily.timer", "apt-daily-upgrade.timer", "logrotate.timer"):
        assert host.service(name).is_enabled


def test_no_process_dumps_its_memory(host):
    """Neither a log-in's nor a service's: it would hold keys."""
    # Log-ins of their own: Ansible's connection may be older than the limits.
    with host.sudo():
        for account in ("root", "deploy"):
            assert host.check_output(f"su - {account} -c 'ulimit -Hc'") == "0"
    assert host.check_output("systemctl show --property DefaultLimitCORE --value") == "0"
    unit = "systemctl show --property LimitCORE --value chrony.service"
    assert host.check_output(unit) == "0"


def test_the_kernel_is_set(host):
    """Those settings that a container has of its own; the file names all."""
    for name, value in {
        "net.ipv4.conf.all.accept_redirects": "0",
        "net.ipv4.conf.all.rp_filter": "1",
        "net.ipv4.conf.all.log_martians": "1",
        "net.ipv6.conf.all.accept_redirects": "0",
        "net.ipv4.tcp_syncookies": "1",
    }.items():
        path = f"/proc/sys/{name.replace('.', '/')}"
        assert host.check_output(f"cat {path}") == value, name
    told = host.file("/etc/sysctl.d/90-steelyard.conf").content_string
    assert "-kernel.kptr_restrict = 2" in told
    assert "-fs.suid_dumpable = 0" in told


def test_the_machine_is_well(host):
    """No unit failed on the way."""
    assert host.run("systemctl --failed --no-legend").stdout == ""
