"""`steelyard vault`: the keys of encryption at rest."""

from pathlib import Path

import click

from steelyard.errors import ConfigurationError
from steelyard.store.audit import OPERATOR, Subject, record
from steelyard.store.cli import config_option, with_database
from steelyard.store.database import Database
from steelyard.store.identifiers import now_ms
from steelyard.store.key_ring import KeyRing
from steelyard.store.rotation import Survey, drop_unused_keys, ring_lock
from steelyard.store.rotation import check as check_values
from steelyard.store.rotation import rewrap as rewrap_values
from steelyard.store.schema import require_schema
from steelyard.store.settings import VaultSettings
from steelyard.store.vault import Vault

drop_after_option = click.option(
    "--drop-after",
    type=click.IntRange(min=0),
    default=3600,
    show_default=True,
    help="Seconds since a key was replaced after which it is dropped, if it seals nothing.",
)


@click.group()
def vault() -> None:
    """Make and rotate the vault's keys."""


@vault.command()
@config_option
def init(config_file: Path | None) -> None:
    """Make the key ring file with a first key. Keep a copy apart from the database's backups."""
    path = VaultSettings.load(config_file).key_ring_file
    if not path.parent.is_dir():
        raise ConfigurationError(f"vault.key_ring_file: {path.parent} must be a directory")
    with ring_lock(path):
        if path.exists():
            raise ConfigurationError(f"vault.key_ring_file: {path} exists; 'rotate' adds a key")
        KeyRing.generate().write(path)
    click.echo(f"Wrote {path} with the key k1.")


@vault.command()
@config_option
@drop_after_option
@click.option(
    "--stage-only",
    is_flag=True,
    help="Add the key without using it, to bring the file to other hosts first; repeat without.",
)
def rotate(config_file: Path | None, drop_after: int, stage_only: bool) -> None:
    """Add a key, seal every value under it, drop keys that nothing uses any more."""
    path = VaultSettings.load(config_file).key_ring_file
    with ring_lock(path):
        old = KeyRing.read(path)
        new = old.with_new_key(use=False) if stage_only else old.with_current(now_ms())
        new.write(path)
        if stage_only:
            click.echo(f"Added the key {new.newest}; copy {path} to the other hosts, then rotate.")
            return
        _rewrap(config_file, path, drop_after)


@vault.command()
@config_option
@drop_after_option
def rewrap(config_file: Path | None, drop_after: int) -> None:
    """Go on with a rotation that was interrupted; drop keys that nothing uses any more."""
    path = VaultSettings.load(config_file).key_ring_file
    with ring_lock(path):
        _rewrap(config_file, path, drop_after)


@vault.command()
@config_option
def check(config_file: Path | None) -> None:
    """Open every sealed value; exit status 1 if one of them was tampered with."""
    path = VaultSettings.load(config_file).key_ring_file

    async def work(database: Database) -> Survey:
        await require_schema(database)
        return await check_values(database, Vault.load(path))

    _report(with_database(config_file, work))


def _rewrap(config_file: Path | None, path: Path, drop_after: int) -> None:
    opened = Vault.load(path)

    async def work(database: Database) -> tuple[Survey, set[str]]:
        await require_schema(database)
        survey = await rewrap_values(database, opened)
        async with database.session() as session:
            await record(
                session,
                "vault.rewrap",
                actor=OPERATOR,
                subject=Subject("key-ring"),
                outcome="failed" if survey.failures else "success",
                detail={"current": opened.current_key, "resealed": survey.resealed},
            )
        if survey.failures:
            return survey, set()  # told and audited already; looking again would do so twice
        gone = await drop_unused_keys(
            database, opened, path, after_ms=drop_after * 1000, now=now_ms()
        )
        return survey, gone

    survey, gone = with_database(config_file, work)
    click.echo(f"Sealed {survey.resealed} values anew under {opened.current_key}.")
    if gone:
        click.echo(f"Dropped {', '.join(sorted(gone))}.")
    _report(survey)


def _report(survey: Survey) -> None:
    for failure in survey.failures:
        click.echo(f"wrong: {failure} ({failure.reason})", err=True)
    if survey.failures:
        raise click.exceptions.Exit(1)
    click.echo(f"{sum(survey.values.values())} values open.")
