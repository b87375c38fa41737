"""Access tokens: what the issuer signs is taken, and nothing else is."""

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import ConfigurationError
from steelyard.identity import keys
from steelyard.identity.errors import InvalidToken
from steelyard.identity.jwks import JwksFile
from steelyard.identity.keys import KeySet, VerificationKey
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TOKEN_TYPE, TokenIssuer, TokenVerifier
from steelyard.store.models import Role

ISSUER, AUDIENCE = "https://issuer.example", "steelyard"
NAMES = {"issuer": ISSUER, "audience": AUDIENCE}
KEY = keys.generate()
USER = {
    "kind": "user",
    "subject": "U1",
    "role": Role.CUSTOMER_USER,
    "customer_id": "C1",
    "epoch": 3,
    "family_id": "F1",
}


class FixedKeys:
    """A key source that never changes."""

    def __init__(self, *private):
        self._set = KeySet(VerificationKey.of(key.public_key()) for key in private)

    async def keys(self, wanted):
        return self._set


@pytest.fixture
def verifier():
    """A verifier that knows KEY."""
    return TokenVerifier(FixedKeys(KEY), leeway_seconds=2, **NAMES)


def _claims(**changes) -> dict:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "U1",
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": "J1",
        "role": "customer-user",
        "customer": "C1",
        "station": None,
        "epoch": 0,
        "sid": "F1",
    } | changes
    return {name: value for name, value in claims.items() if value is not ...}


def _sign(claims: dict, key=KEY, algorithm="EdDSA", **header) -> str:
    kid = VerificationKey.of(KEY.public_key()).id
    headers = {"kid": kid, "typ": TOKEN_TYPE} | header
    headers = {name: value for name, value in headers.items() if value is not ...}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


async def test_a_users_token_says_who_it_is(verifier):
    """Everything that was issued comes back."""
    issuer = TokenIssuer(KEY, lifetime_seconds=60, **NAMES)
    principal = await verifier.verify(issuer.issue(**USER))
    assert (principal.kind, principal.id, principal.role) == ("user", "U1", Role.CUSTOMER_USER)
    assert (principal.customer_id, principal.station_id) == ("C1", None)
    assert (principal.epoch, principal.family_id) == (3, "F1")
    assert 0 < principal.expires_at - time.time() <= 60


async def test_a_stations_token_says_which_it_is(verifier):
    """The station is the subject and the customer is its owner."""
    token = TokenIssuer(KEY, **NAMES).issue(
        kind="station", subject="S1", role=Role.STATION, customer_id="C1", epoch=0
    )
    principal = await verifier.verify(token)
    assert (principal.kind, principal.id, principal.station_id) == ("station", "S1", "S1")
    assert (principal.customer_id, principal.role) == ("C1", Role.STATION)


async def test_an_es256_key_works_as_well():
    """Either kind of key, each with its own algorithm."""
    key = ec.generate_private_key(ec.SECP256R1())
    verifier = TokenVerifier(FixedKeys(KEY, key), **NAMES)
    assert (await verifier.verify(TokenIssuer(key, **NAMES).issue(**USER))).id == "U1"


async def test_no_two_tokens_are_alike(verifier):
    """Each has an identifier of its own, to be revoked by."""
    issuer = TokenIssuer(KEY, **NAMES)
    found = {(await verifier.verify(issuer.issue(**USER))).token_id for _ in range(20)}
    assert len(found) == 20


@pytest.mark.parametrize(
    "claims",
    [
        *({name: ...} for name in _claims() if name not in ("customer", "station", "sid")),
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"aud": [AUDIENCE]},
        {"exp": int(time.time()) - 60},
        {"exp": "soon"},
        {"exp": 10**400},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600},
        {"role": "god"},
        {"role": "station"},
        {"role": "station", "station": "U1", "customer": None},
        {"role": "station", "station": "S2"},
        {"role": "platform-administrator"},
        {"customer": None},
        {"station": "S1"},
        {"sub": ""},
        {"sub": 5},
        {"sub": "x" * 65},
        {"jti": None},
        {"epoch": "0"},
        {"epoch": True},
        {"sid": 5},
    ],
)
async def test_wrong_claims_are_refused(verifier, claims):
    """Each claim is needed, of its type, and agrees with the others, even if we signed it."""
    await verifier.verify(_sign(_claims()))
    if claims.get("sub") == 5:
        token = jwt.api_jws.encode(
            json.dumps(_claims(**claims)).encode(),
            KEY,
            algorithm="EdDSA",
            headers={"kid": VerificationKey.of(KEY.public_key()).id, "typ": TOKEN_TYPE},
        )
    else:
        token = _sign(_claims(**claims))
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_clocks_may_differ_a_little(verifier):
    """By the leeway and no more."""
    now = int(time.time())
    await verifier.verify(_sign(_claims(iat=now + 1, nbf=now + 1)))
    with pytest.raises(InvalidToken):
        await verifier.verify(_sign(_claims(iat=now + 30, nbf=now + 30)))


async def test_an_expired_token_is_told_as_such(verifier):
    """Its bearer must know that a refresh helps."""
    with pytest.raises(InvalidToken, match="has expired") as caught:
        await verifier.verify(_sign(_claims(exp=int(time.time()) - 30)))
    assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]


async def test_an_unsigned_token_is_refused(verifier):
    """`none` is no algorithm."""
    with pytest.raises(InvalidToken):
        await verifier.verify(_sign(_claims(), key=None, algorithm="none"))


