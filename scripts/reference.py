"""Writes docs/reference from the code, and the schema of the configuration in Pulumi.yaml.

`python scripts/reference.py` writes the files; `--check` compares them and exits with 1 on a
difference. tests/docs runs the same comparison.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from steelyard.store.database import Database
from steelyard.store.key_ring import KeyRing
from steelyard.store.settings import StoreSettings
from steelyard.store.vault import Vault
from steelyard.tickets import app as tickets
from steelyard.tickets.settings import TicketsSettings
from steelyard.web.application import ENDPOINTS
from steelyard.web.endpoint import Endpoint

ROOT = Path(__file__).resolve().parent.parent
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


STACK_TABLES = {
    "sizes": "SizesConfig",
    "outside.NAME": "OutsideHost",
    "application": "ApplicationConfig",
    "backups": "BackupsConfig",
    "local": "LocalConfig",
    "aws": "AwsConfig",
    "aws.network": "AwsNetworkConfig",
}


def stack_page() -> Iterator[str]:
    """Every key of a Pulumi stack's configuration."""
    from infra.stack import models
    from infra.stack.reading import NAMESPACE
    from infra.stack.sizes import SIZES

    yield from ("# A stack's configuration", "", NOTE, "")
    yield "`pulumi config set --path` writes them, or an editor into `Pulumi.STACK.yaml`, under the"
    yield f"names `{NAMESPACE}:KEY`. What is not known is refused. How a stack is made:"
    yield from ("[how-to/pulumi.md](../how-to/pulumi.md).", "")
    yield from table(("key", "default", "meaning"), _stack_rows(models.StackConfig, ""))
    for place, name in STACK_TABLES.items():
        model = getattr(models, name)
        yield from ("", f"## {place}", "", first_paragraph(model.__doc__), "")
        yield from table(("key", "default", "meaning"), _stack_rows(model, f"{place}."))
    yield from ("", "## Sizes of machines", "")
    yield "Disks are in GiB, memory too; a node is GoQuorum with its Tessera."
    yield ""
    rows = [
        (
            *(f"`{name}`", str(one.processors), str(one.memory_gib), str(one.disk_gib)),
            *(str(one.nodes), one.instance_type),
        )
        for name, one in SIZES.items()
    ]
    yield from table(("size", "processors", "memory", "disk", "nodes at most", "aws"), rows)


