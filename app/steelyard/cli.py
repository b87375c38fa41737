"""The `steelyard` command: a thin door to each room.

A subcommand is imported when it is called, so that a load cell never imports the platform.
"""

import importlib
import os
import sys
from collections.abc import Mapping
from typing import cast

import click

from steelyard import __version__
from steelyard.errors import Problem

# name -> (module, attribute, one line for --help)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "alibi": ("steelyard.smartbox.audit.cli", "alibi", "Verify and show an alibi memory."),
    "backup": ("steelyard.backup.cli", "backup", "Back a host up, and restore it."),
    "collect": ("steelyard.collector.cli", "collect", "Write a host's figures (monitoring)."),
    "database": ("steelyard.store.cli", "database", "Create and migrate the entity database."),
    "demo": ("steelyard.demo.cli", "demo", "Run the paper's experiment on this machine."),
    "export": ("steelyard.ledger.export_cli", "export", "Write a station's tickets with proofs."),
    "export-check": ("steelyard.ledger.export_cli", "export_check", "Check such a file."),
    "gateway": ("steelyard.gateway.cli", "gateway", "Serve a host's ledger nodes over mutual TLS."),
    "identity": ("steelyard.identity.cli", "identity", "Signing keys and the first administrator."),
    "loadcell": ("steelyard.loadcell.cli", "loadcell", "Run a load cell communicator."),
    "management-api": ("steelyard.registry.cli", "management_api", "Serve the management API."),
    "network": ("steelyard.network.cli", "network", "Run GoQuorum and Tessera (development)."),
    "node": ("steelyard.node.cli", "node", "Keys, genesis, state and votes of a ledger node."),
    "pki": ("steelyard.pki.cli", "pki", "Make authorities and certificates; revoke them."),
    "provision": ("steelyard.provision.cli", "provision", "Register what a consortium has."),
    "sandbox": ("steelyard.sandbox.cli", "sandbox", "Run an embedded consortium (development)."),
    "smartbox": ("steelyard.smartbox.cli", "smartbox", "Run a station's SmartBox."),
    "station": ("steelyard.station.cli", "station", "Set a station up from its card."),
    "tickets-api": ("steelyard.tickets.cli", "tickets_api", "Serve the weighing tickets API."),
    "vault": ("steelyard.store.vault_cli", "vault", "Make and rotate the vault's keys."),
    "verify": ("steelyard.ledger.cli", "verify", "Prove a receipt at one's own node."),
}


class _LazyGroup(click.Group):
    """A group that imports the command it is asked for, and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("steelyard"):
                raise
            raise click.ClickException(
                f"'{cmd_name}' needs the package '{error.name}': install the extra that brings it "
                "(README, 'Extras')"
            ) from None
        return cast("click.Command", command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="steelyard")
def steelyard() -> None:
    """Private, tamper-evident weighing tickets, from load cell to ledger."""


def main() -> None:
    """Run the command; a Problem becomes one line on stderr and exit status 1.

    So does a fault of ours, without its text, which may hold anything; STEELYARD_DEBUG shows it.
    """
    try:
        steelyard(standalone_mode=True)
    except Problem as problem:
        sentence = str(problem)
        if problem.hint:
            sentence = f"{sentence.rstrip('.')}. {problem.hint}"
        click.echo(f"steelyard: {sentence}", err=True)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("STEELYARD_DEBUG"):
            raise
        click.echo(
            f"steelyard: internal error ({type(error).__name__}); this is a fault of the program: "
            "run it with STEELYARD_DEBUG=1 to see where, and report it",
            err=True,
        )
        sys.exit(1)
