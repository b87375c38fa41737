"""One machine: booted from its own root, ended in order or by force."""

import os
import signal
import subprocess
import time
from pathlib import Path

from infra.machines import control_groups
from infra.machines.errors import MachineProblem
from infra.machines.network import Wire, network_file, open_way_out
from infra.machines.programs import run
from infra.machines.state import MachineRecord
from steelyard.network import processes
from steelyard.network.state import ProcessRecord

BOOT_SECONDS = 120.0
STOP_SECONDS = 60.0
USER = "deploy"
_UP = {"running", "degraded"}


def prepare(root: Path, name: str, address: str, wire: Wire, public_key: str) -> None:
    """Make an unpacked root a machine's own: name, network, host keys, the account of Ansible."""
    (root / "etc/hostname").write_text(f"{name}\n", "ascii")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n", "ascii")
    networkd = root / "etc/systemd/network"
    networkd.mkdir(parents=True, exist_ok=True)
    (networkd / "10-host0.network").write_text(network_file(address, wire.prefix), "ascii")
    # slirp4netns answers for names on this address of its own.
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n", "ascii")
    run(["ssh-keygen", "-q", "-A", "-f", root])
    for command in (
        ["systemctl", "enable", "systemd-networkd.service", "ssh.service"],
        ["useradd", "--create-home", "--shell", "/bin/bash", USER],
    ):
        run(["chroot", root, *command])
    home = root / "home" / USER
    ssh = home / ".ssh"
    ssh.mkdir(mode=0o700)
    (ssh / "authorized_keys").write_text(public_key, "ascii")
    owner = home.stat()
    for path in (ssh, ssh / "authorized_keys"):
        os.chown(path, owner.st_uid, owner.st_gid)
    sudoers = root / "etc/sudoers.d/deploy"
    sudoers.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n", "ascii")
    sudoers.chmod(0o440)


def boot(record: MachineRecord, bridge: str, *, online: bool, log: Path) -> None:
    """Start a machine and wait until its systemd has started everything.

    Fills in the record's processes as they come to be. Raises MachineProblem.
    """
    groups = control_groups.make_groups(record.control_group)
    command = [
        *("systemd-nspawn", "--quiet", "--boot", f"--directory={record.root}"),
        *(f"--machine={record.control_group}", f"--hostname={record.name}"),
        *("--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off"),
        *(f"--network-bridge={bridge}", "--console=pipe", "--notify-ready=no"),
        *("--timezone=off", "--kill-signal=SIGRTMIN+3"),
    ]

    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [*control_groups.entering(groups), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
    record.nspawn = processes.record_of(process.pid)
    leader = _wait_for_leader(process, record.name, log)
    record.leader = processes.record_of(leader)
    _wait_for_systemd(process, leader, record.name, log)
    if online:
        record.way_out = processes.record_of(open_way_out(leader, log))
    _wait_until_up(process, leader, record.name, log)


def stop(record: MachineRecord) -> None:
    """Power a machine off; by force what does not end in time. Its root stays."""
    _signal(record.nspawn, signal.SIGTERM)
    if not _gone(record.nspawn, STOP_SECONDS):
        _signal(record.leader, signal.SIGKILL)
        if not _gone(record.nspawn, STOP_SECONDS):
            _signal(record.nspawn, signal.SIGKILL)
    _forget(record)


def kill(record: MachineRecord) -> None:
    """End a machine as a power cut does: nothing in it hears of it. Its root stays."""
    _signal(record.leader, signal.SIGKILL)
    if not _gone(record.nspawn, STOP_SECONDS):
        _signal(record.nspawn, signal.SIGKILL)
    _forget(record)


def _forget(record: MachineRecord) -> None:
    _signal(record.way_out, signal.SIGTERM)
    _gone(record.way_out, 10)
    control_groups.remove_groups(record.control_group)
    record.nspawn = record.leader = record.way_out = None


def _wait_for_leader(process: subprocess.Popen[bytes], name: str, log: Path) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < until:
        _check_runs(process, name, log)
        for child in children.read_text("ascii").split():
            # nspawn's first child is a helper that ends; the machine's init has pid 1 in its own
            # namespace.
            status = Path(f"/proc/{child}/status")
            try:
                numbers = [
                    line.split()[1:]
                    for line in status.read_text("ascii").splitlines()
                    if line.startswith("NSpid:")
                ]
            except OSError:
                continue
            if numbers and numbers[0][-1] == "1" and len(numbers[0]) > 1:
                return int(child)
        time.sleep(0.05)
    raise MachineProblem(f"{name} has no init after {BOOT_SECONDS:g} s: see {log}")


def _wait_for_systemd(process: subprocess.Popen[bytes], leader: int, name: str, log: Path) -> None:
    door = Path(f"/proc/{leader}/root/run/systemd/private")
    until = time.monotonic() + BOOT_SECONDS
    while not door.exists():
        _check_runs(process, name, log)
        if time.monotonic() > until:
            raise MachineProblem(f"{name} has no systemd after {BOOT_SECONDS:g} s: see {log}")
        time.sleep(0.05)


def _wait_until_up(process: subprocess.Popen[bytes], leader: int, name: str, log: Path) -> None:
    until = time.monotonic() + BOOT_SECONDS
    said = ""
    while time.monotonic() < until:
        _check_runs(process, name, log)
        command = ["nsenter", "--target", str(leader), "--all", "--"]
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*command, "systemctl", "is-system-running"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        said = done.stdout.strip() or said
        if said in _UP:
            return
        time.sleep(0.2)
    raise MachineProblem(f"{name} says '{said}' after {BOOT_SECONDS:g} s: see {log}")


def _check_runs(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    if process.poll() is not None:
        raise MachineProblem(f"{name} ended with status {process.returncode}: see {log}")


def _signal(process: ProcessRecord | None, number: signal.Signals) -> None:
    if process is not None:
        processes.send(process, number)


def _gone(process: ProcessRecord | None, seconds: float) -> bool:
    return process is None or not processes.wait_for_ends([process], seconds)
