"""Write each role's README from its argument specs, and the reference of all roles' variables.

    python scripts/role_readmes.py [--check]

With `--check` nothing is written; exit status 1 names what is not up to date.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ROLES = ROOT / "roles"
_REFERENCE = ROOT / "docs" / "reference" / "roles.md"
_NOTE = "<!-- Written by scripts/role_readmes.py (make docs); do not edit. -->"


def roles() -> list[Path]:
    """The roles' directories, in order."""
    return sorted(one.parent.parent for one in ROLES.glob("*/meta/argument_specs.yml"))


def readme(role: Path) -> str:
    """A role's README."""
    meta = _load(role / "meta" / "main.yml")["galaxy_info"]
    lines = [f"# Role {role.name}", "", _NOTE, "", _sentence(meta["description"]), ""]
    for name, spec in _specs(role).items():
        lines += _entry(name, spec, "##")
    return "\n".join(lines).rstrip() + "\n"


def reference() -> str:
    """The page of all roles' variables."""
    lines = ["# Roles", "", _NOTE, "", "The roles' variables, by role and entry point.", ""]
    for role in roles():
        meta = _load(role / "meta" / "main.yml")["galaxy_info"]
        lines += [f"## {role.name}", "", _sentence(meta["description"]), ""]
        for name, spec in _specs(role).items():
            lines += _entry(name, spec, "###", role.name)
    return "\n".join(lines).rstrip() + "\n"


def _entry(name: str, spec: dict[str, Any], heading: str, role: str = "") -> list[str]:
    title = "Use as a whole" if name == "main" else f"Entry point `{name}`"
    lines = [f"{heading} {role + ': ' if role else ''}{title}", ""]
    lines += [_sentence(spec["short_description"]), ""]
    description = spec.get("description", [])
    for paragraph in [description] if isinstance(description, str) else description:
        lines += [f"- {_sentence(paragraph)}"]
    lines += [""] if description else []
    options = spec.get("options", {})
    if options:
        lines += ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
        for prefix, option_name, option in _flat(options):
            lines.append(_row(prefix + option_name, option))
        lines.append("")
    return lines


def _flat(options: dict[str, Any], prefix: str = "") -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for name, option in options.items():
        found.append((prefix, name, option))
        found += _flat(option.get("options", {}), f"{prefix}{name}.")
    return found


def _row(name: str, option: dict[str, Any]) -> str:
    kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    if option.get("required"):
        default = "required"
    elif "default" in option:
        default = f"`{_shown(option['default'])}`"
    else:
        default = "not set"
    text = option["description"]
    meaning = " ".join(_sentence(one) for one in ([text] if isinstance(text, str) else text))
    if "choices" in option:
        meaning += " One of " + ", ".join(f"`{one}`" for one in option["choices"]) + "."
    return f"| `{name}` | {kind} | {default} | {meaning.replace('|', chr(92) + '|')} |"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (str(value) or '""').replace("|", "\\|").replace("\n", " ")


def _sentence(text: str) -> str:
    stripped = " ".join(str(text).split())
    return stripped if stripped.endswith((".", ":", "?")) else f"{stripped}."


def _specs(role: Path) -> dict[str, Any]:
    return dict(_load(role / "meta" / "argument_specs.yml")["argument_specs"])


def _load(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))


def main() -> int:
    """Write or compare."""
    wanted = {role / "README.md": readme(role) for role in roles()} | {_REFERENCE: reference()}
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    for path in stale:
        if "--check" in sys.argv[1:]:
            print(f"{path.relative_to(ROOT)} is not up to date: make docs")
        else:
            path.write_text(wanted[path], "utf-8")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
