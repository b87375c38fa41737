"""Reading the validators that one trusts from a file of one's own."""

import re
from pathlib import Path
from typing import Any

from steelyard.errors import ConfigurationError
from steelyard.json_text import read_json
from steelyard.ledger.encoding import from_hex, rlp_decode
from steelyard.ledger.seals import Validators, addresses_of

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def read_validators(path: Path) -> Validators:
    """Addresses, one a line or as a JSON array. Raises ConfigurationError."""
    text = _read(path)
    if text.lstrip().startswith("["):
        listed = _json(path, text)
    else:
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        listed = [line for line in lines if line]
    wrong = [one for one in listed if not (isinstance(one, str) and _ADDRESS.fullmatch(one))]
    if wrong or not listed:
        said = f"{wrong[0]!r} is not" if wrong else "there is not"
        raise ConfigurationError(
            f"{path}: must hold validators' addresses, 0x and 40 digits: {said}"
        )
    return Validators(frozenset(one.lower() for one in listed), str(path))


def read_genesis(path: Path) -> Validators:
    """The validators of a QBFT network's genesis.json. Raises ConfigurationError."""
    document = _json(path, _read(path))
    try:
        extra = rlp_decode(from_hex(document["extraData"]))
        addresses = addresses_of(extra[1]) if isinstance(extra, list) and len(extra) == 5 else None
        rule = document["config"]["qbft"].get("ceil2Nby3Block")
    except (KeyError, TypeError, ValueError, AttributeError):
        addresses = rule = None
    if not addresses:
        raise ConfigurationError(
            f"{path}: is not the genesis of a QBFT network that lists its validators"
        )
    return Validators(addresses, str(path), two_f_plus_one=rule != 0)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not text in UTF-8") from None


def _json(path: Path, text: str) -> Any:
    try:
        return read_json(text.encode())
    except ValueError:
        raise ConfigurationError(f"{path}: is not JSON") from None
