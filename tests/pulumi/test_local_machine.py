"""A machine of target local is made, seen, started again, and leaves nothing behind."""

import pytest

from infra.machines.group import MachineGroup
from infra.machines.network import remove_wire
from infra.machines.programs import run, why_not_here
from infra.machines.state import read_group
from infra.targets.local.machines import MachineProvider

here = pytest.mark.skipif(why_not_here() is not None, reason=f"no machines: {why_not_here()}")


@here
@pytest.mark.timeout(600)
def test_a_machine_lives_as_its_resource_does(tmp_path):
    """Create, read, a power cut, update, delete; a deletion again does no harm."""
    directory = tmp_path / "stack"
    props = {"name": "one", "directory": str(directory), "suite": "bookworm", "packages": []}
    provider = MachineProvider()
    assert provider.check({}, props).failures == []
    made = provider.create(props)
    try:
        state = {**props, **made.outs}
        assert state["host_key"].startswith("ssh-ed25519 ")
        assert provider.read(made.id, state).outs["running"] is True
        assert provider.diff(made.id, state, props).changes is False
        MachineGroup(directory).kill("one")
        # A restart of the computer takes the bridge as well.
        remove_wire(read_group(directory).bridge)
        cut = {**state, **provider.read(made.id, state).outs}
        assert cut["running"] is False
        assert provider.diff(made.id, cut, props).changes is True
        assert provider.update(made.id, cut, props).outs["running"] is True
        options = [
            "-o",
            "BatchMode=yes",
            "-i",
            state["key_file"],
            "-o",
            "StrictHostKeyChecking=yes",
        ]
        options += ["-o", f"UserKnownHostsFile={directory}/known-hosts"]
        assert run(["ssh", *options, f"deploy@{state['address']}", "hostname"]).strip() == "one"
    finally:
        provider.delete(made.id, props)
    assert not directory.exists()
    assert provider.read(made.id, state).id == ""
    assert not directory.exists()
    provider.delete(made.id, props)
    assert not directory.exists()


@pytest.mark.parametrize("name", ["name", "directory", "suite", "packages"])
def test_another_disk_is_another_machine(name):
    """It is deleted first: two of one name cannot be."""
    state = {"name": "one", "directory": "/d", "suite": "bookworm", "packages": [], "running": True}
    told = MachineProvider().diff("id", state, {**state, name: "other"})
    assert (told.changes, told.replaces, told.delete_before_replace) == (True, [name], True)


def test_a_computer_that_cannot_make_machines_says_so_in_preview(monkeypatch):
    """In the sentence that infra.machines has for it."""
    monkeypatch.setattr("infra.targets.local.machines.why_not_here", lambda: "machines need root")
    (failure,) = MachineProvider().check({}, {"name": "one"}).failures
    assert failure.reason == "machines need root"