def _stack_rows(model: type[BaseModel], place: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        default, meaning = _default_and_meaning(field)
        if isinstance(field.default, BaseModel):
            default = "see below"
        yield f"`{place}{name}`", default.replace("`[]`", "none").replace("`{}`", "none"), meaning


COST_FOREWORD = """\
A station is the bench's: {day} tickets a day from two weighbridges. A ticket is at its station's
node and at its customer's, both on the customer's machine: {party:,} bytes in each GoQuorum,
{station} and {customer} in the Tesseras (measured: bench/README.md), and {stranger} at every other
node. Disks count with {factor:g} times that, as running databases hold more (an assumption).
"""
COST_PRICES = """
Nothing in this table but the bytes was measured.

## Prices

**Assumptions of {date}**: list prices in {place}, in US dollars, without discounts, written down
from memory and not looked up. Traffic, snapshots of the database and support are not in it. Check
them before anything is decided by them.
"""
COST_LIMITS = """
## What is full first, and what is changed then

- **Memory of customers' machines.** Each station has a node of its own, which takes about 1 GiB.
  Above {nodes} nodes, `host` in the description puts stations on several machines. A node that
  serves several stations (multi-tenancy of the engines) is not built.
- **Validators.** Every customer's admin node votes: {validators} at the largest size. A block takes
  messages in the square of that number, and nothing above five nodes was measured. Expect this
  to be the first limit beyond some dozens of customers: make several networks then, each with a
  stack of its own, which share nothing but the operator.
- **The platform.** {tickets:,} tickets a day are {second:.0f} a second on average. One network took
  1,509 a second in batches and 62 one by one on two busy cores, nodes included (bench/README.md);
  it holds as long as SmartBoxes send batches when many wait.
- **Disks** come last: see the row above. A larger disk is a change of size, and no move.
- **The engine.** GoQuorum and Tessera are archived. A maintained engine, or one that the provider
  manages, is another implementation behind the ledger's seam
  ([decisions/engines-archived.md](../decisions/engines-archived.md)).
"""


def cost_page() -> Iterator[str]:
    """What the cloud costs, at three sizes."""
    from infra.stack import cost
    from infra.stack.sizes import SIZES

    yield from ("# What the cloud costs, and what is full first", "", NOTE, "")
    yield COST_FOREWORD.format(
        day=cost.TICKETS_A_STATION_DAY,
        party=cost.PARTY_BYTES,
        **cost.TESSERA_BYTES,
        stranger=cost.STRANGER_BYTES,
        factor=cost.UNCOMPACTED,
    )
    head = ("", *(f"{one.customers} customers, {one.stations:,} stations" for one in cost.SCALES))
    yield from table(head, _cost_rows(cost.SCALES))
    yield COST_PRICES.format(date=cost.PRICES_DATE, place=cost.PRICES_PLACE)
    prices = [(name, f"{price:.4f}", "hour") for name, price in cost.HOURLY.items()]
    prices += [(name, f"{price:.3f}", "month") for name, price in cost.MONTHLY.items()]
    yield from table(("what", "dollars", "each"), prices)
    large = cost.SCALES[-1]
    yield COST_LIMITS.rstrip().format(
        nodes=SIZES["xlarge"].nodes,
        validators=large.validators,
        tickets=large.tickets_a_day,
        second=large.tickets_a_day / 86_400,
    )


def _cost_rows(scales: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    def row(name: str, told: Callable[[Any], str]) -> tuple[str, ...]:
        return (name, *(told(one) for one in scales))

    yield row(
        "machines",
        lambda one: ", ".join(f"{count} {size}" for size, count in one.machines.items() if count),
    )
    yield row("validators", lambda one: f"{one.validators}")
    yield row("tickets a day", lambda one: f"{one.tickets_a_day:,}")
    yield row(
        "a customer's machine grows a year, GiB", lambda one: f"{one.customer_gib_a_year:.1f}"
    )
    yield row("all of them, GiB", lambda one: f"{one.gib_a_year:,.0f}")
    yield row("its disk lasts, years", lambda one: f"{one.years:.1f}")
    yield row("dollars a month", lambda one: f"{round(one.monthly_dollars, -1):,.0f}")


def project_text() -> str:
    """Pulumi.yaml, with the schema of the configuration."""
    from infra.stack.schema import project_config

    project = {
        "name": "steelyard",
        "description": "A consortium for weighing tickets, with its platform.",
        "main": "infra/",
        "runtime": {"name": "python", "options": {"virtualenv": ".venv"}},
        "config": project_config(),
    }
    note = "# Written by scripts/reference.py (make docs) from infra/stack/models.py; do not edit."
    return f"---\n{note}\n" + yaml.safe_dump(project, sort_keys=False, width=110)


PAGES_MADE = {
    "stack.md": stack_page,
    "cost.md": cost_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "routes.md": routes_page,
    "problems.md": problems_page,
    "ports.md": ports_page,
}


def made() -> dict[Path, str]:
    """Every file as it must be."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))  # infra/ is no installed package
    modules()
    pages = {PAGES / name: "\n".join(page()) + "\n" for name, page in PAGES_MADE.items()}
    return pages | {ROOT / "Pulumi.yaml": project_text()}


def differing() -> list[str]:
    """The files that are not as they must be."""
    return [
        str(path.relative_to(ROOT))
        for path, text in made().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or compare them."""
    if "--check" in arguments:
        wrong = differing()
        for name in wrong:
            print(f"{name} is not up to date: run `make docs`", file=sys.stderr)
        return 1 if wrong else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, text in made().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
