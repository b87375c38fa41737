"""Updates of an emulated board: what is wrong with some, and how they come to it."""

import json

READY = "steelyard: ready after"
SECONDS = 1800


def install(board, operator, update):
    """Bring an update, and start it as the firmware does."""
    brought = "/data/by-hand.update"
    board.send(operator, update, brought)
    board.ssh(operator, f"steelyard-slot install {brought} && rm {brought}", seconds=900)
    board.ssh(operator, "nohup sh -c 'sleep 1; systemctl reboot' >/dev/null 2>&1 &")
    board.wait_for_reset(300)


def status(board, operator):
    """What the station says of its slots."""
    return json.loads(board.ssh(operator, "steelyard-slot status"))


def goes_back(board, operator, update, said):
    """Try an update, whose root says this and starts the old one by itself."""
    before = status(board, operator)
    install(board, operator, update)
    board.start()
    board.wait_for(said, SECONDS)
    board.wait_for_reset(300)
    assert board.next_slot().next == before["running"]
    board.start()
    board.wait_for(READY, SECONDS)
    assert status(board, operator)["version"] == before["version"]


def leave_the_smartbox_out(tree):
    """A root whose SmartBox is not started; nothing in it fails."""
    (tree / "etc/systemd/system/multi-user.target.wants/steelyard-smartbox.service").unlink()
    shorten_trial(tree)


def break_systemd(tree):
    """A root that has nothing to start."""
    (tree / "usr/lib/systemd/systemd").unlink()


def fail_a_unit(tree):
    """A root in which a unit fails."""
    units = tree / "etc/systemd/system"
    (units / "broken.service").write_text("[Service]\nExecStart=/bin/false\n")
    (units / "multi-user.target.wants/broken.service").symlink_to("../broken.service")
    shorten_trial(tree)


def take_the_network(tree):
    """A root without the driver of the board's network."""
    (driver,) = (tree / "usr/lib/modules").glob("*/kernel/drivers/net/virtio_net.ko*")
    driver.unlink()
    shorten_trial(tree)


def shorten_trial(tree):
    """So that it is over before the ten minutes of a real one."""
    program = tree / "usr/local/lib/steelyard/station_slots/commands.py"
    text = program.read_text()
    assert "_PATIENCE = 600.0" in text
    program.write_text(text.replace("_PATIENCE = 600.0", "_PATIENCE = 180.0"))


def break_python(tree):
    """A root in which no Python runs, nor so what would say that it is not well.

    And it hangs before its file systems are all there, where most units would not begin; the boot
    partition, where its state stands, is not to be mounted.
    """
    for one in (tree / "usr/bin").glob("python3*"):
        one.unlink()
    units = tree / "etc/systemd/system"
    (units / "hangs.service").write_text(
        "[Unit]\nDefaultDependencies=no\nBefore=local-fs.target\n"
        "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n"
    )
    table = tree / "etc/fstab"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if "/dev/steelyard/boot" not in line))
    assert len(table.read_text().splitlines()) == len(lines) - 1
    wants = units / "local-fs.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "hangs.service").symlink_to("../hangs.service")
    timer = tree / "etc/systemd/system/steelyard-slot-end.timer"
    text = timer.read_text()
    assert "OnBootSec=15min" in text
    timer.write_text(text.replace("OnBootSec=15min", "OnBootSec=3min"))
