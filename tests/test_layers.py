"""The rooms import each other as docs/architecture.md says, and in no other way."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "app" / "steelyard"
GROUND = {
    "ticket",
    "errors",
    "settings",
    "secret_files",
    "certificate_files",
    "json_text",
    "exposition",
    "weighings",
    "vehicles",
    "route_plan",
    "new_password",
}
ALLOWED: dict[str, set[str]] = {
    "ticket": set(),
    "new_password": set(),
    "errors": set(),
    "settings": {"errors"},
    "secret_files": {"errors"},
    "certificate_files": {"errors", "secret_files"},
    "json_text": set(),
    "exposition": set(),
    "weighings": {"ticket", "errors"},
    "vehicles": {"ticket"},
    "route_plan": {"ticket", "vehicles"},
    "ledger": GROUND,
    "sandbox": {"settings", "errors", "json_text"},
    "network": {"settings", "errors"},
    "node": {"settings", "errors", "secret_files", "network"},
    "store": GROUND,
    "identity": GROUND | {"store"},
    "web": {"settings", "errors", "json_text", "secret_files", "certificate_files"},
    "gateway": {"settings", "errors", "json_text", "secret_files", "certificate_files", "web"},
    "registry": GROUND | {"store", "identity", "ledger", "web", "pki"},
    "tickets": GROUND | {"store", "identity", "ledger", "web"},
    "pki": {"settings", "errors", "secret_files"},
    "provision": {"errors", "json_text", "secret_files", "new_password"},
    "coap": {"settings", "errors", "secret_files", "pki"},
    "smartbox": GROUND | {"coap", "pki"},
    "station": {"settings", "errors", "json_text", "weighings", "pki", "smartbox"},
    "loadcell": GROUND | {"coap", "pki"},
    "collector": {"settings", "errors", "exposition", "node"},
    "backup": {"settings", "errors", "exposition", "secret_files"},
    "cli": {"errors"},
}
EVERYTHING = {"demo"}

# The SmartBox has rooms of its own, whose way is one way too.
WITHIN_SMARTBOX: dict[str, set[str]] = {
    "alibi": set(),
    "weighing": {"alibi"},
    "intake": {"weighing"},
    "outbox": {"alibi"},
    "uplink": {"outbox"},
    "enrolment": {"uplink"},
    "display": {"intake", "weighing"},
    "pages": {"alibi", "outbox", "intake", "display"},
    "audit": {"alibi", "outbox"},
}

INFRA = Path(__file__).parent.parent / "infra"
# What stands in the checkout only: rooms of infra/, and what of the application they may use.
INFRA_ALLOWED: dict[str, set[str]] = {
    "consortium": set(),
    "firewall": set(),
    "flash": {
        "steelyard.station",
        "steelyard.secret_files",
        "steelyard.errors",
        "steelyard.json_text",
    },
    "machines": {"steelyard.network"},
    "images": set(),
    "plain": set(),
    "sentences": set(),
    "stack": {"consortium"},
    "targets": {"stack", "consortium", "machines", "sentences", "steelyard.network"},
    "program": {"stack", "consortium", "targets", "sentences"},
    "policy": {"consortium"},
    "__main__": {"program"},
}
# Pulumi's SDK: everything else must be usable, and tried, without it.
KNOW_PULUMI = {"targets", "program", "policy", "__main__"}


def rooms() -> list[str]:
    """Every room and every single file beside the rooms."""
    entries = [*PACKAGE.iterdir()]
    names = {path.stem for path in entries if path.suffix == ".py"}
    names |= {path.name for path in entries if path.is_dir() and any(path.rglob("*.py"))}
    return sorted(names - {"__init__", "__pycache__"})


def imported_modules(source: Path, package: str) -> Iterator[tuple[int, str]]:
    """What a file imports, anywhere in it, with the line; of `from package import x` it is x."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{a.name}" for a in node.names] if base == package else [base]
            yield from ((node.lineno, name) for name in names)


