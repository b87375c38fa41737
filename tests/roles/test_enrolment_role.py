"""Role platform's part of enrolment, and what roles refuse of it, run on this computer."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plays import run_play
from steelyard.pki.authority import Authority
from steelyard.registry.enrolment.settings import EnrolmentSettings

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent

OWN = ("authority_file", "authority_key_file", "tickets_url")
OWN_REFUSED = (
    f"platform_settings.enrolment must not have {', '.join(OWN)}: platform_enrolment sets them"
)

pytestmark = pytest.mark.timeout(300)


def tell(role: str, tasks_from: str, **told: Any) -> dict[str, Any]:
    """A task that runs a part of a role and notes what it says."""
    items = "ansible_failed_result.results | default([ansible_failed_result])"
    wrong = "selectattr('failed', 'defined') | selectattr('failed') | map(attribute='msg') | first"
    note = f"{{{{ said + [{items} | {wrong}] }}}}"
    part = {"name": role, "tasks_from": tasks_from}
    return {
        "block": [
            {"ansible.builtin.include_role": part, "vars": told},
            {"ansible.builtin.set_fact": {"said": "{{ said + ['fine'] }}"}},
        ],
        "rescue": [{"ansible.builtin.set_fact": {"said": note}}],
    }


def play(directory: Path, *tasks: dict[str, Any]) -> list[str]:
    """What each of them said: 'fine', or the sentence of its refusal."""
    told = directory / "said.json"
    begin = {"ansible.builtin.set_fact": {"said": []}}
    end = {"ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": str(told)}}
    path = directory / "play.json"
    path.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [begin, *tasks, end]}])
    )
    done = run_play(path)
    assert done.returncode == 0, done.stdout + done.stderr
    return [" ".join(str(one).split()) for one in json.loads(told.read_text())]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root, and is not root")
def test_the_devices_authority_is_made_once_and_kept(tmp_path: Path) -> None:
    """A later run finds the same one; one that was damaged is not replaced, but asked for."""
    told = {
        "platform_program": str(PROGRAMS / "steelyard"),
        "platform_secrets_directory": str(tmp_path),
        "platform_enrolment_directory": str(tmp_path / "enrolment"),
        "platform_enrolment_label": "Devices of 'this' $(test)",
        "platform_enrolment_days": 30,
    }
    # As an interrupted run left it.
    (tmp_path / "enrolment.new").mkdir()
    (tmp_path / "enrolment.new/authority.key").write_text("half")
    kept, before = tmp_path / "enrolment", tmp_path / "before"
    again = tell("platform", "enrolment", **(told | {"platform_enrolment_label": "Another"}))
    said = play(
        tmp_path,
        tell("platform", "enrolment", **told),
        {"ansible.builtin.command": {"argv": ["cp", "-a", str(kept), str(before)]}},
        {"ansible.builtin.file": {"path": str(kept), "mode": "0755"}},
        again,
        {"ansible.builtin.file": {"path": f"{kept}/authority.key", "state": "absent"}},
        again,
    )
    assert said[:2] == ["fine", "fine"]
    assert "has no authority.key: restore it from the backup" in said[2]
    made = Authority.load(before)
    assert made.name == "Devices of 'this' $(test)"
    assert made.certificate_path.read_bytes() == (kept / "authority.pem").read_bytes()
    assert {one.stat().st_mode & 0o777 for one in before.glob("*.*")} == {0o600}
    assert [one.stat().st_mode & 0o777 for one in (before, kept)] == [0o700, 0o700]
    assert not (tmp_path / "enrolment.new").exists()


def test_what_is_wrong_is_told_in_one_sentence(tmp_path: Path) -> None:
    """Before anything is changed on a host, by the name of the variable."""
    good = {
        "platform_name": "platform.example",
        "platform_enrolment": True,
        "platform_settings": {"enrolment": {"certificate_days": 30}},
    }
    box = {
        "smartbox_station": "north",
        "smartbox_serial": "SB-1",
        "smartbox_terminal_serial": "T-1",
        "smartbox_config": str(tmp_path / "none.toml"),
        "smartbox_data_directory": "/var/lib/steelyard/no-such-one",
    }
    twice = {"enrolment": {"tickets_url": "https://other.example"}}
    cases: list[tuple[dict[str, Any], str]] = [
        (tell("platform", "preflight", **good), "fine"),
        (
            tell("platform", "preflight", **good, platform_enrolment_tickets_url="http://a"),
            "platform_enrolment_tickets_url must be an https:// URL, not http://a",
        ),
        (
            tell("platform", "preflight", **good, platform_enrolment_label=""),
            "platform_enrolment_label must be 1 to 64 printable ASCII characters",
        ),
        (
            tell("platform", "preflight", **good, platform_enrolment_days=0),
            "platform_enrolment_days must be 1 to 36500",
        ),
        (
            tell("platform", "preflight", **(good | {"platform_settings": twice})),
            OWN_REFUSED,
        ),
        (tell("smartbox", "preflight", **box), "fine"),
        (
            tell("smartbox", "preflight", **box, smartbox_alibi_years=0),
            "smartbox_alibi_years must be 1 to 100, not 0",
        ),
        (
            tell("smartbox", "preflight", **box, smartbox_reserve_bytes=-1),
            "smartbox_reserve_bytes must not be negative: -1",
        ),
        (
            tell("smartbox", "preflight", **box, smartbox_settings={"alibi_years": 3}),
            "smartbox_settings must not have alibi_years: there are variables of the role for that",
        ),
    ]
    assert play(tmp_path, *(task for task, _ in cases)) == [said for _, said in cases]


def test_what_the_platform_writes_is_what_the_management_api_reads() -> None:
    """The section of the configuration has the settings' names."""

    told = yaml.safe_load((ROOT / "roles/platform/vars/main.yml").read_text())
    section = told["platform_enrolment_section"]["enrolment"]
    assert tuple(section) == OWN
    assert set(section) <= set(EnrolmentSettings.model_fields)
    for name in ("authority_file", "authority_key_file"):
        assert EnrolmentSettings.environment_name(name) in told["platform_enrolment_environment"]