async def test_the_public_key_is_no_shared_secret(verifier):
    """HS256 under the public key's bytes, in any form, is refused."""
    public = KEY.public_key()
    kid = VerificationKey.of(public).id
    for secret in (
        public.public_bytes_raw(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        header = {"alg": "HS256", "kid": kid, "typ": TOKEN_TYPE}
        signing = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in (header, _claims())
        )
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = base64.urlsafe_b64encode(algorithm.sign(signing.encode(), secret))
        with pytest.raises(InvalidToken, match="unknown key"):
            await verifier.verify(f"{signing}.{signature.rstrip(b'=').decode()}")


@pytest.mark.parametrize(
    "header", [{"typ": "JWT"}, {"typ": None}, {"kid": "unknown"}, {"kid": ...}]
)
async def test_wrong_headers_are_refused(verifier, header):
    """A token of another kind or of another key is none of ours."""
    with pytest.raises(InvalidToken):
        await verifier.verify(_sign(_claims(), **header))


async def test_another_key_under_our_id_is_refused(verifier):
    """The signature counts, not the name of the key."""
    with pytest.raises(InvalidToken):
        await verifier.verify(_sign(_claims(), key=keys.generate()))


async def test_every_flipped_bit_is_refused(verifier):
    """No bit of the header, the claims or the signature may change."""
    token = _sign(_claims())
    parts = [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]
    for index, part in enumerate(parts):
        for bit in range(len(part) * 8):
            changed = bytearray(part)
            changed[bit // 8] ^= 1 << bit % 8
            forged = [*parts[:index], bytes(changed), *parts[index + 1 :]]
            text = ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in forged)
            with pytest.raises(InvalidToken):
                await verifier.verify(text)


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{0,80}\.[\w-]{0,80}\.[\w-]{0,80}"))
@settings(deadline=None)
async def test_any_text_at_all_is_refused_as_a_token(text):
    """No other exception, whatever is sent."""
    with pytest.raises(InvalidToken):
        await TokenVerifier(FixedKeys(KEY), **NAMES).verify(text)


@pytest.mark.parametrize(
    "text", ["." * 5000, "e" * 5000, "é.é.é", "\ud800", "W10.e30.", "bnVsbA.e30."]
)
async def test_hostile_texts_are_refused(verifier, text):
    """Long, not ASCII, JSON of another kind."""
    with pytest.raises(InvalidToken):
        await verifier.verify(text)


def _files(directory, *published):
    private = directory / "signing-key.pem"
    private.touch(mode=0o600)
    private.write_bytes(keys.to_pem(KEY))
    public = directory / "jwks.json"
    public.write_bytes(KeySet(VerificationKey.of(k.public_key()) for k in published).as_json())
    return IdentitySettings(signing_key_file=private, jwks_file=public, **NAMES)


async def test_issuer_and_verifier_work_from_the_files(tmp_path):
    """As the processes make them."""
    configured = _files(tmp_path, keys.generate(), KEY)
    token = TokenIssuer.from_settings(configured).issue(**USER)
    assert (await TokenVerifier.from_settings(configured).verify(token)).id == "U1"


def test_an_unpublished_signing_key_is_refused_at_the_start(tmp_path):
    """Nobody could verify what it signs."""
    with pytest.raises(ConfigurationError, match="does not hold the public half"):
        TokenIssuer.from_settings(_files(tmp_path, keys.generate()))
    with pytest.raises(ConfigurationError, match=r"identity\.signing_key_file"):
        TokenIssuer.from_settings(IdentitySettings())


@pytest.mark.parametrize("fields", [{}, {"jwks_file": "x", "jwks_url": "https://h/jwks.json"}])
def test_a_verifier_needs_one_source(fields):
    """Neither none nor two."""
    with pytest.raises(ConfigurationError, match="exactly one of jwks_file and jwks_url"):
        TokenVerifier.from_settings(IdentitySettings(**fields))


async def test_a_rotated_key_set_is_read_again(tmp_path):
    """New tokens are taken at once, tokens of a key that was taken out no longer."""
    configured = _files(tmp_path, KEY)
    verifier = TokenVerifier.from_settings(configured)
    old, new = TokenIssuer(KEY, **NAMES), TokenIssuer(keys.generate(), **NAMES)
    with pytest.raises(InvalidToken):
        await verifier.verify(new.issue(**USER))
    path = tmp_path / "jwks.json"
    path.write_bytes(KeySet([old.verification_key, new.verification_key]).as_json())
    await verifier.verify(old.issue(**USER))
    await verifier.verify(new.issue(**USER))
    path.write_bytes(KeySet([new.verification_key]).as_json())
    await verifier.verify(new.issue(**USER))
    with pytest.raises(InvalidToken):
        await verifier.verify(old.issue(**USER))


def test_a_bad_key_set_keeps_the_last_good_one(tmp_path):
    """A half-written file takes no service down; a start with it is refused."""
    path = tmp_path / "jwks.json"
    path.write_bytes(KeySet([VerificationKey.of(KEY.public_key())]).as_json())
    source = JwksFile(path)
    path.write_text('{"keys": [')
    assert len(source.current()) == 1
    with pytest.raises(ConfigurationError, match=r"identity\.jwks_file"):
        JwksFile(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        JwksFile(tmp_path / "missing")
