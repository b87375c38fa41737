"""The network as systemd-networkd and wpa_supplicant have it.

Every interface also gets its link-local addresses and answers to HOST.local by mDNS, so that a
station without a network can be reached by a cable.
"""

from steelyard.station.card import Addressing, Card, Wifi

WIRED_FILE = "10-steelyard-wired.network"
WIFI_FILE = "10-steelyard-wifi.network"
_WIRED_METRIC, _WIFI_METRIC = 100, 600


def network_files(card: Card) -> dict[str, str]:
    """systemd-networkd's files by their names. There is no secret in them."""
    network = card.network
    files = {WIRED_FILE: _network("Type=ether", network.wired, network.ntp, _WIRED_METRIC)}
    if network.wifi is not None:
        files[WIFI_FILE] = _network("Type=wlan", network.wifi, network.ntp, _WIFI_METRIC)
    return files


def wpa_supplicant(wifi: Wifi) -> str:
    """wpa_supplicant's configuration; it holds the secret."""
    lines = [
        f"country={wifi.country}",
        "network={",
        # In hex nothing needs quoting.
        f"\tssid={wifi.ssid.encode().hex()}",
    ]
    if wifi.hidden:
        lines.append("\tscan_ssid=1")
    if wifi.psk is not None:
        lines += [f"\tpsk={wifi.psk}", "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256"]
    else:
        # The text goes from the first quote to the last one of its line: quotes in it are no harm.
        lines += [f'\tpsk="{wifi.passphrase}"', "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE"]
    return "\n".join([*lines, "\tieee80211w=1", "}"]) + "\n"


def _network(match: str, how: Addressing, ntp: tuple[str, ...], metric: int) -> str:
    lines = [
        "[Match]",
        match,
        "",
        "[Network]",
        "LinkLocalAddressing=yes",
        "MulticastDNS=yes",
        "LLMNR=no",
    ]
    if how.address == "dhcp":
        lines += ["DHCP=yes", "IPv6AcceptRA=yes"]
    else:
        lines.append(f"Address={how.address}")
    lines += [f"DNS={server}" for server in how.dns]
    lines += [f"NTP={' '.join(ntp)}"] if ntp else []
    if how.address == "dhcp":
        # The card says what the machine is called.
        for section in ("DHCPv4", "DHCPv6"):
            lines += ["", f"[{section}]", "UseHostname=no"]
        lines.insert(lines.index("[DHCPv6]") - 1, f"RouteMetric={metric}")
    elif how.gateway is not None:
        lines += ["", "[Route]", f"Gateway={how.gateway}", f"Metric={metric}"]
    return "\n".join(lines) + "\n"
