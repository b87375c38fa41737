"""The alert rules fire when they should, and the dashboard shows what there is."""

import inspect
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from steelyard.backup import record
from steelyard.collector import service as collector
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.tickets import load, watch
from steelyard.web.metrics import HttpMetrics

ROOT = Path(__file__).parent.parent.parent
FILES = ROOT / "roles/monitoring/files"
RULES = FILES / "rules/steelyard.yml"
DASHBOARD = FILES / "dashboards/steelyard.json"
PROMTOOL = os.environ.get("STEELYARD_PROMTOOL") or shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    not PROMTOOL, reason="no promtool on the path, and STEELYARD_PROMTOOL is not set"
)
# What node_exporter and Prometheus itself tell.
FOREIGN = {
    "up",
    "node_systemd_unit_state",
    "node_timex_sync_status",
    "node_timex_offset_seconds",
} | {
    *("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    *("node_cpu_seconds_total", "node_memory_MemAvailable_bytes"),
}
_NAME = re.compile(r"\b(?:steelyard|node|pg)_[a-zA-Z0-9_]+|\bup\b")


def own_metrics() -> set[str]:
    """The names in the sources of whatever tells of itself."""
    modules = [HttpMetrics, GatewayMetrics, watch, load, record, collector]
    names: set[str] = set()
    for module in modules:
        path = inspect.getsourcefile(module)
        text = Path(path).read_text("utf-8")
        names |= set(re.findall(r'"(steelyard_[a-z0-9_]+)"', text))
    for one in ("up", "block", "peers", "syncing", "validators"):
        names.add(f"steelyard_node_{one}")
    suffixes = ("_total", "_bucket", "_count", "_sum")
    return names | {name + suffix for name in names for suffix in suffixes}


def alerts() -> list[dict]:
    """All alerts."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict]:
    """All panels of the dashboard."""
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> list[str]:
    """All expressions of the dashboard."""
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


@needs_promtool
def test_the_rules_fire_when_they_should(tmp_path):
    """And are quiet before: promtool's own unit tests."""
    tests = (ROOT / "tests/monitoring/rules.yml").read_text().replace("RULES", str(RULES))
    (tmp_path / "rules.yml").write_text(tests)
    done = subprocess.run(
        [PROMTOOL, "test", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested():
    """With a case in which it fires."""
    tests = yaml.safe_load((ROOT / "tests/monitoring/rules.yml").read_text())["tests"]
    fired = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in alerts()}


def test_every_alert_says_what_to_do():
    """A severity, what is wrong, and where to look."""
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_only_metrics_that_exist_are_asked_for():
    """In the rules and on the dashboard."""
    known = own_metrics() | FOREIGN
    for expression in [*expressions(), *(rule["expr"] for rule in alerts())]:
        bare = re.sub(r'"[^"]*"', "", re.sub(r"\b(?:by|without)\s*\([^)]*\)", "", expression))
        assert set(_NAME.findall(bare)) <= known, expression


@needs_promtool
def test_every_expression_of_the_dashboard_can_be_read(tmp_path):
    """By Prometheus' own reader."""
    rules = [{"record": f"panel:{n}", "expr": one} for n, one in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": rules}]}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_panels_are_in_order():
    """Each has a number of its own, a title, a data source that is chosen, and room."""
    numbers = [panel["id"] for panel in panels()]
    assert len(numbers) == len(set(numbers))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
