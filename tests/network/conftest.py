"""Fake engines, and networks of them that end with their test."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakeprograms import FAKE, write_jar, write_java, write_program

from steelyard.network.errors import NetworkProblem
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, request) -> None:
    """Settings of whoever runs the tests stay out, but for the real engines' names."""
    for name in list(os.environ):
        kept = request.node.get_closest_marker("engine") and name.count("_") == 1
        if name.startswith("STEELYARD_") and not kept:
            monkeypatch.delenv(name)


@pytest.fixture
def geth(tmp_path: Path) -> Path:
    """GoQuorum's stand-in."""
    return write_program(
        tmp_path / "engines" / "geth", f'#!/bin/sh\nexec {sys.executable} {FAKE} geth "$@"\n'
    )


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    """A Tessera distribution's directory, whose script is the stand-in."""
    directory = tmp_path / "engines" / "tessera-24.4.2"
    script = f'#!/bin/sh\nexec {sys.executable} {FAKE} tessera "$@"\n'
    write_program(directory / "bin" / "tessera", script)
    write_jar(directory / "lib" / "tessera-launcher-24.4.2.jar", java=17, version="24.4.2")
    return directory


@pytest.fixture
def java(tmp_path: Path) -> Path:
    return write_java(tmp_path / "engines" / "jdk" / "bin" / "java")


@pytest.fixture
def environment(geth: Path, distribution: Path, java: Path) -> dict[str, str]:
    """What an operator would export."""
    return {
        "PATH": os.environ["PATH"],
        "STEELYARD_GETH": str(geth),
        "STEELYARD_TESSERA": str(distribution),
        "JAVA_HOME": str(java.parent.parent),
    }


Make = Callable[..., LocalNetwork]


@pytest.fixture
def make(tmp_path: Path, environment: dict[str, str]) -> Iterator[Make]:
    """Makes networks of stand-ins; all are down at the end, whatever happened."""
    made = []

    def make_one(name: str = "n", **options) -> LocalNetwork:
        given = {"start_timeout": 20.0, "stop_timeout": 5.0} | options
        settings = NetworkSettings(**given)
        one = LocalNetwork(tmp_path / name, settings, environment=environment)
        made.append(one)
        return one

    yield make_one
    for one in made:
        if (one.directory / "state.json").exists():
            try:
                one.down()
            except NetworkProblem:
                continue
