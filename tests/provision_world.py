"""A consortium's description, and `steelyard provision` at a running management API."""

import asyncio
import copy
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_world import PASSWORD, Api, node_draft
from steelyard.provision.client import LogIn, Management

CHANGES = (".create", ".update", ".delete", ".credentials", ".reserve", ".password-reset")
ADMINISTRATOR = LogIn("root@platform.test", PASSWORD)


def description() -> dict[str, Any]:
    """Two customers; acme's two stations stand at nodes that are not the first by name."""
    return copy.deepcopy(
        {
            "nodes": [
                node_draft("network-1", "network"),
                node_draft("b-admin", "admin"),
                node_draft("a-admin", "admin"),
                *(node_draft(f"node-{number}", "station") for number in (1, 2, 3, 4)),
            ],
            "customers": [
                {
                    "name": "acme",
                    "admin_node": "b-admin",
                    "users": [{"login": "ops@acme.example", "role": "customer-administrator"}],
                    "stations": [
                        {
                            "name": "north",
                            "node": "node-3",
                            "smartbox": "SB-1",
                            "weighbridges": [
                                {
                                    "name": "WB-1",
                                    "scale_serial": "S-1",
                                    "scale_interval": 20_000,
                                    "max_capacity": 60_000_000,
                                    "cells": ["LC-1", "LC-2"],
                                }
                            ],
                        },
                        {"name": "south", "node": "node-2"},
                    ],
                },
                {
                    "name": "birch",
                    "admin_node": "a-admin",
                    "stations": [{"name": "east", "node": "node-1", "smartbox": "SB-1"}],
                },
            ],
        }
    )


@dataclass
class Bed:
    """A running API, and the command's files."""

    api: Api
    directory: Path
    authority: Path
    document: dict[str, Any] = field(default_factory=description)

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    def secret(self, station: str) -> str:
        return (self.secrets / f"station-{station}.secret").read_text().strip()

    def client(self) -> Management:
        """A client on the test's own session."""
        return Management(self.api.session, self.api.url, ADMINISTRATOR)

    async def command(
        self, *arguments: str, document: bool = True, piped: bool = False
    ) -> tuple[int, str, str]:
        """Run `steelyard provision` as a process: exit status, output, errors."""
        path, password = self.directory / "entities.json", self.directory / "password"
        path.write_text(json.dumps(self.document))
        password.touch(mode=0o600)
        password.write_text(PASSWORD + "\n")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from steelyard.cli import main; main()", "provision"),
            *(["-" if piped else str(path)] if document else []),
            *("--url", self.api.url, "--ca-file", str(self.authority)),
            *("--login", ADMINISTRATOR.login, "--password-file", str(password)),
            *("--secrets-directory", str(self.secrets), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(path.read_bytes() if piped else b"")
        return process.returncode or 0, out.decode(), err.decode()

    async def provision(self, *arguments: str, document: bool = True) -> dict[str, Any]:
        """Run it to its good end; the result."""
        status, out, err = await self.command(*arguments, document=document)
        assert (status, err) == (0, "")
        return json.loads(out)

    async def refused(self, *arguments: str) -> str:
        """Run it to its refusal: one sentence, and nothing was changed."""
        before = await self.lines()
        status, out, err = await self.command(*arguments)
        assert (status, out, err.count("\n")) == (1, "", 1), err
        assert await self.lines() == before
        return err

    async def lines(self) -> int:
        """How many changes the audit log has; log-ins are none."""
        items = await self.client().entities("audit")
        return len([one for one in items if one["action"].endswith(CHANGES)])

    async def node_of(self, station_id: str) -> str:
        """The name of a station's node."""
        (node,) = await self.client().entities("nodes", station_id=station_id)
        return node["name"]
