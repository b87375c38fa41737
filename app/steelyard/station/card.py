"""What a station's card says of it: `steelyard/station.json` on the boot partition.

Written by who flashes the card, or by hand; read at each boot of the station. The file has a
version, so that an image refuses what is newer than itself in one sentence.
"""

import re
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from steelyard.json_text import read_json
from steelyard.pki.claims import CODE_RULE, ClaimCode
from steelyard.smartbox.display.settings import TimeZone
from steelyard.smartbox.urls import check_proxy, has_host
from steelyard.station.errors import CardUnusable
from steelyard.weighings import NAME_PATTERN

FILE = "station.json"
VERSION = 1
MAX_BYTES = 65_536

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URL = re.compile(r"https://[A-Za-z0-9.\[\]:-]+(?:/[!-~]*)?")
_PROXY = re.compile(r"http://(?:[A-Za-z0-9.-]+|\[(?P<address>[0-9a-f:]+)\]):[0-9]{1,5}/?")
_SSH_KEY = re.compile(
    r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r" [A-Za-z0-9+/]{60,}={0,2}(?: [ -~]*)?"
)


def _check_host(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError("must be 1 to 63 lower-case letters, digits and inner hyphens")
    return name


def _check_url(url: str) -> str:
    if not _URL.fullmatch(url) or not has_host(url):
        raise ValueError("must be an https:// URL, as https://platform.example")
    return url.rstrip("/")


def _check_proxy(url: str) -> str:
    if "@" in url:
        raise ValueError("must not name a user: a proxy that asks for a password is not supported")
    found = _PROXY.fullmatch(url)
    try:
        if found is not None and found["address"] is not None:
            IPv6Address(found["address"])
        checked = check_proxy(url)
    except ValueError:
        found = None
    if found is None:
        raise ValueError("must be http://HOST:PORT, as http://proxy.example:3128")
    return checked


def _check_claim(text: str) -> str:
    code = ClaimCode.parse(text)
    if code is None:
        raise ValueError(f"must be {CODE_RULE}")
    return code.shown()


def _check_ssid(name: str) -> str:
    if not 1 <= len(name.encode()) <= 32 or not name.isprintable():
        raise ValueError("must be 1 to 32 bytes of printable text")
    return name


def _check_passphrase(text: str) -> str:
    # IEEE 802.11, annex J.4.1: 8 to 63 characters between 32 and 126.
    if not re.fullmatch(r"[ -~]{8,63}", text):
        raise ValueError("must be 8 to 63 letters, digits, blanks and signs of ASCII")
    return text


def _check_psk(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError("must be 64 hexadecimal digits")
    return text.lower()


def _check_ssh_key(text: str) -> str:
    if not _SSH_KEY.fullmatch(text):
        raise ValueError("must be a public key of OpenSSH on one line, as ssh-ed25519 AAAA...")
    return text


def _check_name_server(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?", name):
        raise ValueError("must be a host's name or address")
    return name


HostName = Annotated[str, AfterValidator(_check_host)]
Url = Annotated[str, AfterValidator(_check_url)]
Claim = Annotated[str, AfterValidator(_check_claim)]


class Words(BaseModel):
    """A part of the card, in which nothing stands that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Addressing(Words):
    """How an interface gets its address: by DHCP, or fixed."""

    address: Literal["dhcp"] | IPv4Interface | IPv6Interface = Field(
        default="dhcp", description="`dhcp`, or an address with its prefix, as `192.168.7.2/24`."
    )
    gateway: IPv4Address | IPv6Address | None = Field(
        default=None, description="With a fixed address: the way to other networks."
    )
    dns: tuple[IPv4Address | IPv6Address, ...] = Field(
        default=(), max_length=3, description="Name servers; with DHCP beside those it gives."
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.address == "dhcp":
            if self.gateway is not None:
                raise ValueError("gateway stands with a fixed address only: DHCP gives one")
            return self
        own = self.address
        if own.network.prefixlen == own.max_prefixlen:
            raise ValueError(f"address must have its network's prefix, as {own.ip}/24")
        if self.gateway is not None:
            if self.gateway.version != own.version:
                raise ValueError("gateway must be an address of the same kind as address")
            near = self.gateway in own.network or self.gateway.is_link_local
            if not near or self.gateway == own.ip:
                raise ValueError(f"gateway must be another address within {own.network}")
        return self


class Wifi(Addressing):
    """A wireless network with a secret. An open one is not supported."""

    ssid: Annotated[str, AfterValidator(_check_ssid)] = Field(description="Name of the network.")
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = Field(
        description="Country of the station (ISO 3166), whose radio rules hold: `PT`."
    )
    passphrase: Annotated[str, AfterValidator(_check_passphrase)] | None = Field(
        default=None, repr=False, description="Passphrase (WPA2 or WPA3), or `psk`."
    )
    psk: Annotated[str, AfterValidator(_check_psk)] | None = Field(
        default=None, repr=False, description="The 256 bits that WPA2 makes of it, in hex."
    )
    hidden: bool = Field(default=False, description="Whether the network does not show its name.")

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if (self.passphrase is None) == (self.psk is None):
            raise ValueError("one of passphrase and psk must be given")
        return self


class Network(Words):
    """The station's network: its wired interface always, a wireless one where it is told."""

    wired: Addressing = Field(default_factory=Addressing, description="The wired interface.")
    wifi: Wifi | None = Field(default=None, description="The wireless one.")
    ntp: tuple[Annotated[str, AfterValidator(_check_name_server)], ...] = Field(
        default=(), max_length=4, description="Time servers, before the system's own."
    )
    proxy: Annotated[str, AfterValidator(_check_proxy)] | None = Field(
        default=None, description="HTTP proxy for the way to the platform, `http://HOST:PORT`."
    )


class Card(Words):
    """The whole file."""

    version: Literal[1] = Field(description="Version of this form.")
    station: Annotated[str, Field(pattern=NAME_PATTERN)] = Field(description="Name of the station.")
    host_name: HostName = Field(description="Host name of the machine; also its name under .local.")
    platform_url: Url = Field(description="Base URL of the management API.")
    claim: Claim | None = Field(
        default=None, repr=False, description="Claim code of the SmartBox; wiped after its use."
    )
    serial: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Serial of the SmartBox: a claim code for another one is refused.",
    )
    time_zone: TimeZone = Field(default="UTC", description="Time zone of the display.")
    network: Network = Field(default_factory=Network, description="How it reaches the platform.")
    weighing: dict[Annotated[str, Field(pattern=NAME_PATTERN)], dict[str, JsonValue]] | None = (
        Field(
            default=None,
            description="By a weighbridge's name, its table `weighing` of the SmartBox's settings: "
            "such a one weighs by a cycle. It counts at the enrolment.",
        )
    )
    ssh_keys: tuple[Annotated[str, AfterValidator(_check_ssh_key)], ...] = Field(
        default=(), max_length=20, description="Public keys of those who may log in by ssh."
    )

    def without_claim(self) -> "Card":
        """What is kept once it was read."""
        return self.model_copy(update={"claim": None})

    def without_wifi(self) -> "Card":
        """What those need who do not make its network: no secret of that."""
        return self.model_copy(update={"network": self.network.model_copy(update={"wifi": None})})

    def as_json(self) -> bytes:
        """As the file has it."""
        return (self.model_dump_json(indent=2, exclude_none=True) + "\n").encode()

    def code(self) -> ClaimCode | None:
        """The claim code."""
        return None if self.claim is None else ClaimCode.parse(self.claim)


def read_card(content: bytes, name: str = FILE) -> Card:
    """What the file says. Raises CardUnusable with one sentence, and with no secret in it."""
    if len(content) > MAX_BYTES:
        raise CardUnusable(f"{name} must not be larger than {MAX_BYTES} bytes")
    try:
        # Editors of other systems put a mark before the text.
        document: Any = read_json(content.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise CardUnusable(f"{name} is not valid JSON{_place(error)}") from None
    if not isinstance(document, dict):
        raise CardUnusable(f"{name} must be a JSON object")
    version = document.get("version")
    if type(version) is not int or version != VERSION:
        told = f"is {version}" if type(version) is int else "is missing or no number"
        raise CardUnusable(f"{name}: version {told}, and this software reads {VERSION}")
    try:
        return Card.model_validate_json(content.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        raise CardUnusable(f"{name}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """The first thing that is wrong: where, and what is allowed; never what stood there."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # The members of a union are no part of the file.
    place = ".".join(
        str(part)
        for part in first["loc"]
        if not str(part).startswith(("literal[", "ip-", "ip_", "function-", "IPv", "lax", "json"))
    )
    message = first["msg"].removeprefix("Value error, ")
    if place.endswith("address"):
        message = "must be dhcp or an address with its prefix, as 192.168.7.2/24"
    elif first["type"].startswith(("ip_v4", "ip_v6")):
        message = "must be an IP address"
    elif first["type"] == "extra_forbidden":
        message = "is not known here"
    elif first["type"] == "missing":
        message = "is missing"
    return f"{place}: {message}" if place else message


def _place(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    return "" if line is None else f" (line {line}, column {getattr(error, 'colno', 0)})"
