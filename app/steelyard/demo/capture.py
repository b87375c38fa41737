"""Records the stations' traffic with tshark, and looks at it as an eavesdropper would."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from steelyard.coap.records import split_records
from steelyard.demo.errors import DemoFailed
from steelyard.demo.result import Finding

DTLS_MESSAGES: Mapping[str, str] = {
    "1": "ClientHello",
    "2": "ServerHello",
    "3": "HelloVerifyRequest",
    "4": "NewSessionTicket",
    "11": "Certificate",
    "12": "ServerKeyExchange",
    "13": "CertificateRequest",
    "14": "ServerHelloDone",
    "15": "CertificateVerify",
    "16": "ClientKeyExchange",
    "20": "Finished",
}
_START_SECONDS = 15.0
_APPLICATION_DATA = 23
_FIRST_EPOCH = b"\0\0"


class Capture:
    """A running tshark on the loopback interface, on the stations' ports only."""

    def __init__(self, file: Path, coap_ports: Sequence[int], https_ports: Sequence[int]) -> None:
        self._file = file
        self._coap_ports = list(coap_ports)
        self._https_ports = list(https_ports)
        self._process: asyncio.subprocess.Process | None = None

    @staticmethod
    def missing() -> str | None:
        """Why there can be no capture, or None."""
        return None if shutil.which("tshark") else "tshark is not installed (Debian: tshark)"

    async def start(self) -> None:
        """Start, and wait until packets are being recorded. Raises DemoFailed."""
        ports = [f"udp port {port}" for port in self._coap_ports]
        ports += [f"tcp port {port}" for port in self._https_ports]
        self._process = await asyncio.create_subprocess_exec(
            *("tshark", "-i", "lo", "-s", "0", "-B", "64", "-f", " or ".join(ports)),
            *("-w", str(self._file)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        said: list[str] = []
        try:
            async with asyncio.timeout(_START_SECONDS):
                while line := (await _stderr(self._process).readline()).decode("utf-8", "replace"):
                    said.append(line.strip())
                    if "Capturing on" in line:
                        # tshark says so just before its recorder has opened the interface.
                        while not self._file.exists():  # noqa: ASYNC110 - a file gives no event
                            await asyncio.sleep(0.05)
                        await asyncio.sleep(0.5)
                        return
        except TimeoutError:
            await self.stop()
        raise DemoFailed(f"tshark does not record: {' '.join(said[-3:])}")

    async def stop(self) -> None:
        """Stop recording; what was recorded stays in the file."""
        if self._process is None or self._process.returncode is not None:
            return
        await asyncio.sleep(0.5)  # the last packets are still on their way into the file
        self._process.terminate()
        await self._process.communicate()

    async def handshakes(self) -> dict[str, list[str]]:
        """The handshake messages in the order of their first appearance, with their numbers."""
        return {
            "load cell to SmartBox (DTLS)": await self._dtls_messages(),
            "SmartBox to platform (TLS)": await self._tls_messages(),
        }

    async def _dtls_messages(self) -> list[str]:
        fields = await self._read("dtls.handshake.type", "dtls.handshake.type", self._as_dtls())
        counts = Counter(value for line in fields for value in line.split(","))
        return [f"{DTLS_MESSAGES.get(kind, kind)} x{n}" for kind, n in counts.items()]

    async def _tls_messages(self) -> list[str]:
        versions = await self._read(
            "tls.handshake.type == 2", "tls.handshake.extensions.supported_version", self._as_tls()
        )
        hellos = await self._read("tls.handshake.type == 1", "frame.number", self._as_tls())
        named = Counter(
            "TLS 1.3" if version == "0x0304" else version or "TLS 1.2 or older"
            for version in versions
        )
        return [f"ClientHello x{len(hellos)}"] + [
            f"ServerHello {version} x{count}" for version, count in named.items()
        ]

    async def findings(
        self, secrets: Mapping[str, Iterable[bytes]], readable: Iterable[bytes]
    ) -> list[Finding]:
        """What an eavesdropper can read.

        `secrets`, by kind, must not be in the packets. `readable` must be: a load cell's serial
        stands in its certificate, which DTLS 1.2 sends in clear; it shows that the search works.
        """
        raw = await asyncio.to_thread(self._file.read_bytes)
        packets = await self._read("frame", "frame.number", [])
        seen = f"in {len(packets)} packets, {len(raw)} bytes"
        findings = []
        for kind, texts in secrets.items():
            sought = list(dict.fromkeys(texts))
            found = await asyncio.to_thread(_count_in, raw, sought)
            findings.append(
                Finding(
                    f"{kind} in the recorded packets",
                    "none",
                    f"{found} of {len(sought)} {seen}",
                    found == 0 and bool(packets),
                )
            )
        control = _count_in(raw, list(readable))
        findings.append(
            Finding(
                "load cells' serials in the recorded packets (their certificates: a control)",
                "found, so the search works",
                f"{control} found",
                control > 0,
            )
        )
        return [*findings, await self._datagrams(), *await self._protocols()]

    async def _datagrams(self) -> Finding:
        payloads = await self._read("udp", "udp.payload", [])
        clear = [text for text in payloads if not is_encrypted(bytes.fromhex(text))]
        return Finding(
            "UDP packets with anything but DTLS records, their data encrypted",
            "none",
            f"{len(clear)} of {len(payloads)}",
            not clear and bool(payloads),
        )

    async def _protocols(self) -> list[Finding]:
        dtls, tls = (await self.handshakes()).values()
        mutual = all(
            any(message.startswith(name) for message in dtls)
            for name in ("HelloVerifyRequest", "CertificateRequest", "CertificateVerify")
        )
        only_13 = any("TLS 1.3" in message for message in tls) and not any(
            "older" in message for message in tls
        )
        return [
            Finding("DTLS handshakes are mutual, with cookies", "yes", ", ".join(dtls), mutual),
            Finding(
                "TLS version of the stations' uplinks", "TLS 1.3 only", ", ".join(tls), only_13
            ),
        ]

    def _as_dtls(self) -> list[str]:
        return [part for port in self._coap_ports for part in ("-d", f"udp.port=={port},dtls")]

    def _as_tls(self) -> list[str]:
        return [part for port in self._https_ports for part in ("-d", f"tcp.port=={port},tls")]

    async def _read(self, only: str, field: str, decode: Sequence[str]) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            *("tshark", "-r", str(self._file), *decode, "-Y", only, "-T", "fields", "-e", field),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate()
        if process.returncode:
            raise DemoFailed(f"tshark cannot read its record: {complaint.decode().strip()[-200:]}")
        return output.decode().splitlines()


def _stderr(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stderr is None:
        raise LookupError("tshark was started with a pipe")
    return process.stderr


def _count_in(raw: bytes, texts: Sequence[bytes]) -> int:
    return sum(text in raw for text in texts)


def is_encrypted(datagram: bytes) -> bool:
    """Whether a datagram is whole DTLS records and none of them carries data in clear.

    Epoch 0 is before the handshake's end: a record of it may be a part of the handshake, an alert
    or the change of ciphers, but no application data (RFC 6347, section 4.1).
    """
    records = split_records(datagram)
    if not records or sum(map(len, records)) != len(datagram):
        return False
    return not any(
        record[0] == _APPLICATION_DATA and record[3:5] == _FIRST_EPOCH for record in records
    )
