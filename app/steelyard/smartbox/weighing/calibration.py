"""A calibration: the factors of a bridge's cells, versioned, and signed by the SmartBox's key.

The file is JSON: `content`, the `certificate` of the SmartBox that signed, and the `signature`
(ECDSA with SHA-256 over the content in canonical JSON). The certificate may have been renewed
since: it is good when it has the key that the SmartBox has now, or when the devices' authority
issued it to a SmartBox of this station.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steelyard.coap.identity import station_of
from steelyard.pki.files import replace
from steelyard.pki.names import SMARTBOX_URN, device_serial
from steelyard.smartbox.alibi.format import canonical
from steelyard.smartbox.settings import SmartBoxSettings, WeighbridgeSettings
from steelyard.smartbox.weighing.curve import CellFactors, points_rise
from steelyard.smartbox.weighing.errors import CalibrationRefused
from steelyard.ticket import format_timestamp

MAX_BYTES = 262_144
_ECDSA = ec.ECDSA(hashes.SHA256())

Number = Annotated[float, Field(allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Certificate(_Strict):
    """What a load cell's certificate says of it (OIML R 60): see `CellFactors`."""

    linearity: tuple[tuple[Number, Number], ...] = ()
    zero_per_kelvin: Number = 0.0
    span_per_kelvin: Annotated[float, Field(gt=-0.01, lt=0.01, allow_inf_nan=False)] = 0.0
    reference_celsius: Number = 20.0

    @model_validator(mode="after")
    def _points_are_in_order(self) -> "Certificate":
        if not points_rise(self.linearity):
            raise ValueError("linearity: the points must rise, none may stand twice")
        return self


class CalibratedCell(Certificate):
    """One cell's factors."""

    serial: str
    zero: Number
    span: Factor
    corner: Factor

    def as_factors(self) -> CellFactors:
        """The plain form."""
        return CellFactors(**self.model_dump(exclude={"serial"}))


class KnownLoad(_Strict):
    """A known load and what the calibrated bridge says of it; kilograms."""

    place: str
    load: Number
    shown: Number
    permissible: Number

    @property
    def error(self) -> float:
        """By how many kilograms it shows too much."""
        return self.shown - self.load


class Content(_Strict):
    """What is signed. `made` is RFC 3339."""

    format: Literal["steelyard-calibration-1"] = "steelyard-calibration-1"
    version: int = Field(ge=1)
    station: str
    weighbridge: str
    scale_serial: str
    made: str
    accuracy_class: Literal["III", "IIII"]
    cells: tuple[CalibratedCell, ...] = Field(min_length=1)
    loads: tuple[KnownLoad, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration that was verified; `sha256` is that of its canonical content."""

    content: Content
    sha256: str

    @property
    def factors(self) -> tuple[CellFactors, ...]:
        """The cells' factors, in their order."""
        return tuple(cell.as_factors() for cell in self.content.cells)

    def mark(self) -> dict[str, Any]:
        """What an alibi record says of it."""
        return {"version": self.content.version, "sha256": self.sha256}


def make_content(
    settings: SmartBoxSettings,
    bridge: WeighbridgeSettings,
    factors: Sequence[CellFactors],
    loads: Sequence[KnownLoad],
    *,
    version: int,
    made: int,
) -> Content:
    """A calibration of this bridge; `made` in milliseconds."""
    cells = tuple(
        CalibratedCell(serial=cell.serial, **asdict(one))
        for cell, one in zip(bridge.cells, factors, strict=True)
    )
    return Content(
        version=version,
        station=settings.station,
        weighbridge=bridge.name,
        scale_serial=bridge.scale_serial,
        made=format_timestamp(made),
        accuracy_class=bridge.scale().accuracy_class,
        cells=cells,
        loads=tuple(loads),
    )


def write_calibration(path: Path, content: Content, settings: SmartBoxSettings) -> None:
    """Sign with the SmartBox's key and write, whole or not at all. Raises CalibrationRefused."""
    certificate = _read_certificate(settings.certificate_file)
    try:
        key = load_pem_private_key(settings.key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise CalibrationRefused(f"{settings.key_file}: is no key that can sign") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CalibrationRefused(f"{settings.key_file}: must be a key on P-256")
    plain = content.model_dump(mode="json")
    document = {
        "content": plain,
        "certificate": certificate.public_bytes(Encoding.PEM).decode(),
        "signature": base64.b64encode(key.sign(canonical(plain), _ECDSA)).decode(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, json.dumps(document, indent=1).encode() + b"\n")
    except OSError as error:
        raise CalibrationRefused(f"{path}: cannot be written: {error.strerror}") from None


def read_calibration(
    path: Path, settings: SmartBoxSettings, bridge: WeighbridgeSettings
) -> Calibration:
    """The calibration of a bridge. Raises CalibrationRefused: edited, foreign, or another's."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CalibrationRefused(f"{path}: cannot be read: {error.strerror}") from None
    plain, certificate, signature = _parse(path, text)
    _check_signer(path, certificate, settings)
    try:
        _verify(certificate, signature, canonical(plain))
        content = Content.model_validate_json(canonical(plain))
    except InvalidSignature:
        raise CalibrationRefused(
            f"{path}: was changed after it was signed; a calibration is never edited by hand"
        ) from None
    except ValidationError as error:
        wrong = ".".join(map(str, error.errors()[0]["loc"]))
        raise CalibrationRefused(f"{path}: is no calibration of this version: {wrong}") from None
    _check_place(path, content, settings, bridge)
    return Calibration(content, hashlib.sha256(canonical(plain)).hexdigest())


def _verify(certificate: x509.Certificate, signature: bytes, signed: bytes) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidSignature
    key.verify(signature, signed, _ECDSA)


def _parse(path: Path, text: bytes) -> tuple[dict[str, Any], x509.Certificate, bytes]:
    try:
        document = json.loads(text if len(text) <= MAX_BYTES else b"")
        plain = document["content"]
        certificate = x509.load_pem_x509_certificate(document["certificate"].encode())
        signature = base64.b64decode(document["signature"], validate=True)
        canonical(plain)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CalibrationRefused(f"{path}: is no calibration file") from None
    if not isinstance(plain, dict):
        raise CalibrationRefused(f"{path}: is no calibration file")
    return plain, certificate, signature


def _check_signer(path: Path, signer: x509.Certificate, settings: SmartBoxSettings) -> None:
    own = _read_certificate(settings.certificate_file)
    if own.public_key() == signer.public_key():
        return
    authority = _read_certificate(settings.device_ca_file)
    try:
        signer.verify_directly_issued_by(authority)
        names = signer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        urns = names.get_values_for_type(x509.UniformResourceIdentifier)
        known = any(device_serial(SMARTBOX_URN, urn) is not None for urn in urns)
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        known = False
    if not known or station_of(signer) != settings.cells_station:
        raise CalibrationRefused(f"{path}: was not signed by a SmartBox of {settings.station}")


def _check_place(
    path: Path, content: Content, settings: SmartBoxSettings, bridge: WeighbridgeSettings
) -> None:
    pairs = (
        ("station", content.station, settings.station),
        ("weighbridge", content.weighbridge, bridge.name),
        ("scale", content.scale_serial, bridge.scale_serial),
        (
            "cells",
            ", ".join(cell.serial for cell in content.cells),
            ", ".join(cell.serial for cell in bridge.cells),
        ),
    )
    for name, have, want in pairs:
        if have != want:
            raise CalibrationRefused(f"{path}: is for the {name} {have}, this is {want}")


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CalibrationRefused(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise CalibrationRefused(f"{path}: is no certificate") from None
