"""Keys stay on their hosts, and are changed only together with their certificates."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from steelyard.pki import files
from steelyard.pki.authority import Authority
from steelyard.pki.errors import KeyUnusable
from steelyard.pki.profiles import client_profile, peer_profile
from steelyard.pki.requests import Place, install, make_request
from steelyard.pki.signing import sign_request

PEER = peer_profile("net-1", ["net-1.example", "10.0.0.1"])


@pytest.fixture
def place(tmp_path) -> Place:
    return Place.of(tmp_path / "pki", "net-1")


def signed(authority: Authority, path, profile=PEER) -> bytes:
    return sign_request(authority, path.read_bytes(), profile).public_bytes(Encoding.PEM)


def names(place: Place) -> list[str]:
    return sorted(path.name for path in place.directory.iterdir())


def belong_together(place: Place) -> bool:
    key = load_pem_private_key(place.file("key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate(place.file("pem").read_bytes())
    return key.public_key() == certificate.public_key()


def test_a_key_is_made_once(place: Place) -> None:
    """P-256, for its owner alone; a second request is for the same key."""
    path = make_request(place, PEER)
    before = place.file("key").read_bytes()
    assert path == place.file("csr")
    assert place.file("key").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in path.read_bytes()
    make_request(place, PEER)
    assert place.file("key").read_bytes() == before
    assert names(place) == ["net-1.csr", "net-1.key"]


def test_rekey_changes_key_and_certificate_together(authority: Authority, place: Place) -> None:
    """Until the new certificate is there the old pair is in use, also after a second request."""
    install(place, signed(authority, make_request(place, PEER)), authority.certificate)
    old = place.file("key").read_bytes(), place.file("pem").read_bytes()
    make_request(place, PEER, rekey=True)
    path = make_request(place, PEER, rekey=True)
    assert (place.file("key").read_bytes(), place.file("pem").read_bytes()) == old
    assert install(place, signed(authority, path), authority.certificate)
    assert place.file("key").read_bytes() != old[0]
    assert place.file("key").stat().st_mode & 0o777 == 0o600
    assert belong_together(place)
    assert names(place) == ["net-1.csr", "net-1.key", "net-1.pem"]


@pytest.mark.parametrize("moves", [0, 1])
def test_a_power_cut_between_key_and_certificate(
    authority: Authority, place: Place, monkeypatch, moves: int
) -> None:
    """Cut before the key's change or after it, the next call ends with a pair that belongs."""
    install(place, signed(authority, make_request(place, PEER)), authority.certificate)
    content = signed(authority, make_request(place, PEER, rekey=True))
    real, left = files.move, [moves]

    def cut(source, target) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "move", cut)
        with pytest.raises(KeyboardInterrupt):
            install(place, content, authority.certificate)
    make_request(place, PEER)
    assert belong_together(place)
    assert place.file("pem").read_bytes() == content
    assert names(place) == ["net-1.csr", "net-1.key", "net-1.pem"]


def test_only_the_authoritys_certificate_for_an_own_key_is_installed(
    authority: Authority, place: Place, tmp_path
) -> None:
    """Another authority's, another host's, and no certificate at all: nothing changes."""
    other = Authority.create(tmp_path / "other", "Test devices")
    request = make_request(place, PEER)
    stranger = make_request(Place.of(tmp_path / "stranger", "net-1"), PEER)
    for content, sentence in (
        (signed(other, request), "not issued by the authority"),
        (signed(authority, stranger), "another key"),
        (b"junk", "no PEM certificate"),
    ):
        with pytest.raises(KeyUnusable, match=sentence):
            install(place, content, authority.certificate)
    assert not place.file("pem").exists()


@pytest.mark.parametrize("what", ["rsa", "p384", "junk", "readable"])
def test_a_key_that_is_not_ours_is_refused(place: Place, what: str) -> None:
    """No request is made for a key of another kind, or one that others may read."""
    place.directory.mkdir()
    content = {
        "rsa": lambda: files.private_pem(rsa.generate_private_key(65537, 2048)),
        "p384": lambda: files.private_pem(ec.generate_private_key(ec.SECP384R1())),
        "junk": lambda: b"junk",
        "readable": lambda: files.private_pem(ec.generate_private_key(ec.SECP256R1())),
    }[what]()
    place.file("key").write_bytes(content)
    place.file("key").chmod(0o644 if what == "readable" else 0o600)
    with pytest.raises(KeyUnusable, match=r"net-1\.key"):
        make_request(place, PEER)
    assert place.file("key").read_bytes() == content


def test_names_stay_in_the_directory(tmp_path) -> None:
    """A serial with path separators names a file here."""
    place = Place.of(tmp_path / "pki", "../../up")
    assert make_request(place, client_profile("../../up")).parent == tmp_path / "pki"
