"""What is signed is what the operator said, whatever a request asks for."""

import base64
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from steelyard.pki.authority import Authority
from steelyard.pki.errors import InvalidSubject, RequestRefused
from steelyard.pki.profiles import KINDS, kind_of, peer_profile, profile_of
from steelyard.pki.signing import compare_names, proven_key, read_request, sign_request

PEER = peer_profile("net-1", ["net-1.example", "10.0.0.1"])
KEY = ec.generate_private_key(ec.SECP256R1())
SHA256 = hashes.SHA256()


def request_of(profile=PEER, key=KEY, algorithm=SHA256, extensions=()) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(profile.subject)
    if profile.alternative_names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(profile.alternative_names), critical=False
        )
    for one in extensions:
        builder = builder.add_extension(one, critical=True)
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


ARGUMENTS = {
    "server": ("api", ["api.example"], None),
    "client": ("platform", [], None),
    "peer": ("net-1", ["net-1.example", "10.0.0.1"], None),
    "smartbox": ("SB-1", ["10.0.0.2"], "north"),
    "loadcell": ("LC-1", [], "north"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_signed_by_its_profile(authority: Authority, kind: str) -> None:
    """Subject, names and purposes are the profile's; a copy is kept."""
    profile = profile_of(kind, *ARGUMENTS[kind])
    certificate = sign_request(authority, request_of(profile), profile, days=3)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert certificate.subject == profile.subject
    assert tuple(usage) == profile.purposes
    assert kind_of(certificate) == kind
    assert certificate.public_key() == KEY.public_key()
    assert authority.issued() == [certificate]


def test_a_peer_is_server_and_client(authority: Authority, tmp_path) -> None:
    """OpenSSL takes it for both, and the key usage for signatures only."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed")
    certificate = sign_request(authority, request_of(), PEER)
    assert set(PEER.purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    path = tmp_path / "net-1.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    for purpose in ("sslserver", "sslclient"):
        options = ["-x509_strict", "-purpose", purpose, "-verify_hostname", "net-1.example"]
        options += ["-CRLfile", str(authority.crl_path), "-crl_check"]
        trust = ["-CAfile", str(authority.certificate_path)]
        ran = subprocess.run(
            ["openssl", "verify", *options, *trust, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_openssls_request_is_signed(authority: Authority, tmp_path) -> None:
    """A request that a foreign program made is as good."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed")
    made = subprocess.run(
        [
            *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-noenc", "-keyout", str(tmp_path / "key"), "-subj", "/CN=net-1", "-sha256"),
            *("-addext", "subjectAltName=IP:10.0.0.1,DNS:net-1.example"),
        ],
        capture_output=True,
        check=True,
    )
    assert sign_request(authority, made.stdout, PEER).subject == PEER.subject


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("net-2", ["net-1.example", "10.0.0.1"]), "is for CN=net-2, and not for CN=net-1"),
        (("net-1", ["net-1.example"]), "names net-1.example, and not 10.0.0.1, net-1.example"),
        (("net-1", ["net-1.example", "10.0.0.1", "platform"]), "names 10.0.0.1, net-1.example, pl"),
    ],
)
def test_other_names_are_refused(authority: Authority, asked, sentence: str) -> None:
    """A request for other names than the operator's is a mix-up, and nothing is signed."""
    with pytest.raises(RequestRefused, match=sentence):
        sign_request(authority, request_of(peer_profile(*asked)), PEER)
    assert authority.issued() == []


@pytest.mark.parametrize(
    "extension",
    [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
    ],
)
def test_a_request_for_more_than_names_is_refused(authority: Authority, extension) -> None:
    """A request cannot make itself an authority."""
    with pytest.raises(RequestRefused, match="more than names"):
        sign_request(authority, request_of(extensions=[extension]), PEER)


