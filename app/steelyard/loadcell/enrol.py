"""Enrolling this load cell through its SmartBox: a key of its own, a certificate, a configuration.

The way to the SmartBox is plain CoAP (its room enrolment, cell_relay): request and answer are bound
to the claim code by HMACs, and the authority that the cell will trust comes with the answer.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
from aiocoap import POST, Context, Message
from aiocoap.error import Error as CoapError
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from steelyard.loadcell.errors import EnrolmentFailed
from steelyard.pki.claims import ClaimCode
from steelyard.pki.files import PUBLIC
from steelyard.pki.fresh import FreshDevice, Papers
from steelyard.pki.names import SMARTBOX_URN
from steelyard.settings import as_toml

CONFIG_FILE = "loadcell.toml"
ANSWER_SECONDS = 120.0
RENEWAL_SECONDS = 3600.0
_CBOR = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever enrols a cell says. The two ports are the relay's and the SmartBox's."""

    host: str
    enrolment_port: int
    port: int
    into: Path
    serial: str | None = None


async def enrol(wanted: Wanted, code: ClaimCode) -> tuple[str, Path]:
    """Enrol; the cell's serial and its configuration. Nothing is in `into` before everything is.

    Raises EnrolmentFailed, FileExists, KeyUnusable, RequestRefused. After any of them the same
    call may be made again.
    """
    device = FreshDevice(wanted.into.absolute(), code)
    request = device.request(wanted.serial)
    body = {
        "claim": code.locator,
        "request": request.public_bytes(Encoding.DER),
        "proof": device.proof(request),
    }
    papers = _read(await _post(wanted, cbor2.dumps(body)))
    certificate = device.check(papers)
    serial = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    holding = device.holding
    values: dict[str, Any] = {
        "serial": serial,
        "server_host": wanted.host,
        "server_port": wanted.port,
        # Any SmartBox of its station, which its certificate names: one may be replaced.
        "server_name": SMARTBOX_URN,
        "certificate_file": str(holding.certificate),
        "key_file": str(holding.private_key),
        "ca_file": str(holding.authority),
        "crl_file": str(holding.revocations),
        "position_file": str(device.into / "position"),
        "renewal_seconds": RENEWAL_SECONDS,
    }
    device.settle(papers, {CONFIG_FILE: (as_toml("loadcell", values).encode(), PUBLIC)})
    return serial, device.into / CONFIG_FILE


async def _post(wanted: Wanted, payload: bytes) -> bytes:
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    uri = f"coap://{host}:{wanted.enrolment_port}/enrol"
    message = Message(code=POST, uri=uri, payload=payload, content_format=_CBOR)
    context = await Context.create_client_context(transports=["simple6"])
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            response = await context.request(message).response
    except TimeoutError:
        raise EnrolmentFailed(f"{uri}: no answer in time: does `enrol-cells` run there?") from None
    except (CoapError, OSError) as error:
        cause = error.__cause__ or error
        raise EnrolmentFailed(f"{uri}: {type(cause).__name__}: {cause}") from None
    finally:
        await context.shutdown()
    if not response.code.is_successful():
        told = response.payload.decode(errors="replace")[:512]
        raise EnrolmentFailed(f"the SmartBox answers {response.code}: {told}")
    return bytes(response.payload)


def _read(payload: bytes) -> Papers:
    try:
        decoded: Any = cbor2.loads(payload)
        papers = Papers(*(decoded[n] for n in ("certificate", "authority", "revocations", "seal")))
    except (cbor2.CBORDecodeError, ValueError, KeyError, TypeError, RecursionError):
        raise EnrolmentFailed("the SmartBox's answer is not valid") from None
    parts = (papers.certificate, papers.authority, papers.revocations, papers.seal)
    if not all(isinstance(one, bytes) for one in parts):
        raise EnrolmentFailed("the SmartBox's answer is not valid")
    return papers
