"""What a card may say, and what is said of one that is wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station_kit import CODE, card_words, make_card
from steelyard.station.card import MAX_BYTES, Card, read_card
from steelyard.station.errors import CardUnusable
from steelyard.station.network_files import network_files, wpa_supplicant


def told(content: bytes) -> str:
    with pytest.raises(CardUnusable) as refused:
        read_card(content)
    return refused.value.detail


def test_what_is_written_is_read() -> None:
    """With a mark before it, too, as some editors write."""
    card = make_card()
    assert read_card(card.as_json()) == card
    assert read_card(b"\xef\xbb\xbf" + card.as_json()) == card
    assert card.without_claim().claim is None
    assert CODE not in repr(card)
    assert "yard" not in repr(card).replace("Yard", "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "version is 2, and this software reads 1"),
        ({"version": True}, "version is missing or no number"),
        ({"claim": "7Q3M"}, "claim: must be 24 letters and digits"),
        ({"host_name": "North"}, "host_name: must be 1 to 63 lower-case letters"),
        ({"platform_url": "http://x"}, "platform_url: must be an https:// URL"),
        ({"platform_url": "https://u:p@x"}, "platform_url: must be an https:// URL"),
        ({"platform_url": "https://x/\n"}, "platform_url: must be an https:// URL"),
        ({"platform_url": "https://x..y"}, "platform_url: must be an https:// URL"),
        ({"platform_url": "https://..."}, "platform_url: must be an https:// URL"),
        ({"platform_url": f"https://{'x' * 64}"}, "platform_url: must be an https:// URL"),
        ({"platform_url": "https://x:99999"}, "platform_url: must be an https:// URL"),
        ({"platform_url": "https://[::1"}, "platform_url: must be an https:// URL"),
        ({"weighing": {"a b": {}}}, "weighing.a b.[key]: "),
        ({"weighing": {"wb-1": 1}}, "weighing.wb-1: "),
        ({"time_zone": "Mars"}, "time_zone: must be a time zone such as Europe/Lisbon"),
        ({"hostname": "x"}, "hostname: is not known here"),
        ({"network": {"wired": {"address": "10.0.0.2"}}}, "must have its network's prefix"),
        (
            {"network": {"wired": {"address": "10.0.0.2/99"}}},
            "network.wired.address: must be dhcp or an address with its prefix",
        ),
        (
            {"network": {"wired": {"address": "10.0.0.2/24", "gateway": "10.0.1.1"}}},
            "network.wired: gateway must be another address within 10.0.0.0/24",
        ),
        (
            {"network": {"wired": {"address": "10.0.0.2/24", "gateway": "fe80::1"}}},
            "gateway must be an address of the same kind",
        ),
        ({"network": {"wired": {"gateway": "10.0.0.1"}}}, "gateway stands with a fixed address"),
        ({"network": {"wired": {"dns": ["name"]}}}, "network.wired.dns.0: must be an IP address"),
        (
            {"network": {"wifi": {"ssid": "x", "country": "PT", "passphrase": "2short"}}},
            "network.wifi.passphrase: must be 8 to 63",
        ),
        ({"network": {"wifi": {"ssid": "x", "country": "PT"}}}, "one of passphrase and psk"),
        ({"network": {"proxy": "http://u:p@x:1"}}, "a proxy that asks for a password"),
        ({"network": {"proxy": "https://x:1"}}, "network.proxy: must be http://HOST:PORT"),
        ({"network": {"proxy": "http://x:65536"}}, "network.proxy: must be http://HOST:PORT"),
        ({"network": {"proxy": "http://x:0"}}, "network.proxy: must be http://HOST:PORT"),
        ({"network": {"proxy": "http://x..y:1"}}, "network.proxy: must be http://HOST:PORT"),
        ({"network": {"proxy": "http://.:80"}}, "network.proxy: must be http://HOST:PORT"),
        ({"network": {"proxy": f"http://{'x' * 64}:1"}}, "network.proxy: must be http://HOST"),
        ({"network": {"proxy": "http://[1234]:80"}}, "network.proxy: must be http://HOST:PORT"),
        ({"ssh_keys": ["ssh-ed25519 AAAA\nroot"]}, "ssh_keys.0: must be a public key"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], sentence: str) -> None:
    """In one sentence, without what stood there where that is a secret."""
    found = told(json.dumps(card_words(**changes)).encode())
    assert sentence in found
    assert "2short" not in found
    assert "7Q3M" not in found


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\0" * 600, b"[" * 2000, b"\xff\xfe{"])
def test_what_is_no_card_is_refused(content: bytes) -> None:
    """Torn, empty, in another encoding."""
    assert "station.json" in told(content)


def test_a_file_that_is_too_large_is_refused() -> None:
    """Before it is read as JSON."""
    assert "must not be larger" in told(b" " * (MAX_BYTES + 1))


def test_where_the_json_is_wrong_is_told() -> None:
    """A comma too many, as a hand leaves it."""
    assert "not valid JSON (line 2, column 1)" in told(b'{"version": 1,\n}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.sampled_from([*Card.model_fields, "network.wired", "network.wifi"]), JSON)
def test_any_value_is_taken_or_refused_in_a_sentence(name: str, value: Any) -> None:
    """Whatever stands in whichever member; what is taken can be written and read again."""
    words = card_words()
    part, _, member = name.partition(".")
    words[part] = {member: value} if member else value
    try:
        card = read_card(json.dumps(words).encode())
    except CardUnusable:
        return
    assert read_card(card.as_json()) == card
    network_files(card)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63))
def test_any_passphrase_is_one_line_of_wpa_supplicant(passphrase: str) -> None:
    """Which takes what stands between the first quote and the last."""
    card = make_card(network={"wifi": {"ssid": "Ü", "country": "PT", "passphrase": passphrase}})
    assert card.network.wifi is not None
    lines = wpa_supplicant(card.network.wifi).splitlines()
    (line,) = [line for line in lines if line.startswith("\tpsk=")]
    assert line[line.index('"') + 1 : line.rindex('"')] == passphrase
    assert "\tssid=c39c" in lines
    assert "country=PT" in lines


def test_a_fixed_address_and_a_wireless_network() -> None:
    """As systemd-networkd has them; no secret is in what everybody may read."""
    wired = {"address": "192.168.7.2/24", "gateway": "192.168.7.1", "dns": ["192.168.7.1"]}
    wifi = {"ssid": "Yard", "country": "PT", "psk": "AB" * 32, "hidden": True}
    card = make_card(network={"wired": wired, "wifi": wifi, "ntp": ["a.test", "b.test"]})
    files = network_files(card)
    lines = files["10-steelyard-wired.network"].splitlines()
    for line in ("Address=192.168.7.2/24", "Gateway=192.168.7.1", "DNS=192.168.7.1"):
        assert line in lines
    assert "NTP=a.test b.test" in lines
    assert "DHCP=yes" not in lines
    for line in ("LinkLocalAddressing=yes", "MulticastDNS=yes"):
        assert line in lines
    wireless = files["10-steelyard-wifi.network"]
    assert "DHCP=yes" in wireless
    assert "RouteMetric=600" in wireless
    assert "ab" * 32 not in "".join(files.values())
    text = wpa_supplicant(card.network.wifi)  # type: ignore[arg-type]
    assert f"\tpsk={'ab' * 32}" in text
    assert "\tscan_ssid=1" in text
    assert "SAE" not in text
