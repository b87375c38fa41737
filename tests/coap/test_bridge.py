"""aiocoap's private interface is what we plug into: notice when it is not."""

import inspect
from importlib.metadata import requires, version

from aiocoap import Context
from aiocoap.interfaces import EndpointAddress, MessageInterface
from aiocoap.messagemanager import MessageManager

from steelyard.coap.bridge import AIOCOAP_VERSION, DtlsInterface, Remote, Tuning
from steelyard.coap.duplicates import LIFETIME_SECONDS


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_version_is_the_pinned_one() -> None:
    """What is installed, what the project asks for and what the bridge was written for agree."""
    assert version("aiocoap") == AIOCOAP_VERSION
    wanted = {r.split(";")[0].strip() for r in requires("steelyard") or [] if "aiocoap" in r}
    assert wanted == {f"aiocoap=={AIOCOAP_VERSION}"}


def test_private_interface() -> None:
    """The calls that we make, and those that are made on us, have their known shape."""
    plug = Context._append_tokenmanaged_messagemanaged_transport
    assert parameters(plug) == ["self", "message_interface_constructor"]
    assert parameters(MessageManager.dispatch_message) == ["self", "message"]
    assert parameters(MessageManager.dispatch_error) == ["self", "error", "remote"]
    assert parameters(MessageInterface.send) == ["self", "message"]
    assert MessageInterface.__abstractmethods__ == {"shutdown", "send", "determine_remote"}
    assert not DtlsInterface.__abstractmethods__
    assert not Remote.__abstractmethods__
    source = inspect.getsource(MessageManager)
    called = ("send", "shutdown", "determine_remote", "recognize_remote")
    assert all(f"self.message_interface.{name}(" in source for name in called)
    others = source.replace("self.message_interface = ", "")
    for name in called:
        others = others.replace(f"self.message_interface.{name}(", "")
    assert "self.message_interface." not in others, "aiocoap calls something new on us"


def test_message_lifetime_is_read_from_the_message() -> None:
    """Aiocoap takes EXCHANGE_LIFETIME from where we put it, the message's tuning."""
    source = inspect.getsource(MessageManager._deduplicate_message)
    assert "message.transport_tuning.EXCHANGE_LIFETIME" in source
    assert Tuning().EXCHANGE_LIFETIME == 0
    assert Tuning().MAX_TRANSMIT_SPAN <= 45 < LIFETIME_SECONDS


def test_remote_overrides_every_claim() -> None:
    """Aiocoap asks a remote for nothing that ours leaves at a wrong default."""
    ours = set(vars(Remote))
    abstract = EndpointAddress.__abstractmethods__
    assert abstract <= ours
    assert "authenticated_claims" in ours
