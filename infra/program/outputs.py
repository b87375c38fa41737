"""What a stack tells its operator."""

from typing import Any

import pulumi

from infra.consortium.exposure import EXPOSED
from infra.program.consortium import Consortium
from infra.stack.inventory import REMOVE_STATION, Inventory
from infra.stack.layout import Layout

# Role platform makes it there, for root, once.
PASSWORD_FILE = "/etc/steelyard/platform/administrator.password"  # noqa: S105 - a place
ADMINISTRATOR = "administrator@platform.invalid"


def outputs_of(layout: Layout, consortium: Consortium) -> dict[str, Any]:
    """The stack's outputs, by their names. None is a secret: of credentials the place is told."""
    ports = {one.name: one.port for one in EXPOSED}
    host = consortium.built.api_host
    machine = layout.spec.platform.host
    return {
        "management_api_url": pulumi.Output.format(
            "https://{0}:{1}", host, ports["management-api"]
        ),
        "tickets_api_url": pulumi.Output.format("https://{0}:{1}", host, ports["tickets-api"]),
        "inventory": consortium.inventory,
        "first_administrator": consortium.inventory.apply(
            lambda told: first_administrator(told, machine)
        ),
        "next_steps": next_steps(layout, machine),
    }


def first_administrator(inventory: Inventory, machine: str) -> dict[str, str]:
    """Log-in, and where the password that was made once is."""
    login = inventory["vars"].get("platform_administrator", ADMINISTRATOR)
    return {"login": str(login), "password_is_on": machine, "password_file": PASSWORD_FILE}


def next_steps(layout: Layout, machine: str) -> list[str]:
    """Commands, in the order in which an operator wants them."""
    inventory = "scripts/stack_inventory.py"
    steps = []
    if not layout.config.configure:
        steps += [
            f"STEELYARD_LEAVING='{one}' ansible-playbook -i {inventory} {REMOVE_STATION} "
            f"-e station='{one}'"
            for one in sorted(layout.leaving.stations)
        ]
        steps.append(f"ansible-playbook -i {inventory} playbooks/site.yml")
    steps += [
        (
            f"ansible -i {inventory} {machine} -b -m fetch -a "
            "'src=/etc/steelyard/pki/ca.pem dest=ca.pem flat=true'"
        ),
        f"ansible -i {inventory} {machine} -b -a 'cat {PASSWORD_FILE}'",
    ]
    if layout.leaving:
        names = ", ".join(sorted(layout.config.leaving))
        steps.append(f"take {names} out of steelyard:consortium and steelyard:leaving; pulumi up")
    return steps