def imported_rooms(source: Path) -> Iterator[tuple[int, str]]:
    """The rooms that a file imports, anywhere in it, with the line."""
    for line, module in imported_modules(source, "steelyard"):
        assert not module.startswith("."), f"{source}:{line}: imports are absolute here"
        parts = module.split(".")
        if parts[0] == "steelyard" and len(parts) > 1 and parts[1] != "__version__":
            yield line, parts[1]


@pytest.mark.parametrize("room", rooms())
def test_room_imports_only_what_the_architecture_allows(room: str) -> None:
    """No room reaches into one that the table does not give it."""
    if room in EVERYTHING:
        return
    assert room in ALLOWED, f"say in docs/architecture.md and here what {room} may import"
    directory = PACKAGE / room
    files = sorted(directory.rglob("*.py")) if directory.is_dir() else [PACKAGE / f"{room}.py"]
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {other}"
        for path in files
        for line, other in imported_rooms(path)
        if other not in ALLOWED[room] | {room}
    ]
    assert wrong == []


def test_the_table_is_complete() -> None:
    """Every room that exists has its line, so that a new one cannot slip by."""
    assert set(rooms()) <= set(ALLOWED) | EVERYTHING


def rooms_of_the_smartbox() -> list[str]:
    """Every directory of code in the SmartBox's room."""
    return sorted({path.parent.name for path in (PACKAGE / "smartbox").glob("*/*.py")})


@pytest.mark.parametrize("room", rooms_of_the_smartbox())
def test_room_of_the_smartbox_imports_only_what_the_architecture_allows(room: str) -> None:
    """Among themselves: files beside the rooms serve all of them, and wire them."""
    assert room in WITHIN_SMARTBOX, f"say in docs/architecture.md and here what {room} may import"
    allowed = WITHIN_SMARTBOX[room] | {room}
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in sorted((PACKAGE / "smartbox" / room).rglob("*.py"))
        for other in imported_in_the_smartbox(path)
        if other in WITHIN_SMARTBOX and other not in allowed
    ]
    assert wrong == []


def imported_in_the_smartbox(source: Path) -> Iterator[str]:
    """What a file imports of the SmartBox: rooms, and files beside them."""
    for _, module in imported_modules(source, "steelyard.smartbox"):
        if module.startswith("steelyard.smartbox."):
            yield module.split(".")[2]


def infra_rooms() -> list[str]:
    """Every room of infra/ and every single file beside them."""
    names = {path.stem for path in INFRA.glob("*.py")} - {"__init__"}
    return sorted(names | {path.parent.name for path in INFRA.glob("[a-z]*/*.py")})


def infra_imports(source: Path) -> Iterator[tuple[int, str]]:
    """What a file of infra/ imports: rooms of infra/, rooms of the application, and Pulumi."""
    for line, module in imported_modules(source, "infra"):
        parts = module.split(".")
        if parts[0] == "infra":
            yield line, parts[1]
        elif parts[0] == "steelyard":
            yield line, ".".join(parts[:2])
        elif parts[0] in {"pulumi", "pulumi_aws", "pulumi_policy"}:
            yield line, "pulumi"


@pytest.mark.parametrize("room", infra_rooms())
def test_room_of_infra_imports_only_what_the_architecture_allows(room: str) -> None:
    """The description knows no stack, a stack no target, and only the program knows Pulumi."""
    assert room in INFRA_ALLOWED, f"say in docs/architecture.md and here what {room} may import"
    allowed = INFRA_ALLOWED[room] | {room} | ({"pulumi"} if room in KNOW_PULUMI else set())
    directory = INFRA / room
    files = sorted(directory.rglob("*.py")) if directory.is_dir() else [INFRA / f"{room}.py"]
    wrong = [
        f"{path.relative_to(INFRA)}:{line} imports {other}"
        for path in files
        for line, other in infra_imports(path)
        if other not in allowed
    ]
    assert wrong == []


def test_no_room_of_infra_hides_a_module_of_python() -> None:
    """Pulumi starts its programs within infra/, so a room there comes before Python's own."""
    assert set(infra_rooms()) & set(sys.stdlib_module_names) == set()
