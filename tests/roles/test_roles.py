"""Every role keeps to the same form."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/main.yml"))
# What Ansible says of a host without being asked for `ansible_facts`; registered results and
# Ansible's own switches are none of these.
OWN_NAMES = {
    *(
        "ansible_check_mode",
        "ansible_connection",
        "ansible_facts",
        "ansible_host",
        "ansible_managed",
    ),
    *("ansible_playbook_python", "ansible_python_interpreter", "ansible_become", "ansible_loop"),
    *("ansible_user", "ansible_port", "ansible_version", "ansible_run_tags", "ansible_skip_tags"),
    *("ansible_failed_result", "ansible_failed_task", "ansible_diff_mode", "ansible_play_hosts"),
    *("ansible_play_hosts_all", "ansible_play_batch", "ansible_inventory_sources"),
    *("ansible_search_path", "ansible_limit", "ansible_loop_var", "ansible_index_var"),
    *("ansible_parent_role_names", "ansible_role_name", "ansible_verbosity"),
}

pytestmark = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def specs(role: Path) -> dict[str, Any]:
    """The role's entry points."""
    return yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]


def defaults(role: Path) -> dict[str, Any]:
    """The role's defaults."""
    return yaml.safe_load((role / "defaults/main.yml").read_text()) or {}


def test_every_default_is_described_as_it_is(role):
    """The value in defaults/main.yml is the one in the argument specs, and the other way round."""
    told: dict[str, Any] = {}
    for name, entry in specs(role).items():
        for option, spec in entry.get("options", {}).items():
            assert not (spec.get("required") and "default" in spec), option
            if "default" in spec:
                assert told.setdefault(option, spec["default"]) == spec["default"], (name, option)
    assert told == defaults(role)


def test_every_entry_point_is_there_and_described(role):
    """A file of tasks for each, and a spec for `main` where main.yml does anything."""
    for name in specs(role):
        assert (role / "tasks" / f"{name}.yml").exists(), name
    assert "main" in specs(role) or role.name == "service"


def test_every_variable_bears_the_roles_name(role):
    """Flat and prefixed: two roles never share one by accident."""
    for name in defaults(role):
        assert name.startswith(f"{role.name}_"), name


def test_facts_are_asked_for_by_name(role):
    """`ansible_facts[...]` only: a bare fact is nothing where facts are not injected."""
    for path in role.rglob("*"):
        if path.suffix not in {".yml", ".j2"}:
            continue
        found = set(re.findall(r"\bansible_[a-z_]+", re.sub(r"#.*", "", path.read_text())))
        assert found <= OWN_NAMES | {"ansible_become_user"}, path


def test_what_handlers_are_told_exists(role):
    """A `notify` without its handler would only be found out on the day that it matters."""
    names: set[str] = set()
    for handlers in [role / "handlers/main.yml", ROOT / "roles/service/handlers/main.yml"]:
        for handler in yaml.safe_load(handlers.read_text()) if handlers.exists() else []:
            listens = handler.get("listen", [])
            names |= {handler["name"], *([listens] if isinstance(listens, str) else listens)}
    for path in (role / "tasks").glob("*.yml"):
        for task in _tasks(yaml.safe_load(path.read_text())):
            told = task.get("notify", [])
            missing = {told} - names if isinstance(told, str) else set(told) - names
            assert not missing, (path, missing)


def test_the_readme_is_up_to_date(role):
    """`make docs` writes it from the argument specs."""
    program = ROOT / "scripts/role_readmes.py"
    done = subprocess.run(
        [sys.executable, program, "--check"], check=False, capture_output=True, text=True
    )
    assert f"roles/{role.name}/" not in done.stdout
    assert "docs/reference/roles.md" not in done.stdout


def _tasks(items: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    found = []
    for item in items or []:
        found.append(item)
        for part in ("block", "rescue", "always"):
            found += _tasks(item.get(part))
    return found
