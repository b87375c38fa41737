"""`steelyard identity`: signing keys, the first administrator, cleaning up."""

from pathlib import Path

import click

from steelyard.errors import ConfigurationError
from steelyard.identity import keys, refresh
from steelyard.identity.passwords import PasswordHasher, check_password
from steelyard.identity.settings import IdentitySettings
from steelyard.new_password import make_password
from steelyard.secret_files import read_secret_line, write_secret
from steelyard.store.audit import OPERATOR, Subject, record
from steelyard.store.cli import config_option, with_database
from steelyard.store.database import Database
from steelyard.store.identifiers import now_ms
from steelyard.store.models import Role, User
from steelyard.store.schema import require_schema

_SIGNING_KEY = "signing-key.pem"
_KEY_SET = "jwks.json"

directory_option = click.option(
    "--directory",
    required=True,
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help=f"Directory of {_SIGNING_KEY} (private) and {_KEY_SET} (public).",
)


@click.group()
def identity() -> None:
    """Signing keys and the first administrator."""


@identity.command("make-keys")
@directory_option
def make_keys(directory: Path) -> None:
    """Make the key that signs access tokens, and the key set that verifies them."""
    for name in (_SIGNING_KEY, _KEY_SET):
        if (directory / name).exists():
            raise ConfigurationError(f"{directory / name} exists; 'rotate-keys' replaces the key")
    key_id = _replace_key(directory, [])
    click.echo(f"Wrote {directory / _SIGNING_KEY} and {directory / _KEY_SET} (key {key_id}).")


@identity.command("rotate-keys")
@directory_option
@click.option(
    "--keep",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help="Earlier public keys that go on verifying the tokens they signed.",
)
def rotate_keys(directory: Path, keep: int) -> None:
    """Replace the signing key; restart the management API to use it.

    Tokens that the earlier key signed stay good for as long as it is kept, so do not rotate twice
    within the life of an access token.
    """
    path = directory / _KEY_SET
    try:
        published = keys.KeySet.from_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} {error}") from None
    key_id = _replace_key(directory, list(published.values())[-keep:])
    click.echo(f"Replaced {directory / _SIGNING_KEY} (key {key_id}); restart the management API.")


@identity.command("bootstrap-admin")
@config_option
@click.option("--login", required=True, help="The platform administrator's log-in.")
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the password, readable by its owner only. Without it one is made and printed.",
)
def bootstrap_admin(config_file: Path | None, login: str, password_file: Path | None) -> None:
    """Make a platform administrator. The password is printed this once, unless it was given."""
    settings = IdentitySettings.load(config_file)
    if not 1 <= len(login) <= 254 or not login.isprintable() or login != login.strip():
        raise click.UsageError("--login must be 1 to 254 printable characters, no outer blanks")
    password = (
        read_secret_line(password_file, "--password-file")
        if password_file
        else make_password(login)
    )
    check_password(password, login=login, min_length=settings.password_min_length)

    async def work(database: Database) -> None:
        await require_schema(database)
        hasher = PasswordHasher(settings)
        try:
            stored = await hasher.hash(password)
        finally:
            hasher.close()
        async with database.session() as session:
            user = User(login=login, password_hash=stored, role=Role.PLATFORM_ADMINISTRATOR)
            session.add(user)
            await session.flush()
            await record(session, "user.create", actor=OPERATOR, subject=Subject("user", user.id))

    with_database(config_file, work)
    click.echo(f"Made the platform administrator {login}.")
    if password_file is None:
        click.echo(f"Password, shown only now: {password}")


@identity.command()
@config_option
def purge(config_file: Path | None) -> None:
    """Delete log-ins and revocations that have expired. Run it once a day."""

    async def work(database: Database) -> int:
        await require_schema(database)
        async with database.session() as session:
            return await refresh.purge(session, now_ms())

    click.echo(f"Deleted {with_database(config_file, work)} expired rows.")


def _replace_key(directory: Path, earlier: list[keys.VerificationKey]) -> str:
    key = keys.generate()
    public = keys.VerificationKey.of(key.public_key())
    try:
        # The key set first: a token must never be out before the key that verifies it.
        document = keys.KeySet([*earlier, public]).as_json() + b"\n"
        write_secret(directory / _KEY_SET, document, mode=0o644)
        write_secret(directory / _SIGNING_KEY, keys.to_pem(key))
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error.strerror}") from None
    return public.id
