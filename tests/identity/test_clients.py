"""A station's credentials."""

from steelyard.identity.clients import digest, new_client_id, new_client_secret, secret_matches


def test_a_secret_matches_its_digest_and_nothing_else():
    """Neither another secret, nor none, nor the digest itself."""
    secret, stored = new_client_secret()
    assert secret_matches(stored, secret)
    for wrong in ("", secret[:-1], secret + "x", stored.hex(), "\ud800"):
        assert not secret_matches(stored, wrong)
    assert not secret_matches(None, secret)


def test_a_station_without_a_secret_lets_nobody_in():
    """Not even who knows what an absent secret is compared with."""
    assert not secret_matches(None, "")
    assert digest("") != bytes(32)


def test_secrets_and_ids_are_fresh_and_long_enough():
    """256 random bits, written in 43 characters."""
    secrets = {new_client_secret()[0] for _ in range(100)}
    assert len(secrets) == len({new_client_id() for _ in range(100)}) == 100
    assert {len(secret.removeprefix("steelyard_cs_")) for secret in secrets} == {43}
