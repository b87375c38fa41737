"""The seam: what knows GoQuorum or Tessera is ledger/, and what starts or imitates the engines.

A second engine family needs a second implementation of `Ledger` and one other line where the
processes are wired (docs/decisions/moving-to-another-engine.md).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.ledger import gathering, protocol

PACKAGE = Path(__file__).parent.parent.parent / "app" / "steelyard"
# Rooms that may know an engine: the seam, its imitation, the launcher, and who starts all of it;
# and what stands beside the engines on their hosts in the field: the gateway before them, the
# commands that roles use on a node, what copies a node's files, and what collects its figures.
ENGINE_ROOMS = {"ledger", "sandbox", "network", "demo", "gateway", "node", "backup", "collector"}
# Gathering stands before any `Ledger`, and is nobody's in particular.
THE_SEAM = {
    *("steelyard.ledger.protocol", "steelyard.ledger.errors", "steelyard.ledger.gathering"),
}
# Where a process is put together, the implementation and its settings are chosen.
WIRING = {"registry/app.py", "registry/cli.py", "tickets/app.py", "tickets/cli.py"}
APPS = {"registry/app.py", "tickets/app.py"}
WIRED = {
    *("steelyard.ledger.quorum", "steelyard.ledger.settings", "steelyard.ledger.connections"),
}
# Names of fields that carry a privacy manager's address and key through the store: see the
# decision. Help texts of the command line may name the engines as well.
PASSED_ON = re.compile(r"tessera_(url|key|public_key)|\bTesseraKey\b")
ENGINE = re.compile(r"quorum|tessera|besu|eth_[a-z]|privateFor\b", re.IGNORECASE)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.partition("/")[0] not in ENGINE_ROOMS and name != "cli.py":
            yield name, ast.parse(path.read_text("utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "steelyard.ledger":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_rooms_import_the_protocol_and_its_errors_only() -> None:
    """Beside the lines that put a process together, no room imports more of the ledger."""
    wrong = [
        f"{name} imports {module}"
        for name, tree in sources()
        for module in imports(tree)
        if module.startswith("steelyard.ledger")
        and module not in (THE_SEAM | WIRED if name in WIRING else THE_SEAM)
    ]
    assert wrong == []


def test_each_process_is_wired_by_one_import() -> None:
    """The implementation is named once in each process that has a ledger."""
    named = [
        name
        for name, tree in sources()
        for one in imports(tree)
        if one == "steelyard.ledger.quorum"
    ]
    assert sorted(named) == sorted(APPS)


def names(tree: ast.Module) -> Iterator[str]:
    """Every name and text of the code, without the docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg | ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def test_no_room_names_an_engine_but_by_the_fields_passed_on() -> None:
    """Names in the code: `tessera_url` and `tessera_key` pass through, and the wiring names one."""
    wrong = [
        f"{name}: {one}"
        for name, tree in sources()
        for one in names(tree)
        if ENGINE.search(PASSED_ON.sub("", one)) and not (name in APPS and one == "QuorumLedger")
    ]
    assert wrong == []


def test_the_protocol_itself_imports_no_engine() -> None:
    """What a second implementation fills in rests on tickets and problems alone."""
    tree = ast.parse(Path(protocol.__file__).read_text("utf-8"))
    ours = {module for module in imports(tree) if module.startswith("steelyard")}
    assert ours == {"steelyard.errors", "steelyard.ticket"}


def test_gathering_goes_before_any_ledger() -> None:
    """It knows tickets, the protocol, and how much and how long: no engine, by import or name."""
    tree = ast.parse(Path(gathering.__file__).read_text("utf-8"))
    ours = {module for module in imports(tree) if module.startswith("steelyard")}
    allowed = {"errors", "protocol", "settings"}
    assert ours <= {"steelyard.ticket", *(f"steelyard.ledger.{one}" for one in allowed)}
    assert [one for one in names(tree) if ENGINE.search(one)] == []


@pytest.mark.parametrize("module", ["verify", "examination", "export", "exportcheck", "seals"])
def test_verification_needs_the_ledger_room_only(module: str) -> None:
    """A customer who trusts nobody needs no other room than this one."""
    tree = ast.parse((PACKAGE / "ledger" / f"{module}.py").read_text("utf-8"))
    rooms = {one.split(".")[1] for one in imports(tree) if one.startswith("steelyard.")}
    assert rooms <= {"ledger", "ticket", "errors", "settings", "json_text"}
