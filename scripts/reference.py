"""Writes docs/reference from the code: settings, commands, routes, problem types, ports,
playbooks and the description of a consortium.

`python scripts/reference.py` writes the pages; `--check` compares them and exits with 1 on a
difference. tests/docs runs the same comparison.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast, get_args

import click
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import steelyard
from steelyard.cli import steelyard as command_line
from steelyard.errors import Problem
from steelyard.identity.keys import KeySet, generate
from steelyard.identity.passwords import PasswordHasher
from steelyard.identity.service import IdentityService
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TokenIssuer, TokenVerifier
from steelyard.ledger.protocol import Ledger
from steelyard.ledger.settings import LedgerSettings
from steelyard.registry import app as registry
from steelyard.registry.settings import ManagementSettings
from steelyard.settings import Section
from steelyard.smartbox.display.operator import ROUTES as OPERATOR_ROUTES
from steelyard.smartbox.display.views import ROUTES as DISPLAY_ROUTES
from steelyard.smartbox.pages.records import ROUTES as RECORD_ROUTES
from steelyard.smartbox.pages.status import ROUTES as STATUS_ROUTES
from steelyard.station import card
from steelyard.station.page import ROUTES as FIRST_BOOT_ROUTES
from steelyard.store.database import Database
from steelyard.store.key_ring import KeyRing
from steelyard.store.settings import StoreSettings
from steelyard.store.vault import Vault
from steelyard.tickets import app as tickets
from steelyard.tickets.settings import TicketsSettings
from steelyard.web.application import ENDPOINTS
from steelyard.web.endpoint import Endpoint

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # infra/ is no installed package
PAGES = ROOT / "docs" / "reference"
NOTE = "<!-- Written by scripts/reference.py (make docs); do not edit. -->"


def modules() -> list[str]:
    """Every module of the package, imported."""
    names = [
        module.name
        for module in pkgutil.walk_packages(steelyard.__path__, "steelyard.")
        # Migrations are scripts for Alembic; the preload freezes the collector.
        if ".migrations" not in module.name and module.name != "steelyard.demo.preload"
    ]
    for name in names:
        importlib.import_module(name)
    return names


def subclasses(base: type) -> list[type]:
    """Every subclass that the package declares."""
    found = [base]
    for one in found:
        found += [child for child in one.__subclasses__() if child not in found]
    return [one for one in found[1:] if one.__module__.startswith("steelyard.")]


def first_paragraph(text: str | None) -> str:
    """A docstring's first paragraph on one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def cell(text: str) -> str:
    """Text in a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell(text) for text in row)} |"


def settings_page() -> Iterator[str]:
    """Every section with its fields."""
    yield from ("# Settings", "", NOTE, "")
    yield "A section is a table of the TOML file that `--config` or `STEELYARD_CONFIG` names; the"
    yield "variable wins over the file. Lists and tables in a variable are written as JSON."
    sections = [one for one in subclasses(Section) if "section" in vars(one)]
    for section in sorted(sections, key=lambda one: one.section):
        yield from ("", f"## [{section.section}]", "", first_paragraph(section.__doc__), "")
        rows = [
            (f"`{name}`", f"`{section.environment_name(name)}`", *_default_and_meaning(field))
            for name, field in section.model_fields.items()
        ]
        yield from table(("setting", "variable", "default", "meaning"), rows)
        for name, part in _parts(section):
            yield from ("", f"### [[{section.section}.{name}]]", "", first_paragraph(part.__doc__))
            rows = [
                (f"`{member}`", *_default_and_meaning(field))
                for member, field in part.model_fields.items()
            ]
            yield ""
            yield from table(("member", "default", "meaning"), rows)


def _default_and_meaning(field: FieldInfo) -> tuple[str, str]:
    if field.default_factory is not None:
        default = field.get_default(call_default_factory=True, validated_data={})
    else:
        default = field.default
    shown = "required" if default is PydanticUndefined else f"`{_plain(default)}`"
    return shown, field.description or ""


def _parts(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables within a table, by their path."""
    for name, field in model.model_fields.items():
        for part in get_args(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield name, part
                for path, inner in _parts(part):
                    yield f"{name}.{path}", inner


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return "not set" if value is None else str(value)


def commands_page() -> Iterator[str]:
    """Every command with its options."""
    yield from ("# Commands", "", NOTE)
    context = click.Context(command_line, info_name="steelyard")
    yield from _command(command_line, context)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield from ("", f"## {context.command_path}", "", first_paragraph(command.help), "")
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"`{context.command_path} {pieces}`"
    options = [one for one in command.params if isinstance(one, click.Option)]
    rows = [record for one in options if (record := one.get_help_record(context))]
    if rows:
        yield ""
        yield from table(("option", "meaning"), [(f"`{name}`", text) for name, text in rows])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _command(child, click.Context(child, context, info_name=name))


def applications() -> dict[str, list[Endpoint]]:
    """What both APIs serve: they are put together over an empty database, and not started."""
    with TemporaryDirectory() as directory:
        database = Database(StoreSettings(url=f"sqlite:///{directory}/empty.db"))
        vault = Vault(KeyRing.generate())
        issuer = TokenIssuer(generate(), issuer="https://platform.example", audience="steelyard")
        keys = KeySet([issuer.verification_key])
        verifier = TokenVerifier(_Keys(keys), issuer="https://platform.example", audience="x")
        settings = IdentitySettings()
        service = IdentityService(database, settings, issuer, verifier, PasswordHasher(settings))
        ledger = cast("Ledger", None)
        files = {"certificate": Path("unused"), "private_key": Path("unused")}
        identity = registry.Identity(service, verifier, keys.as_json, "https://platform.example")
        management = registry.build(ManagementSettings(**files), database, vault, identity, ledger)
        weighing = tickets.build(
            TicketsSettings(port=0, **files), database, vault, verifier, ledger, LedgerSettings()
        )
    return {
        "Management API": management[ENDPOINTS],
        "Weighing tickets API": weighing[ENDPOINTS],
    }


@dataclass(frozen=True, slots=True)
class _Keys:
    held: KeySet

    async def keys(self, wanted: str) -> KeySet:
        del wanted
        return self.held


def routes_page() -> Iterator[str]:
    """Every route of both APIs."""
    yield from ("# Routes", "", NOTE, "")
    yield "Each API describes itself in full at `/openapi.json`, and for a reader at `/docs`."
    for title, endpoints in applications().items():
        yield from ("", f"## {title}", "")
        yield from table(
            ("route", "who", "what", "problems of its own"), [_route(one) for one in endpoints]
        )
    yield from ("", "## SmartBox", "", "On 127.0.0.1; `/display/` at `display_host` as well.", "")
    rows = [*STATUS_ROUTES, *RECORD_ROUTES, *DISPLAY_ROUTES, *OPERATOR_ROUTES]
    yield from table(("route", "what"), [(f"`{verb} {path}`", what) for verb, path, what in rows])
    yield from ("", "## First boot of a station", "")
    yield "On the display's port at all addresses, for who is near, until there is a SmartBox."
    yield ""
    rows = FIRST_BOOT_ROUTES
    yield from table(("route", "what"), [(f"`{verb} {path}`", what) for verb, path, what in rows])


def _route(endpoint: Endpoint) -> tuple[str, str, str, str]:
    who = "anyone" if endpoint.public else ", ".join(sorted(endpoint.roles)) or "anyone logged in"
    problems = ", ".join(dict.fromkeys(f"`{problem.slug}`" for problem in endpoint.problems))
    return f"`{endpoint.method} {endpoint.path}`", who, endpoint.summary, problems


def problems_page() -> Iterator[str]:
    """Every problem type."""
    yield from ("# Problem types", "", NOTE, "")
    yield "A problem (RFC 9457) has the type `urn:steelyard:problem:<slug>`. On the command line"
    yield "its sentence is printed and the exit status is 1; over CoAP it becomes a response code."
    yield ""
    problems = [Problem, *subclasses(Problem)]
    by_slug: dict[str, type[Problem]] = {}
    for problem in problems:
        if "slug" in vars(problem):
            by_slug.setdefault(problem.slug, problem)
    rows = [
        (f"`{slug}`", str(one.status), one.title, first_paragraph(one.__doc__), one.hint or "")
        for slug, one in sorted(by_slug.items())
    ]
    yield from table(("slug", "status", "title", "meaning", "hint"), rows)


def ports_page() -> Iterator[str]:
    """Who may speak to what: the table that firewalls and scans are made of."""
    from infra.consortium.exposure import EVERY_KIND, EXPOSED, INTERNAL

    yield from ("# Ports", "", NOTE, "")
    yield "Every host's firewall is closed but for these. The scenario `consortium` scans"
    yield from ("each host from each other host and compares what answers with this table.", "")
    rows = [
        (
            f"{one.protocol} {one.port}{' + slot' if one.per_slot else ''}",
            "every host" if one.listens_on == EVERY_KIND else ", ".join(one.listens_on),
            *(one.callers, one.purpose, one.secured_by),
        )
        for one in EXPOSED
    ]
    yield from table(("port", "on", "who may", "for", "secured by"), rows)
    yield ""
    yield "A host with several ledger nodes gives each a slot, from 0 on. What stays inside:"
    yield ""
    inside = [(one.name, one.port, one.purpose, one.kept_in_by) for one in INTERNAL]
    yield from table(("what", "where", "for", "kept in by"), inside)
    yield from ("", "## Stations that run from an image", "")
    yield "SSH from `image_ssh_sources`, and what `image_firewall_rules` of `playbooks/image.yml`"
    yield "has. The first boot's page listens on all addresses until the SmartBox is enrolled; its"
    yield "status page on 127.0.0.1. What is open and heard by no program answers nothing."
    yield ""
    variables = yaml.safe_load((ROOT / "playbooks/image.yml").read_text())[0]["vars"]
    opened = [
        (
            f"{one.get('protocol', 'tcp')} {one['port']}",
            "everyone" if one["sources"] == ["any"] else "private networks",
            one["comment"],
        )
        for one in variables["image_firewall_rules"]
    ]
    yield from table(("port", "who may", "for"), opened)


# What the playbooks ask of an inventory beside `consortium` and the roles' own variables.
INVENTORY_VARIABLES = {
    "steelyard_ssh_sources": "Operators' addresses and networks, who may come by ssh. Required.",
    "steelyard_address": "Address by which other members reach a host; ansible_host without it.",
    "steelyard_server_bundle": "The bundle for nodes' hosts and the platform, a file.",
    "steelyard_station_bundle": "The bundle for SmartBoxes and load cell communicators, a file.",
    "steelyard_mirror_url": "A web server's directory that has the bundles, in place of files.",
    "steelyard_server_file": "The server bundle's name there.",
    "steelyard_server_checksum": "Its SHA-256.",
    "steelyard_station_file": "The station bundle's name there.",
    "steelyard_station_checksum": "Its SHA-256.",
    "smartbox_cell_networks": "Networks of a SmartBox's load cells that no inventory lists.",
    "flash_image": "flash: the stations' image, `NAME.img.xz`; its map and signature beside it.",
    "flash_public_key": "flash: the Ed25519 public key (PEM) of whoever signs images.",
    "flash_ca_file": "flash: the authority of the platform's certificates (PEM), for the cards.",
    "flash_stations": "flash: what each station's card says, by the station's name.",
    "flash_common": "flash: what all cards say, below each station's own.",
    "flash_claims_directory": "flash: directory with a file `NAME.claim` for each station.",
    "flash_token_file": "flash: an administrator's access token, to ask for claim codes.",
}
PLAYBOOK_ARGUMENTS = {
    "customer": "add-customer: the customer's name.",
    "station": "add-station, remove-station, flash: the station's name.",
    "device": "flash: the card's device, as /dev/sdb, or a file.",
    "devices": "flash: a device for each of many stations, as JSON.",
    "stations": "flash: `all` or names with commas, for one after another in one reader.",
    "flash_confirmed": "flash: devices, with commas, that are erased without a question.",
    "smartbox_is_lost": "remove-station: ask nothing of a SmartBox that is gone.",
    "drain_seconds": "remove-station: how long the SmartBox may take to send what waits; 600.",
    "host": "restore: the host. single: which host carries the platform.",
    "set": "restore: one set instead of all of the host's.",
    "snapshot": "restore: another backup than the latest, by its id.",
    "force": "restore: put aside what lives there.",
    "rotate": "rotate-keys: vault, tokens or certificates.",
    "update_bundle": "update-stations: the signed .update of a build.",
    "update_wait_seconds": "update-stations: how long a station may take to start; 1800.",
    "update_reserve_bytes": "update-stations: what stays free on a station's data partition while "
    "it is brought; 128 MiB.",
    "image_signing_key": "image: the private key that signs. Required.",
    "image_version": "image: the version; the application's without it.",
    "image_output": "image: directory of what is made; build/image.",
    "image_work": "image: working directory; build/image-work.",
    "image_snapshot": "image: URL of a snapshot of Debian's archives, ending in its date.",
    "image_url": "image: URL of the directory from which the image will be downloaded.",
    "image_roles": "image: the roles that are applied, with their entry points.",
    "image_ssh_sources": "image: from where SSH is open; private networks.",
    "image_firewall_rules": "image: what else is open; load cells, their enrolment, page, name.",
    "image_time_servers": "image: time servers where neither card nor network has any; Debian's.",
    "image_station_bundle": "image: the application, packed for arm64; packed anew without it.",
}


def playbooks_page() -> Iterator[str]:
    """Each playbook with what stands at its head, and what they are told."""
    yield from ("# Playbooks", "", NOTE, "")
    yield "[How to deploy a consortium](../how-to/deploy.md) says when to run which. The variable"
    yield "`consortium` is told in [consortium.md](consortium.md), the roles' variables in"
    yield from ("[roles.md](roles.md).", "")
    rows = []
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        head = path.read_text("utf-8").removeprefix("---\n").partition("\n- ")[0]
        lines = [line.removeprefix("#").strip() for line in head.splitlines()]
        rows.append((f"[{path.name}](../../playbooks/{path.name})", " ".join(lines).strip()))
    yield from table(("playbook", "what it does"), rows)
    yield from ("", "## The inventory's variables", "")
    variables = [(f"`{name}`", meaning) for name, meaning in INVENTORY_VARIABLES.items()]
    yield from table(("variable", "meaning"), variables)
    yield ""
    yield "Hosts in the group `steelyard_monitoring` collect everybody's figures."
    yield from ("", "## What is said with -e", "")
    arguments = [(f"`{name}`", meaning) for name, meaning in PLAYBOOK_ARGUMENTS.items()]
    yield from table(("argument", "meaning"), arguments)


def consortium_page() -> Iterator[str]:
    """The variable `consortium`, from its models."""
    from infra.consortium import models

    yield from ("# The description of a consortium", "", NOTE, "")
    yield "The variable `consortium` of an inventory; what is not in these tables is refused."
    described = [one for one in vars(models).values() if _is_described(one, models.Described)]
    for one in reversed(described):
        yield from ("", f"## {one.__name__.removesuffix('Spec')}", "")
        yield from (cleandoc(one.__doc__ or ""), "")
        rows = [
            (f"`{name}`", _kind(field), _default(field)) for name, field in one.model_fields.items()
        ]
        yield from table(("field", "what", "default"), rows)


def card_page() -> Iterator[str]:
    """The file `station.json` on a station's card, from its models."""
    yield from ("# What a station's card says", "", NOTE, "")
    yield "`steelyard/station.json` on the card's first partition, beside `ca.pem`, the authority"
    yield "of the platform's certificates: see [how to flash](../how-to/flash.md)."
    for one in (card.Card, card.Network, card.Addressing, card.Wifi):
        yield from ("", f"## {one.__name__}", "", first_paragraph(one.__doc__), "")
        rows = [
            (f"`{name}`", *_default_and_meaning(field)) for name, field in one.model_fields.items()
        ]
        yield from table(("member", "default", "meaning"), rows)
    yield from ("", "## In an inventory", "")
    yield "`flash_stations` and `flash_common` have the members of these tables, but for `version`"
    yield "and `station`, which the playbook adds, and for secrets, which are refused there."
    yield ""
    yield from table(("member", "meaning"), [(f"`{name}`", text) for name, text in told_instead()])


def told_instead() -> Iterator[tuple[str, str]]:
    """What an inventory says of a station that its card does not have."""
    for place, model in (("", card.Card), ("network.wifi.", card.Wifi)):
        for name, field in model.model_fields.items():
            # What is not to be shown is a secret.
            if not field.repr:
                yield f"{place}{name}_file", f"In place of `{place}{name}`: its file, of mode 0600."
    yield "device_id", "SmartBox's id, for `flash_token_file`; else found by station and serial."


def _is_described(one: Any, base: type) -> bool:
    return isinstance(one, type) and issubclass(one, base) and one is not base


def _kind(field: FieldInfo) -> str:
    limits = [
        f"{word} {getattr(one, key)}"
        for one in field.metadata
        for key, word in (
            *(("ge", "at least"), ("gt", "more than"), ("le", "at most")),
            *(("min_length", "length at least"), ("max_length", "length at most")),
            ("pattern", "matching"),
        )
        if getattr(one, key, None) is not None
    ]
    kind = str(field.annotation if not isinstance(field.annotation, type) else "")
    name = kind or getattr(field.annotation, "__name__", "")
    for long in ("infra.consortium.models.", "typing."):
        name = name.replace(long, "")
    name = re.sub(r"Annotated\[(\w+), .*?\)\]", r"\1", name)
    return "; ".join([f"`{name}`", *(f"`{one}`" for one in limits)])


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"`{field.default!r}`"


PAGES_MADE = {
    "playbooks.md": playbooks_page,
    "consortium.md": consortium_page,
    "card.md": card_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "routes.md": routes_page,
    "problems.md": problems_page,
    "ports.md": ports_page,
}


def made() -> dict[str, str]:
    """Every page as it must be."""
    modules()
    return {name: "\n".join(page()) + "\n" for name, page in PAGES_MADE.items()}


def differing() -> list[str]:
    """The pages that are not as they must be."""
    return [
        name
        for name, text in made().items()
        if not (PAGES / name).exists() or (PAGES / name).read_text("utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or compare them."""
    if "--check" in arguments:
        wrong = differing()
        for name in wrong:
            print(f"docs/reference/{name} is not up to date: run `make docs`", file=sys.stderr)
        return 1 if wrong else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in made().items():
        (PAGES / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
