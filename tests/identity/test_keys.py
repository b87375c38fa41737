"""Signing keys: their files, their public form, their names."""

import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from steelyard.errors import ConfigurationError
from steelyard.identity import keys
from steelyard.identity.keys import KeySet, VerificationKey


def test_a_thumbprint_is_that_of_the_standard():
    """The example of RFC 8037, appendix A.3."""
    members = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    assert keys.thumbprint(members) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("make", [keys.generate, lambda: ec.generate_private_key(ec.SECP256R1())])
def test_a_key_set_reads_back(make):
    """Both kinds of keys keep their id, algorithm and value; nothing private is in it."""
    private = make()
    key = VerificationKey.of(private.public_key())
    document = KeySet([key]).as_json()
    assert dict(KeySet.from_json(document)) == {key.id: key}
    assert set(json.loads(document)["keys"][0]) <= {"kty", "crv", "x", "y", "kid", "alg", "use"}


def _jwk(**changes) -> dict:
    return VerificationKey.of(keys.generate().public_key()).as_jwk() | changes


@pytest.mark.parametrize(
    "document",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"keys": 5}',
        '{"keys": [5]}',
        '{"keys": []}',
        "[" * 5000,
        json.dumps({"keys": [_jwk(kid="another")]}),
        json.dumps({"keys": [_jwk(alg="HS256")]}),
        json.dumps({"keys": [_jwk(use="enc")]}),
        json.dumps({"keys": [_jwk(x="AAAA")]}),
        json.dumps({"keys": [_jwk(x=5)]}),
        json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "x"}]}),
        '{"keys": [{"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}]}',
    ],
)
def test_a_document_without_a_good_key_is_refused(document):
    """One kind of error, whatever is wrong with it."""
    with pytest.raises(ValueError, match=r"JSON Web Key Set|holds no"):
        KeySet.from_json(document.encode())


def test_keys_of_other_kinds_are_passed_over():
    """A set may hold keys for others (RFC 7517, section 5)."""
    good = _jwk()
    document = {"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}, good]}
    assert set(KeySet.from_json(json.dumps(document).encode())) == {good["kid"]}


def _write(path, content: bytes, mode: int = 0o600):
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_bytes(content)
    return path


def test_a_private_key_reads_back(tmp_path):
    """As the command writes it."""
    key = keys.generate()
    path = _write(tmp_path / "key.pem", keys.to_pem(key))
    assert keys.load_private(path).private_bytes_raw() == key.private_bytes_raw()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    ],
)
def test_other_private_keys_are_refused(tmp_path, content):
    """The sentence says which kinds are allowed, and shows nothing of the file."""
    path = _write(tmp_path / "key.pem", content)
    with pytest.raises(ConfigurationError, match="unencrypted Ed25519 or P-256") as caught:
        keys.load_private(path)
    assert "BEGIN" not in str(caught.value)


def test_a_private_key_that_others_can_read_is_refused(tmp_path):
    """The file must be its owner's."""
    path = _write(tmp_path / "key.pem", keys.to_pem(keys.generate()), 0o644)
    with pytest.raises(ConfigurationError, match="mode 0644"):
        keys.load_private(path)
    assert os.access(path, os.R_OK)
    assert isinstance(keys.generate(), ed25519.Ed25519PrivateKey)
