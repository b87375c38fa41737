"""A machine's host key is taken from its console."""

import pytest
from stacks import KEY

from infra.targets.aws.host_keys import HostKeyMissing, host_key_in, wait_for_host_key

CONSOLE = f"""[  12.1] cloud-init: {KEY} not within the lines
-----BEGIN SSH HOST KEY KEYS-----
ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= root@host
{KEY} root@host
-----END SSH HOST KEY KEYS-----
"""


def test_the_key_between_the_lines_is_found():
    """Other kinds, and what stands elsewhere, are passed over."""
    assert host_key_in(CONSOLE) == KEY
    assert host_key_in(CONSOLE.replace("-----END", "")) is None
    assert host_key_in("") is None


def test_the_last_key_counts():
    """A machine that was started anew from its image wrote another."""
    other = KEY[:-1] + "B"
    assert host_key_in(CONSOLE + CONSOLE.replace(KEY, other)) == other


def test_it_is_waited_for():
    """The console is empty at first."""
    said = iter(["", "booting", CONSOLE])
    assert wait_for_host_key("i-1", "eu-west-1", lambda *_: next(said), pause=0) == KEY


def test_a_machine_without_a_key_is_named():
    """After a time, with what its image must have."""
    with pytest.raises(HostKeyMissing, match="i-1 wrote no host key on its console within 0 s"):
        wait_for_host_key("i-1", "eu-west-1", lambda *_: "", seconds=0, pause=0)
