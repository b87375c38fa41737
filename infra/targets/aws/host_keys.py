"""A machine's public host key, as the machine itself wrote it on its console at its first boot.

The provider's authenticated interface gives the console, so nobody between here and the machine can
put another key in its place. A stack's state keeps the provider as a reference to this module and
its class: do not move them while stacks are up.
"""

import re
import time
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from infra.sentences import in_a_sentence

WAIT_SECONDS = 600.0
_PAUSE_SECONDS = 10.0
# cloud-init writes them between such lines.
_BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]{68}(?![A-Za-z0-9+/=])")
Console = Callable[[str, str], str]


class HostKeyMissing(Exception):
    """A machine's console has no host key; the message names the machine."""


class HostKeyProvider(ResourceProvider):
    """Inputs: `instance_id`, `region`; another instance has another key. Output: `host_key`."""

    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another instance."""
        other = _olds.get("instance_id") != _news.get("instance_id")
        return DiffResult(changes=other, replaces=["instance_id"] if other else [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait for the key."""
        with in_a_sentence(HostKeyMissing):
            key = wait_for_host_key(props["instance_id"], props["region"], console_of)
        return CreateResult(props["instance_id"], {**props, "host_key": key})


class HostKey(Resource, module="steelyard", name="HostKey"):
    """A machine's public host key."""

    host_key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        instance_id: pulumi.Input[str],
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"instance_id": instance_id, "region": region, "host_key": None}
        super().__init__(HostKeyProvider(), name, props, opts)


def host_key_in(console: str) -> str | None:
    """The Ed25519 key in a console's text; the last, when the machine wrote several."""
    found: list[str] = []
    for block in _BLOCK.findall(console):
        found += _KEY.findall(block)
    return found[-1] if found else None


def wait_for_host_key(
    instance_id: str,
    region: str,
    console: Console,
    *,
    seconds: float = WAIT_SECONDS,
    pause: float = _PAUSE_SECONDS,
) -> str:
    """The key, as soon as the console has it. Raises HostKeyMissing."""
    until = time.monotonic() + seconds
    while True:
        key = host_key_in(console(instance_id, region))
        if key is not None:
            return key
        if time.monotonic() >= until:
            raise HostKeyMissing(
                f"{instance_id} wrote no host key on its console within {seconds:g} s: its image "
                "must have cloud-init, as Debian's has"
            )
        time.sleep(pause)


def console_of(instance_id: str, region: str) -> str:
    """What the provider has of a machine's console now."""
    import boto3

    client = boto3.client("ec2", region_name=region)
    told = client.get_console_output(InstanceId=instance_id, Latest=True)
    return str(told.get("Output", ""))
