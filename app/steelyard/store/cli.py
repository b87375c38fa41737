"""`steelyard database`: make, migrate and check the entity database."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import text

from steelyard.store import schema
from steelyard.store.audit import ChainHead, verify_chain
from steelyard.store.database import Database
from steelyard.store.errors import AuditChainBroken
from steelyard.store.settings import StoreSettings

T = TypeVar("T")

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with the settings (or the variable STEELYARD_CONFIG).",
)


def with_database(config_file: Path | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on the configured database and close it again."""

    async def run() -> T:
        database = Database(StoreSettings.load(config_file))
        try:
            return await work(database)
        finally:
            await database.dispose()

    return asyncio.run(run())


@click.group()
def database() -> None:
    """Create, migrate and check the entity database."""


@database.command()
@config_option
@click.option("--revision", default="head", show_default=True, help="Revision to go to.")
def upgrade(config_file: Path | None, revision: str) -> None:
    """Create the tables, or bring them to this version. Safe to repeat."""

    async def work(opened: Database) -> tuple[str | None, str | None]:
        before = await schema.upgrade(opened, revision)
        return before, await schema.current(opened)

    before, after = with_database(config_file, work)
    if before == after:
        click.echo(f"The database is at revision {after} already.")
    else:
        click.echo(f"The database went from revision {before or 'none'} to {after}.")


@database.command()
@config_option
def current(config_file: Path | None) -> None:
    """Print the database's revision, and the one that this version needs."""
    found = with_database(config_file, schema.current)
    click.echo(f"{found or 'none'} (needed: {schema.head()})")


@database.command()
@config_option
@click.option(
    "--expect-head",
    metavar="NUMBER:HASH",
    help="Head of the audit log as an earlier check printed it; it must still be in the log.",
)
def check(config_file: Path | None, expect_head: str | None) -> None:
    """Check tables, references and the audit log's chain; exit status 1 if anything is wrong."""
    expected = _parse_head(expect_head) if expect_head else None

    async def work(opened: Database) -> list[str]:
        await schema.require_schema(opened)
        problems = [f"table differs: {text_}" for text_ in await schema.differences(opened)]
        problems += await _integrity(opened)
        try:
            async with opened.session(read_only=True) as session:
                head = await verify_chain(session, expected)
            click.echo(f"audit log: {head.seq} lines, head {head}")
        except AuditChainBroken as problem:
            problems.append(str(problem))
        return problems

    problems = with_database(config_file, work)
    for problem in problems:
        click.echo(f"wrong: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)
    click.echo(f"The database is in order, at revision {schema.head()}.")


async def _integrity(opened: Database) -> list[str]:
    if opened.engine.dialect.name != "sqlite":
        return []  # PostgreSQL enforces references itself; its pages are for pg_amcheck
    async with opened.session(read_only=True) as session:
        lines = [str(row[0]) for row in await session.execute(text("PRAGMA integrity_check"))]
        broken = [
            f"a row of {row[0]} refers to a row of {row[2]} that is not there"
            for row in await session.execute(text("PRAGMA foreign_key_check"))
        ]
    return [line for line in lines if line != "ok"] + broken


def _parse_head(given: str) -> ChainHead:
    match = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", given)
    if not match:
        raise click.UsageError("--expect-head must be a number, a colon and 64 hex digits")
    return ChainHead(int(match[1]), bytes.fromhex(match[2]))
