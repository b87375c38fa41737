"""Write docs/reference/ports.md from the table that firewalls and scans are made of.

python scripts/ports_reference.py [--check]
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.consortium.exposure import EXPOSED, INTERNAL  # noqa: E402

_NOTE = "<!-- Written by scripts/ports_reference.py (make docs); do not edit. -->"
PAGE = ROOT / "docs" / "reference" / "ports.md"


def page() -> str:
    """The page's text."""
    lines = ["# Ports", "", _NOTE, ""]
    lines += ["Every host's firewall is closed but for these. The scenario `consortium` scans"]
    lines += ["each host from each other host and compares what answers with this table.", ""]
    lines += ["| port | on | who may | for | secured by |", "| --- | --- | --- | --- | --- |"]
    for one in EXPOSED:
        port = f"{one.protocol} {one.port}{' + slot' if one.per_slot else ''}"
        on = "every host" if len(one.listens_on) == 5 else ", ".join(one.listens_on)
        lines.append(f"| {port} | {on} | {one.callers} | {one.purpose} | {one.secured_by} |")
    lines += [
        "",
        "A host with several ledger nodes gives each a slot, from 0 on. What stays inside:",
        "",
    ]
    lines += ["| what | where | for | kept in by |", "| --- | --- | --- | --- |"]
    lines += [f"| {one.name} | {one.port} | {one.purpose} | {one.kept_in_by} |" for one in INTERNAL]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or compare."""
    stale = not PAGE.exists() or PAGE.read_text("utf-8") != page()
    if stale and "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), "utf-8")
        return 0
    if stale:
        print("docs/reference/ports.md is not up to date: make docs")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