@pytest.mark.parametrize(
    ("key", "algorithm", "sentence"),
    [
        (rsa.generate_private_key(65537, 2048), hashes.SHA256(), "curve P-256"),
        (ec.generate_private_key(ec.SECP384R1()), hashes.SHA256(), "curve P-256"),
        (ed25519.Ed25519PrivateKey.generate(), None, "curve P-256"),
        (KEY, hashes.SHA512(), "ECDSA and SHA-256"),
    ],
)
def test_other_keys_are_refused(authority: Authority, key, algorithm, sentence: str) -> None:
    """The devices' library does P-256 with SHA-256, and nothing else comes in."""
    with pytest.raises(RequestRefused, match=sentence):
        sign_request(authority, request_of(key=key, algorithm=algorithm), PEER)


def test_without_the_key_nothing_is_signed(authority: Authority) -> None:
    """A request whose public key was exchanged proves nothing."""
    der = base64.b64decode(b"".join(request_of().splitlines()[1:-1]))
    point = KEY.public_key().public_numbers()
    other = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    forged = der.replace(point.x.to_bytes(32), other.x.to_bytes(32))
    forged = forged.replace(point.y.to_bytes(32), other.y.to_bytes(32))
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(forged)
    with pytest.raises(RequestRefused, match="no proof"):
        sign_request(authority, pem + b"-----END CERTIFICATE REQUEST-----\n", PEER)


def test_a_revoked_key_is_not_certified_again(authority: Authority) -> None:
    """Whoever stole the key would have the new certificate as well."""
    authority.revoke(sign_request(authority, request_of(), PEER))
    with pytest.raises(RequestRefused, match="needs a new key"):
        sign_request(authority, request_of(), PEER)
    assert sign_request(authority, request_of(key=ec.generate_private_key(ec.SECP256R1())), PEER)


@pytest.mark.parametrize("pem", [b"", b"junk", request_of() * 2, b"-----BEGIN " * 9, b"x" * 20000])
def test_what_is_no_request(pem: bytes) -> None:
    """None, two, and too much."""
    with pytest.raises(RequestRefused):
        read_request(pem)


REQUEST = base64.b64decode(b"".join(request_of().splitlines()[1:-1]))


@given(st.data())
def test_damaged_requests_are_refused_in_one_sentence(data) -> None:
    """Any bytes changed, cut or added: refused, or still the operator's very names."""
    der = bytearray(REQUEST)
    for _ in range(data.draw(st.integers(1, 8))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(der)))
    body = bytes(der[:cut]) if data.draw(st.booleans()) else bytes(der)
    body += data.draw(st.binary(max_size=8))
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(body)
    pem += b"-----END CERTIFICATE REQUEST-----\n"
    try:
        request = read_request(pem)
        key = proven_key(request)
        compare_names(request, PEER)
    except RequestRefused:
        pass
    else:
        assert key == KEY.public_key()
        assert request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "net-1"


@given(st.binary(max_size=600))
def test_any_bytes_are_refused_in_one_sentence(junk: bytes) -> None:
    """Also within the lines that a request stands between."""
    begin, end = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"
    for pem in (junk, b"\n".join([begin, base64.b64encode(junk), end]), begin + junk + end):
        with pytest.raises(RequestRefused):
            proven_key(read_request(pem))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("smartbox", ("SB-1", [], None)),
        ("loadcell", ("LC-1", ["10.0.0.1"], "north")),
        ("client", ("platform", ["10.0.0.1"], None)),
        ("peer", ("net-1", [], None)),
        ("server", ("api", ["api.example"], "north")),
    ],
)
def test_a_kind_has_its_own_options(kind: str, arguments) -> None:
    """What a kind lacks or has no place for is an error, not left out silently."""
    with pytest.raises(InvalidSubject):
        profile_of(kind, *arguments)


def test_a_names_certificates_are_revoked_together(authority: Authority) -> None:
    """All of a name and kind, but the one that is kept; the other kind's stay."""
    old, new = (sign_request(authority, request_of(), PEER) for _ in range(2))
    client = profile_of("client", "net-1", [], None)
    other = sign_request(authority, request_of(client), client)
    assert authority.revoke_name("net-1", "peer", keep=new) == [old.serial_number]
    assert authority.revoke_name("net-1", "peer", keep=new) == []
    assert set(authority.revoke_name("net-1")) == {new.serial_number, other.serial_number}
