"""Settings of identity: tokens, passwords, lock-out."""

from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from steelyard.settings import Section


class IdentitySettings(Section):
    """Passwords, access tokens, refresh tokens and lock-out."""

    section: ClassVar[str] = "identity"

    issuer: str = Field(
        "https://steelyard.invalid",
        min_length=1,
        description="The `iss` claim: the management API's public base URL.",
    )
    audience: str = Field(
        "steelyard", min_length=1, description="The `aud` claim of access tokens."
    )
    signing_key_file: Path | None = Field(
        None, description="Private key (PEM) that signs access tokens; the management API only."
    )
    jwks_file: Path | None = Field(
        None, description="JSON Web Key Set with the public keys, as `identity make-keys` wrote it."
    )
    jwks_url: str | None = Field(
        None,
        description="Where to fetch the key set instead of `jwks_file`: "
        "https, or http on loopback.",
    )
    jwks_ca_file: Path | None = Field(
        None, description="Certificate authorities (PEM) that `jwks_url`'s server must chain to."
    )
    jwks_max_age_seconds: int = Field(
        3600, ge=1, le=86_400, description="How long a fetched key set is used unasked, in seconds."
    )
    jwks_refetch_seconds: int = Field(
        10, ge=1, le=3600, description="Least time between two fetches of the key set, in seconds."
    )
    access_token_seconds: int = Field(
        600, ge=10, le=86_400, description="Life of an access token, in seconds."
    )
    clock_leeway_seconds: int = Field(
        5, ge=0, le=300, description="Tolerated difference between the hosts' clocks, in seconds."
    )
    refresh_idle_seconds: int = Field(
        7 * 86_400, ge=60, description="Life of a refresh token that is not used, in seconds."
    )
    refresh_absolute_seconds: int = Field(
        30 * 86_400, ge=60, description="Life of a log-in however often it is renewed, in seconds."
    )
    refresh_grace_seconds: int = Field(
        10,
        ge=0,
        le=120,
        description="How long the refresh token that was exchanged last may be presented again "
        "because its response was lost, in seconds.",
    )
    argon2_memory_kib: int = Field(
        65_536, ge=8, le=4_194_304, description="Argon2id memory in KiB (RFC 9106: 65536)."
    )
    argon2_iterations: int = Field(3, ge=1, le=100, description="Argon2id passes (RFC 9106: 3).")
    argon2_lanes: int = Field(4, ge=1, le=64, description="Argon2id lanes (RFC 9106: 4).")
    hashing_concurrency: int = Field(
        2,
        ge=1,
        le=64,
        description="Password hashes computed at once; bounds memory at this times "
        "`argon2_memory_kib`.",
    )
    hashing_queue: int = Field(
        100, ge=1, le=10_000, description="Password hashes that may wait for their turn."
    )
    password_min_length: int = Field(
        12, ge=8, le=64, description="Least length of a password, in characters."
    )
    lockout_threshold: int = Field(
        5, ge=2, le=100, description="Failed log-ins in a row after which an account locks."
    )
    lockout_base_seconds: int = Field(
        10, ge=1, le=3600, description="First lock of an account, in seconds; each further doubles."
    )
    lockout_max_seconds: int = Field(
        900, ge=1, le=86_400, description="Longest lock of an account, in seconds."
    )
    address_failures: int = Field(
        20, ge=1, le=10_000, description="Failed log-ins that one address may make at once."
    )
    address_refill_seconds: float = Field(
        10.0, gt=0, le=3600, description="Time in which an address regains one attempt, in seconds."
    )
    address_table_size: int = Field(
        10_000, ge=100, le=1_000_000, description="Addresses whose failures are remembered."
    )

    @field_validator("jwks_url")
    @classmethod
    def _check_jwks_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        loopback = url.hostname in ("localhost", "127.0.0.1", "::1")
        if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and loopback)):
            raise ValueError("must be an https URL, or an http URL on loopback")
        return value
