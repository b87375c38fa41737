"""Writes docs/reference/stack.md and cost.md, and Pulumi.yaml with its schema, from infra/stack.

`python scripts/stack_reference.py` writes the files; `--check` compares them and exits with 1 on a
difference. tests/pulumi runs the same comparison.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from reference import PAGES, first_paragraph, table  # noqa: E402

from infra.stack import cost, models  # noqa: E402
from infra.stack.reading import NAMESPACE  # noqa: E402
from infra.stack.schema import project_config  # noqa: E402
from infra.stack.sizes import SIZES  # noqa: E402

NOTE = "<!-- Written by scripts/stack_reference.py (make docs); do not edit. -->"
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
        yield f"`{place}{name}`", _default(field.default), field.description or ""


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "not set"
    if value in ([], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


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
    yield row(
        "more with `monitoring: true`", lambda one: f"{round(one.monitoring_dollars, -1):,.0f}"
    )


def project_text() -> str:
    """Pulumi.yaml, with the schema of the configuration."""
    project = {
        "name": "steelyard",
        "description": "A consortium for weighing tickets, with its platform.",
        "main": "infra/",
        "runtime": {"name": "python", "options": {"virtualenv": ".venv"}},
        "config": project_config(),
    }
    note = "# Written by scripts/stack_reference.py (make docs) from infra/stack; do not edit."
    return f"---\n{note}\n" + yaml.safe_dump(project, sort_keys=False, width=110)


PAGES_MADE = {"stack.md": stack_page, "cost.md": cost_page}


def made() -> dict[Path, str]:
    """Every file as it must be."""
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
    """Write the files, or compare them."""
    if "--check" in arguments:
        wrong = differing()
        for name in wrong:
            print(f"{name} is not up to date: run `make docs`", file=sys.stderr)
        return 1 if wrong else 0
    for path, text in made().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
