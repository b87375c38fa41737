"""The consortium as one component: machines, their inventory, and what the playbooks make."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from infra.program.configuring import Configuration
from infra.program.membership import Membership
from infra.stack.application import application_version
from infra.stack.inventory import HostFacts, Inventory, inventory_of
from infra.stack.layout import Layout
from infra.stack.leaving import members_of
from infra.targets.interface import Built, Target

PLAYBOOK = "playbooks/site.yml"


@dataclass(frozen=True)
class ConsortiumArgs:
    """`root`: the checkout. `log`: where the playbook's output goes."""

    layout: Layout
    target: Target
    root: Path
    log: Path


class Consortium(pulumi.ComponentResource):
    """Turns customers and stations into machines, and these into a consortium."""

    inventory: pulumi.Output[Inventory]

    def __init__(
        self, name: str, args: ConsortiumArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:index:Consortium", name, {}, opts)
        layout = args.layout
        self.built = args.target.build(layout, self)
        self.inventory = _inventory(layout, self.built)
        made = [*(one.resource for one in self.built.hosts.values()), *self.built.parts]
        if layout.config.configure and layout.config.application is not None:
            self.configuration = Configuration(
                "site",
                {
                    # As text: what is handed to providers as numbers arrives as 1337.0.
                    "inventory": self.inventory.apply(
                        lambda told: json.dumps(told, sort_keys=True)
                    ),
                    "application": application_version(layout.config.application, args.root),
                    "playbook": PLAYBOOK,
                    "log": str(args.log),
                },
                # Protected as machines are: `pulumi destroy` deletes what it may before it refuses.
                pulumi.ResourceOptions(parent=self, depends_on=made, protect=layout.config.protect),
            )
            made = [self.configuration]
        # Last: who left is on record only when the playbook has voted him out.
        Membership(
            "members",
            members_of(layout.spec, layout.leaving),
            protect=layout.config.protect,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=made, protect=layout.config.protect
            ),
        )
        self.register_outputs({"inventory": self.inventory})


def _inventory(layout: Layout, built: Built) -> pulumi.Output[Inventory]:
    def made(told: dict[str, Any]) -> Inventory:
        facts = {name: HostFacts.model_validate(one) for name, one in told["hosts"].items()}
        return inventory_of(
            layout, facts, ssh_sources=told["ssh_sources"], variables=told["variables"]
        )

    hosts = {
        name: {
            "address": one.address,
            "host_key": one.host_key,
            "user": one.user,
            "key_file": one.key_file,
            "jump": one.jump,
            "forwards": one.forwards,
            "inside": one.inside,
        }
        for name, one in built.hosts.items()
    }
    told = pulumi.Output.all(
        hosts=hosts, ssh_sources=built.ssh_sources, variables=dict(built.variables)
    )
    return told.apply(made)
