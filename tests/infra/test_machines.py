"""Machines are made, cut off and ended without a trace."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.machines import control_groups
from infra.machines.errors import MachineProblem
from infra.machines.group import MachineGroup, MachineSpec
from infra.machines.programs import run, why_not_here
from infra.machines.roots import RootImage
from infra.machines.state import read_group
from steelyard.network import processes

ROOT = Path(__file__).resolve().parents[2]
here = pytest.mark.skipif(why_not_here() is not None, reason=f"no machines: {why_not_here()}")


def ssh(group: MachineGroup, name: str, *command: str) -> str:
    """The output of a command on a machine, by ssh with its known host key."""
    address = group.machines[name].address
    options = ["-i", str(group.key_file), "-o", f"UserKnownHostsFile={group.known_hosts_file}"]
    return run(["ssh", "-o", "BatchMode=yes", *options, f"deploy@{address}", *command])


@here
@pytest.mark.timeout(600)
def test_machines_live_and_leave_nothing(tmp_path):
    """Two machines reach each other, a disk survives a power cut, and then nothing is left."""
    group = MachineGroup(tmp_path / "group")
    try:
        group.up([MachineSpec("one", online=False), MachineSpec("two", online=False)])
        assert ssh(group, "one", "cat", "/proc/1/comm").strip() == "systemd"
        assert ssh(group, "one", "hostname").strip() == "one"
        two = group.machines["two"].address
        probe = f"import socket; print(socket.create_connection(('{two}', 22), 5).recv(3))"
        assert "SSH" in ssh(group, "one", "python3", "-c", f'"{probe}"')
        ssh(group, "one", "sudo", "sh", "-c", "'echo kept > /var/lib/kept; sync'")
        lived = [one.leader for one in group.machines.values()]
        # Another process knows the machines as well.
        other = MachineGroup(tmp_path / "group")
        other.kill("one")
        assert not processes.alive(lived[0])
        other.start("one", online=False)
        assert ssh(other, "one", "cat", "/var/lib/kept").strip() == "kept"
        lived += [one.leader for one in other.machines.values()]
        groups = [one.control_group for one in other.machines.values()]
        bridge = read_group(other.directory).bridge
        assert bridge in run(["ip", "-brief", "link", "show", "type", "bridge"])
    finally:
        MachineGroup(tmp_path / "group").down()
    assert not any(processes.alive(one) for one in lived)
    # Bridges of other groups come and go meanwhile.
    assert bridge not in run(["ip", "-brief", "link", "show"])
    left = [
        hierarchy / name
        for hierarchy in control_groups.hierarchies()
        for name in groups
        if (hierarchy / name).exists()
    ]
    assert left == []
    assert not (tmp_path / "group/roots").exists()


@pytest.mark.parametrize("name", ["", "Upper", "a b", "x" * 41, "../up"])
@here
def test_a_machines_name_is_checked(tmp_path, name):
    """It becomes a host name and a directory."""
    with pytest.raises(MachineProblem, match="lower case"):
        MachineGroup(tmp_path / "group").up([MachineSpec(name)])
    assert not (tmp_path / "group").exists()


def test_a_root_that_is_not_known_is_refused():
    """By name, with what is allowed."""
    with pytest.raises(MachineProblem, match="suite sarge: must be one of bookworm, trixie"):
        RootImage("sarge")
    with pytest.raises(MachineProblem, match="architecture vax: must be one of amd64, arm64"):
        RootImage("bookworm", "vax")


def test_another_list_of_packages_is_another_root():
    """And the order of the list does not matter."""
    assert RootImage(packages=("a", "b")).name == RootImage(packages=("b", "a")).name
    assert RootImage(packages=("a",)).name != RootImage().name


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path):
    """No traceback reaches a user."""
    command = [sys.executable, "-m", "infra.machines"]
    done = subprocess.run(
        [*command, "kill", "--directory", tmp_path, "nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "there is no machine nobody here: none\n"
    listed = subprocess.run(
        [*command, "list", "--directory", tmp_path], cwd=ROOT, capture_output=True, check=True
    )
    assert json.loads(listed.stdout)["machines"] == []


def test_a_signal_meets_only_the_very_process():
    """A number that another process has now is left alone."""
    with subprocess.Popen(["sleep", "60"]) as process:
        known = processes.record_of(process.pid)
        assert known is not None
        processes.send(known.model_copy(update={"started": known.started + 1}), signal.SIGKILL)
        assert process.poll() is None
        processes.send(known, signal.SIGKILL)
        assert process.wait(10) == -9
