"""Configurations of stacks for tests, and the engine that they are tried on."""

import json
import threading
import zlib
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.runtime import mocks

from infra.program.run import run

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
ACCOUNT = "123456789012"


def customer(number: int, stations: int = 1) -> dict[str, Any]:
    """A customer with stations, each with a weighbridge of two cells."""
    name = f"customer-{number}"
    return {
        "name": name,
        "users": [{"login": f"ops@{name}.example"}],
        "stations": [
            {
                "name": f"station-{number}-{place}",
                "node": {"slot": place},
                "weighbridges": [
                    {
                        "name": "WB-1",
                        "scale_serial": f"S-{number}-{place}",
                        "scale_interval_grams": 20_000,
                        "max_capacity_grams": 60_000_000,
                        "cells": [{"serial": f"LC-{number}-{place}-{cell}"} for cell in range(2)],
                    }
                ],
            }
            for place in range(1, stations + 1)
        ],
    }


def stack(customers: int = 2, *, target: str = "local", **changes: Any) -> dict[str, Any]:
    """A configuration with so many customers: enough validators for one fault."""
    document: dict[str, Any] = {
        "target": target,
        "configure": False,
        "operators": ["192.0.2.0/28"],
        "consortium": {
            "name": "example",
            "chain_id": 1337,
            "network": [{"name": f"network-{number}"} for number in range(1, 4)],
            "customers": [customer(number) for number in range(1, customers + 1)],
            "platform": {"names": ["steelyard.example"]},
        },
    }
    if target == "aws":
        document["aws"] = {
            "region": "eu-west-1",
            "image": "ami-0123456789abcdef0",
            "operator_public_key": KEY,
            "operator_key_file": "~/.ssh/id_ed25519",
            "zone_id": "Z0123456789ABC",
            "database": "rds",
            "database_ca_checksum": "ab" * 32,
            "alarm_email": "ops@example.org",
        }
    return document | changes


def values(document: Mapping[str, Any]) -> dict[str, str]:
    """The configuration as Pulumi hands it to a program: texts, and JSON for what is not one."""
    return {
        f"steelyard:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in document.items()
    }


class Engine(mocks.Mocks):
    """Takes down every resource, and gives machines what their providers would."""

    def __init__(self) -> None:
        self.made: list[mocks.MockResourceArgs] = []
        self._lock = threading.Lock()

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """An id from the name, and the outputs that others read."""
        with self._lock:
            self.made.append(args)
        # By the name, as resources are declared in no order that stays.
        number = zlib.crc32(args.name.encode())
        place = f"{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        outputs = dict(args.inputs)
        kind = args.typ
        if kind.endswith(":LocalMachine"):
            outputs |= {
                "address": f"10.{place}",
                "host_key": KEY,
                "key_file": "/machines/ssh-key",
                "own_address": "10.213.0.1",
                "running": True,
            }
        elif kind.endswith(":HostKey"):
            outputs["host_key"] = KEY
        elif kind == "aws:ec2/instance:Instance":
            outputs["privateIp"] = f"10.{place}"
        elif kind == "aws:ec2/eip:Eip":
            outputs["publicIp"] = f"198.{place}"
        elif kind == "aws:s3/bucket:Bucket":
            outputs["bucket"] = args.name
        elif kind == "aws:rds/instance:Instance":
            outputs["address"] = "database.example"
            outputs["identifier"] = f"{args.name}-1"
            outputs["masterUserSecrets"] = [{"secretArn": "arn:aws:secretsmanager:::secret:db"}]
        outputs.setdefault("arn", f"arn:aws:::{args.name}")
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        """The account's number, which is all that is asked."""
        assert args.token == "aws:index/getCallerIdentity:getCallerIdentity"
        return {"accountId": ACCOUNT, "arn": "", "id": "", "userId": ""}

    def of(self, kind: str) -> list[mocks.MockResourceArgs]:
        """The resources of a type, told by its end."""
        return [one for one in self.made if one.typ.endswith(kind)]


def tried(document: Mapping[str, Any]) -> tuple[Engine, dict[str, Any]]:
    """Everything that the program declares for a configuration, and its outputs."""
    engine = Engine()
    mocks.set_mocks(engine, project="steelyard", stack="test", preview=False)
    outputs: dict[str, Any] = {}

    def program() -> pulumi.Output[None]:
        told = run(values(document), (), "test")
        return pulumi.Output.from_input(told).apply(outputs.update)

    pulumi.runtime.test(program)()
    return engine, outputs
